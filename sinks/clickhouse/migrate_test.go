package clickhouse_test

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/millrank/millrank/sinks/clickhouse"
)

func TestMigrate(t *testing.T) {
	c := config(t, "migrating")
	all := []string{"0001_tables.sql", "0002_rollups.sql", "0003_views.sql", "settings"}
	// Several processes at once: each ends well, and none is needed.
	var wg sync.WaitGroup
	for range 4 {
		sink, err := clickhouse.New(c)
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			defer sink.Close()
			if _, err := sink.Migrate(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	sink, conn := open(t, c)
	if applied, err := sink.Migrate(t.Context()); err != nil || applied != nil {
		t.Errorf("once more: %q, %v; want nothing", applied, err)
	}
	same(t, "migrations", column(t, conn, "SELECT name FROM migrating.migrations FINAL"), all)
	ttls := func() []string {
		return column(t, conn, "SELECT name || ': ' || extract(create_table_query, 'TTL .*?(?:SETTINGS|COMMENT)') FROM system.tables WHERE database = 'migrating' AND create_table_query LIKE '%TTL %'")
	}
	same(t, "TTL", ttls(), nil)

	// Settings are applied when they change, and taken back.
	c.TTL = clickhouse.TTL{Cells: 48 * time.Hour, Years: 24 * time.Hour}
	c.StoragePolicy, c.ColdVolume, c.ColdAfter, c.Refresh = "default", "default", 24*time.Hour, 10*time.Minute
	changed, _ := open(t, c)
	if applied, err := changed.Migrate(t.Context()); err != nil || applied != nil {
		t.Errorf("after open: %q, %v; want nothing", applied, err)
	}
	if got := ttls(); len(got) != 4 || !strings.Contains(got[0], "toIntervalSecond(86400) TO VOLUME 'default', toDateTime(pane_start) + toIntervalSecond(172800)") || !strings.Contains(got[3], "year + toIntervalSecond(86400)") {
		t.Errorf("TTLs %q", got)
	}
	view := scan[string](t, conn, "SELECT create_table_query FROM system.tables WHERE database = 'migrating' AND name = 'refresh_hour'")
	if !strings.Contains(view, "EVERY 600 SECOND") && !strings.Contains(view, "EVERY 10 MINUTE") || !strings.Contains(view, "toIntervalSecond(172800)") {
		t.Errorf("the refresh by hour: %s", view)
	}
	c.TTL, c.ColdAfter = clickhouse.TTL{}, 0
	open(t, c)
	same(t, "TTL", ttls(), nil)

	// Another version's database is left alone.
	mustExec(t, conn, "INSERT INTO migrating.migrations (name, checksum) VALUES ('0002_rollups.sql', 'other')")
	if _, err := sink.Migrate(t.Context()); !errors.Is(err, clickhouse.ErrMigration) || !strings.Contains(err.Error(), "0002_rollups.sql") {
		t.Errorf("with another 0002_rollups.sql: %v", err)
	}
}

// TestComments: tables, views and every column of them say what they are.
func TestComments(t *testing.T) {
	_, conn := open(t, config(t, "commented"))
	for _, name := range column(t, conn, "SELECT name FROM system.tables WHERE database = 'commented' AND comment = ''") {
		t.Errorf("table %s has no comment", name)
	}
	for _, name := range column(t, conn, "SELECT table || '.' || name FROM system.columns WHERE database = 'commented' AND comment = '' AND table NOT LIKE 'refresh%'") {
		t.Errorf("column %s has no comment", name)
	}
	if n := scan[uint64](t, conn, "SELECT count() FROM system.columns WHERE database = 'commented'"); n < 150 {
		t.Errorf("%d columns; the test is to see all", n)
	}
}

// TestClusterForm: the embedded server has no clusters, but it parses what a cluster would get.
func TestClusterForm(t *testing.T) {
	c := config(t, "replicated")
	c.Cluster = "the cluster"
	statements, err := clickhouse.Statements(c)
	if err != nil {
		t.Fatal(err)
	}
	_, conn := open(t, config(t, "single"))
	engines := 0
	for _, s := range statements {
		formatted := scan[string](t, conn, "SELECT formatQuery({q:String})", named("q", s))
		if !strings.Contains(formatted, "ON CLUSTER `the cluster`") {
			t.Errorf("not on all servers: %s", formatted)
		}
		if strings.Contains(s, "CREATE TABLE") && !strings.Contains(s, "ENGINE = ReplicatedReplacingMergeTree(") {
			t.Errorf("not replicated: %s", s)
		}
		if strings.Contains(s, "ENGINE = Replicated") {
			engines++
		}
	}
	if engines != 10 {
		t.Errorf("%d replicated tables, want 10", engines)
	}
	sink, err := clickhouse.New(c)
	if err != nil {
		t.Fatal(err)
	}
	defer sink.Close()
	if _, err := sink.Migrate(t.Context()); !errors.Is(err, clickhouse.ErrMigration) || !strings.Contains(err.Error(), "the cluster") {
		t.Errorf("a cluster that the server doesn't know: %v", err)
	}
}

func TestConfig(t *testing.T) {
	c := config(t, "x")
	c.URL, c.Database, c.Source, c.ColdAfter, c.Timeout, c.BatchRows, c.Dimensions = "", "a-b", "", time.Hour, time.Hour, -1, nil
	err := c.Validate()
	for _, want := range []string{"URL", "Database", "Source", "ColdAfter", "Timeout", "BatchRows", "Dimensions"} {
		if err == nil || !slices.ContainsFunc(strings.Split(err.Error(), "\n"), func(line string) bool { return strings.HasPrefix(line, want) }) {
			t.Errorf("%v: lacks %s", err, want)
		}
	}
	if _, err := clickhouse.New(c); err == nil {
		t.Error("New takes them")
	}
}
