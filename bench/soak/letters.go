package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/sinks/deadletters"
)

// lettersTopic is what Kafka has at the end: the dead letters, and how many events.
type lettersTopic struct {
	brokers []string
	topic   string
}

// bits is a set of offsets.
type bits []uint64

// add adds an offset, and reports whether it is new.
func (b *bits) add(offset int64) bool {
	word, bit := int(offset/64), uint64(1)<<(offset%64)
	if word >= len(*b) {
		*b = append(*b, make([]uint64, word+1-len(*b))...)
	}
	isNew := (*b)[word]&bit == 0
	(*b)[word] |= bit
	return isNew
}

// sums are dead letters by reason, those that came twice once.
type sums struct {
	seen map[int32]*bits
	by   map[string]*letters
}

func newSums() *sums { return &sums{map[int32]*bits{}, map[string]*letters{}} }

func (s *sums) add(reason string, partition int32, offset int64) {
	if s.seen[partition] == nil {
		s.seen[partition] = &bits{}
	}
	if !s.seen[partition].add(offset) {
		return
	}
	if s.by[reason] == nil {
		s.by[reason] = &letters{}
	}
	s.by[reason].add(partition, offset)
}

// differs says how the dead letters are not those that there must be.
func (s *sums) differs(want map[event.Decision]*letters) string {
	wrong := differences{}
	var wanted int64
	for d, l := range want {
		wanted += l.Count
		got := s.by[d.String()]
		if got == nil {
			got = &letters{}
		}
		switch {
		case got.Count != l.Count:
			wrong.addf("%d are %s, want %d", got.Count, d, l.Count)
		case got.Sum != l.Sum:
			wrong.addf("%d are %s, as many as there must be, but they are of other records", got.Count, d)
		}
	}
	var all int64
	for _, l := range s.by {
		all += l.Count
	}
	if all != wanted {
		wrong.addf("%d altogether, want %d", all, wanted)
	}
	return wrong.text()
}

// load compares how many records are in the events topic with how many were produced: else nothing else says anything.
func (c *checker) load(source *stream, t lettersTopic) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(t.brokers...))
	if err != nil {
		return err
	}
	defer client.Close()
	ends, err := kadm.NewClient(client).ListEndOffsets(c.ctx, eventsTopic)
	if err != nil {
		return fmt.Errorf("the end of %s: %w", eventsTopic, err)
	}
	for p, made := range source.next {
		if end, _ := ends.Lookup(eventsTopic, int32(p)); end.Offset != made+1 { // and the punctuation
			c.result.differf("the load itself: partition %d has %d records, %d were produced", p, end.Offset, made+1)
		}
	}
	return nil
}

// lettersIn compares the dead letters in Kafka, and those in ClickHouse.
func (c *checker) lettersIn(o *oracle, t lettersTopic) error {
	err := c.compare("dead letters in Kafka", func() (string, error) {
		got, err := t.read(c.ctx)
		if err != nil {
			return "", err
		}
		return got.differs(o.letters), nil
	})
	if err != nil {
		return err
	}
	return c.compare("dead letters in ClickHouse", func() (string, error) {
		got := newSums()
		err := c.each("SELECT reason, source_partition, source_offset FROM millrank.dead_letters FINAL WHERE source = {source:String} AND generation = {generation:UInt32}", func(scan func(...any) error) error {
			var reason string
			var partition int32
			var offset int64
			err := scan(&reason, &partition, &offset)
			got.add(reason, partition, offset)
			return err
		}, clickhouse.Named("generation", c.settings.Generation))
		return got.differs(o.letters), err
	})
}

// read reads the dead-letter topic to its end.
func (t lettersTopic) read(ctx context.Context) (*sums, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(t.brokers...), kgo.ConsumeTopics(t.topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(100*time.Millisecond))
	if err != nil {
		return nil, err
	}
	defer client.Close()
	ends, err := kadm.NewClient(client).ListEndOffsets(ctx, t.topic)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.topic, err)
	}
	left := 0
	ends.Each(func(end kadm.ListedOffset) {
		if end.Offset > 0 {
			left++
		}
	})
	got := newSums()
	for left > 0 {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err0(); err != nil {
			return nil, fmt.Errorf("reading %s: %w", t.topic, err)
		}
		var wrong error
		fetches.EachRecord(func(r *kgo.Record) {
			if err := got.take(r); err != nil {
				wrong = err
			}
			if end, _ := ends.Lookup(t.topic, r.Partition); r.Offset == end.Offset-1 {
				left--
			}
		})
		if wrong != nil {
			return nil, wrong
		}
	}
	return got, nil
}

func (s *sums) take(r *kgo.Record) error {
	header := map[string]string{}
	for _, h := range r.Headers {
		if strings.HasPrefix(h.Key, "dead-letter.") {
			header[h.Key] = string(h.Value)
		}
	}
	partition, err := strconv.ParseInt(header[deadletters.HeaderPartition], 10, 32)
	if err != nil {
		return fmt.Errorf("a dead letter: %w", err)
	}
	offset, err := strconv.ParseInt(header[deadletters.HeaderOffset], 10, 64)
	if err != nil {
		return fmt.Errorf("a dead letter: %w", err)
	}
	s.add(header[deadletters.HeaderReason], int32(partition), offset)
	return nil
}

// nothingElse compares how much there is altogether, so that nothing is left that nobody has looked at.
func (c *checker) nothingElse() error {
	var events, duplicates int64
	var cells, lists uint64
	err := c.compare("ClickHouse altogether", func() (string, error) {
		source := clickhouse.Named("source", c.settings.SourceName())
		if err := c.history.QueryRow(c.ctx, "SELECT count(), toInt64(sum(events)), toInt64(sum(duplicates)) FROM millrank.item_counts WHERE source = {source:String}", source).Scan(&cells, &events, &duplicates); err != nil {
			return "", err
		}
		if err := c.history.QueryRow(c.ctx, "SELECT count() FROM millrank.lists WHERE source = {source:String}", source).Scan(&lists); err != nil {
			return "", err
		}
		if int64(cells) == c.result.Cells && events == c.events && duplicates == c.duplicates && int64(lists) == c.result.Lists {
			return "", nil
		}
		return fmt.Sprintf("%d cells with %d events and %d duplicates, %d lists; want %d, %d, %d, %d", cells, events, duplicates, lists, c.result.Cells, c.events, c.duplicates, c.result.Lists), nil
	})
	if err != nil {
		return err
	}
	return c.compare("Redis altogether", func() (string, error) {
		n, cursor := int64(0), uint64(0)
		seen := map[string]bool{} // SCAN can show a key twice
		for {
			keys, next, err := c.redis.Scan(c.ctx, cursor, c.settings.Redis.Prefix+"*top_k:*T*Z", 1000).Result()
			if err != nil {
				return "", err
			}
			for _, key := range keys {
				if !seen[key] {
					seen[key] = true
					n++
				}
			}
			if cursor = next; cursor == 0 {
				break
			}
		}
		if n == c.filled {
			return "", nil
		}
		return fmt.Sprintf("%d lists that aren't empty, want %d", n, c.filled), nil
	})
}
