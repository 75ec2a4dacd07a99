package embedded_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/millrank/millrank/internal/embedded"
	"github.com/millrank/millrank/internal/embedded/chdb"
	"github.com/millrank/millrank/internal/embedded/clickhousetest"
)

// clickhouseConn connects clickhouse-go to a server.
func clickhouseConn(tb testing.TB, c *embedded.ClickHouse, change func(*clickhouse.Options)) clickhouse.Conn {
	tb.Helper()
	options := &clickhouse.Options{Addr: []string{c.Addr()}, Protocol: clickhouse.HTTP, Auth: clickhouse.Auth{Database: c.Database()}}
	if change != nil {
		change(options)
	}
	conn, err := clickhouse.Open(options)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = conn.Close() })
	return conn
}

func mustExec(tb testing.TB, conn clickhouse.Conn, statements ...string) {
	tb.Helper()
	for _, s := range statements {
		if err := conn.Exec(tb.Context(), s); err != nil {
			tb.Fatalf("%s: %v", s, err)
		}
	}
}

// scan returns the only row's only value.
func scan[T any](tb testing.TB, conn clickhouse.Conn, query string, args ...any) (value T) {
	tb.Helper()
	if err := conn.QueryRow(tb.Context(), query, args...).Scan(&value); err != nil {
		tb.Fatalf("%s: %v", query, err)
	}
	return value
}

