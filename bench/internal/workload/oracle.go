package workload

import "cmp"

// Key says which table it is.
type Key struct {
	Window int64 // its start, Unix ms
	Region string
}

// Table is what an engine must publish for a window and region.
type Table struct {
	Events int64 // counted
	Lines  []Line
}

// Oracle is all tables, and what is in none of them.
type Oracle struct {
	Tables map[Key]Table
	Late   int64 // events
	Again  int64
	Cells  int64 // items, counted for each window and region that they are in
}

// NewOracle makes the events again and counts them, each once and without the late ones.
func NewOracle(s Settings) Oracle {
	o := Oracle{Tables: map[Key]Table{}}
	g := NewGenerator(s)
	type part struct {
		window int64
		region int8
	}
	counts := map[part]map[int32]int64{}
	for e := (Event{}); g.Next(&e); {
		switch {
		case e.Again:
			o.Again++
			continue
		case e.Late:
			o.Late++
			continue
		}
		p := part{s.windowOf(e.Milli), e.Region}
		items := counts[p]
		if items == nil {
			items = map[int32]int64{}
			counts[p] = items
		}
		items[e.Item]++
	}
	all := map[int64]map[int32]int64{}
	for p, items := range counts {
		o.Cells += int64(len(items))
		if all[p.window] == nil {
			all[p.window] = map[int32]int64{}
		}
		for item, n := range items {
			all[p.window][item] += n
		}
		o.Tables[Key{p.window, g.regions[p.region]}] = tableOf(items)
	}
	for window, items := range all {
		o.Tables[Key{window, Global}] = tableOf(items)
	}
	return o
}

func tableOf(items map[int32]int64) Table {
	best := NewBest()
	var t Table
	for item, n := range items {
		t.Events += n
		best.Offer(Line{string(AppendItem(nil, item)), n})
	}
	t.Lines = best.Sorted()
	return t
}

// Compare orders keys by window and region.
func (k Key) Compare(other Key) int {
	return cmp.Or(cmp.Compare(k.Window, other.Window), cmp.Compare(k.Region, other.Region))
}
