package chain_test

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/millrank/millrank/test/world"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrank/millrank/event"
)

// poison is one input, and what must become of it.
type poison struct {
	name    string
	value   []byte // nil: a tombstone
	headers []kgo.RecordHeader
	want    event.Decision
	says    string // in the dead letter's error
}

// poisons are inputs that must never stop a partition, and some that look as if they should be refused, and are not. now is the records' timestamp.
func poisons(now time.Time) []poison {
	var list []poison
	malformed := func(name, value, says string) {
		list = append(list, poison{name: name, value: []byte(value), want: event.Malformed, says: says})
	}
	accepted := func(name, value string) {
		list = append(list, poison{name: name, value: []byte(value), want: event.Counted})
	}
	at := now.UTC().Format(time.RFC3339Nano)
	with := func(field, value string) string {
		fields := map[string]string{
			"event_id": fmt.Sprintf("%q", "poison-"+fmt.Sprint(len(list))), "item_id": `"tea"`, "region": `"eu"`, "timestamp": `"` + at + `"`, "value": "1",
		}
		fields[field] = value
		var b strings.Builder
		for _, name := range []string{"event_id", "item_id", "region", "timestamp", "value", "extra"} {
			if v := fields[name]; v != "" {
				fmt.Fprintf(&b, `,"%s":%s`, name, v)
			}
		}
		return "{" + b.String()[1:] + "}"
	}

	accepted("the first", with("", "")) // moves the watermark
	list = append(list, poison{name: "tombstone", want: event.Malformed, says: "no value"})
	malformed("empty", "", "empty")
	malformed("null", "null", "object")
	malformed("truncated", with("", "")[:40], "ends")
	malformed("trailing garbage", with("", "")+"x", "follows")
	malformed("invalid UTF-8", with("item_id", "\"\xff\xfe\""), "UTF-8")
	malformed("10,000 deep", with("extra", strings.Repeat("[", 10_000)+strings.Repeat("]", 10_000)), "deep")
	malformed("oversized", with("extra", `"`+strings.Repeat("x", 1<<20)+`"`), "bytes")
	malformed("no event ID", with("event_id", ""), "event_id")
	malformed("empty event ID", with("event_id", `""`), "event_id")
	malformed("event ID of 1 MB", with("event_id", `"`+strings.Repeat("x", 1_000_000)+`"`), "event_id")
	malformed("no timestamp", with("timestamp", ""), "timestamp")
	malformed("negative timestamp", with("timestamp", "-1"), "timestamp")
	malformed("overflowing timestamp", with("timestamp", "99999999999999999999999"), "timestamp")
	malformed("timestamp in seconds", with("timestamp", fmt.Sprint(now.Unix())), "timestamp")
	malformed("timestamp in nanoseconds", with("timestamp", fmt.Sprint(now.UnixNano())), "timestamp")
	malformed("timestamp that is none", with("timestamp", `"yesterday"`), "timestamp")
	malformed("value NaN", with("value", "NaN"), "")
	malformed("value 1e400", with("value", "1e400"), "value")
	malformed("value beyond 2^53", with("value", "9007199254740993"), "value")
	malformed("value of a wrong type", with("value", `"many"`), "value")
	malformed("item of a wrong type", with("item_id", "7e1"), "item_id")
	malformed("an array", "["+with("", "")+"]", "object")
	malformed("compressed", "\x1f\x8b\x08\x00"+strings.Repeat("\x00", 100), "")
	malformed("of a schema registry", "\x00\x00\x00\x00\x07"+with("", ""), "")
	list = append(list,
		poison{name: "punctuation of no time", headers: []kgo.RecordHeader{{Key: "advance-watermark", Value: []byte("soon")}}, want: event.Malformed, says: "advance-watermark"},
		poison{name: "punctuation of 2099", headers: []kgo.RecordHeader{{Key: "advance-watermark", Value: []byte("2099-01-01T00:00:00Z")}}, want: event.Future, says: "ahead"},
		poison{name: "the year 2099", value: []byte(with("timestamp", `"2099-01-01T00:00:00Z"`)), want: event.Future, says: "ahead"},
		poison{name: "late", value: []byte(with("timestamp", `"`+now.Add(-time.Hour).UTC().Format(time.RFC3339)+`"`)), want: event.Late, says: "at most"},
	)
	accepted("unknown fields", with("extra", `{"a":[1,2,{"b":null}]}`))
	accepted("another offset from UTC", with("timestamp", `"`+now.In(time.FixedZone("", 5*3600+1800)).Format(time.RFC3339Nano)+`"`))
	for _, item := range []string{`a:b`, `{}`, `\"quoted\"`, `two\nlines`, `'; DROP TABLE cells; --`, "e\u0301", "\u00e9"} {
		accepted("item "+item, with("item_id", `"`+item+`"`))
	}
	for _, region := range []string{``, `%7B:`, `{eu}`, `\"`, `'); --`, "\u2028"} {
		accepted("region "+region, with("region", `"`+region+`"`))
	}
	accepted("a negative value", with("value", "-3"))
	accepted("a key twice", `{"item_id":7,`+with("", "")[1:])
	return list
}

