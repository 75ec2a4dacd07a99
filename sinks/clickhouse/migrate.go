package clickhouse

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// ErrMigration is the error of a migration that can't be applied until somebody mends what it says.
var ErrMigration = errors.New("the history's schema")

// settingsEntry is the entry in the table migrations for what is derived from settings.
const settingsEntry = "settings"

// Migrate makes the database what this version needs, and returns what it has applied; nil if there was nothing to do. It may be called as
// often as one likes, by several processes at once.
//
// Each file in migrations is applied once, and never changed after a release; what depends on settings (retention, storage,
// refreshes) is made anew when settings have changed. All statements can be repeated, and end alike in whatever order processes carry
// them out, so no lock is needed, which ClickHouse doesn't have.
//
// (Goose was tried on paper: its ClickHouse dialect takes fixed SQL only, has no lock across processes, and makes its
// table on one server, so clusters, settings and concurrency would all be ours still.)
func (s *Sink) Migrate(ctx context.Context) (applied []string, err error) {
	sc := schema{s.config}
	if err := s.checkCluster(ctx); err != nil {
		return nil, err
	}
	for _, statement := range []string{
		"CREATE DATABASE IF NOT EXISTS `" + s.config.Database + "` " + sc.OnCluster() + " ENGINE = Atomic",
		"CREATE TABLE IF NOT EXISTS " + sc.Name("migrations") + " " + sc.OnCluster() + ` (
			name       String COMMENT 'File of the migration, or settings',
			checksum   String COMMENT 'SHA-256 of what was applied',
			applied_at DateTime64(6, 'UTC') DEFAULT now64(6) COMMENT 'When'
		) ENGINE = ` + sc.Replacing("applied_at") + ` ORDER BY name COMMENT 'What has made this schema. The newest row of a name counts.'`,
	} {
		if err := s.ddl(ctx, statement); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrMigration, err)
		}
	}
	done, err := s.applied(ctx)
	if err != nil {
		return nil, err
	}
	names, err := fs.Glob(files, "migrations/*.sql")
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMigration, err)
	}
	slices.Sort(names)
	for _, file := range names {
		text, err := files.ReadFile(file)
		if err != nil {
			return applied, fmt.Errorf("%w: %w", ErrMigration, err)
		}
		name, sum := path.Base(file), checksum(string(text))
		if was, is := done[name]; is && was != sum {
			return applied, fmt.Errorf("%w: %s is not the one that was applied to database %s: another version of Millrank made it; use another Database", ErrMigration, name, s.config.Database)
		} else if is {
			continue
		}
		statements, err := sc.render(file)
		if err != nil {
			return applied, fmt.Errorf("%w: %w", ErrMigration, err)
		}
		if err := s.apply(ctx, name, sum, statements); err != nil {
			return applied, err
		}
		applied = append(applied, name)
	}
	refresh, err := sc.render("derived/refresh.sql")
	if err != nil {
		return applied, fmt.Errorf("%w: %w", ErrMigration, err)
	}
	statements := append(sc.retention(), refresh...)
	sum := checksum(strings.Join(statements, ";\n"))
	if done[settingsEntry] == sum {
		return applied, nil
	}
	if err := s.apply(ctx, settingsEntry, sum, statements); err != nil {
		return applied, err
	}
	return append(applied, settingsEntry), nil
}

// apply carries out a migration, and notes it.
func (s *Sink) apply(ctx context.Context, name, sum string, statements []string) error {
	for _, statement := range statements {
		if err := s.ddl(ctx, statement); err != nil {
			return fmt.Errorf("%w: %s: %.60q...: %w", ErrMigration, name, statement, err)
		}
	}
	note := "INSERT INTO " + schema{s.config}.Name("migrations") + " (name, checksum) SELECT " + quote(name) + ", " + quote(sum)
	if err := s.ddl(ctx, note); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrMigration, name, err)
	}
	s.config.Logger.Info("history: schema changed", "migration", name, "database", s.config.Database)
	return nil
}

// ddlAttempts is how often a statement is tried when another process is changing the same thing, and ddlWait is how long to wait in between.
const (
	ddlAttempts = 20
	ddlWait     = 100 * time.Millisecond
)

// ddl carries a statement out. A TTL that is not there need not be removed.
func (s *Sink) ddl(ctx context.Context, statement string) error {
	for attempt := 1; ; attempt++ {
		err := s.define(ctx, statement)
		failure, ok := exceptionOf(err)
		switch {
		case err == nil, ok && failure.Code == codeBadArguments && strings.HasSuffix(statement, "REMOVE TTL"):
			return nil
		case !ok || !slices.Contains(racing(), failure.Code) || attempt == ddlAttempts:
			return err
		}
		timer := time.NewTimer(ddlWait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
	}
}

// define gives a statement the time that all servers of a cluster may need.
func (s *Sink) define(ctx context.Context, statement string) error {
	ctx, cancel := context.WithTimeout(ctx, timeoutMax)
	defer cancel()
	return s.conn.Exec(ctx, statement)
}

// racing are the codes of errors that go away when another process has made its change.
func racing() []int32 {
	return []int32{
		57,  // TABLE_ALREADY_EXISTS
		60,  // UNKNOWN_TABLE
		81,  // UNKNOWN_DATABASE
		218, // TABLE_IS_DROPPED
		219, // DATABASE_NOT_EMPTY, as it is made
		473, // DEADLOCK_AVOIDED
		517, // CANNOT_ASSIGN_ALTER
		529, // DATABASE_REPLICATION_FAILED
		741, // TABLE_UUID_MISMATCH
	}
}

// applied returns the checksums of what was applied.
func (s *Sink) applied(ctx context.Context) (map[string]string, error) {
	ctx, cancel := s.limited(ctx)
	defer cancel()
	rows, err := s.conn.Query(ctx, "SELECT name, checksum FROM "+schema{s.config}.Name("migrations")+" FINAL")
	if err != nil {
		return nil, explain(err)
	}
	defer rows.Close() //nolint:errcheck // Err says what matters
	done := map[string]string{}
	for rows.Next() {
		var name, sum string
		if err := rows.Scan(&name, &sum); err != nil {
			return nil, explain(err)
		}
		done[name] = sum
	}
	return done, explain(rows.Err())
}

// checkCluster refuses clusters that this schema is not for.
func (s *Sink) checkCluster(ctx context.Context) error {
	if s.config.Cluster == "" {
		return nil
	}
	ctx, cancel := s.limited(ctx)
	defer cancel()
	var shards uint64
	err := s.conn.QueryRow(ctx, "SELECT uniqExact(shard_num) FROM system.clusters WHERE cluster = {name:String}", clickhouse.Named("name", s.config.Cluster)).Scan(&shards)
	switch {
	case err != nil:
		return explain(err)
	case shards == 0:
		return fmt.Errorf("%w: the server knows no cluster %q: see system.clusters", ErrMigration, s.config.Cluster)
	case shards > 1:
		return fmt.Errorf("%w: cluster %q has %d shards; give one whose servers are all replicas of one shard", ErrMigration, s.config.Cluster, shards)
	}
	return nil
}

func checksum(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}
