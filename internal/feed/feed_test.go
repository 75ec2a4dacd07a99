package feed_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/internal/feed"
)

// TestKeys: keys are as they are asked for, choose the partition as Kafka's own partitioner does, and keep the order.
func TestKeys(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		key  []string
		want func(fields) string
	}{
		{nil, func(f fields) string { return f.Item }},
		{[]string{"item"}, func(f fields) string { return f.Item }},
		{[]string{"region", "item"}, func(f fields) string { return f.Region + "," + f.Item }},
		{[]string{"event_id"}, func(f fields) string { return f.EventID }},
		{[]string{"user"}, func(fields) string { return "" }},
	} {
		t.Run(fmt.Sprint(test.key), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			c := config()
			c.Key = test.key
			report := w.run(c, feed.NDJSON, events(3, 500))
			partitioner := kgo.StickyKeyPartitioner(nil).ForTopic("events")
			for _, log := range w.read(report.Sent) {
				last := int64(0)
				for _, r := range log {
					var f fields
					if err := json.Unmarshal(r.Value, &f); err != nil {
						t.Fatal(err)
					}
					if string(r.Key) != test.want(f) || r.Key == nil || partitioner.Partition(&kgo.Record{Key: r.Key}, partitions) != int(r.Partition) {
						t.Fatalf("%s has the key %q in partition %d", r.Value, r.Key, r.Partition)
					}
					if at := f.Timestamp.UnixMilli(); at < last {
						t.Fatalf("partition %d is out of order at offset %d", r.Partition, r.Offset)
					} else {
						last = at
					}
				}
			}
		})
	}
}

// TestNoKey: without keys, an event's copies still go to one partition, and events to all.
func TestNoKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	c := config()
	c.Key = []string{"none"}
	text := events(3, 300)
	report := w.run(c, feed.NDJSON, text+text)
	where := make(map[string]int32)
	for p, log := range w.read(report.Sent) {
		if len(log) < 100 {
			t.Errorf("partition %d has %d records", p, len(log))
		}
		for _, r := range log {
			if before, seen := where[string(r.Value)]; r.Key != nil || seen && before != r.Partition {
				t.Fatalf("%s is in partitions %d and %d, its key is %q", r.Value, before, r.Partition, r.Key)
			}
			where[string(r.Value)] = r.Partition
		}
	}
}

// TestShiftToNow: times move to now by the same amount, and no other byte changes.
func TestShiftToNow(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	c := config()
	c.ShiftToNow, c.EventTime = true, true
	text := events(4, 300)
	began := time.Now()
	report := w.run(c, feed.NDJSON, text)
	first := *report.FirstTime
	if first.Before(began.Add(-2*time.Second)) || first.After(time.Now()) {
		t.Errorf("the first event is at %v, it is %v", first, began)
	}
	originals := make(map[string]string)
	for l := range strings.SplitSeq(strings.TrimSpace(text), "\n") {
		var f fields
		if err := json.Unmarshal([]byte(l), &f); err != nil {
			t.Fatal(err)
		}
		moved := f.Timestamp.Add(time.Duration(report.ShiftSecond) * time.Second).Format("2006-01-02T15:04:05.000Z07:00")
		originals[f.EventID] = strings.Replace(l, f.Timestamp.Format("2006-01-02T15:04:05.000Z07:00"), moved, 1)
	}
	for _, log := range w.read(report.Sent) {
		for _, r := range log {
			got := record(t, r)
			if string(r.Value) != originals[got.EventID] {
				t.Fatalf("got  %s\nwant %s", r.Value, originals[got.EventID])
			}
			if got.Time != got.At {
				t.Fatalf("%s has the timestamp %v", r.Value, r.Timestamp)
			}
		}
	}
}

