package trial

import (
	"fmt"
	"slices"
	"time"

	"github.com/millrank/millrank/bench/internal/workload"
)

// row is what one record of an engine's output says of one table: all of it, or a shard's part.
type row struct {
	key   workload.Key
	part  int // the shard; 0 where there are none
	asOf  int64
	final bool
	table workload.Table
}

// decode reads a record of an engine's output.
type decode func(value []byte) ([]row, error)

// tables is what an engine has published, beside what it must.
type tables struct {
	oracle workload.Oracle
	last   int64 // the last window
	got    map[workload.Key]*published
	rows   int64
}

// published is a table as it stands.
type published struct {
	parts map[int]row
	at    time.Time // when the last row that changed it was written, by the broker's clock
}

func newTables(o workload.Oracle) *tables {
	t := &tables{oracle: o, got: map[workload.Key]*published{}}
	for key := range o.Tables {
		t.last = max(t.last, key.Window)
	}
	return t
}

// take takes a row in, and reports whether it changed a table that is asked for. A row that is older than what is there, or the same, changes nothing.
func (t *tables) take(r row, at time.Time) bool {
	if _, asked := t.oracle.Tables[r.key]; !asked {
		return false
	}
	t.rows++
	p := t.got[r.key]
	if p == nil {
		p = &published{parts: map[int]row{}}
		t.got[r.key] = p
	}
	old, there := p.parts[r.part]
	if there && r.asOf < old.asOf {
		return false
	}
	p.parts[r.part] = r
	if there && old.final == r.final && old.table.Events == r.table.Events && slices.Equal(old.table.Lines, r.table.Lines) {
		return false
	}
	p.at = at
	return true
}

// complete reports whether all tables of the last window are there and final.
func (t *tables) complete() bool {
	for key := range t.oracle.Tables {
		if key.Window == t.last && !t.got[key].final() {
			return false
		}
	}
	return true
}

// final reports whether all parts that are there are final.
func (p *published) final() bool {
	if p == nil {
		return false
	}
	for _, r := range p.parts {
		if !r.final {
			return false
		}
	}
	return true
}

// merged returns the table of all parts, which share no items.
func (p *published) merged() (t workload.Table) {
	best := workload.NewBest()
	for _, r := range p.parts {
		t.Events += r.table.Events
		for _, line := range r.table.Lines {
			best.Offer(line)
		}
	}
	t.Lines = best.Sorted()
	return t
}

// Verdict is what the tables are like, beside the oracle's.
type Verdict struct {
	Tables  int   `json:"tables"`
	Missing int   `json:"missing"`
	Exact   int   `json:"exact"` // the same items with the same counts in the same order, and final
	Rows    int64 `json:"rows"`  // read, one for each table or shard's part
	// Over is events counted that must not be, Under those that are missing, by the regions' tables; -1 where an engine doesn't say.
	Over  int64 `json:"events_over"`
	Under int64 `json:"events_under"`
	// Wrong is the first table that isn't exact.
	Wrong string `json:"wrong,omitempty"`
}

// AllExact reports whether every table is.
func (v *Verdict) AllExact() bool { return v.Tables > 0 && v.Exact == v.Tables }

// judge compares all tables. Where an engine doesn't say how many events it has counted, total is false.
func (t *tables) judge(total bool) Verdict {
	v := Verdict{Tables: len(t.oracle.Tables), Rows: t.rows}
	if !total {
		v.Over, v.Under = -1, -1
	}
	keys := make([]workload.Key, 0, len(t.oracle.Tables))
	for key := range t.oracle.Tables {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, workload.Key.Compare)
	for _, key := range keys {
		p, want := t.got[key], t.oracle.Tables[key]
		if p == nil {
			v.Missing++
			v.note(key, "missing")
			continue
		}
		got := p.merged()
		if total && key.Region != workload.Global {
			v.Over += max(0, got.Events-want.Events)
			v.Under += max(0, want.Events-got.Events)
		}
		switch {
		case !p.final():
			v.note(key, "not final")
		case !slices.Equal(got.Lines, want.Lines):
			v.note(key, difference(got.Lines, want.Lines))
		default:
			v.Exact++
		}
	}
	return v
}

func (v *Verdict) note(key workload.Key, what string) {
	if v.Wrong == "" {
		v.Wrong = fmt.Sprintf("window %v, region %s: %s", time.UnixMilli(key.Window).UTC().Format(time.RFC3339), key.Region, what)
	}
}

func difference(got, want []workload.Line) string {
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			return fmt.Sprintf("line %d is %v, must be %v", i+1, got[i], want[i])
		}
	}
	return fmt.Sprintf("%d lines, must be %d", len(got), len(want))
}

// end returns when the last row was written that changed a table; zero where there is none.
func (t *tables) end() time.Time {
	var end time.Time
	for _, p := range t.got {
		if p.at.After(end) {
			end = p.at
		}
	}
	return end
}

// ended returns when the last table of a window stood.
func (t *tables) ended(window int64) time.Time {
	var end time.Time
	for key, p := range t.got {
		if key.Window == window && p.at.After(end) {
			end = p.at
		}
	}
	return end
}
