package embedded_test

import (
	"bufio"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/millrank/millrank/internal/embedded"
	"github.com/millrank/millrank/internal/embedded/clickhousetest"
)

// TestClickHouseFacts: what Millrank relies on, and what the embedded one lacks.
func TestClickHouseFacts(t *testing.T) {
	c := clickhousetest.StartTest(t, embedded.ClickHouseOptions{})
	conn := clickhouseConn(t, c, nil)
	count := func(from string) uint64 { return scan[uint64](t, conn, "SELECT count() FROM "+from) }

	t.Run("the greatest version stays", func(t *testing.T) {
		mustExec(t, conn,
			"CREATE TABLE cells (item String, at DateTime('UTC'), count Int64, as_of UInt64) ENGINE = ReplacingMergeTree(as_of) PARTITION BY toYYYYMM(at) ORDER BY (at, item) TTL at + INTERVAL 20 YEAR",
			"SYSTEM STOP MERGES cells",
			"INSERT INTO cells VALUES ('a', '2026-01-01 00:00:00', 5, 20)", "INSERT INTO cells VALUES ('a', '2026-01-01 00:00:00', 3, 10)")
		if all, final := count("cells"), scan[int64](t, conn, "SELECT sum(count) FROM cells FINAL"); all != 2 || final != 5 {
			t.Errorf("%d rows, sum %d with FINAL; want 2 rows, sum 5", all, final)
		}
		mustExec(t, conn, "SYSTEM START MERGES cells", "OPTIMIZE TABLE cells FINAL")
		if got := count("cells"); got != 1 {
			t.Errorf("%d rows after a merge, want 1", got)
		}
	})
	t.Run("refreshable views", func(t *testing.T) {
		mustExec(t, conn,
			"CREATE MATERIALIZED VIEW by_day REFRESH EVERY 1 HOUR ENGINE = MergeTree ORDER BY day AS SELECT toDate(at) AS day, sum(count) AS n FROM cells FINAL GROUP BY day",
			"SYSTEM WAIT VIEW by_day",
			"INSERT INTO cells VALUES ('b', '2026-01-01 00:00:00', 2, 1)",
			"SYSTEM REFRESH VIEW by_day", "SYSTEM WAIT VIEW by_day")
		if got := scan[int64](t, conn, "SELECT n FROM by_day"); got != 7 {
			t.Errorf("%d, want 7", got)
		}
		mustExec(t, conn, "CREATE MATERIALIZED VIEW ticking REFRESH EVERY 1 SECOND APPEND ENGINE = MergeTree ORDER BY t AS SELECT now64() AS t")
		eventually(t, "it is refreshed by itself", func() bool { return count("ticking") >= 2 })
		mustExec(t, conn, "DROP VIEW ticking SYNC", "DROP VIEW by_day SYNC")
	})
	t.Run("views, columns, partitions, renames", func(t *testing.T) {
		mustExec(t, conn,
			"CREATE VIEW v AS SELECT item FROM cells FINAL WHERE item > {least:String}",
			"ALTER TABLE cells ADD COLUMN note String DEFAULT 'x', MODIFY TTL at + INTERVAL 30 YEAR",
			"CREATE TABLE other AS cells", "EXCHANGE TABLES cells AND other", "RENAME TABLE other TO older",
			"ALTER TABLE older DROP PARTITION 202601", "DROP TABLE cells SYNC")
		if got := count("older"); got != 0 {
			t.Errorf("%d rows, want none", got)
		}
	})
	t.Run("asynchronous inserts", func(t *testing.T) {
		mustExec(t, conn, "CREATE TABLE a (x UInt64) ENGINE = MergeTree ORDER BY x")
		if err := conn.AsyncInsert(t.Context(), "INSERT INTO a VALUES (1)", true); err != nil { //nolint:staticcheck // what users of the driver call
			t.Fatal(err)
		}
		if got := count("a"); got != 1 { // at once: the server is its own client
			t.Errorf("%d rows, want 1", got)
		}
	})
	t.Run("what is lacking", func(t *testing.T) {
		if got := scan[string](t, conn, "SELECT engine FROM system.databases WHERE name = 'default'"); got != "Overlay" {
			t.Errorf("default has the engine %s", got)
		}
		if got := scan[string](t, conn, "SELECT engine FROM system.databases WHERE name = 'millrank'"); got != "Atomic" {
			t.Errorf("millrank has the engine %s", got)
		}
		for query, code := range map[string]int32{
			"SELECT * FROM system.query_log":                                    60,
			"SELECT * FROM clusterAllReplicas('x', system.one)":                 701,
			"CREATE TABLE d AS a ENGINE = Distributed('x', 'millrank', 'a')":    701,
			"CREATE TABLE r (x UInt64) ENGINE = ReplicatedMergeTree ORDER BY x": 36,
			"CREATE USER u": 497,
			"CREATE DATABASE r ENGINE = Replicated('/r', 's', 'r')":                                            -1,
			"SELECT * FROM remote('127.0.0.1:1', system.one) SETTINGS connections_with_failover_max_tries = 1": 519,
		} {
			err := conn.Exec(t.Context(), query)
			var failure *clickhouse.Exception
			if !errors.As(err, &failure) || code >= 0 && failure.Code != code {
				t.Errorf("%s: %v, want code %d", query, err, code)
			}
		}
	})
}

