package feed_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/internal/embedded"
	"github.com/millrank/millrank/internal/feed"
	"github.com/millrank/millrank/internal/kafkaclient"
	"github.com/millrank/millrank/microbatch"
	"github.com/millrank/millrank/operators"
	"github.com/millrank/millrank/sim"
)

const partitions = 3

// world is a topic on an embedded broker.
type world struct {
	t       *testing.T
	kafka   *embedded.Kafka
	connect func(...kgo.Opt) (*kgo.Client, error)
	target  *feed.Target
}

func newWorld(t *testing.T, configs map[string]*string) *world {
	t.Helper()
	kafka, err := embedded.StartKafka(embedded.KafkaOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(kafka.Close)
	w := &world{t: t, kafka: kafka, connect: func(opts ...kgo.Opt) (*kgo.Client, error) {
		return kafkaclient.New(microbatch.Connection{BootstrapServers: kafka.Brokers()}, opts...)
	}}
	client, err := w.connect()
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := kadm.NewClient(client).CreateTopic(t.Context(), partitions, 1, configs, "events"); err != nil {
		t.Fatal(err)
	}
	w.target, err = feed.Open(t.Context(), "events", w.connect)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.target.Close)
	return w
}

// run feeds a text.
func (w *world) run(c feed.Config, format, text string) feed.Report {
	w.t.Helper()
	c.Sources = []feed.Source{feed.Reader("test", strings.NewReader(text), format)}
	report, err := feed.Run(w.t.Context(), w.target, c, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	if !report.Complete || report.Failed != 0 || report.Acknowledged != report.Sent {
		w.t.Fatalf("report %+v", report)
	}
	return report
}

// read returns what is in the topic, by partition.
func (w *world) read(n int64) [][]*kgo.Record {
	w.t.Helper()
	client, err := w.connect(kgo.ConsumeTopics("events"))
	if err != nil {
		w.t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(w.t.Context(), 20*time.Second)
	defer cancel()
	logs := make([][]*kgo.Record, partitions)
	for got := int64(0); got < n; {
		fetched := client.PollFetches(ctx)
		if err := fetched.Err0(); err != nil {
			w.t.Fatalf("%d of %d records: %v", got, n, err)
		}
		fetched.EachRecord(func(r *kgo.Record) {
			logs[r.Partition] = append(logs[r.Partition], r)
			got++
		})
	}
	return logs
}

// fold returns the settings of a pipeline.
func fold() operators.Settings {
	s := operators.DefaultSettings()
	s.Pane, s.OutOfOrderness, s.AllowedLateness, s.MaxAhead = time.Minute, 10*time.Second, 5*time.Second, time.Minute
	s.DedupSegment, s.DedupSegments = 30*time.Second, 4
	return s
}

func config() feed.Config {
	s := fold()
	return feed.Config{Mapping: event.DefaultMapping(), Times: feed.Times{
		Pane: s.Pane, OutOfOrderness: s.OutOfOrderness, AllowedLateness: s.AllowedLateness, MaxAhead: s.MaxAhead,
		LongestWindow: time.Hour, DedupHorizon: s.DedupSegment * time.Duration(s.DedupSegments),
	}}
}

// start is when made-up events begin.
var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// events makes up events in the order of their times, about a second apart with a pause now and then.
func events(seed uint64, n int) string {
	rng := rand.New(rand.NewPCG(seed, 1))
	var text strings.Builder
	at := start
	for i := range n {
		at = at.Add(time.Duration(rng.IntN(2000)) * time.Millisecond)
		if rng.IntN(100) == 0 {
			at = at.Add(time.Duration(rng.IntN(600)) * time.Second)
		}
		fmt.Fprintf(&text, `{"event_id":"e%d","item_id":"item-%d","region":"r%d","timestamp":"%s","value":%d, "x": [1,{"timestamp":"no"}]}`+"\n",
			i, rng.IntN(20), rng.IntN(3), at.Format("2006-01-02T15:04:05.000Z07:00"), 1+rng.IntN(9))
	}
	return text.String()
}

// fields are an event's.
type fields struct {
	EventID   string    `json:"event_id"`
	Item      string    `json:"item_id"`
	Region    string    `json:"region"`
	Timestamp time.Time `json:"timestamp"`
	Value     int64     `json:"value"`
}

// record returns a record as the oracle takes it.
func record(t *testing.T, r *kgo.Record) sim.Record {
	t.Helper()
	out := sim.Record{Offset: r.Offset, Time: r.Timestamp.UnixMilli()}
	if r.Value == nil {
		at, err := time.Parse(time.RFC3339Nano, string(r.Headers[0].Value))
		if r.Headers[0].Key != "advance-watermark" || err != nil {
			t.Fatalf("a record without a value has the header %v", r.Headers)
		}
		out.Kind, out.At = sim.Punctuation, at.UnixMilli()
		return out
	}
	decoder, err := event.NewJSON(event.DefaultMapping())
	if err != nil {
		t.Fatal(err)
	}
	var e event.Event
	if decoder.Decode(r.Value, &e) != nil {
		out.Kind = sim.Malformed
		return out
	}
	var f fields
	if err := json.Unmarshal(r.Value, &f); err != nil {
		t.Fatal(err)
	}
	out.EventID, out.Item, out.Dims, out.At, out.Value = f.EventID, f.Item, []string{f.Region}, e.Time, f.Value
	return out
}

// decide returns how often each decision is the oracle's, and the event IDs that count.
func decide(t *testing.T, logs [][]*kgo.Record) (map[event.Decision]int64, map[string]int) {
	t.Helper()
	decisions, counted := make(map[event.Decision]int64), make(map[string]int)
	for _, log := range logs {
		records := make([]sim.Record, 0, len(log))
		for _, r := range log {
			records = append(records, record(t, r))
		}
		for i, o := range sim.Decide(fold(), records) {
			decisions[o.Decision]++
			if o.Decision == event.Counted {
				counted[records[i].EventID]++
			}
			if o.Conflict {
				t.Errorf("partition %d, offset %d: a duplicate differs", log[i].Partition, o.Offset)
			}
		}
	}
	return decisions, counted
}
