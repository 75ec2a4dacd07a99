package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/internal/kafkaclient"
	"github.com/millrank/millrank/internal/logread"
	"github.com/millrank/millrank/pipeline/settings"
	"github.com/millrank/millrank/sinks/deadletters"
)

func (a *app) deadLettersCommand() *cobra.Command {
	parent := &cobra.Command{
		Use: "dead-letters", Short: "Look at what was not counted, and replay it", GroupID: "mend", Args: cobra.ArbitraryArgs, RunE: needsCommand,
		Long: `What was not counted is in the dead-letter topic, byte for byte, with the reason:

  malformed  it can't be read, or a field is missing or out of range: the error says which
  future     its time is further ahead of its record's timestamp than time.max_ahead
  late       its pane had closed before it came

A dead letter can be there twice after a crash. These commands drop such repeats.`,
		Example: `  millrank dead-letters list --reason malformed --since 1h
  millrank dead-letters show 3/1207
  millrank dead-letters replay --reason future --dry-run`,
	}
	parent.AddCommand(a.deadLettersListCommand(), a.deadLettersShowCommand(), a.deadLettersReplayCommand())
	return parent
}

// letterFilter is which dead letters are meant.
type letterFilter struct {
	reason       string
	partition    int
	since, until string

	from, to time.Time // since and until, read
}

func (f *letterFilter) flags(c *cobra.Command) {
	c.Flags().StringVar(&f.reason, "reason", "", "only these: malformed, future or late")
	c.Flags().IntVar(&f.partition, "partition", -1, "only those of this partition of the source")
	c.Flags().StringVar(&f.since, "since", "", "only those published since: a time such as 2026-01-02T15:00 (UTC), or how long ago, such as 90m")
	c.Flags().StringVar(&f.until, "until", "", "only those published before, as in --since")
}

// check reads the flags.
func (f *letterFilter) check(now time.Time) error {
	switch f.reason {
	case "", event.Malformed.String(), event.Future.String(), event.Late.String():
	default:
		return fmt.Errorf("--reason %q is not malformed, future or late", f.reason)
	}
	for _, one := range []struct {
		name, text string
		to         *time.Time
	}{{"since", f.since, &f.from}, {"until", f.until, &f.to}} {
		if one.text == "" {
			continue
		}
		if ago, err := time.ParseDuration(one.text); err == nil {
			*one.to = now.Add(-ago)
			continue
		}
		at, err := parseTime(one.text)
		if err != nil {
			return fmt.Errorf("--%s %q is not a time such as 2026-01-02T15:00 (UTC), nor how long ago, such as 90m", one.name, one.text)
		}
		*one.to = at
	}
	return nil
}

func (f *letterFilter) takes(l *foundLetter) bool {
	return (f.reason == "" || l.Reason.String() == f.reason) && (f.partition < 0 || int(l.Partition) == f.partition) &&
		!l.published.Before(f.from) && (f.to.IsZero() || l.published.Before(f.to))
}

// foundLetter is a dead letter, and where it is.
type foundLetter struct {
	deadletters.Letter
	published time.Time
	at        string // partition/offset in the dead-letter topic
}

// letterID is what a dead letter's ID is a function of: of several with the same, the first counts.
type letterID struct {
	topic     string
	partition int32
	offset    int64
}

// lettersMax bounds how many are told apart in one run.
const lettersMax = 2_000_000

// eachLetter calls take with each dead letter that the filter takes, once, until take returns false. foreign is how many records of the topic were none.
func eachLetter(ctx context.Context, s settings.Settings, f letterFilter, take func(*foundLetter) (more bool, err error)) (foreign int, err error) {
	topic := s.DeadLettersTopic()
	partitions, err := letterRanges(ctx, s, f.from)
	if err != nil {
		return 0, err
	}
	seen := map[letterID]struct{}{}
	for _, p := range partitions {
		for r, err := range logread.Range(ctx, s.Connection(), topic, p.partition, p.from, p.to) {
			if err != nil {
				return foreign, err
			}
			l, err := letterOf(r)
			if err != nil {
				foreign++
				continue
			}
			id := letterID{l.Topic, l.Partition, l.Offset}
			if _, again := seen[id]; again || !f.takes(l) {
				continue
			}
			if len(seen) >= lettersMax {
				return foreign, fmt.Errorf("there are more than %d dead letters: narrow them down by --since, --until, --reason or --partition", lettersMax)
			}
			seen[id] = struct{}{}
			if more, err := take(l); err != nil || !more {
				return foreign, err
			}
		}
	}
	return foreign, nil
}

// letterOf reads a record of the dead-letter topic.
func letterOf(r *kgo.Record) (*foundLetter, error) {
	m := message.NewMessage("", r.Value)
	for _, h := range r.Headers {
		m.Metadata.Set(h.Key, string(h.Value))
	}
	letter, err := deadletters.Parse(m)
	if err != nil {
		return nil, fmt.Errorf("partition %d offset %d: %w", r.Partition, r.Offset, err)
	}
	return &foundLetter{letter, r.Timestamp.UTC(), fmt.Sprintf("%d/%d", r.Partition, r.Offset)}, nil
}

// letterRange is what is to be read of a partition.
type letterRange struct {
	partition int32
	from, to  int64
}

// letterRanges finds what is to be read: all, or what was published from a time on.
func letterRanges(ctx context.Context, s settings.Settings, since time.Time) ([]letterRange, error) {
	client, err := kafkaclient.New(s.Connection())
	if err != nil {
		return nil, usage(err)
	}
	defer client.Close()
	if err := kafkaclient.Reach(ctx, client, s.Connection()); err != nil {
		return nil, err
	}
	admin, topic := kadm.NewClient(client), s.DeadLettersTopic()
	ends, err := admin.ListEndOffsets(ctx, topic)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("dead-letter topic %s: %w; 'millrank topics' creates it, topics.dead_letters.name says which it is", topic, err)
	}
	var starts kadm.ListedOffsets
	if since.IsZero() {
		starts, err = admin.ListStartOffsets(ctx, topic)
	} else {
		starts, err = admin.ListOffsetsAfterMilli(ctx, since.UnixMilli(), topic)
	}
	if err == nil {
		err = starts.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("dead-letter topic %s: %w", topic, err)
	}
	var ranges []letterRange
	for _, end := range ends[topic] {
		if start, ok := starts.Lookup(topic, end.Partition); ok {
			ranges = append(ranges, letterRange{end.Partition, start.Offset, end.Offset})
		}
	}
	slices.SortFunc(ranges, func(a, b letterRange) int { return int(a.partition - b.partition) })
	return ranges, nil
}

// parseLetterAt reads <partition>/<offset>.
func parseLetterAt(text string) (partition int, offset int64, err error) {
	p, o, ok := strings.Cut(text, "/")
	number, err1 := strconv.ParseUint(p, 10, 31)
	at, err2 := strconv.ParseInt(o, 10, 64)
	if !ok || err1 != nil || err2 != nil || at < 0 {
		return 0, 0, fmt.Errorf("%q is not <partition>/<offset> of a record of the source, such as 3/1207", text)
	}
	return int(number), at, nil
}