// call sends a request as curl would, and returns the status, the body and the headers.
func call(tb testing.TB, c *embedded.ClickHouse, method, query, body string, change func(*http.Request)) (int, string, http.Header) {
	tb.Helper()
	r, err := http.NewRequestWithContext(tb.Context(), method, c.URL()+query, strings.NewReader(body))
	if err != nil {
		tb.Fatal(err)
	}
	if change != nil {
		change(r)
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
	return answer.StatusCode, string(text), answer.Header
}

func get(query string) string { return "?query=" + url.QueryEscape(query) }

func TestClickHouseDriver(t *testing.T) {
	c := clickhousetest.StartTest(t, embedded.ClickHouseOptions{})
	compressions := map[string]*clickhouse.Compression{
		"none": nil, "lz4": {Method: clickhouse.CompressionLZ4}, "zstd": {Method: clickhouse.CompressionZSTD},
		"gzip": {Method: clickhouse.CompressionGZIP, Level: 3}, "deflate": {Method: clickhouse.CompressionDeflate, Level: 3}, "br": {Method: clickhouse.CompressionBrotli, Level: 3},
	}
	for name, compression := range compressions {
		t.Run(name, func(t *testing.T) {
			conn := clickhouseConn(t, c, func(o *clickhouse.Options) { o.Compression = compression })
			if err := conn.Ping(t.Context()); err != nil {
				t.Fatal(err)
			}
			version, err := conn.ServerVersion()
			if err != nil || version.Version.Major < 26 {
				t.Errorf("version %v: %v", version, err)
			}
			mustExec(t, conn, "DROP TABLE IF EXISTS kinds SYNC", `CREATE TABLE kinds (
				u UInt64, i Int64, f Float64, s String, l LowCardinality(String), n Nullable(String), t DateTime64(3, 'UTC'), d Date, b Bool,
				a Array(LowCardinality(String)), m Map(String, UInt64), e Enum8('interim' = 0, 'final' = 1), p Tuple(x Int32, y String), x Decimal(18, 4), h FixedString(4)
			) ENGINE = MergeTree ORDER BY u`)
			batch, err := conn.PrepareBatch(t.Context(), "INSERT INTO kinds")
			if err != nil {
				t.Fatal(err)
			}
			all := make([]byte, 256)
			for i := range all {
				all[i] = byte(i)
			}
			at := time.UnixMilli(1_700_000_000_123).UTC()
			const rows = 200_000 // more than one block
			for i := range rows {
				var n *string
				if i%2 == 0 {
					n = new("ü; ''\n\\N")
				}
				if err := batch.Append(uint64(i), int64(-i), float64(i)/3, string(all), fmt.Sprint("l", i%3), n, at, at, i%2 == 0,
					[]string{"a", fmt.Sprint(i % 5)}, map[string]uint64{"k": uint64(i)}, "final", []any{int32(i), "y"}, "1.5", "abcd"); err != nil {
					t.Fatal(err)
				}
				if i == 1000 && name != "none" {
					break // the others are about the way, not the amount
				}
			}
			want := uint64(batch.Rows())
			if err := batch.Send(); err != nil {
				t.Fatal(err)
			}
			if got := scan[uint64](t, conn, "SELECT count() FROM kinds"); got != want {
				t.Errorf("%d rows, want %d", got, want)
			}
			answer, err := conn.Query(t.Context(), "SELECT u, s, l, n, t, a, m, e, h, b FROM kinds ORDER BY u")
			if err != nil {
				t.Fatal(err)
			}
			defer answer.Close()
			var got uint64
			for ; answer.Next(); got++ {
				var (
					u          uint64
					s, l, e, h string
					n          *string
					at2        time.Time
					a          []string
					m          map[string]uint64
					b          bool
				)
				if err := answer.Scan(&u, &s, &l, &n, &at2, &a, &m, &e, &h, &b); err != nil {
					t.Fatal(err)
				}
				if u != got || s != string(all) || l != fmt.Sprint("l", u%3) || (n != nil) != (u%2 == 0) || !at2.Equal(at) ||
					a[1] != fmt.Sprint(u%5) || m["k"] != u || e != "final" || h != "abcd" || b != (u%2 == 0) {
					t.Fatalf("row %d: %v %q %v %v %v %v %v %v %v", got, u, s, l, n, at2, a, m, e, h)
				}
			}
			if err := answer.Err(); err != nil || got != want {
				t.Errorf("%d rows, want %d: %v", got, want, err)
			}
		})
	}
}

func TestClickHouseErrors(t *testing.T) {
	c := clickhousetest.StartTest(t, embedded.ClickHouseOptions{})
	conn := clickhouseConn(t, c, nil)
	mustExec(t, conn, "CREATE TABLE t (a UInt64, l LowCardinality(String)) ENGINE = MergeTree ORDER BY a")
	for query, code := range map[string]int32{
		"SELECT * FROM nosuch": 60, "SELEC 1": 62, "SELECT nosuch": 47, "INSERT INTO nosuch SELECT 1": 60, "SELECT 1; DROP TABLE t": 62,
		"CREATE DATABASE x ON CLUSTER y":                                                    701,
		"CREATE TABLE r (a UInt64) ENGINE = ReplicatedMergeTree('/a', 'b') ORDER BY a":      225,
		"SELECT throwIf(number = 5) FROM numbers(10)":                                       395,
		"SELECT groupArray(number) FROM numbers(100000000) SETTINGS max_memory_usage = 1e7": 241,
		"SELECT sleep(3) SETTINGS max_execution_time = 0.1":                                 159,
		"SELECT 1 SETTINGS nosuch = 1":                                                      115,
	} {
		err := conn.Exec(t.Context(), query)
		var failure *clickhouse.Exception
		if !errors.As(err, &failure) || failure.Code != code {
			t.Errorf("%s: %v, want code %d", query, err, code)
		}
	}
	// An error after the answer has begun.
	for _, compression := range []*clickhouse.Compression{nil, {Method: clickhouse.CompressionLZ4}} {
		other := clickhouseConn(t, c, func(o *clickhouse.Options) { o.Compression = compression })
		answer, err := other.Query(t.Context(), "SELECT throwIf(number = 3000000) FROM numbers(4000000)")
		if err != nil {
			t.Fatal(err)
		}
		rows := 0
		for answer.Next() {
			rows++
		}
		var failure *clickhouse.Exception
		if err := answer.Err(); !errors.As(err, &failure) || failure.Code != 395 || rows == 0 {
			t.Errorf("%+v: after %d rows: %v, want code 395", compression, rows, err)
		}
		_ = answer.Close()
	}
	// Answers without rows, also of a kind of column that is written with a head.
	answer, err := conn.Query(t.Context(), "SELECT a, l FROM t")
	if err != nil || answer.Next() || answer.Err() != nil {
		t.Errorf("an empty answer: %v", err)
	}
	batch, err := conn.PrepareBatch(t.Context(), "INSERT INTO t (a)")
	if err != nil || batch.Send() != nil {
		t.Errorf("an empty batch: %v", err)
	}
	// Parameters, settings and the session of one statement.
	if got := scan[string](t, conn, "SELECT {x:String}", clickhouse.Named("x", "a'b\\c\n")); got != "a'b\\c\n" {
		t.Errorf("parameter %q", got)
	}
	ctx := clickhouse.Context(t.Context(), clickhouse.WithSettings(clickhouse.Settings{"max_block_size": 17}))
	var size uint8
	if err := conn.QueryRow(ctx, "SELECT getSetting('max_block_size')").Scan(&size); err != nil || size != 17 {
		t.Errorf("max_block_size %d: %v", size, err)
	}
	mustExec(t, conn, "SET max_block_size = 18", "USE system")
	if got := scan[string](t, conn, "SELECT currentDatabase() || toString(getSetting('max_block_size'))"); got != "millrank65409" {
		t.Errorf("another statement's session leaks: %s", got)
	}
	nowhere := clickhouseConn(t, c, func(o *clickhouse.Options) { o.Auth.Database = "nosuch" })
	var failure *clickhouse.Exception
	if err := nowhere.Ping(t.Context()); !errors.As(err, &failure) || failure.Code != 81 {
		t.Errorf("no such database: %v, want code 81", err)
	}
}

// TestClickHouseCancel: a statement ends when its client goes away, or the server is closed.
func TestClickHouseCancel(t *testing.T) {
	c := clickhousetest.StartTest(t, embedded.ClickHouseOptions{})
	conn := clickhouseConn(t, c, nil)
	const endless = "SELECT count() FROM numbers(1000000000000) WHERE NOT ignore(sipHash64(number))"
	running := func() uint64 {
		return scan[uint64](t, conn, "SELECT count() FROM system.processes WHERE query LIKE '%sipHash64%' AND query NOT LIKE '%processes%'")
	}
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan error, 1)
	go func() { gone <- conn.Exec(ctx, endless) }()
	eventually(t, "it runs", func() bool { return running() == 1 })
	cancel()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	eventually(t, "it has ended", func() bool { return running() == 0 })

	go func() { gone <- conn.Exec(context.WithoutCancel(t.Context()), endless) }()
	eventually(t, "another one runs", func() bool { return running() == 1 })
	began := time.Now()
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if err := <-gone; err == nil || time.Since(began) > 5*time.Second {
		t.Errorf("after %v: %v", time.Since(began), err)
	}
}

