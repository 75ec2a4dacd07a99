//go:build e2e

package e2e_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/internal/embedded"
	"github.com/millrank/millrank/internal/embedded/clickhousetest"
	"github.com/millrank/millrank/internal/redisserver"
	"github.com/millrank/millrank/operators"
	"github.com/millrank/millrank/sinks/deadletters"
	"github.com/millrank/millrank/test/world"
)

// inputBoards have room for all that the corpus counts.
func inputBoards() operators.Boards {
	window, both := operators.Window{Size: 10 * time.Second}, [][]string{{}, {"region"}}
	return world.BoardsOver(inputSettings(),
		operators.Board{Name: "count", Window: window, Measure: operators.Count, K: 1000, By: both},
		operators.Board{Name: "sum", Window: window, Measure: operators.Sum, K: 1000, By: both})
}

// TestInputs: the corpus through the built program, with a real Kafka, a real Redis, and ClickHouse's engine, in one partition: each input becomes what it should, once,
// and the good event after it is counted. Lists in Redis, and cells, lists and dead letters in ClickHouse, are the oracle's.
func TestInputs(t *testing.T) {
	server := clickhousetest.StartTest(t, embedded.ClickHouseOptions{})
	redis := redisserver.StartTest(t, redisserver.Options{}).Addr()
	w := newRun(world.New(t, kafka.Broker(t).Brokers(), inputSettings(), 1, 3), "inputs", inputBoards(), 2, redis).withHistory(server)
	p := w.start()
	records := w.produceInputs(inputRecords(t, time.Now().Truncate(30*time.Second).Add(-30*time.Second)))
	w.awaitInputs(records)
	letters := w.checkLetters(records)
	w.Close()
	want := w.Expected()
	w.CheckLists(want)
	w.Check(false)
	w.checkHistory(want)
	w.checkHistoryLetters(letters)

	status := w.says(p)
	counted, conflicts := int64(0), int64(0)
	for _, r := range records {
		if r.want(t) == event.Counted {
			counted++
		}
		if r.in != nil && r.in.Conflict {
			conflicts++
		}
	}
	if status.Decisions["counted"] != counted || status.Conflicts != conflicts || status.LateWrong != 0 {
		t.Errorf("status says %v, %d conflicts, %d foreign dead letters; want %d counted, %d conflicts, 0", status.Decisions, status.Conflicts, status.LateWrong, counted, conflicts)
	}
	t.Logf("%d records, %d dead letters; at most %d MiB of memory, with a batch of 64 MiB in it", len(records), len(letters), w.peak(p)>>20)
}

// name says which record it is.
func (r *inputRecord) name() string {
	if r.in == nil {
		return r.EventID
	}
	return r.in.Name
}

func (r *inputRecord) want(t *testing.T) event.Decision {
	t.Helper()
	if r.in == nil {
		return event.Counted
	}
	return r.in.decision(t)
}

// produceInputs produces records one by one, in batches and transactions of their own, and returns those that are to be seen, with their offsets.
func (w *run) produceInputs(records []inputRecord) []inputRecord {
	w.T.Helper()
	plain, packed := w.rawClient(kgo.ProducerBatchCompression(kgo.NoCompression())), w.rawClient(kgo.ProducerBatchCompression(kgo.GzipCompression()))
	for rest := records; len(rest) > 0; {
		in, n := rest[0].in, 1
		for in != nil && n < len(rest) && rest[n].in == in {
			n++
		}
		switch {
		case in != nil && in.Transaction != "":
			w.produceTransaction(in.Transaction == "committed", rest[:n])
		case in != nil && in.Compressed:
			w.produceRaw(packed, rest[:n])
		default:
			w.produceRaw(plain, rest[:n])
		}
		rest = rest[n:]
	}
	visible := seen(records)
	for _, r := range visible {
		w.Logs[0], w.Values[0] = append(w.Logs[0], r.Record), append(w.Values[0], r.value)
	}
	return visible
}

// rawClient returns a client that produces to the source, large records too.
func (w *run) rawClient(options ...kgo.Opt) *kgo.Client {
	w.T.Helper()
	c, err := kgo.NewClient(append(options, kgo.SeedBrokers(w.Brokers...), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchMaxBytes(90<<20), kgo.DefaultProduceTopic(w.Topics.Events))...)
	if err != nil {
		w.T.Fatal(err)
	}
	w.T.Cleanup(c.Close)
	return c
}

func (w *run) produceTransaction(commit bool, records []inputRecord) {
	w.T.Helper()
	client := w.rawClient(kgo.TransactionalID(world.NewID("transaction")))
	if err := client.BeginTransaction(); err != nil {
		w.T.Fatal(err)
	}
	w.produceRaw(client, records)
	if err := client.EndTransaction(w.T.Context(), kgo.TransactionEndTry(commit)); err != nil {
		w.T.Fatal(err)
	}
}