// TestEnd: the last record of each partition closes all windows, and is believed.
func TestEnd(t *testing.T) {
	t.Parallel()
	appendTime, minute := "LogAppendTime", "60000"
	for name, test := range map[string]struct {
		configs map[string]*string
		live    bool
		cut     bool
	}{
		"of long ago":                   {},
		"now":                           {live: true},
		"of long ago, LogAppendTime":    {configs: map[string]*string{"message.timestamp.type": &appendTime}},
		"now, LogAppendTime":            {configs: map[string]*string{"message.timestamp.type": &appendTime}, live: true, cut: true},
		"now, timestamps hardly differ": {configs: map[string]*string{"message.timestamp.after.max.ms": &minute}, live: true, cut: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, test.configs)
			c := config()
			c.End, c.ShiftToNow = true, test.live
			report := w.run(c, feed.NDJSON, events(5, 20))
			logs := w.read(report.Sent)
			closed := report.LastTime.Add(c.Times.LongestWindow + c.Times.AllowedLateness)
			for p, log := range logs {
				last := log[len(log)-1]
				if last.Value != nil {
					t.Fatalf("partition %d ends with %s", p, last.Value)
				}
				r := record(t, last)
				if test.cut == !time.UnixMilli(r.At).Before(closed) {
					t.Errorf("the punctuation says %v, windows are closed at %v", time.UnixMilli(r.At), closed)
				}
				if r.At > r.Time+c.Times.MaxAhead.Milliseconds() {
					t.Errorf("the punctuation of %v has the timestamp %v: it is from the future", time.UnixMilli(r.At), last.Timestamp)
				}
			}
			if test.cut != (len(report.Notes) > 0) {
				t.Errorf("notes %q", report.Notes)
			}
		})
	}
}

const table = "\xef\xbb\xbf" + `event_id,item_id,region,timestamp,value,user_id
1,"a ""quoted"", item",north,2026-03-01T12:00:00Z,2.5,u
2,b,,2026-03-01T12:00:01Z,,
3,b,north,2026-03-01T12:00:01Z,many,
4,b,north
5,"two
lines",north,2026-03-01T12:00:02Z,-1,
6,x"y,north,2026-03-01T12:00:02Z,-1,
7,c,north,2026-03-01T12:00:03Z,05,
`

// TestCSV: rows become objects; what is no row of the header is sent as it stands. Compressed or not, by the file's name.
func TestCSV(t *testing.T) {
	t.Parallel()
	want := []string{
		`{"event_id":"1","item_id":"a \"quoted\", item","region":"north","timestamp":"2026-03-01T12:00:00Z","value":2.5,"user_id":"u"}`,
		`{"event_id":"2","item_id":"b","timestamp":"2026-03-01T12:00:01Z"}`,
		`{"event_id":"3","item_id":"b","region":"north","timestamp":"2026-03-01T12:00:01Z","value":"many"}`,
		`4,b,north`,
		`{"event_id":"5","item_id":"two\u000alines","region":"north","timestamp":"2026-03-01T12:00:02Z","value":-1}`,
		`6,x"y,north,2026-03-01T12:00:02Z,-1,`,
		`{"event_id":"7","item_id":"c","region":"north","timestamp":"2026-03-01T12:00:03Z","value":"05"}`,
	}
	var zipped bytes.Buffer
	zip := gzip.NewWriter(&zipped)
	if _, err := zip.Write([]byte(table)); err != nil {
		t.Fatal(err)
	}
	if err := zip.Close(); err != nil {
		t.Fatal(err)
	}
	tabs := strings.ReplaceAll(strings.ReplaceAll(table, `"a ""quoted"", item"`, `"a ""quoted""; item"`), ",", "\t")
	for name, content := range map[string][]byte{"t.csv": []byte(table), "t.csv.gz": zipped.Bytes(), "zipped.csv": zipped.Bytes(), "t.tsv": []byte(tabs)} {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		source, err := feed.File(path, "")
		if err != nil {
			t.Fatal(err)
		}
		w := newWorld(t, nil)
		c := config()
		c.Sources = []feed.Source{source}
		c.Mapping.ValueScale = 1
		report, err := feed.Run(t.Context(), w.target, c, nil)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, r := range slices.Concat(w.read(report.Sent)...) {
			value := strings.ReplaceAll(string(r.Value), "; item", ", item")
			if value[0] != '{' {
				value = strings.ReplaceAll(value, "\t", ",")
			}
			got = append(got, value)
		}
		slices.Sort(got)
		sorted := slices.Sorted(slices.Values(want))
		if !slices.Equal(got, sorted) {
			t.Errorf("%s:\n%s\nwant\n%s", name, strings.Join(got, "\n"), strings.Join(sorted, "\n"))
		}
		if report.Events != 2 || report.Unreadable != 5 || report.Lines != 7 { // row 2 has no region
			t.Errorf("%s: report %+v", name, report)
		}
	}
}