// TestClickHouseByHand: what curl and browsers do.
func TestClickHouseByHand(t *testing.T) {
	var log bytes.Buffer
	c := clickhousetest.StartTest(t, embedded.ClickHouseOptions{Password: "secret", Log: &log, BodyMax: 1 << 20, Database: "da`ta"})
	secret := func(r *http.Request) { r.SetBasicAuth("default", "secret") }
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { secret(r); r.Header.Set(name, value) }
	}
	zipped := func(s string) string {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		_, _ = w.Write([]byte(s))
		_ = w.Close()
		return b.String()
	}
	for _, s := range []struct {
		what, method, query, body string
		change                    func(*http.Request)
		status                    int
		want                      string // the answer, or a part of it
	}{
		{"ping", "GET", "ping", "", nil, 200, "Ok.\n"},
		{"root", "GET", "", "", secret, 200, "Ok.\n"},
		{"elsewhere", "GET", "nosuch", "", secret, 404, "no handle"},
		{"no password", "GET", get("SELECT 1"), "", nil, 403, "Code: 516."},
		{"another user", "GET", get("SELECT 1") + "&user=x&password=secret", "", nil, 403, "Code: 516."},
		{"password in the URL", "GET", get("SELECT 1") + "&user=default&password=secret", "", nil, 200, "1\n"},
		{"by default", "GET", get("SELECT 1 AS x, 'a\tb'"), "", secret, 200, "1\ta\\tb\n"},
		{"a browser", "GET", get("SELECT 1 AS x"), "", header("Accept", "text/html,*/*"), 200, "   ┌─x─┐\n1. │ 1 │\n   └───┘\n"},
		{"a format", "GET", get("SELECT 1 AS x FORMAT JSONEachRow"), "", secret, 200, "{\"x\":1}\n"},
		{"JSON, whole", "GET", get("SELECT number FROM numbers(200000) FORMAT JSONCompact"), "", secret, 200, "\"rows\": 200000,"},
		{"in chunks", "GET", get("SELECT number FROM numbers(100000) FORMAT CSV"), "", secret, 200, "\n99999\n"},
		{"totals", "GET", get("SELECT 1 AS x, count() FROM numbers(3) GROUP BY x WITH TOTALS"), "", secret, 200, "1\t3\n\n1\t3\n"},
		{"a link that changes something", "GET", get("CREATE DATABASE x"), "", secret, 500, "Code: 164."},
		{"the body", "POST", "", "-- hello; \nSELECT ';' /* ; */;\n -- end", secret, 200, ";\n"},
		{"a database", "POST", "?database=" + url.QueryEscape("da`ta"), "CREATE TABLE t (a UInt64, s String DEFAULT 'x') ENGINE = MergeTree ORDER BY a", secret, 200, ""},
		{"data behind", "POST", get("INSERT INTO `da\\`ta`.t FORMAT CSV"), "1,\"a;b\"\n2,c\n", secret, 200, ""},
		{"data within", "POST", "", "INSERT INTO `da\\`ta`.t (a) VALUES (3), (4)", secret, 200, ""},
		{"data, both", "POST", get("INSERT INTO `da\\`ta`.t VALUES"), "(5, 'v;'), (6, 'w')", secret, 200, ""},
		{"compressed", "POST", get("INSERT INTO `da\\`ta`.t FORMAT JSONEachRow"), zipped("{\"a\": 7}\n{\"a\": 8}\n"), header("Content-Encoding", "gzip"), 200, ""},
		{"unknown compression", "POST", "", "SELECT 1", header("Content-Encoding", "x"), 400, "use gzip"},
		{"data with an empty line", "POST", get("INSERT INTO `da\\`ta`.t SETTINGS max_threads = 1 FORMAT CSV"), "11,\"x\n\nDROP TABLE t;\n\"\n", secret, 200, ""},
		{"it came whole", "GET", get("SELECT s FROM `da\\`ta`.t WHERE a = 11"), "", secret, 200, "x\\n\\nDROP TABLE t;\\n\n"},
		{"it goes", "POST", "", "DELETE FROM `da\\`ta`.t WHERE a = 11", secret, 200, ""},
		{"no data", "POST", get("INSERT INTO `da\\`ta`.t FORMAT CSV"), "", secret, 200, ""},
		{"wrong data", "POST", get("INSERT INTO `da\\`ta`.t FORMAT CSV"), "x\n", secret, 500, "Code: 27."},
		{"all of it", "GET", get("SELECT a, s FROM `da\\`ta`.t ORDER BY a"), "", secret, 200, "1\ta;b\n2\tc\n3\tx\n4\tx\n5\tv;\n6\tw\n7\tx\n8\tx\n"},
		{"a parameter", "GET", get("SELECT {x:UInt8} + 1") + "&param_x=4", "", secret, 200, "5\n"},
		{"a setting", "GET", get("SELECT getSetting('max_threads')") + "&max_threads=1", "", secret, 200, "1\n"},
		{"no such setting", "GET", get("SELECT 1") + "&nosuch=1", "", secret, 400, "Code: 115."},
		{"no setting at all", "GET", get("SELECT 1") + "&a%20b=1", "", secret, 400, "Code: 115."},
		{"a session", "GET", get("SELECT 1") + "&session_id=1", "", secret, 501, "session_id"},
		{"too large", "POST", "", strings.Repeat(" ", 1<<20+1) + "SELECT 1", secret, 413, "smaller batches"},
		{"too large, unpacked", "POST", "", zipped(strings.Repeat(" ", 1<<20+1) + "SELECT 1"), header("Content-Encoding", "gzip"), 413, "smaller batches"},
		{"two statements", "POST", "", "SELECT 1; SELECT 2", secret, 400, "Multi-statements"},
		{"nothing", "POST", "", " -- \n", secret, 400, "Empty query"},
		{"no SELECT", "POST", "", "1 + 1", secret, 400, "Code: 62."},
		{"another site's page", "POST", "", "DROP DATABASE x", header("Sec-Fetch-Site", "cross-site"), 403, "cross-origin"},
		{"another name for this machine", "GET", get("SELECT 1"), "", func(r *http.Request) { secret(r); r.Host = "evil.example:8123" }, 403, "localhost"},
	} {
		status, answer, headers := call(t, c, s.method, s.query, s.body, s.change)
		if status != s.status || !strings.Contains(answer, s.want) || s.want == "" && answer != "" {
			t.Errorf("%s: %d %.500q, want %d %q", s.what, status, answer, s.status, s.want)
		}
		if code := headers.Get("X-ClickHouse-Exception-Code"); strings.HasPrefix(s.want, "Code: ") && "Code: "+code+"." != s.want {
			t.Errorf("%s: X-ClickHouse-Exception-Code %s, want %s", s.what, code, s.want)
		}
	}
	_, _, headers := call(t, c, "POST", "?query_id=q1", "INSERT INTO `da\\`ta`.t (a) VALUES (9), (10)", secret)
	if headers.Get("X-ClickHouse-Query-Id") != "q1" || !strings.Contains(headers.Get("X-ClickHouse-Summary"), `"written_rows":"2"`) {
		t.Errorf("headers %v", headers)
	}
	if !strings.Contains(log.String(), "Code: 27.") {
		t.Errorf("the log lacks what failed:\n%s", log.String())
	}
}