// TestPoison (fault 20): each input becomes what it should, once; what can't be counted is a dead letter with its original bytes and a
// text that names what is wrong; and the partition goes on.
func TestPoison(t *testing.T) {
	onKfake(t, 1, func(t *testing.T, w *world.World, _ *kfake.Cluster, _ *rand.Rand) {
		now := time.Now().Truncate(time.Millisecond)
		list := poisons(now)
		for _, p := range list {
			r := &kgo.Record{Topic: w.Topics.Events, Partition: 1, Value: p.value, Headers: p.headers, Timestamp: now, Key: []byte("key")}
			if err := w.Client.ProduceSync(t.Context(), r).FirstErr(); err != nil {
				t.Fatalf("%s: %v", p.name, err)
			}
		}
		m := startMember(t, member(w), wrap{})
		w.Eventually("all are processed", func() bool { return w.Commits()[1].Through == int64(len(list))-1 })
		letters, times := w.Letters()
		counted := int64(0)
		for offset, p := range list {
			at := world.Letter{Partition: 1, Offset: int64(offset)}
			l, dead := letters[at]
			switch {
			case p.want == event.Counted:
				counted++
				if dead {
					t.Errorf("%s: became a dead letter: %s", p.name, l.Error)
				}
			case !dead || times[at] != 1:
				t.Errorf("%s: %d dead letters", p.name, times[at])
			case l.Reason != p.want || !strings.Contains(l.Error, p.says):
				t.Errorf("%s: %v, %q; want %v, and %q in it", p.name, l.Reason, l.Error, p.want, p.says)
			case !bytes.Equal(l.Value, p.value) || (l.Value == nil) != (p.value == nil) || string(l.Key) != "key" || len(l.Headers) != len(p.headers):
				t.Errorf("%s: the dead letter holds %q with key %q and headers %v", p.name, l.Value, l.Key, l.Headers)
			}
		}
		var got int64
		groups, items := map[event.Group]bool{}, map[string]bool{}
		for key, cell := range w.Receive().Cells[1] {
			got += cell.Count
			groups[key.Group], items[key.Item] = true, true
		}
		if len(groups) != 7 || len(items) != 8 || !items["e\u0301"] || !items["\u00e9"] || !items["two\nlines"] || !groups[event.NewGroup("")] {
			t.Errorf("%d regions and %d items: %v, %v", len(groups), len(items), groups, items)
		}
		if got != counted {
			t.Errorf("%d were counted, want %d", got, counted)
		}
		if decided, _ := m.intake.Decided(); decided[event.Counted] != counted {
			t.Errorf("Decided says %v", decided)
		}
	})
}

// edge is an event at an edge of time, or one that comes twice.
type edge struct {
	id        string
	at        int64 // after the start of a pane, ms
	value     int64
	timestamp int64 // of the Kafka record, likewise
	want      event.Decision
}

// edges are for panes of 5 s, 1 s of disorder, 2.5 s of allowed lateness, and 5 s ahead.
func edges() []edge {
	return []edge{
		{"start", 0, 1, 0, event.Counted},
		{"last", 4999, 1, 0, event.Counted},
		{"end", 5000, 1, 0, event.Counted},            // it is in the next pane
		{"ahead", 8499, 1, 3499, event.Counted},       // exactly as far as is allowed
		{"future", 8500, 1, 3499, event.Future},       // 1 ms more
		{"just in time", 100, 1, 3499, event.Counted}, // W is at 7499
		{"start", 0, 1, 3499, event.Duplicate},
		{"start", 0, 7, 3499, event.Duplicate},   // a conflict
		{"next", 8500, 1, 3500, event.Counted},   // W is at 7500
		{"too late", 200, 1, 3500, event.Late},   // by 1 ms
		{"last", 4999, 1, 3500, event.Duplicate}, // though it would be late
		{"new pane", 5000, 1, 3500, event.Counted},
		{"no timestamp", 5000, 1, -1, event.Malformed}, // of the record
	}
}

