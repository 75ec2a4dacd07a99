package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/handlers"
	"github.com/millrank/millrank/internal/kafkaclient"
	"github.com/millrank/millrank/internal/progress"
	"github.com/millrank/millrank/microbatch"
	"github.com/millrank/millrank/pipeline/settings"
)

// headerReplayOf says, in a replayed record, which record it is a copy of: topic/partition/offset.
const headerReplayOf = "millrank.replay-of"

// replayOptions are what 'millrank dead-letters replay' is asked.
type replayOptions struct {
	letterFilter
	to            string
	dryRun, force bool
}

func (a *app) deadLettersReplayCommand() *cobra.Command {
	var o replayOptions
	c := &cobra.Command{
		Use: "replay", Short: "Publish dead letters' records again", Args: noArgs,
		Long: `Publishes the records of dead letters again, as new records: key, value and headers as they were, and one header more, millrank.replay-of, which says
topic/partition/offset of the original. Back into the source they go to the partition that they came from, since an event ID is only known as a repeat there.

What can be mended by that, into the same stream:

  future     Once their time has come. Their records get the timestamp of now, since the old one would be too early again. Those whose time has still
             not come are held back.
  malformed  When the mapping of fields has been mended, which takes a new generation anyway. A new generation that reads the source from its start reads the
             originals, too: then don't replay them, or each can count twice. Do it where the originals are gone by retention, or where the producer sent
             something that now reads well. Their records keep their timestamps. Those that still can't be read, or that would be late by now, are held back.
  late       Nothing: time doesn't go back, so they are late again, and become dead letters again. It refuses that; --force does it all the same. To count
             them, replay them into another topic (--to), and count that as a stream of its own; or start a new generation with a larger time.allowed_lateness.

Of letters that are there twice, one is replayed. Replaying them a second time adds a second copy of each, which counts as a duplicate within dedup.horizon, and
once more after that: note what was replayed, and use --since.

With --to, all that the filters take are published as they are, with their timestamps: to the same partition if the other topic has as many, else by key.

--dry-run says what would be done, and why some are held back.`,
		Example: `  millrank dead-letters replay --reason future --dry-run
  millrank dead-letters replay --reason malformed --since 2026-01-02T15:00
  millrank dead-letters replay --reason late --to events.late`,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := o.check(time.Now()); err != nil {
				return usage(err)
			}
			return a.deadLettersReplay(c.Context(), o)
		},
	}
	o.flags(c)
	f := c.Flags()
	f.StringVar(&o.to, "to", "", "another topic than the source's")
	f.BoolVar(&o.dryRun, "dry-run", false, "only say what would be done")
	f.BoolVar(&o.force, "force", false, "hold nothing back: also those that can't be counted")
	a.jsonFlag(c)
	return c
}

// replayed is what a replay has done.
type replayed struct {
	To        string         `json:"to"`
	DryRun    bool           `json:"dry_run"`
	Published int            `json:"published"` // or, of a dry run, to be published
	Held      map[string]int `json:"held_back"` // by why
}

func (a *app) deadLettersReplay(ctx context.Context, o replayOptions) error {
	s, err := a.load()
	if err != nil {
		return err
	}
	j, err := newReplayJudge(ctx, a, s, o)
	if err != nil {
		return err
	}
	done := replayed{To: j.to, DryRun: o.dryRun, Held: map[string]int{}}
	// First a look at all, so that what is refused is refused as a whole.
	late := 0
	_, err = eachLetter(ctx, s, o.letterFilter, func(l *foundLetter) (bool, error) {
		if l.Reason == event.Late && l.Topic == s.Source.Topic {
			late++
		}
		if why := j.holds(l); why != "" {
			done.Held[why]++
		} else {
			done.Published++
		}
		return true, nil
	})
	switch {
	case err != nil:
		return err
	case late > 0 && j.back && !o.force && !o.dryRun:
		return usage(fmt.Errorf("%d of these dead letters are late, and would be late again in %s: nothing was published. Leave them out (--reason malformed, --reason future), "+
			"replay them into another topic (--to), or give --force. See 'millrank dead-letters replay --help'", late, j.to))
	}
	if !o.dryRun && done.Published > 0 {
		if done.Published, err = j.publish(ctx, o); err != nil {
			return fmt.Errorf("%w; %d records were published before that", err, done.Published)
		}
	}
	if a.json {
		return json.NewEncoder(a.out).Encode(done)
	}
	verb := "were published"
	if o.dryRun {
		verb = "would be published"
	}
	fmt.Fprintf(a.out, "Records that %s to %s: %d.\n", verb, j.to, done.Published)
	for _, why := range slices.Sorted(maps.Keys(done.Held)) {
		fmt.Fprintf(a.out, "Held back: %d; %s.\n", done.Held[why], why)
	}
	return nil
}

// replayJudge knows what would become of a record that is replayed.
type replayJudge struct {
	settings   settings.Settings
	to         string
	back       bool // into the source
	force      bool
	sameNumber bool // the topic has as many partitions as the source
	decoder    event.Decoder
	now        time.Time
	watermarks map[int]progress.Time
}