// TestClickHouseManyAtOnce: statements run side by side, and those that wait are counted.
func TestClickHouseManyAtOnce(t *testing.T) {
	c := clickhousetest.StartTest(t, embedded.ClickHouseOptions{StatementsMax: 3})
	conn := clickhouseConn(t, c, func(o *clickhouse.Options) { o.MaxOpenConns, o.MaxIdleConns = 200, 200 })
	mustExec(t, conn, "CREATE TABLE t (a UInt64, b UInt64) ENGINE = ReplacingMergeTree(b) ORDER BY a")
	var all sync.WaitGroup
	for i := range 6 {
		all.Go(func() {
			for j := range 20 {
				if err := conn.Exec(t.Context(), fmt.Sprintf("INSERT INTO t SELECT number, %d FROM numbers(1000)", j)); err != nil {
					t.Error(err)
				}
				if i == 0 {
					mustExec(t, conn, "CREATE TABLE u (a UInt64) ENGINE = MergeTree ORDER BY a", "DROP TABLE u SYNC")
				}
				if got := scan[uint64](t, conn, "SELECT count() FROM t FINAL"); got != 1000 {
					t.Errorf("%d rows, want 1000", got)
				}
			}
		})
	}
	all.Wait()
	// 3 run, 100 wait, and 7 are refused.
	var mu sync.Mutex
	refused := 0
	began := time.Now()
	for range 110 {
		all.Go(func() {
			err := conn.Exec(t.Context(), "SELECT sleep(0.03)")
			var failure *clickhouse.Exception
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
			case errors.As(err, &failure) && failure.Code == 202:
				refused++
			default:
				t.Error(err)
			}
		})
	}
	all.Wait()
	if took := time.Since(began); refused > 7 || took < 900*time.Millisecond {
		t.Errorf("%d were refused, want at most 7; it took %v, want at least 1 s", refused, took)
	}
	t.Logf("refused %d in %v", refused, time.Since(began))
}

