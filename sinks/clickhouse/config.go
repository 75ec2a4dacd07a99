package clickhouse

import (
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/millrank/millrank/operators"
)

// Config says where the history is, what is written there, and how.
type Config struct {
	// URL is the server's address, as clickhouse-go reads it: clickhouse://user:password@host:9000 for the native
	// protocol, http://user:password@host:8123 or https://... for HTTP; several hosts are joined by commas. Options goes before it.
	URL string
	// Options are the driver's own, for what a URL can't say, such as certificates. Its Auth.Database is not used.
	Options *clickhouse.Options
	// Database holds all tables and views; Migrate makes it. "" means millrank.
	Database string
	// Cluster is the name of a cluster of one shard: tables are then replicated, made on all its servers, and an insert is only
	// acknowledged by a majority of them. "" means a single server.
	Cluster string
	// Settings are further settings of the server for each insert, such as fsync_after_insert or insert_quorum.
	Settings map[string]string

	// StoragePolicy is the storage policy of cells, rankings and dead letters. "" leaves the server's default.
	StoragePolicy string
	// ColdAfter is how long after their time rows move to ColdVolume of StoragePolicy. 0 means never.
	ColdAfter time.Duration
	// ColdVolume is a volume of StoragePolicy. "" means cold.
	ColdVolume string
	// TTL is how long rows stay.
	TTL TTL
	// Refresh is how often roll-ups are brought up to date; those by week, month and year at most once an hour. 0 means 5 minutes.
	Refresh time.Duration

	// Generation is the run over the source that is written.
	Generation uint32
	// Source is the stream's name: cluster/topic. Generations and views go by it, so several streams can share a Database.
	Source string
	// Dimensions are the names of the dimensions that a cell's group holds, in its order; the first is the region.
	Dimensions []string
	// Boards are the boards whose lists are written, with the values' scale.
	Boards operators.Boards

	// Timeout bounds each statement that writes, at most 5 minutes. 0 means 30 s.
	Timeout time.Duration
	// BatchRows is how many rows one insert has at most. 0 means 100,000.
	BatchRows int
	// BatchBytes is how many bytes of them one insert has at most, except that a row is never split. 0 means 32 MiB.
	BatchBytes int
	// Logger is told what is unusual. nil means nobody.
	Logger *slog.Logger
}

// TTL is how long after their time rows stay, for each table; 0 means for ever. Merges remove them, some time later.
type TTL struct {
	Cells       time.Duration // after the pane's start
	Rankings    time.Duration // after the window's end
	DeadLetters time.Duration // after they were written
	Refused     time.Duration // after they were written
	// Of roll-ups, after the period's start. They may stay longer than the cells that they are of.
	Hours, Days, Weeks, Months, Years time.Duration
}

const (
	batchRowsDefault  = 100_000
	batchBytesDefault = 32 << 20
	timeoutMax        = 5 * time.Minute
)

var plainName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// Validate reports all that is wrong, at once.
func (c Config) Validate() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.Options == nil {
		if c.URL == "" {
			fail("URL is missing: give clickhouse://host:9000 or http://host:8123")
		} else if _, err := clickhouse.ParseDSN(c.URL); err != nil {
			fail("URL is not one that the driver reads, such as clickhouse://host:9000 or http://host:8123") // its text may hold the password
		}
	}
	errs = append(errs, c.validateSchema())
	if c.Source == "" || !utf8.ValidString(c.Source) {
		fail("Source is %.100q; it must be the stream's name, cluster/topic", c.Source)
	}
	if c.Timeout < 0 || c.Timeout > timeoutMax {
		fail("Timeout is %v; it must be 0 to %v", c.Timeout, timeoutMax)
	}
	if c.BatchRows < 0 {
		fail("BatchRows is %d; it must not be negative", c.BatchRows)
	}
	if c.BatchBytes < 0 {
		fail("BatchBytes is %d; it must not be negative", c.BatchBytes)
	}
	if err := c.Boards.Validate(); err != nil {
		fail("Boards: %w", err)
	}
	if !slices.Equal(c.Dimensions, c.Boards.Dimensions) {
		fail("Dimensions are %q; Boards has %q: they must be the same", c.Dimensions, c.Boards.Dimensions)
	}
	return errors.Join(errs...)
}

// validateSchema reports what is wrong with the settings that Migrate uses.
func (c Config) validateSchema() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.Database != "" && !plainName.MatchString(c.Database) {
		fail("Database is %q; it must consist of letters, digits and _, and not begin with a digit", c.Database)
	}
	for name := range c.Settings {
		if !plainName.MatchString(name) {
			fail("Settings: %q is no name of a setting", name)
		}
	}
	if c.ColdAfter < 0 || c.ColdAfter > 0 && c.StoragePolicy == "" {
		fail("ColdAfter is %v; it must not be negative, and needs a StoragePolicy", c.ColdAfter)
	}
	for name, text := range map[string]string{"Cluster": c.Cluster, "StoragePolicy": c.StoragePolicy, "ColdVolume": c.ColdVolume} {
		if strings.ContainsAny(text, "'`\\\n") {
			fail("%s is %q; it must not hold quotes, backslashes or line ends", name, text)
		}
	}
	for _, t := range c.TTL.all() {
		if t.stays < 0 || t.stays%time.Second != 0 {
			fail("TTL.%s is %v; it must be whole seconds, or 0 for ever", t.name, t.stays)
		}
	}
	if c.Refresh < 0 || c.Refresh%time.Second != 0 {
		fail("Refresh is %v; it must be whole seconds", c.Refresh)
	}
	return errors.Join(errs...)
}

// withDefaults returns the settings with their defaults filled in.
func (c Config) withDefaults() Config {
	if c.Database == "" {
		c.Database = "millrank"
	}
	if c.ColdVolume == "" {
		c.ColdVolume = "cold"
	}
	if c.Refresh == 0 {
		c.Refresh = 5 * time.Minute
	}
	if c.Timeout == 0 {
		c.Timeout = 30 * time.Second
	}
	if c.BatchRows == 0 {
		c.BatchRows = batchRowsDefault
	}
	if c.BatchBytes == 0 {
		c.BatchBytes = batchBytesDefault
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// stay is a table's retention.
type stay struct {
	name   string // the field in TTL
	table  string
	column string
	stays  time.Duration
	moves  bool // to cold volumes
}

func (t TTL) all() []stay {
	return []stay{
		{"Cells", "cells", "toDateTime(pane_start)", t.Cells, true},
		{"Rankings", "rankings", "toDateTime(window_end)", t.Rankings, true},
		{"DeadLetters", "dead_letters", "written_at", t.DeadLetters, true},
		{"Refused", "refused", "refused_at", t.Refused, false},
		{"Hours", "rollup_hour", "hour", t.Hours, false},
		{"Days", "rollup_day", "day", t.Days, false},
		{"Weeks", "rollup_week", "week", t.Weeks, false},
		{"Months", "rollup_month", "month", t.Months, false},
		{"Years", "rollup_year", "year", t.Years, false},
	}
}
