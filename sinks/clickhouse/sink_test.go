package clickhouse_test

import (
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	driver "github.com/ClickHouse/clickhouse-go/v2"
	"go.uber.org/goleak"

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

func named(name string, value any) any { return driver.Named(name, value) }

func mustExec(tb testing.TB, conn driver.Conn, statements ...string) {
	tb.Helper()
	for _, s := range statements {
		if err := conn.Exec(tb.Context(), s); err != nil {
			tb.Fatalf("%s: %v", s, err)
		}
	}
}

// get asks as curl or a browser would, and returns the lines of the answer.
func get(tb testing.TB, query string) []string {
	tb.Helper()
	r, err := http.NewRequestWithContext(tb.Context(), http.MethodGet, server.Server(tb).URL()+"?query="+url.QueryEscape(query), nil)
	if err != nil {
		tb.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Do(r)
	if err != nil {
		tb.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		tb.Fatal(err)
	}
	if answer.StatusCode != http.StatusOK {
		tb.Fatalf("%s: %s", query, text)
	}
	if len(text) == 0 {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
}

// seeded returns random numbers whose seed is printed.
func seeded(tb testing.TB) *rand.Rand {
	tb.Helper()
	seed := rand.Uint64()
	tb.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}
