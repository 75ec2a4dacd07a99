package workload

import (
	"encoding/json"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// small is a workload of 200 s of event time, so that there are late events.
func small() Settings {
	s := Default()
	s.Events, s.PerSecond, s.Items, s.Seed = 50_000, 250, 500, 7
	return s
}

// TestOracle counts the events' JSON by the rules of the job, partition by partition, as an engine would, and compares with the oracle, which goes by what
// the generator says.
func TestOracle(t *testing.T) {
	s := small()
	o := NewOracle(s)
	if want := 9 * 20; len(o.Tables) != want {
		t.Errorf("%d tables, want %d", len(o.Tables), want)
	}
	if o.Late == 0 || o.Again == 0 {
		t.Fatalf("%d late events and %d sent again: nothing is tried", o.Late, o.Again)
	}
	newest := map[string]int64{} // by key, which is in one partition
	seen := map[string]bool{}
	counts := map[Key]map[string]int64{}
	events := map[Key]int64{}
	var late, again int64
	g := NewGenerator(s)
	for e := (Event{}); g.Next(&e); {
		var got struct {
			EventID string `json:"event_id"`
			Item    string `json:"item_id"`
			Region  string `json:"region"`
			Milli   int64  `json:"ts"`
			Count   int64  `json:"count"`
		}
		if err := json.Unmarshal(g.AppendJSON(nil, &e), &got); err != nil {
			t.Fatal(err)
		}
		if key := string(g.AppendKey(nil, &e)); key != got.Region+"|"+got.Item {
			t.Fatalf("an event of %+v has the key %s", got, key)
		}
		const partition = "the only one"
		newest[partition] = max(newest[partition], got.Milli)
		window := got.Milli - got.Milli%s.Window.Milliseconds()
		switch {
		case window+s.Window.Milliseconds()+s.AllowedLateness.Milliseconds() <= newest[partition]-s.OutOfOrderness.Milliseconds():
			late++
			continue
		case seen[got.EventID]:
			again++
			continue
		}
		seen[got.EventID] = true
		for _, region := range []string{got.Region, Global} {
			key := Key{window, region}
			if counts[key] == nil {
				counts[key] = map[string]int64{}
			}
			counts[key][got.Item] += got.Count
			events[key] += got.Count
		}
	}
	if late != o.Late || again != o.Again {
		t.Errorf("%d late and %d sent again, the oracle has %d and %d", late, again, o.Late, o.Again)
	}
	for key, items := range counts {
		lines := make([]Line, 0, len(items))
		for item, n := range items {
			lines = append(lines, Line{item, n})
		}
		slices.SortFunc(lines, compare)
		want := o.Tables[key]
		if !slices.Equal(lines[:min(K, len(lines))], want.Lines) || events[key] != want.Events {
			t.Errorf("%v: %d events, %v; the oracle has %d, %v", key, events[key], lines[:3], want.Events, want.Lines[:3])
		}
	}
}

func TestGenerator(t *testing.T) {
	s := small()
	a, b := NewGenerator(s), NewGenerator(s)
	s.Seed++
	other := NewGenerator(s)
	ids := map[[IDBytes]byte]Event{}
	var n int64
	same := true
	var x, y, z Event
	for a.Next(&x) {
		n++
		if !b.Next(&y) || x != y {
			t.Fatalf("event %d is %+v, and from the same seed %+v", n, x, y)
		}
		if !other.Next(&z) || x.ID != z.ID {
			same = false
		}
		first, again := ids[x.ID]
		if again != x.Again {
			t.Fatalf("event %d: sent again: %v, says %v", n, again, x.Again)
		}
		if again && (first.Item != x.Item || first.Region != x.Region || first.Milli != x.Milli) {
			t.Fatalf("event %d is sent again as %+v, was %+v", n, x, first)
		}
		ids[x.ID] = x
		if x.Late != (s.clock(n-1)-x.Milli >= lateFrom.Milliseconds()) {
			t.Errorf("event %d is %d ms late, says %v", n, s.clock(n-1)-x.Milli, x.Late)
		}
	}
	if n != s.Events {
		t.Errorf("%d events, want %d", n, s.Events)
	}
	if same {
		t.Error("another seed gives the same events")
	}
}

func TestBest(t *testing.T) {
	seed := rand.Uint64()
	t.Log("seed", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	counts := map[string]int64{}
	for range 500 {
		counts[string(AppendItem(nil, random.Int32N(300)))] = random.Int64N(20)
	}
	best := NewBest()
	all := make([]Line, 0, len(counts))
	for _, item := range slices.Sorted(maps.Keys(counts)) {
		best.Offer(Line{item, counts[item]})
		all = append(all, Line{item, counts[item]})
	}
	slices.SortFunc(all, func(a, b Line) int {
		if a.Count != b.Count {
			return int(b.Count - a.Count)
		}
		return strings.Compare(b.Item, a.Item)
	})
	if got := best.Sorted(); !slices.Equal(got, all[:K]) {
		t.Errorf("got %v\nwant %v", got, all[:K])
	}
}

func TestRow(t *testing.T) {
	lines := []Line{{"post-7", 12}, {"post-1", 3}}
	b := AppendRow(nil, First, "eu", 15, lines)
	if want := `{"w":1795305600000,"r":"eu","n":15,"top":[["post-7",12],["post-1",3]]}`; string(b) != want {
		t.Errorf("%s, want %s", b, want)
	}
	key, table, err := ParseRow(b)
	if err != nil || key != (Key{First, "eu"}) || table.Events != 15 || !slices.Equal(table.Lines, lines) {
		t.Errorf("read back as %v %v, %v", key, table, err)
	}
	for _, bad := range []string{``, `{`, `{"w":"x"}`, `{"top":[[1,2]]}`, `{"top":[["a","b"]]}`} {
		if _, _, err := ParseRow([]byte(bad)); err == nil {
			t.Errorf("%q is a row", bad)
		}
	}
}

func TestValidate(t *testing.T) {
	if err := Default().Validate(); err != nil {
		t.Error(err)
	}
	for what, change := range map[string]func(*Settings){
		"events":      func(s *Settings) { s.Events = 0 },
		"items":       func(s *Settings) { s.Items = 0 },
		"regions":     func(s *Settings) { s.Regions = 9 },
		"partitions":  func(s *Settings) { s.Partitions = 0 },
		"skew":        func(s *Settings) { s.Skew = 1 },
		"sent again":  func(s *Settings) { s.ResendWithin = time.Minute },
		"late events": func(s *Settings) { s.Window = time.Minute },
		"part of a":   func(s *Settings) { s.Window = 7 * time.Second },
	} {
		s := Default()
		change(&s)
		if err := s.Validate(); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
