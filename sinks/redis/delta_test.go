package redis

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"github.com/millrank/millrank/event"
)

// apply does to a list what list.lua does to a ZSET.
func apply(from []event.Entry, gone []string, changed []event.Entry) map[string]float64 {
	set := map[string]float64{}
	for _, e := range from {
		set[e.Item] = e.Score
	}
	for _, item := range gone {
		delete(set, item)
	}
	for _, e := range changed {
		set[e.Item] = e.Score
	}
	return set
}

// checkDelta fails unless the delta makes one list of the other, and says nothing twice or for nothing.
func checkDelta(t *testing.T, order event.Order, from, to []event.Entry) {
	t.Helper()
	gone, changed := delta(order, from, to)
	was, is := apply(from, nil, nil), apply(nil, nil, to)
	got := apply(from, gone, changed)
	if len(got) != len(is) {
		t.Fatalf("from %v to %v: got %v by %v and %v", from, to, got, gone, changed)
	}
	for item, score := range is {
		if at, ok := got[item]; !ok || at != score {
			t.Fatalf("from %v to %v: got %v by %v and %v", from, to, got, gone, changed)
		}
	}
	for _, item := range gone {
		if _, stays := is[item]; stays {
			t.Fatalf("%q goes and stays", item)
		}
	}
	for _, e := range changed {
		if score, ok := was[e.Item]; ok && score == e.Score {
			t.Fatalf("%v is said to change", e)
		}
	}
}

// draw returns a list of at most n of so many items, in order, with scores of which many are the same.
func draw(r *rand.Rand, order event.Order, n, items int) []event.Entry {
	list := make([]event.Entry, 0, n)
	for _, i := range r.Perm(items)[:min(r.IntN(n+1), items)] {
		score := float64(r.IntN(5) - 2)
		switch r.IntN(4) {
		case 0:
			score = r.NormFloat64()
		case 1:
			score *= 1e300
		}
		list = append(list, event.Entry{Item: "i" + strconv.Itoa(i), Score: score})
	}
	slices.SortFunc(list, order.Compare)
	return list
}

func TestDelta(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for range 5000 {
		order := event.Order(r.IntN(2))
		items := 1 + r.IntN(20)
		checkDelta(t, order, draw(r, order, 12, items), draw(r, order, 12, items))
	}
}

func FuzzDelta(f *testing.F) {
	f.Add(uint64(1), []byte{1, 2, 3}, []byte{3, 2, 1})
	f.Add(uint64(0), []byte{}, []byte{255, 255})
	f.Fuzz(func(t *testing.T, order uint64, from, to []byte) {
		o := event.Order(order % 2)
		list := func(b []byte) []event.Entry {
			set := map[string]float64{}
			for _, x := range b {
				set[fmt.Sprint(x%16)] = float64(x / 16)
			}
			entries := make([]event.Entry, 0, len(set))
			for item, score := range set {
				entries = append(entries, event.Entry{Item: item, Score: score})
			}
			slices.SortFunc(entries, o.Compare)
			return entries
		}
		checkDelta(t, o, list(from), list(to))
	})
}

func TestFormatScore(t *testing.T) {
	for score, want := range map[float64]string{
		0: "0", math.Copysign(0, -1): "0", 1: "1", -3: "-3", 0.1: "0.1", 1e21: "1e+21", 12345678: "1.2345678e+07", 1.0 / 3: "0.3333333333333333",
		math.MaxFloat64: "1.7976931348623157e+308", math.SmallestNonzeroFloat64: "5e-324",
	} {
		if got := formatScore(score); got != want {
			t.Errorf("%v is %q, want %q", score, got, want)
		}
	}
}

func TestCompactHoldsOnToNothing(t *testing.T) {
	message := []byte("catsdogs")
	text := string(message)
	from := []event.Entry{{Item: text[:4], Score: 2}, {Item: text[4:], Score: 1}, {Item: "", Score: 0}}
	got := compact(from)
	if !slices.Equal(got, from) {
		t.Errorf("%v, want %v", got, from)
	}
}