func newReplayJudge(ctx context.Context, a *app, s settings.Settings, o replayOptions) (*replayJudge, error) {
	j := &replayJudge{settings: s, to: o.to, force: o.force, now: time.Now(), watermarks: map[int]progress.Time{}}
	if j.to == "" {
		j.to = s.Source.Topic
	}
	j.back = j.to == s.Source.Topic
	if j.to == s.DeadLettersTopic() {
		return nil, usage(errors.New("--to names the dead-letter topic itself: give another one"))
	}
	codec, err := handlers.JSON(s.Mapping())
	if err != nil {
		return nil, usage(err)
	}
	j.decoder = codec.New()
	to, err := microbatch.Describe(ctx, s.Connection(), j.to)
	if err != nil {
		return nil, fmt.Errorf("--to %s: %w; create it first", j.to, err)
	}
	source, err := microbatch.Describe(ctx, s.Connection(), s.Source.Topic)
	if err != nil {
		return nil, fmt.Errorf("source.topic %s: %w", s.Source.Topic, err)
	}
	j.sameNumber = to.Partitions == source.Partitions
	if !j.back {
		return j, nil
	}
	reader, err := progress.NewReader(s)
	if err != nil {
		return nil, usage(err)
	}
	defer reader.Close()
	st, err := reader.Read(ctx)
	if err != nil {
		fmt.Fprintln(a.err, "warning: it isn't known where time is, so lateness is judged by what the dead letters say:", err)
		return j, nil
	}
	for _, one := range st.Sources {
		j.watermarks[one.Partition] = one.Watermark
	}
	return j, nil
}

// holds says why a record is held back, if it is.
func (j *replayJudge) holds(l *foundLetter) string {
	switch {
	case l.Topic != j.settings.Source.Topic:
		return "of another topic than source.topic"
	case l.Generation != 0 && l.Generation != j.settings.Generation:
		return fmt.Sprintf("of another generation than %d; choose one with --set generation=%d", j.settings.Generation, l.Generation)
	case l.Cut != "":
		return "the dead letter isn't whole, since the record was too large for its topic; take the record from where it was"
	case !j.back || j.force:
		return ""
	}
	var e event.Event
	e.Time = event.NoTime
	if err := j.decoder.Decode(l.Value, &e); err != nil {
		return "they still can't be read; mend source.fields, or see 'millrank dead-letters list --reason malformed'"
	}
	t := j.settings.Time
	if e.Time > j.stamp(l).Add(t.MaxAhead.Std()).UnixMilli() {
		return "their time is still too far ahead; try again when it has come"
	}
	w := max(progress.Time(l.Watermark), j.watermark(l.Partition))
	pane := t.Pane.Std().Milliseconds()
	start := e.Time / pane * pane
	if start > e.Time {
		start -= pane
	}
	if end := start + pane + t.AllowedLateness.Std().Milliseconds(); w != progress.NoTime && progress.Time(end) <= w {
		return "they would be late; see 'millrank dead-letters replay --help' for what can be done"
	}
	return ""
}

func (j *replayJudge) watermark(partition int32) progress.Time {
	if w, ok := j.watermarks[int(partition)]; ok {
		return w
	}
	return progress.NoTime
}

// stamp is the timestamp that a replayed record gets: its own, but for one that was too early for its event.
func (j *replayJudge) stamp(l *foundLetter) time.Time {
	if j.back && l.Reason == event.Future || l.Timestamp < 0 {
		return j.now
	}
	return time.UnixMilli(l.Timestamp)
}

// replayBatch is how many records are on their way together.
const replayBatch = 1000

// publish replays, and returns how many records are safe.
func (j *replayJudge) publish(ctx context.Context, o replayOptions) (published int, err error) {
	partitioner := kgo.StickyKeyPartitioner(nil)
	if j.back || j.sameNumber {
		partitioner = kgo.ManualPartitioner()
	}
	client, err := kafkaclient.New(j.settings.Connection(), kgo.RecordPartitioner(partitioner), kgo.DefaultProduceTopic(j.to),
		kgo.ProducerBatchMaxBytes(int32(max(1<<20, j.settings.Topics.DeadLetters.MaxMessageBytes))))
	if err != nil {
		return 0, usage(err)
	}
	defer client.Close()
	var batch []*kgo.Record
	flush := func() error {
		// kgo's own timeout of a record counts from its timestamp, which can be long ago.
		once, cancel := context.WithTimeout(ctx, j.settings.Kafka.DeliveryTimeout.Std())
		defer cancel()
		if err := client.ProduceSync(once, batch...).FirstErr(); err != nil {
			return fmt.Errorf("publishing to %s: %w", j.to, err)
		}
		published += len(batch)
		batch = batch[:0]
		return nil
	}
	_, err = eachLetter(ctx, j.settings, o.letterFilter, func(l *foundLetter) (bool, error) {
		if j.holds(l) != "" {
			return true, nil
		}
		if batch = append(batch, j.record(l)); len(batch) < replayBatch {
			return true, nil
		}
		return true, flush()
	})
	if err == nil && len(batch) > 0 {
		err = flush()
	}
	return published, err
}

func (j *replayJudge) record(l *foundLetter) *kgo.Record {
	r := &kgo.Record{Key: l.Key, Value: l.Value, Partition: l.Partition, Timestamp: j.stamp(l)}
	for _, h := range l.Headers {
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: h.Key, Value: h.Value})
	}
	r.Headers = append(r.Headers, kgo.RecordHeader{Key: headerReplayOf, Value: fmt.Appendf(nil, "%s/%d/%d", l.Topic, l.Partition, l.Offset)})
	return r
}
