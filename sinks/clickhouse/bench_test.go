package clickhouse_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/sinks/clickhouse"
)

//nolint:gochecknoglobals // a flag
var benchCells = flag.Int("bench-cells", 5_000_000, "cells that BenchmarkTopOfDay writes, all of one day")

const benchDay = 1_700_006_400_000 // 2023-11-15, Unix milliseconds

// randomCells returns cells of one flush: items by a power law, ten regions, the given pane.
func randomCells(n int, pane int64) []clickhouse.Cell {
	random := rand.New(rand.NewPCG(1, 2))
	zipf := rand.NewZipf(random, 1.1, 10, 10_000_000)
	cells := make([]clickhouse.Cell, n)
	for i := range cells {
		count := 1 + int64(random.ExpFloat64()*3)
		cells[i] = clickhouse.Cell{
			Partition: int32(i % 8), Pane: pane + int64(i%3)*60_000, Group: event.NewGroup(fmt.Sprint("region-", random.IntN(10))),
			Item: fmt.Sprintf("item-%d", zipf.Uint64()), Count: count, Sum: 3 * count, Min: 1, Max: 5, AsOf: 1_000_000 + int64(i/100),
		}
	}
	return cells
}

// BenchmarkWriteCells compares WriteCells with clickhouse-go alone, which inserts the same blocks, column by column and row by row.
func BenchmarkWriteCells(b *testing.B) {
	c := config(b, "bench")
	c.Dimensions, c.Boards.Dimensions = c.Dimensions[:1], c.Dimensions[:1]
	sink, conn := open(b, c)
	const rows = 100_000
	cells := randomCells(rows, benchDay)
	columns := columnsOf(cells)
	const into = "INSERT INTO bench.cells (source, generation, pane_start, pane_end, region, item_id, source_partition, count, sum, min, max, duplicates, value_scale, as_of)"
	for _, way := range []struct {
		name   string
		insert func() error
	}{
		{"WriteCells", func() error { return sink.WriteCells(b.Context(), cells) }},
		{"driver/columns", func() error {
			batch, err := conn.PrepareBatch(b.Context(), into)
			if err != nil {
				return err
			}
			for i, values := range columns {
				if err := batch.Column(i).Append(values); err != nil {
					return err
				}
			}
			return batch.Send()
		}},
		{"driver/rows", func() error {
			batch, err := conn.PrepareBatch(b.Context(), into)
			if err != nil {
				return err
			}
			for i := range cells {
				cell := &cells[i]
				if err := batch.Append("test/events", uint32(1), cell.Pane, cell.Pane+60_000, cell.Group.Values()[0], cell.Item, cell.Partition,
					cell.Count, cell.Sum, cell.Min, cell.Max, cell.Duplicates, uint8(0), cell.AsOf); err != nil {
					return err
				}
			}
			return batch.Send()
		}},
	} {
		b.Run(way.name, func(b *testing.B) {
			if err := conn.Exec(b.Context(), "TRUNCATE TABLE bench.cells"); err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if err := way.insert(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N*rows)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}

// columnsOf returns cells as the columns of the table.
func columnsOf(cells []clickhouse.Cell) []any {
	n := len(cells)
	numbers := make([][]int64, 8)
	for i := range numbers {
		numbers[i] = make([]int64, n)
	}
	sources, regions, items := make([]string, n), make([]string, n), make([]string, n)
	generations, partitions, scales := make([]uint32, n), make([]int32, n), make([]uint8, n)
	for i, c := range cells {
		sources[i], generations[i], regions[i], items[i], partitions[i] = "test/events", 1, c.Group.Values()[0], c.Item, c.Partition
		for j, v := range []int64{c.Pane, c.Pane + 60_000, c.Count, c.Sum, c.Min, c.Max, c.Duplicates, c.AsOf} {
			numbers[j][i] = v
		}
	}
	return []any{
		sources, generations, numbers[0], numbers[1], regions, items, partitions,
		numbers[2], numbers[3], numbers[4], numbers[5], numbers[6], scales, numbers[7],
	}
}

// BenchmarkTopOfDay writes a day of cells, -bench-cells of them, rolls them up, and asks for the day's best ten, from the roll-up and from
// the cells. It reports the bytes that a cell takes on disk, too.
func BenchmarkTopOfDay(b *testing.B) {
	c := config(b, "topday")
	c.Dimensions, c.Boards.Dimensions = c.Dimensions[:1], c.Dimensions[:1]
	sink, conn := open(b, c)
	if err := sink.SetActive(b.Context(), 1, 1); err != nil {
		b.Fatal(err)
	}
	began := time.Now()
	const slice = 5_000_000 // the embedded server has 2 GiB
	perPane := (*benchCells + 1439) / 1440
	for from := 0; from < *benchCells; from += slice {
		// Items by a power law, 100,000 of them, in ten regions: about 0.9 million rows a day.
		err := conn.Exec(b.Context(), fmt.Sprintf(`INSERT INTO topday.cells (source, generation, pane_start, pane_end, region, item_id, source_partition, count, sum, min, max, as_of)
			SELECT 'test/events', 1, fromUnixTimestamp64Milli(toInt64(%d + intDiv(number, %d) * 60000)) AS p, p + INTERVAL 60 SECOND, concat('region-', toString(rand(1) %% 10)),
			concat('item-', toString(toUInt64(100000 * pow(rand(2) / 4294967296, 2)))), rand(3) %% 8, 1 + rand(4) %% 9 AS n, 3 * n, 1, 5, number
			FROM numbers(%d, %d) SETTINGS max_insert_threads = 1`, benchDay, perPane, from, min(slice, *benchCells-from)))
		if err != nil {
			b.Fatal(err)
		}
	}
	b.Logf("inserted in %v", time.Since(began))
	began = time.Now()
	if err := sink.Refresh(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.Logf("rolled up in %v", time.Since(began))
	for _, table := range []string{"cells", "rollup_hour", "rollup_day"} {
		bytes, rows := scan[uint64](b, conn, "SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND database = 'topday' AND table = '"+table+"'"), scan[uint64](b, conn, "SELECT count() FROM topday."+table)
		b.Logf("%s: %d rows, %.1f bytes each", table, rows, float64(bytes)/float64(max(rows, 1)))
	}
	const top = "SELECT item_id FROM topday.%s WHERE %s %s GROUP BY item_id ORDER BY sum(events) DESC, item_id DESC LIMIT 10"
	for _, q := range []struct{ name, query string }{
		{"rollup/global", fmt.Sprintf(top, "item_counts_by_day", "day = '2023-11-15'", "")},
		{"rollup/region", fmt.Sprintf(top, "item_counts_by_day", "day = '2023-11-15'", "AND region = 'region-3'")},
		{"hour/global", fmt.Sprintf(top, "item_counts_by_hour", "hour = '2023-11-15 12:00:00'", "")},
		{"cells/hour/global", fmt.Sprintf(top, "item_counts", "pane_start >= '2023-11-15 12:00:00' AND pane_start < '2023-11-15 13:00:00'", "")},
	} {
		b.Run(q.name, func(b *testing.B) {
			for b.Loop() {
				_ = scan[string](b, conn, q.query)
			}
		})
	}
}