func (w *run) produceRaw(client *kgo.Client, records []inputRecord) {
	w.T.Helper()
	made := make([]*kgo.Record, len(records))
	for i, r := range records {
		made[i] = &kgo.Record{Key: r.key, Value: r.value, Timestamp: time.UnixMilli(r.Time)}
		for _, h := range r.headers {
			made[i].Headers = append(made[i].Headers, kgo.RecordHeader{Key: h.name, Value: []byte(h.value)})
		}
	}
	if err := client.ProduceSync(w.T.Context(), made...).FirstErr(); err != nil {
		w.T.Fatalf("%s: %v", records[0].name(), err)
	}
	for i := range records {
		records[i].Offset = made[i].Offset
	}
}

// awaitInputs waits until all is processed, and says at which input the partition stands still, if it does.
func (w *run) awaitInputs(records []inputRecord) {
	w.T.Helper()
	at := func() string {
		for _, r := range records {
			if r.Offset > w.Commits()[0].Through {
				return r.name()
			}
		}
		return ""
	}
	w.EventuallyOr("the partition goes on", func() bool { return at() == "" }, func() string { return "it stands still at: " + at() })
}

// checkLetters checks reason, text, place and content of each dead letter.
func (w *run) checkLetters(records []inputRecord) map[int64]deadletters.Letter {
	w.T.Helper()
	t := w.T.(*testing.T)
	letters, times := w.Letters()
	found := map[int64]deadletters.Letter{}
	for i, r := range records {
		at := world.Letter{Offset: r.Offset}
		l, dead := letters[at]
		want := r.want(t)
		switch {
		case dead != want.DeadLetter():
			t.Errorf("%s: a dead letter: %t, %q; want %v", r.name(), dead, l.Error, want)
			continue
		case !dead:
			continue
		}
		found[r.Offset] = l
		cut := func(what string) bool { return strings.Contains(l.Cut, what) }
		switch {
		case times[at] != 1 || l.Reason != want || !strings.Contains(l.Error, r.in.Says) || l.Timestamp != r.Time:
			t.Errorf("%s: %d dead letters: %v, %q; want %v, and %q in it", r.name(), times[at], l.Reason, l.Error, want, r.in.Says)
		case !bytes.Equal(l.Value, r.value) && !(cut("value") && bytes.HasPrefix(r.value, l.Value)), (l.Value == nil) != (r.value == nil):
			t.Errorf("%s: the dead letter holds %d bytes, of %d (cut: %s)", r.name(), len(l.Value), len(r.value), l.Cut)
		case !bytes.Equal(l.Key, r.key) && !cut("key"), len(l.Headers) != len(r.headers) && !cut("headers"):
			t.Errorf("%s: the dead letter holds key %.20q and headers %.100v (cut: %s)", r.name(), l.Key, l.Headers, l.Cut)
		case l.Cut != "" && len(r.value)+2*len(r.key) < 2<<20 && len(r.headers) == 0:
			t.Errorf("%s: the dead letter is cut: %s", r.name(), l.Cut)
		}
		w.Values[0][i] = l.Value // what Check is to find
	}
	return found
}

// checkHistoryLetters waits until ClickHouse has the same dead letters, by offset.
func (w *historyWorld) checkHistoryLetters(letters map[int64]deadletters.Letter) {
	w.T.Helper()
	differs := func() string {
		n, difference := 0, ""
		err := w.each(w.T.Context(), "SELECT source_partition, source_offset, reason, error, item_id, region FROM millrank.dead_letters FINAL WHERE source = {source:String} AND generation = 1",
			clickhouse.Named("source", "test/"+w.Topics.Events), func(scan func(...any) error) error {
				var partition int32
				var offset int64
				var reason, wrong, item, region string
				err := scan(&partition, &offset, &reason, &wrong, &item, &region)
				l, ok := letters[offset]
				if n++; difference == "" && (!ok || partition != 0 || reason != l.Reason.String() || wrong != l.Error) {
					difference = fmt.Sprintf("%d/%d: %s, %q; want %v, %q", partition, offset, reason, wrong, l.Reason, l.Error)
				}
				if difference == "" && l.Reason == event.Late && (item != "tea" || region != "eu") {
					difference = fmt.Sprintf("%d/%d is of item %q in %q", partition, offset, item, region)
				}
				return err
			})
		if err != nil {
			return err.Error()
		}
		if n != len(letters) && difference == "" {
			difference = fmt.Sprintf("%d rows, want %d", n, len(letters))
		}
		return difference
	}
	w.EventuallyOr("ClickHouse has the dead letters", func() bool { return differs() == "" }, differs)
}
