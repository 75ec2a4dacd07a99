package deadletters_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/microbatch"
	"github.com/millrank/millrank/sinks/deadletters"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/rcrowley/go-metrics.(*meterArbiter).tick")) // one for the process, which sarama's metrics start
}

func late() deadletters.Letter {
	return deadletters.Letter{
		Reason: event.Late, Error: "too late by 1 ms", Topic: "events", Partition: 7, Offset: 123456789012, Timestamp: 1784541600123,
		Key: []byte("k\xff"), Value: []byte(`{"id":"a"}`),
		Headers:   []deadletters.Header{{"trace", []byte("1")}, {"trace", nil}, {"", []byte{}}, {"x.y", []byte("\x00\xfe")}},
		EventTime: 1784541000000, Watermark: 1784541599999, Pane: 1784541000000, Lateness: 539999, Generation: 3,
	}
}

func TestHeaders(t *testing.T) {
	malformed := deadletters.Letter{Reason: event.Malformed, Topic: "events", Timestamp: -1, EventTime: event.NoTime, Watermark: event.NoTime, Pane: event.NoTime}
	lateOne := late()
	for _, c := range []struct {
		letter deadletters.Letter
		want   string
	}{
		{lateOne, `
dead-letter.error = "too late by 1 ms"
dead-letter.event-time = "2026-07-20T09:50:00.000Z"
dead-letter.generation = "3"
dead-letter.header-null.0001.trace = ""
dead-letter.header.0000.trace = "1"
dead-letter.header.0002. = ""
dead-letter.header.0003.x.y = "\x00\xfe"
dead-letter.key = "k\xff"
dead-letter.lateness-ms = "539999"
dead-letter.offset = "123456789012"
dead-letter.pane = "2026-07-20T09:50:00.000Z"
dead-letter.partition = "7"
dead-letter.reason = "late"
dead-letter.timestamp = "2026-07-20T10:00:00.123Z"
dead-letter.topic = "events"
dead-letter.watermark = "2026-07-20T09:59:59.999Z"
kafka.key = "k\xff"
`},
		{malformed, `
dead-letter.offset = "0"
dead-letter.partition = "0"
dead-letter.reason = "malformed"
dead-letter.topic = "events"
dead-letter.value = "null"
`},
	} {
		msg := c.letter.Message()
		var got strings.Builder
		got.WriteByte('\n')
		for _, name := range slices.Sorted(maps.Keys(msg.Metadata)) {
			fmt.Fprintf(&got, "%s = %q\n", name, msg.Metadata[name])
		}
		if diff := cmp.Diff(c.want, got.String()); diff != "" {
			t.Errorf("headers (-want +got):\n%s", diff)
		}
	}
}

// The UUID is the record's: it depends on where it was, and on nothing else.
func TestUUID(t *testing.T) {
	letter := late()
	const want = "887d3aef-67c1-8002-8e96-92628f4b15ab" // in topics by now
	if got := letter.Message().UUID; got != want {
		t.Errorf("%s, not %s", got, want)
	}
	other := deadletters.Letter{Topic: letter.Topic, Partition: letter.Partition, Offset: letter.Offset, Generation: letter.Generation + 1}
	if got := other.Message().UUID; got != want {
		t.Errorf("%s, not %s, of the same record", got, want)
	}
	seen := map[string]deadletters.Letter{}
	for _, topic := range []string{"a", "b", "a\x00"} {
		for partition := range int32(10) {
			for offset := range int64(100) {
				l := deadletters.Letter{Topic: topic, Partition: partition, Offset: offset}
				id := l.Message().UUID
				if before, twice := seen[id]; twice {
					t.Fatalf("%v and %v have the same UUID", before, l)
				}
				seen[id] = l
			}
		}
	}
}

// draw returns any letter.
func draw(r *rand.Rand) deadletters.Letter {
	bytes := func() []byte {
		if r.IntN(4) == 0 {
			return nil
		}
		b := make([]byte, r.IntN(20))
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return b
	}
	at := func() int64 {
		switch r.IntN(4) {
		case 0:
			return event.NoTime
		case 1:
			return int64(r.Uint64()) // any year
		default:
			return r.Int64N(1 << 42)
		}
	}
	l := deadletters.Letter{
		Reason: []event.Decision{event.Malformed, event.Future, event.Late}[r.IntN(3)], Error: string(bytes()), Topic: string(bytes()), Partition: r.Int32(), Offset: r.Int64(),
		Timestamp: r.Int64N(1<<42) - 1, Key: bytes(), Value: bytes(), EventTime: at(), Watermark: at(), Pane: at(), Lateness: r.Int64N(3), Generation: r.Uint32N(3),
	}
	for range r.IntN(5) {
		l.Headers = append(l.Headers, deadletters.Header{Key: []string{"", "a", "a", "dead-letter.key", ".", string(bytes())}[r.IntN(6)], Value: bytes()})
	}
	return l
}