// TestClickHouseKeepsSignals: the engine leaves Go's signals alone, and nil pointers still panic.
func TestClickHouseKeepsSignals(t *testing.T) {
	for range 2 { // it takes them each time that it is opened
		c, err := func() (*embedded.ClickHouse, error) {
			clickhousetest.Require(t)
			return embedded.StartClickHouse(embedded.ClickHouseOptions{})
		}()
		if err != nil {
			t.Fatal(err)
		}
		got := make(chan os.Signal, 1)
		signal.Notify(got, syscall.SIGTERM, syscall.SIGINT)
		for _, want := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
			if err := syscall.Kill(os.Getpid(), want); err != nil {
				t.Fatal(err)
			}
			if s := <-got; s != want {
				t.Errorf("got %v, want %v", s, want)
			}
		}
		signal.Stop(got)
		func() {
			defer func() {
				if recover() == nil {
					t.Error("a nil pointer does not panic")
				}
			}()
			var none *struct{ x int }
			if c == nil { // never, which the compiler can't know
				none = &struct{ x int }{}
			}
			none.x = len(c.Addr())
		}()
		if _, err := embedded.StartClickHouse(embedded.ClickHouseOptions{}); !errors.Is(err, chdb.ErrBusy) {
			t.Errorf("a second one: %v, want %v", err, chdb.ErrBusy)
		}
		path := c.Path()
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(path); !os.IsNotExist(err) {
			t.Errorf("Close leaves %s: %v", path, err)
		}
	}
	if _, err := embedded.StartClickHouse(embedded.ClickHouseOptions{Path: "/proc/nosuch"}); err == nil || !strings.Contains(err.Error(), "/proc/nosuch") {
		t.Errorf("an impossible folder: %v", err)
	}
}

func TestClickHouseAvailable(t *testing.T) {
	clickhousetest.Require(t)
	if err := embedded.ClickHouseAvailable(); err != nil {
		t.Error(err)
	}
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("PATH", t.TempDir())
	if err := embedded.ClickHouseAvailable(); !errors.Is(err, chdb.ErrMissing) || !strings.Contains(err.Error(), "apt-get install npm") {
		t.Errorf("without npm: %v", err)
	}
	if _, err := embedded.StartClickHouse(embedded.ClickHouseOptions{}); !errors.Is(err, chdb.ErrMissing) {
		t.Errorf("without the engine: %v", err)
	}
	if err := embedded.InstallClickHouse(t.Context(), nil); !errors.Is(err, chdb.ErrMissing) {
		t.Errorf("installing without npm: %v", err)
	}
}
