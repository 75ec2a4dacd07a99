package handlers

import (
	"testing"

	"go.opentelemetry.io/otel/trace"

	"github.com/millrank/millrank/microbatch"
)

func spanOf(n int) trace.SpanContext {
	return trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{byte(n >> 8), byte(n), 1}, TraceFlags: trace.FlagsSampled})
}

func holding(record, receipt int64, spans ...int) cargo {
	c := cargo{record: record, receipt: receipt}
	for _, n := range spans {
		c.links = append(c.links, spanOf(n))
	}
	return c
}

func wantCargo(t *testing.T, what string, got, want cargo) {
	t.Helper()
	same := got.record == want.record && got.receipt == want.receipt && len(got.links) == len(want.links)
	for i := range want.links {
		same = same && got.links[i].Equal(want.links[i])
	}
	if !same {
		t.Errorf("%s: %+v, want %+v", what, got, want)
	}
}

// TestFreight: each lane takes along what has come since its last flush, once; what comes back joins the next one; lanes don't see each other's.
func TestFreight(t *testing.T) {
	var f freight
	f.load(2)
	wantCargo(t, "nothing came", f.take(0, 5), cargo{})
	f.fresh.add(holding(30, 40, 1))
	f.fresh.add(holding(20, 50, 2))
	f.fresh.add(holding(0, 0))
	f.load(2)
	failed := f.take(0, 5)
	wantCargo(t, "both", failed, holding(20, 40, 1, 2))
	f.fresh.add(holding(25, 60, 3))
	f.load(2)
	f.back(0, failed)
	wantCargo(t, "what came back, and what came since", f.take(0, 5), holding(20, 40, 1, 2, 3))
	wantCargo(t, "the other lane", f.take(1, 5), holding(20, 40, 1, 2, 3))
	wantCargo(t, "once", f.take(1, 5), cargo{})
	f.fresh.add(holding(25, 60, 4))
	f.load(2)
	wantCargo(t, "a flush of nothing", f.take(0, 0), cargo{})
	wantCargo(t, "which has nothing of that", f.take(0, 1), cargo{})
	wantCargo(t, "the other one has", f.take(1, 1), holding(25, 60, 4))
}

// TestFreightLinks: a span has links to the oldest batches, up to a limit, and to each of them once.
func TestFreightLinks(t *testing.T) {
	var f freight
	for n := range 3 * linksMax {
		f.fresh.add(holding(1, 1, n/2))
	}
	f.load(1)
	c := f.take(0, 1)
	if len(c.links) != linksMax || !c.links[linksMax-1].Equal(spanOf(linksMax-1)) {
		t.Errorf("%d links, the last of which is %v", len(c.links), c.links[len(c.links)-1].SpanID())
	}
}

// TestFreightTakes: headers of others are nothing.
func TestFreightTakes(t *testing.T) {
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0"
	for _, c := range []struct {
		since, parent string
		want          cargo
		links         int
	}{
		{"17,18", parent + "1", cargo{record: 17, receipt: 18}, 1},
		{"17,18", parent + "0", cargo{record: 17, receipt: 18}, 0},
		{"17,18", "nonsense", cargo{record: 17, receipt: 18}, 0},
		{"0,18", "", cargo{receipt: 18}, 0},
		{"17", parent + "1", cargo{}, 0},
		{"", parent + "1", cargo{}, 0},
		{"17,0", "", cargo{}, 0},
		{"-17,18", "", cargo{}, 0},
		{"seventeen,18", "", cargo{}, 0},
	} {
		var f freight
		r := microbatch.Record{}
		for name, value := range map[string]string{MetadataSince: c.since, "traceparent": c.parent, "other": "x"} {
			if value != "" {
				r.Headers = append(r.Headers, microbatch.Header{Name: []byte(name), Value: []byte(value)})
			}
		}
		f.takes(&r)
		if f.fresh.record != c.want.record || f.fresh.receipt != c.want.receipt || len(f.fresh.links) != c.links {
			t.Errorf("%q, %q: %+v", c.since, c.parent, f.fresh)
		}
	}
}