func TestRoundTrip(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	for range 5000 {
		want := draw(r)
		msg := want.Message()
		msg.Metadata.Set("traceparent", "not of the letter")
		got, err := deadletters.Parse(msg)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("seed %d (-want +got):\n%s", seed, diff)
		}
	}
	many := late()
	many.Headers = slices.Repeat(many.Headers, 4000) // more than four digits
	got, err := deadletters.Parse(many.Message())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(many, got); diff != "" {
		t.Error(diff)
	}
}

// What was published to Kafka comes back with payload and headers, and under the record's key.
func TestThroughKafka(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(3, "dead-letters"))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	p, err := microbatch.NewPublisher(microbatch.DefaultPublisherConfig(microbatch.Connection{BootstrapServers: cluster.ListenAddrs()}), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	r := rand.New(rand.NewPCG(1, 1))
	want := map[string]deadletters.Letter{}
	var msgs []*message.Message
	for range 200 {
		l := draw(r)
		msg := l.Message()
		want[msg.UUID] = l
		msgs = append(msgs, msg)
	}
	if err := p.Publish("dead-letters", msgs...); err != nil {
		t.Fatal(err)
	}
	c, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.ConsumeTopics("dead-letters"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(50*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for read := 0; read < len(msgs); {
		fetches := c.PollFetches(t.Context())
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		fetches.EachRecord(func(record *kgo.Record) {
			read++
			msg := message.NewMessage(string(record.Headers[0].Value), record.Value)
			for _, h := range record.Headers[1:] {
				msg.Metadata.Set(h.Key, string(h.Value))
			}
			got, err := deadletters.Parse(msg)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want[msg.UUID], got); diff != "" {
				t.Fatalf("(-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(got.Key, record.Key); diff != "" {
				t.Errorf("the key of the dead letter (-of the record +of its own):\n%s", diff)
			}
		})
	}
}

func TestParseWrong(t *testing.T) {
	for _, c := range []struct {
		change func(*message.Message)
		want   []string
	}{
		{func(m *message.Message) { m.Metadata = nil }, []string{"dead-letter.reason: missing", "dead-letter.topic: missing", "dead-letter.partition: missing", "dead-letter.offset: missing"}},
		{
			func(m *message.Message) {
				for _, name := range []string{"reason", "partition", "offset", "timestamp", "event-time", "watermark", "pane", "lateness-ms", "value", "header.one.x", "header.0009", "header-null.0000.trace"} {
					m.Metadata.Set("dead-letter."+name, "nonsense")
				}
			},
			[]string{
				`dead-letter.reason: "nonsense" is not malformed`, "dead-letter.partition", "dead-letter.offset", "dead-letter.timestamp", "dead-letter.event-time", "dead-letter.watermark",
				"dead-letter.pane", "dead-letter.lateness-ms", "dead-letter.value", "dead-letter.header.one.x", "dead-letter.header.0009", "the same number",
			},
		},
		{func(m *message.Message) { m.Metadata.Set(deadletters.HeaderReason, "counted") }, []string{`dead-letter.reason: "counted"`}},
		{func(m *message.Message) { m.Metadata.Set(deadletters.HeaderReason, "") }, []string{`dead-letter.reason: ""`}},
		{func(m *message.Message) { m.Metadata.Set(deadletters.HeaderOffset, "") }, []string{`dead-letter.offset: ""`}},
		{func(m *message.Message) { m.Metadata.Set(deadletters.HeaderPartition, "3000000000") }, []string{"dead-letter.partition"}},
		{func(m *message.Message) { m.Metadata.Set(deadletters.HeaderValue, "null") }, []string{"null, but the message has a payload"}},
		{func(m *message.Message) { delete(m.Metadata, deadletters.HeaderHeader+"0000.trace") }, []string{"dead-letter.header.0000: missing"}},
	} {
		letter := late()
		msg := letter.Message()
		c.change(msg)
		_, err := deadletters.Parse(msg)
		for _, want := range c.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("nothing about %s in: %v", want, err)
			}
		}
	}
}