// TestLines: what is no event is sent as it is and told; empty lines are left out; lines may be large, and the last one without an end.
func TestLines(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	big := `{"event_id":"big","item_id":"x","region":"r","timestamp":"2026-03-01T12:00:00Z","pad":"` + strings.Repeat("x", 900_000) + `"}`
	lines := []string{`{"event_id":"a","item_id":"x","region":"r","timestamp":"2026-03-01T12:00:00Z"}`, "", "{not JSON", big, " \t", `{"event_id":"c"}`, `[1]`}
	report := w.run(config(), feed.NDJSON, strings.Join(lines, "\r\n"))
	got := make(map[string]bool)
	for _, r := range slices.Concat(w.read(report.Sent)...) {
		got[string(r.Value)] = true
	}
	for _, i := range []int{0, 2, 3, 5, 6} {
		if !got[lines[i]] {
			t.Errorf("line %d was not sent", i+1)
		}
	}
	if report.Lines != 7 || report.Blank != 2 || report.Events != 2 || report.Unreadable != 3 || report.Sent != 5 || !strings.Contains(report.Examples[0], "line 3") {
		t.Errorf("report %+v", report)
	}
}

// TestTooLarge: a record that the broker doesn't take is counted, and the others are sent.
func TestTooLarge(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	c := config()
	big := `{"pad":"` + strings.Repeat("x", 2<<20) + `"}`
	c.Sources = []feed.Source{feed.Reader("test", strings.NewReader(big+"\n"+events(1, 10)), feed.NDJSON)}
	report, err := feed.Run(t.Context(), w.target, c, nil)
	if err != nil || report.Failed != 1 || report.Acknowledged != 10 || len(report.Failures) != 1 || !report.Complete || report.Next != 11 {
		t.Errorf("%v, report %+v", err, report)
	}
}

// TestStop: a run that is stopped has sent all that it has read; the next one goes on there, and together they sent what one would have.
func TestStop(t *testing.T) {
	t.Parallel()
	text := events(6, 2000)
	c := config()
	c.Seed, c.Disorder, c.Duplicates, c.Late = 9, 8*time.Second, 0.05, 0.05
	whole := newWorld(t, nil)
	all := whole.run(c, feed.NDJSON, text)

	w := newWorld(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c.Sources = []feed.Source{feed.Reader("test", strings.NewReader(text), feed.NDJSON)}
	c.Rate = 5000
	report, err := feed.Run(ctx, w.target, c, func(p feed.Progress) {
		if p.Lines > 200 {
			cancel()
		}
	})
	if err != nil || report.Complete || report.Next < 200 || report.Next == 2000 || report.Next != report.Lines || report.Sent != report.Acknowledged {
		t.Fatalf("%v, report %+v", err, report)
	}
	c.Rate, c.Skip = 0, report.Next
	rest := w.run(c, feed.NDJSON, text)
	if rest.Next != 2000 || rest.Lines != 2000-report.Next || report.Duplicates+rest.Duplicates != all.Duplicates {
		t.Errorf("then %+v, all at once %+v", rest, all)
	}
	decisions, counted := decide(t, w.read(report.Sent+rest.Sent))
	if len(counted) != 2000 || decisions[event.Duplicate] != all.Duplicates || decisions[event.Late] != report.Late+rest.Late {
		t.Errorf("the oracle decides %v", decisions)
	}
}

// TestSameSeed: the same seed gives the same records.
func TestSameSeed(t *testing.T) {
	t.Parallel()
	c := config()
	c.Seed, c.Disorder, c.Duplicates, c.Late, c.Malformed, c.EventTime = 3, 8*time.Second, 0.1, 0.1, 0.1, true
	var texts [2]string
	for i := range texts {
		w := newWorld(t, nil)
		report := w.run(c, feed.NDJSON, events(7, 500))
		for _, r := range slices.Concat(w.read(report.Sent)...) {
			texts[i] += fmt.Sprintln(r.Partition, string(r.Key), string(r.Value))
		}
	}
	if texts[0] != texts[1] {
		t.Error("two runs differ")
	}
}

// TestPace: rates and speeds hold.
func TestPace(t *testing.T) {
	t.Parallel()
	text := `{"event_id":"1","item_id":"x","region":"r","timestamp":"2026-03-01T12:00:00Z"}
{"event_id":"2","item_id":"x","region":"r","timestamp":"2026-03-01T12:00:30Z"}
{"event_id":"3","item_id":"x","region":"r","timestamp":"2026-03-01T12:01:00Z"}
`
	for name, change := range map[string]func(*feed.Config){
		"speed": func(c *feed.Config) { c.Speed = 200 }, // a minute in 0.3 s
		"rate":  func(c *feed.Config) { c.Rate = 7 },    // the third after 2/7 s
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			c := config()
			change(&c)
			began := time.Now()
			report := w.run(c, feed.NDJSON, text)
			if took := time.Since(began); took < 280*time.Millisecond {
				t.Errorf("took %v", took)
			}
			log := slices.Concat(w.read(report.Sent)...)
			if between := log[1].Timestamp.Sub(log[0].Timestamp); between < 130*time.Millisecond {
				t.Errorf("the second comes after %v", between)
			}
		})
	}
}

