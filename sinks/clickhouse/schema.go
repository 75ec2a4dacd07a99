package clickhouse

import (
	"embed"
	"fmt"
	"strings"
	"text/template"
	"time"
)

// files are the migrations, which are applied once each, in the order of their names, and what is derived from settings, which is
// made anew when settings change.
//
//go:embed migrations/*.sql derived/*.sql
var files embed.FS

// overlap is how far back a refresh looks before the start of the last one: longer than any insert takes, replication
// between the servers of a cluster included.
const (
	overlap        = 2 * timeoutMax
	overlapCluster = 12 * timeoutMax
)

// coarseRefresh is the least time between two refreshes of weeks, months and years.
const coarseRefresh = time.Hour

// schema is what SQL files are templates of.
type schema struct{ config Config }

// Name is a table's or view's full name.
func (s schema) Name(name string) string { return "`" + s.config.Database + "`." + name }

// OnCluster is the clause that has a statement carried out on all servers.
func (s schema) OnCluster() string {
	if s.config.Cluster == "" {
		return ""
	}
	return "ON CLUSTER " + quote(s.config.Cluster)
}

// Replacing is the engine that keeps the row with the greatest version.
func (s schema) Replacing(version string) string {
	if s.config.Cluster == "" {
		return "ReplacingMergeTree(" + version + ")"
	}
	return "ReplicatedReplacingMergeTree(" + version + ")" // at the server's default path, which holds the table's UUID
}

// DatabaseText is the database's name as a string.
func (s schema) DatabaseText() string { return quote(s.config.Database) }

// OverlapSeconds is how far back a refresh looks.
func (s schema) OverlapSeconds() int64 {
	if s.config.Cluster == "" {
		return int64(overlap / time.Second)
	}
	return int64(overlapCluster / time.Second)
}

// period is a level of the roll-ups.
type period struct {
	Column    string // hour
	Type      string
	Comment   string
	Partition string

	Seconds int64 // between two refreshes

	Table, Refresh, View, LiveView string // of this level

	After       string // the refresh that comes before; "" if there is none
	From        string // start of the period, from FromColumn
	Earliest    string // and of the earliest period that has changed
	FromPane    string // and from a pane's start
	FromTable   string // the finer level
	FromColumn  string
	FromWritten string
	FromExact   string
	Kept        string // what limits it to periods of which the finer level has everything; "" if it keeps everything
}

// Periods are the levels, finer ones first. Weeks and months are of days, since weeks don't end with months.
func (s schema) Periods() []period {
	level := func(column, kind, function, comment, partition, finer string, finerStays time.Duration) period {
		p := period{
			Column: column, Type: kind, Comment: comment, Partition: partition,
			Table: "rollup_" + column, Refresh: "refresh_" + column, View: "item_counts_by_" + column, LiveView: "item_counts_by_" + column + "_live",
			From: function + "(" + finer + ")", FromPane: function + "(pane_start)", Earliest: function + "(earliest)",
			FromTable: "rollup_" + finer, FromColumn: finer, FromWritten: "refreshed_at", FromExact: "c.exact", After: "refresh_" + finer,
		}
		if finer == "pane_start" {
			p.FromTable, p.FromWritten, p.FromExact, p.After = "cells", "written_at", "c.sum NOT IN (-9223372036854775808, 9223372036854775807)", ""
		}
		every := s.config.Refresh
		if column != "hour" && column != "day" {
			every = max(every, coarseRefresh) // each makes the whole period anew
		}
		p.Seconds = int64(every / time.Second)
		if finerStays > 0 {
			p.Kept = fmt.Sprintf("%s > %s(now('UTC') - INTERVAL %d SECOND)", p.From, function, int64(finerStays/time.Second))
		}
		return p
	}
	ttl := s.config.TTL
	return []period{
		level("hour", "DateTime('UTC')", "toStartOfHour", "Start of the hour, UTC; a pane counts in the hour in which it starts", "toYYYYMM(hour)", "pane_start", ttl.Cells),
		level("day", "Date", "toDate", "The day, UTC", "toYYYYMM(day)", "hour", ttl.Hours),
		level("week", "Date", "toMonday", "Monday of the week, UTC", "toYear(week)", "day", ttl.Days),
		level("month", "Date", "toStartOfMonth", "First day of the month, UTC", "toYear(month)", "day", ttl.Days),
		level("year", "Date", "toStartOfYear", "First day of the year, UTC", "tuple()", "month", ttl.Months),
	}
}

// render fills in a file, and returns its statements.
func (s schema) render(file string) ([]string, error) {
	t, err := template.New("").Option("missingkey=error").ParseFS(files, "derived/measures.sql", file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	var text strings.Builder
	if err := t.ExecuteTemplate(&text, file[strings.LastIndexByte(file, '/')+1:], s); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return split(text.String()), nil
}

// split returns the statements of a text: each ends with a semicolon at a line's end.
func split(text string) []string {
	var statements []string
	var statement strings.Builder
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "--") || strings.TrimSpace(line) == "" {
			continue
		}
		end := strings.HasSuffix(strings.TrimRight(line, " \n"), ";")
		statement.WriteString(strings.TrimRight(line, "; \n"))
		if end {
			statements = append(statements, statement.String())
			statement.Reset()
		} else {
			statement.WriteByte('\n')
		}
	}
	return statements
}

// retention is what gives tables their TTL and storage, whether or not they had any.
func (s schema) retention() []string {
	var statements []string
	for _, t := range s.config.TTL.all() {
		var rules []string
		if s.config.ColdAfter > 0 && t.moves {
			rules = append(rules, fmt.Sprintf("%s + INTERVAL %d SECOND TO VOLUME %s", t.column, int64(s.config.ColdAfter/time.Second), quote(s.config.ColdVolume)))
		}
		if t.stays > 0 {
			rules = append(rules, fmt.Sprintf("%s + INTERVAL %d SECOND DELETE", t.column, int64(t.stays/time.Second)))
		}
		alter := "ALTER TABLE " + s.Name(t.table) + " " + s.OnCluster() + " "
		if s.config.StoragePolicy != "" && t.moves {
			statements = append(statements, alter+"MODIFY SETTING storage_policy = "+quote(s.config.StoragePolicy))
		}
		if len(rules) > 0 {
			statements = append(statements, alter+"MODIFY TTL "+strings.Join(rules, ", "))
		} else {
			statements = append(statements, alter+"REMOVE TTL")
		}
	}
	return statements
}

// quote writes a text as a string of SQL.
func quote(text string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(text) + "'"
}