// TestClickHouseKeepsItsData: after a close and a start, and after a kill in the middle of an insert.
func TestClickHouseKeepsItsData(t *testing.T) {
	clickhousetest.Require(t)
	path := t.TempDir()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	const rows = 5000 // an insert is whole or not there, up to a block
	acked := 0
	for round := range 3 {
		child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestClickHouseChild$")
		child.Env = append(os.Environ(), "MILLRANK_TEST_CLICKHOUSE="+path)
		child.Stderr = os.Stderr
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		addr := ""
		for addr == "" && lines.Scan() {
			addr, _ = strings.CutPrefix(lines.Text(), "at ")
			if addr == lines.Text() {
				addr = ""
			}
		}
		conn, err := clickhouse.Open(&clickhouse.Options{Addr: []string{addr}, Protocol: clickhouse.HTTP, Auth: clickhouse.Auth{Database: "millrank"}})
		if err != nil {
			t.Fatal(err)
		}
		if round == 0 {
			mustExec(t, conn, "CREATE TABLE t (batch UInt64, x UInt64) ENGINE = MergeTree ORDER BY x")
		}
		killAfter := 1 + random.IntN(20)
		delay := time.Duration(random.IntN(3000)) * time.Microsecond
		var timer *time.Timer
		for n := 0; ; n++ {
			if n == killAfter {
				timer = time.AfterFunc(delay, func() { _ = child.Process.Kill() })
			}
			if err := conn.Exec(t.Context(), fmt.Sprintf("INSERT INTO t SELECT %d, number FROM numbers(%d)", acked, rows)); err != nil {
				break
			}
			acked++
		}
		timer.Stop()
		_ = child.Wait()
		_ = conn.Close()

		c, err := embedded.StartClickHouse(embedded.ClickHouseOptions{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		here := clickhouseConn(t, c, nil)
		got := scan[uint64](t, here, "SELECT count() FROM t")
		if whole := int(got / rows); got%rows != 0 || whole != acked && whole != acked+1 {
			t.Errorf("round %d: %d rows, want %d or %d times %d", round, got, acked, acked+1, rows)
		} else {
			acked = whole
		}
		_ = here.Close()
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	t.Logf("%d inserts", acked)
}

// TestClickHouseChild is what TestClickHouseKeepsItsData kills.
func TestClickHouseChild(t *testing.T) {
	path := os.Getenv("MILLRANK_TEST_CLICKHOUSE")
	if path == "" {
		t.Skip("it is for another test")
	}
	c, err := embedded.StartClickHouse(embedded.ClickHouseOptions{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println("at", c.Addr())
	<-t.Context().Done()
}

// BenchmarkClickHouse: batches of rows by clickhouse-go, one query of one row, and a start.
func BenchmarkClickHouse(b *testing.B) {
	c := clickhousetest.StartTest(b, embedded.ClickHouseOptions{})
	conn := clickhouseConn(b, c, nil)
	mustExec(b, conn, `CREATE TABLE cells (generation UInt32, pane DateTime('UTC'), region LowCardinality(String), item String, partition UInt32,
		count UInt64, sum Int64, min Int64, max Int64, as_of Int64) ENGINE = ReplacingMergeTree(as_of) PARTITION BY toYYYYMM(pane) ORDER BY (generation, partition, pane, region, item)`)
	for _, rows := range []int{1000, 100_000} {
		b.Run(fmt.Sprintf("insert/%d", rows), func(b *testing.B) {
			pane := time.Unix(1_700_000_000, 0)
			for i := range b.N {
				batch, err := conn.PrepareBatch(b.Context(), "INSERT INTO cells")
				if err != nil {
					b.Fatal(err)
				}
				for r := range rows {
					if err := batch.Append(uint32(1), pane, "eu", fmt.Sprint("item-", r), uint32(0), uint64(r), int64(r), int64(1), int64(1), int64(i)); err != nil {
						b.Fatal(err)
					}
				}
				if err := batch.Send(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N*rows)/b.Elapsed().Seconds(), "rows/s")
		})
	}
	b.Run("query", func(b *testing.B) {
		for range b.N {
			if got := scan[uint8](b, conn, "SELECT 1"); got != 1 {
				b.Fatal(got)
			}
		}
	})
	b.Run("top", func(b *testing.B) {
		for range b.N {
			_ = scan[string](b, conn, "SELECT item FROM cells FINAL GROUP BY item ORDER BY sum(count) DESC, item DESC LIMIT 1")
		}
	})
}
