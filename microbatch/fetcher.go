package microbatch

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/twmb/franz-go/pkg/kgo"
)

// fetcher reads the records of one claim, by a client of its own, so that no partition waits for another one's handler. It
// is franz-go's: sarama, which has the group, takes twice the CPU time to read a record, and hands
// each one over by itself. What sarama would read of the partition is paused.
type fetcher struct {
	client *kgo.Client
	next   int64 // offset after the last record
	listed *listed
	ctx    context.Context //nolint:containedctx // until close
	stop   context.CancelFunc
	out    chan fetched // unbuffered: one fetch is read ahead in the client, one waits here, and one is with the reader
}

// fetched is some records, in order, or why there are no more.
type fetched struct {
	records []*kgo.Record
	logEnd  int64
	err     error
}

// HeaderTooLarge is the header of a record without key and value that stands for a batch of records that is not read, since it
// becomes larger than SubscriberConfig.DecompressedBytes; it says so. It stands at the offset of the batch's last record, so that
// it is the same from wherever in the batch reading begins, and nothing of the batch is left behind it.
const HeaderTooLarge = "millrank-batch-too-large"

// newFetcher returns a fetcher that begins at an offset. It reads from when it is run.
func newFetcher(config SubscriberConfig, line *lifeline, logger watermill.LoggerAdapter, topic string, partition int32, from int64) (*fetcher, error) {
	opts, err := config.franz(line.DialContext) // which can be cut
	if err != nil {
		return nil, err
	}
	isolation := kgo.ReadUncommitted()
	if config.IsolationLevel == "read_committed" {
		isolation = kgo.ReadCommitted()
	}
	bytes, listed := int32(config.FetchBytes), &listed{}
	client, err := kgo.NewClient(append(opts,
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {partition: kgo.NewOffset().At(from)}}),
		kgo.ConsumeResetOffset(kgo.NoResetOffset()), // resetting would lose data in silence
		kgo.FetchIsolationLevel(isolation),
		kgo.FetchMaxWait(config.FetchMaxWait),
		kgo.FetchMinBytes(int32(config.FetchMinBytes)),
		kgo.FetchMaxPartitionBytes(bytes), kgo.FetchMaxBytes(bytes),
		kgo.BrokerMaxReadBytes(max(128<<20, 2*bytes)), // a record can be larger than a fetch is to be
		kgo.MaxDecompressBatchBytes(config.DecompressedBytes),
		kgo.DisableFetchSessions(), // they are of use where many partitions are asked for
		kgo.DisableClientMetrics(),
		kgo.WithHooks(listed),
		kgo.WithLogger(&fetcherLog{to: logger.With(watermill.LogFields{"partition": partition})}),
	)...)
	if err != nil {
		return nil, fmt.Errorf("a client to read %s partition %d: %w", topic, partition, err)
	}
	f := &fetcher{client: client, next: from, listed: listed, out: make(chan fetched)}
	f.ctx, f.stop = context.WithCancel(context.Background())
	return f, nil
}

// run reads until close. Errors that can pass are the client's to deal with; after any other it ends.
func (f *fetcher) run(recordsMax int) {
	for {
		got := f.client.PollRecords(f.ctx, recordsMax)
		if f.ctx.Err() != nil {
			return
		}
		var next fetched
		got.EachPartition(func(p kgo.FetchTopicPartition) {
			if n := len(p.Records); n > 0 {
				first := p.Records[0].Offset
				if f.listed.Swap(false) && p.LogStartOffset > f.next {
					next.err = errors.Join(next.err, fmt.Errorf("the log begins at offset %d, and reading was to begin at %d", p.LogStartOffset, f.next))
					return
				}
				if first < f.next { // never twice, nor out of order
					next.err = errors.Join(next.err, fmt.Errorf("reading went back from offset %d to %d", f.next, first))
					return
				}
				f.next = p.Records[n-1].Offset + 1
			}
			next.records = append(next.records, p.Records...)
			next.logEnd = p.HighWatermark
			if bomb, ok := errors.AsType[*kgo.ErrDecompressTooLarge](p.Err); ok {
				next.records = append(next.records, f.leaveOut(bomb))
				return
			}
			next.err = errors.Join(next.err, p.Err)
		})
		select {
		case f.out <- next:
		case <-f.ctx.Done():
			return
		}
		if next.err != nil {
			return
		}
	}
}

// leaveOut goes on behind a batch that is too large, and returns what stands for it.
func (f *fetcher) leaveOut(b *kgo.ErrDecompressTooLarge) *kgo.Record {
	f.next = b.NextOffset
	f.client.SetOffsets(map[string]map[int32]kgo.EpochOffset{b.Topic: {b.Partition: {Epoch: b.Epoch, Offset: b.NextOffset}}})
	text := fmt.Sprintf("the batch of records from offset %d to %d is left out: decompressed it is larger than allowed", b.Offset, b.NextOffset-1)
	return &kgo.Record{Offset: b.NextOffset - 1, Timestamp: time.UnixMilli(NoTimestamp), Headers: []kgo.RecordHeader{{Key: HeaderTooLarge, Value: []byte(text)}}}
}

// close ends reading, also where a broker doesn't answer.
func (f *fetcher) close() {
	f.stop()
	f.client.Close()
}

// listed is whether the client has asked for the ends of the log, as it does where it doesn't find the topic at first: it then
// moves what it is to begin at between them, and doesn't say so.
type listed struct{ atomic.Bool }

// OnBrokerWrite is called for each request.
func (l *listed) OnBrokerWrite(_ kgo.BrokerMetadata, key int16, _ int, _, _ time.Duration, _ error) {
	const listOffsets = 2 // Kafka's number of that request
	if key == listOffsets {
		l.Store(true)
	}
}

// fetcherLog passes on what a client has to say that somebody should know, once in a while: while a broker is away, it says the same several times a second.
type fetcherLog struct {
	to   watermill.LoggerAdapter
	next atomic.Int64 // Unix nanoseconds: not before
}

// fetcherLogInterval is from one line to the next.
const fetcherLogInterval = 10 * time.Second

// Level is from where on it is told.
func (*fetcherLog) Level() kgo.LogLevel { return kgo.LogLevelWarn }

// Log logs.
func (l *fetcherLog) Log(level kgo.LogLevel, msg string, keysAndValues ...any) {
	now, next := time.Now().UnixNano(), l.next.Load()
	if now < next || !l.next.CompareAndSwap(next, now+fetcherLogInterval.Nanoseconds()) {
		return
	}
	fields := watermill.LogFields{}
	var err error
	for i := 0; i+1 < len(keysAndValues); i += 2 {
		if e, ok := keysAndValues[i+1].(error); ok && err == nil {
			err = e
			continue
		}
		fields[fmt.Sprint(keysAndValues[i])] = keysAndValues[i+1]
	}
	if level == kgo.LogLevelError {
		l.to.Error("reading: "+msg, err, fields)
		return
	}
	if err != nil {
		fields["err"] = err.Error()
	}
	l.to.Info("reading: "+msg, fields)
}