// TestPipe: what is in a pipe is sent, though more may come.
func TestPipe(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	from, to := io.Pipe()
	c := config()
	c.Sources = []feed.Source{feed.Reader("-", from, feed.NDJSON)}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan feed.Report)
	go func() {
		report, err := feed.Run(ctx, w.target, c, nil)
		if err != nil {
			t.Error(err)
		}
		done <- report
	}()
	if _, err := io.WriteString(to, events(1, 10)); err != nil {
		t.Fatal(err)
	}
	w.read(10)
	cancel()
	if report := <-done; report.Next != 10 || report.Complete {
		t.Errorf("report %+v", report)
	}
}

var errBroken = errors.New("the disk is broken")

// TestReadError: what was read before an error is sent, and the error told.
func TestReadError(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	c := config()
	c.End = true
	c.Sources = []feed.Source{{Name: "disk", Format: feed.NDJSON, Open: func() (io.ReadCloser, error) {
		return io.NopCloser(io.MultiReader(strings.NewReader(events(1, 10)), broken{})), nil
	}}}
	report, err := feed.Run(t.Context(), w.target, c, nil)
	if !errors.Is(err, errBroken) || report.Next != 10 || report.Acknowledged != 10 || report.Complete || report.EndTime != nil {
		t.Errorf("%v, report %+v", err, report)
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errBroken }

// TestNoTopic: a topic that isn't there is named.
func TestNoTopic(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	if _, err := feed.Open(t.Context(), "nothing", w.connect); err == nil || !strings.Contains(err.Error(), "nothing") {
		t.Errorf("error %v", err)
	}
}

// TestTopicGone: what can't be sent ends the run, and the report says from where to go on.
func TestTopicGone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.kafka.Close()
	client, err := w.connect(kgo.RecordRetries(1), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	target := feed.TargetOf(client, "events", partitions)
	c := config()
	c.Sources = []feed.Source{feed.Reader("test", strings.NewReader(events(1, 10)), feed.NDJSON)}
	report, err := feed.Run(t.Context(), target, c, nil)
	if err == nil || report.Next != 0 || report.Complete || report.Acknowledged != 0 {
		t.Errorf("%v, report %+v", err, report)
	}
}

// TestValidate: all that is wrong is told at once, by the flags' names.
func TestValidate(t *testing.T) {
	t.Parallel()
	c := config()
	c.Rate, c.Speed, c.Duplicates, c.Shift, c.Key = 1, 1, 2, 1500*time.Millisecond, []string{"none", "shop"}
	err := c.Validate()
	for _, name := range []string{"no input", "--rate and --speed", "--duplicates", "--shift", "none stands alone", `"shop"`} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s is not in: %v", name, err)
		}
	}
}
