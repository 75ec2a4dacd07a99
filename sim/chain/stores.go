package chain

import (
	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/sim"
)

// redis holds the newest window's list of each board and group: greater (window start, revision) wins, in one step (sinks/redis/list.lua).
type redis struct {
	lists   map[event.ListKey]event.Ranking // Start is 0 in keys
	written map[event.ListKey]int64         // the greatest revision that each list came with
}

func newRedis() *redis {
	return &redis{lists: map[event.ListKey]event.Ranking{}, written: map[event.ListKey]int64{}}
}

func (s *redis) write(w *world, r *event.Ranking) {
	w.trace.list(r)
	came(s.written, r)
	key := r.ListKey
	key.Start = 0
	old, there := s.lists[key]
	if there && (old.Start > r.Start || old.Start == r.Start && old.Revision > r.Revision) && !w.has(OlderList) {
		w.cover.note(RedisRefused)
		return
	}
	w.cover.note(RedisWritten)
	s.lists[key] = *r
	w.newer("Redis", old, *r, there)
}

// newer checks that what readers see never goes back.
func (w *world) newer(store string, old, now event.Ranking, there bool) {
	if there && (now.Start < old.Start || now.Start == old.Start && now.Revision < old.Revision) {
		w.failf("R", "%s has gone back from %+v to %+v", store, old, now)
	}
}

// came notes the greatest revision of a list.
func came(written map[event.ListKey]int64, r *event.Ranking) {
	if old, there := written[r.ListKey]; !there || old < r.Revision {
		written[r.ListKey] = r.Revision
	}
}

// row is a row of ClickHouse's cells.
type row struct {
	source int
	key    sim.CellKey
	asOf   int64
	totals sim.Totals
}

// clickhouse keeps, of all rows with the same key, that of the greatest version (ReplacingMergeTree): for cells the as-of, for lists the revision.
type clickhouse struct {
	cells   map[sourced]row
	lists   map[event.ListKey]event.Ranking
	written map[event.ListKey]int64
}

func newClickhouse() *clickhouse {
	return &clickhouse{cells: map[sourced]row{}, lists: map[event.ListKey]event.Ranking{}, written: map[event.ListKey]int64{}}
}

func (s *clickhouse) writeCell(w *world, r row) {
	key := sourced{r.source, r.key}
	old, there := s.cells[key]
	w.trace.text(r.key.Item)
	w.trace.numbers(int64(r.source), r.key.Pane, r.asOf, r.totals.Count)
	if there && old.asOf == r.asOf && old.totals != r.totals {
		w.failf("R", "as of %d, a row of source/%d and %+v says %+v, and before it said %+v", r.asOf, r.source, r.key, r.totals, old.totals)
	}
	if !there || old.asOf <= r.asOf || w.has(OlderRowStays) {
		s.cells[key] = r
	} else {
		w.cover.note(OlderRow)
	}
}

func (s *clickhouse) writeList(w *world, r *event.Ranking) {
	w.trace.list(r)
	came(s.written, r)
	if old, there := s.lists[r.ListKey]; !there || old.Revision <= r.Revision {
		if old.Final && old.Revision < r.Revision {
			w.cover.note(ListRevised)
		}
		s.lists[r.ListKey] = *r
	} else {
		w.cover.note(OlderRow)
	}
}