// TestPoisonEdges: what is decided at the edges; a sum that runs over; a transaction that is aborted.
func TestPoisonEdges(t *testing.T) {
	onKfake(t, 1, func(t *testing.T, w *world.World, _ *kfake.Cluster, _ *rand.Rand) {
		pane := time.Now().Truncate(5 * time.Second).UnixMilli()
		last := int64(-1)
		write := func(client *kgo.Client, id, item string, at, value, timestamp int64) {
			t.Helper()
			r := &kgo.Record{Topic: w.Topics.Events, Partition: 2, Timestamp: time.UnixMilli(timestamp), Value: fmt.Appendf(nil,
				`{"event_id":%q,"item_id":%q,"region":"eu","timestamp":%q,"value":%d}`, id, item, time.UnixMilli(at).UTC().Format(time.RFC3339Nano), value)}
			if err := client.ProduceSync(t.Context(), r).FirstErr(); err != nil {
				t.Fatal(err)
			}
			last = r.Offset
		}
		list := edges()
		for _, e := range list {
			timestamp := pane + e.timestamp
			if e.timestamp < 0 {
				timestamp = -1
			}
			write(w.Client, e.id, "edge", pane+e.at, e.value, timestamp)
		}
		aborted, err := kgo.NewClient(kgo.SeedBrokers(w.Brokers...), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.TransactionalID(w.Topics.Group))
		if err != nil {
			t.Fatal(err)
		}
		defer aborted.Close()
		if err := aborted.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		for i := range 5 {
			write(aborted, fmt.Sprint("aborted", i), "aborted", pane+8000, 1, pane+8000)
		}
		if err := aborted.EndTransaction(t.Context(), kgo.TryAbort); err != nil {
			t.Fatal(err)
		}
		most := int64(1) << 53
		var large []*kgo.Record
		for i := range 1030 {
			large = append(large, &kgo.Record{Topic: w.Topics.Events, Partition: 2, Timestamp: time.UnixMilli(pane + 8000), Value: fmt.Appendf(nil,
				`{"event_id":"large %d","item_id":"large","region":"eu","timestamp":%q,"value":%d}`, i, time.UnixMilli(pane+8000).UTC().Format(time.RFC3339Nano), most)})
		}
		if err := w.Client.ProduceSync(t.Context(), large...).FirstErr(); err != nil {
			t.Fatal(err)
		}
		write(w.Client, "negative", "large", pane+8000, -most, pane+8000) // the sum stays where it ran over

		m := startMember(t, member(w), wrap{})
		w.Eventually("all are processed", func() bool { return w.Commits()[2].Through == last })
		letters, _ := w.Letters()
		var counts [2]int64
		var duplicates int64
		for offset, e := range list {
			l, dead := letters[world.Letter{Partition: 2, Offset: int64(offset)}]
			if dead != e.want.DeadLetter() || dead && l.Reason != e.want {
				t.Errorf("%s at %d: a dead letter: %t, %v; want %v", e.id, e.at, dead, l.Reason, e.want)
			}
			switch e.want {
			case event.Counted:
				counts[e.at/5000]++
			case event.Duplicate:
				duplicates++
			default:
			}
		}
		if len(letters) != 3 || letters[world.Letter{Partition: 2, Offset: 9}].Lateness != 2501 {
			t.Errorf("%d dead letters; the late one is %+v", len(letters), letters[world.Letter{Partition: 2, Offset: 9}])
		}
		for key, cell := range w.Receive().Cells[2] {
			switch {
			case key.Item == "large" && cell.Sum == math.MaxInt64 && cell.Count == 1031 && cell.Min == -most && cell.Max == most:
			case key.Item == "edge" && cell.Count == counts[(key.Pane-pane)/5000] && cell.Sum == cell.Count:
			default:
				t.Errorf("cell %v is %+v", key, cell)
			}
		}
		decided, conflicts := m.intake.Decided()
		if decided[event.Duplicate] != duplicates || decided[event.Counted] != counts[0]+counts[1]+1031 || conflicts != 1 {
			t.Errorf("decided %v, with %d conflicts; want %d duplicates, %v in panes, 1 conflict", decided, conflicts, duplicates, counts)
		}
	})
}
