package clickhouse_test

import (
	"testing"
	"time"

	driver "github.com/ClickHouse/clickhouse-go/v2"
	"go.uber.org/goleak"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/internal/embedded"
	"github.com/millrank/millrank/internal/embedded/clickhousetest"
	"github.com/millrank/millrank/operators"
	"github.com/millrank/millrank/sinks/clickhouse"
)

//nolint:gochecknoglobals // one server for all tests: a process can have one only
var server = clickhousetest.NewShared(embedded.ClickHouseOptions{})

func TestMain(m *testing.M) { goleak.VerifyTestMain(server.Main(m)) }

// config returns settings for a database of the test's own.
func config(tb testing.TB, name string) clickhouse.Config {
	tb.Helper()
	s := server.Server(tb)
	dims := []string{"region", "category"}
	return clickhouse.Config{
		URL: s.URL(), Database: name, Source: "test/events", Generation: 1, Dimensions: dims, Refresh: time.Hour,
		Boards: operators.Boards{Pane: time.Minute, Dimensions: dims},
	}
}

// open returns a migrated sink, and a connection to the same server.
func open(tb testing.TB, c clickhouse.Config) (*clickhouse.Sink, driver.Conn) {
	tb.Helper()
	sink, err := clickhouse.New(c)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = sink.Close() })
	conn, err := driver.Open(&driver.Options{Addr: []string{server.Server(tb).Addr()}, Protocol: driver.HTTP})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = conn.Close() })
	if _, err := sink.Migrate(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	return sink, conn
}

func scan[T any](tb testing.TB, conn driver.Conn, query string, args ...any) (value T) {
	tb.Helper()
	if err := conn.QueryRow(tb.Context(), query, args...).Scan(&value); err != nil {
		tb.Fatalf("%s: %v", query, err)
	}
	return value
}

func TestFirst(t *testing.T) {
	sink, conn := open(t, config(t, "first"))
	if err := sink.SetActive(t.Context(), 1, 1); err != nil {
		t.Fatal(err)
	}
	cells := []clickhouse.Cell{
		{Partition: 0, Pane: 1_700_000_040_000, Group: event.NewGroup("eu", "x"), Item: "a", Count: 3, Sum: 5, Min: 1, Max: 3, AsOf: 10},
		{Partition: 0, Pane: 1_700_000_040_000, Group: event.NewGroup("eu", "x"), Item: "a", Count: 2, Sum: 4, Min: 1, Max: 3, AsOf: 5},
		{Partition: 1, Pane: 1_700_000_040_000, Group: event.NewGroup("eu", "x"), Item: "a", Count: 1, Sum: 4, Min: 1, Max: 3, AsOf: 5},
	}
	for range 2 {
		if err := sink.WriteCells(t.Context(), cells); err != nil {
			t.Fatal(err)
		}
	}
	if err := sink.WriteLetters(t.Context(), []clickhouse.Letter{{Generation: 1, Reason: "late", Topic: "events", Offset: 3, Timestamp: event.NoTime, EventTime: event.NoTime, Watermark: event.NoTime, Pane: 1_700_000_040_000, Lateness: 5}}); err != nil {
		t.Fatal(err)
	}
	l := sink.Lists(0)
	if _, err := l.Write(t.Context(), 1, event.NoTime, []event.Ranking{{ListKey: event.ListKey{Board: "b", By: "region", Group: event.NewGroup("eu")}, Entries: []event.Entry{{Item: "a", Score: 2}, {Item: "b", Score: 1}}}}); err != nil {
		t.Fatal(err)
	}
	if err := sink.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, q := range []string{
		"SELECT toString(tuple(*)) FROM first.item_counts", "SELECT toString(tuple(*)) FROM first.late_counts", "SELECT toString(groupArray(tuple(*))) FROM first.top_k",
		"SELECT toString(tuple(*)) FROM first.item_counts_by_hour", "SELECT toString(tuple(*)) FROM first.item_counts_by_year", "SELECT toString(tuple(*)) FROM first.item_counts_by_week_live",
		"SELECT toString(tuple(*)) FROM first.item_counts_by_week",
	} {
		t.Log(scan[string](t, conn, q))
	}
}
