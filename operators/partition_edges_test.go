package operators

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/millrank/millrank/event"
)

func recordAt(offset, at int64, id string) *Record {
	return &Record{Offset: offset, Time: at, Event: event.Event{
		ID: event.NewID([]byte(id)), Item: []byte("a"), Group: []byte(event.NewGroup("eu")), Time: at, Value: 1,
	}}
}

const someTime = 1_000_000_000_000

// TestExtremeTimes: record timestamps are the producer's to choose, and decoders other than ours may let any time through.
func TestExtremeTimes(t *testing.T) {
	p := NewPartition(DefaultSettings(), 1, CheckpointAt(0))
	steps := []struct {
		what   string
		record *Record
		want   event.Decision
	}{
		{"record time at the end of int64", recordAt(0, someTime, "0"), event.Counted},
		{"record time far below zero", recordAt(1, someTime, "1"), event.Future},
		{"event time at the end of int64", recordAt(2, math.MaxInt64, "2"), event.Malformed},
		{"event time at the start of int64", recordAt(3, math.MinInt64, "3"), event.Malformed},
		{"punctuation at the end of int64", &Record{Offset: 4, Time: math.MaxInt64, Kind: KindPunctuation, Advance: math.MaxInt64}, event.Malformed},
		{"event time far below zero", recordAt(5, -someTime, "5"), event.Late},
		{"an event as any other", recordAt(6, someTime, "6"), event.Counted},
	}
	steps[0].record.Time = math.MaxInt64
	steps[1].record.Time = math.MinInt64
	for _, s := range steps {
		if out := p.Step(s.record); out.Decision != s.want {
			t.Errorf("%s: %v, want %v; W %d", s.what, out.Decision, s.want, out.Watermark)
		}
	}
}

// TestCommitOnce: heartbeats bring no new checkpoint.
func TestCommitOnce(t *testing.T) {
	p := NewPartition(DefaultSettings(), 1, CheckpointAt(0))
	p.Step(recordAt(0, someTime, "0"))
	commits := 0
	for range 5 {
		p.Flush(0, 1, true, 1, func(int, event.Part, []event.Cell) {})
		p.Acked(0)
		if _, ok := p.Commit(); ok {
			commits++
		}
	}
	if commits != 1 {
		t.Errorf("%d commits of one offset", commits)
	}
}

// TestCommitsWhileLettersLag: dead letters that are acknowledged later than flushes hold commits back by as much, and no more,
// however far that is, and while another shard is slow, too.
func TestCommitsWhileLettersLag(t *testing.T) {
	for _, lag := range []int64{1, 3, 300, 6000} {
		p := NewPartition(DefaultSettings(), 2, CheckpointAt(0))
		commits, last := 0, int64(-1)
		for n := range int64(20_000) {
			p.Step(recordAt(2*n, someTime+n, fmt.Sprint(n)))
			p.Step(&Record{Offset: 2*n + 1, Time: someTime, Kind: KindMalformed})
			p.LettersAcked(2*(n-lag) + 1)
			gave := [2]bool{}
			p.Flush(0, 1, false, 0, func(shard int, _ event.Part, _ []event.Cell) { gave[shard] = true })
			if gave[0] {
				p.Acked(0)
			}
			if n%7 == 6 { // this shard is slow
				p.Acked(1)
			}
			if ck, ok := p.Commit(); ok {
				commits++
				if ck.ProcessedThrough > 2*(n-lag)+1 || ck.ProcessedThrough <= last {
					t.Fatalf("lag %d: committed through %d after %d, with letters through %d", lag, ck.ProcessedThrough, last, 2*(n-lag)+1)
				}
				last = ck.ProcessedThrough
			}
		}
		if behind := 2*(1999-lag) + 1 - last; commits < 200 || behind > 2*(lag+8) {
			t.Errorf("lag %d: %d commits, the last one %d offsets behind what is acknowledged", lag, commits, behind)
		}
	}
}

// TestHalvesInOrder: what a handler can get wrong with the two halves is a panic, and never a record lost in silence.
func TestHalvesInOrder(t *testing.T) {
	panics := func(what, text string, f func(p *Partition)) {
		t.Helper()
		defer func() {
			if r := recover(); r == nil || !strings.Contains(fmt.Sprint(r), text) {
				t.Errorf("%s: %v, want a panic with %q", what, r, text)
			}
		}()
		f(NewPartition(DefaultSettings(), 1, CheckpointAt(0)))
	}
	panics("Count for survivors only", "out of order", func(p *Partition) {
		for o := range int64(3) {
			if r := recordAt(o, someTime, "the same"); p.Deduplicate(r).Decision == event.Counted || o == 2 {
				p.Count(r)
			}
		}
	})
	panics("Step while Deduplicate is ahead", "is ahead", func(p *Partition) {
		p.Deduplicate(recordAt(0, someTime, "0"))
		p.Step(recordAt(1, someTime, "1"))
	})
	panics("an offset that was skipped before", "out of order", func(p *Partition) {
		p.Deduplicate(recordAt(0, someTime, "0"))
		p.Deduplicate(recordAt(2, someTime, "2"))
		p.Count(recordAt(0, someTime, "0"))
		p.Count(recordAt(1, someTime, "1"))
	})
	panics("Acked without a flush", "not given", func(p *Partition) { p.Acked(0) })
	panics("settings that make no sense", "Pane", func(*Partition) { NewPartition(Settings{}, 1, CheckpointAt(0)) })
}

// TestValidate: each mistake is reported by its name, all of them at once.
func TestValidate(t *testing.T) {
	s := DefaultSettings()
	if err := s.Validate(); err != nil {
		t.Error(err)
	}
	s.Pane, s.MaxAhead, s.DedupSegments, s.DedupRecords = 1500*time.Microsecond, -1, 0, 1<<40
	wantErrors(t, s.Validate(), "Pane is 1.5ms", "MaxAhead is -1ns", "DedupSegments is 0", "DedupRecords is")
	s = DefaultSettings()
	s.DedupRecords, s.DedupRecordSegments = 1<<30, 1000
	wantErrors(t, s.Validate(), "DedupRecords × (DedupRecordSegments + 1)")

	b := Boards{Pane: time.Minute, ValueScale: 10, Dimensions: []string{"region", "a,b", "region"}, Boards: []Board{
		{Name: "Top!", K: 0, MinCount: -1, Window: Window{Size: 90 * time.Second, Slide: time.Hour, Offset: 7}},
		{Name: "days", K: 1, Window: Window{Size: 48 * time.Hour, Slide: time.Minute}, By: [][]string{{"country"}, {"region", "region"}, {}, {}}},
		{Name: "days", K: 1, Window: Window{Size: time.Minute}, By: [][]string{{}}},
	}}
	wantErrors(t, b.Validate(), "ValueScale is 10", `"a,b"`, `dimension "region": names must be there once`, `board "Top!"`, "K is 0", "MinCount is -1",
		"window size is 1m30s", "window slide is 1h0m0s", "window offset is", "By is empty", "2880 slides", `no dimension "country"`,
		"a dimension twice", "By has [] twice", "two of this name")
	wantErrors(t, Boards{Pane: 1500 * time.Microsecond}.Validate(), "Pane is 1.5ms")
}

func wantErrors(t *testing.T, err error, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("no %q in: %v", text, err)
		}
	}
}
