package demo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrank/millrank/internal/feed"
	"github.com/millrank/millrank/internal/kafkaclient"
)

// partitions of each source topic.
const partitions = 4

// send sends a stream's events, with all that makes it hard.
func (w *world) send(ctx context.Context, s *stream) (err error) {
	target, err := feed.Open(ctx, s.topic, func(o ...kgo.Opt) (*kgo.Client, error) { return kafkaclient.New(s.settings.Connection(), o...) })
	if err != nil {
		return err
	}
	defer target.Close()
	c := feed.Config{
		Sources: []feed.Source{{Name: s.data, Format: feed.NDJSON, Open: s.open}},
		Mapping: s.settings.Mapping(),
		Seed:    1, Disorder: s.settings.Time.OutOfOrderness.Std(), Duplicates: 0.02, Late: 0.01, Future: 0.002, Malformed: 0.002,
		End: true, Times: feed.TimesOf(s.settings),
	}
	if !w.options.Exit {
		c.Rate = float64(s.events) / w.options.Lasts.Seconds()
	}
	report, err := feed.Run(ctx, target, c, func(p feed.Progress) { s.sent.Store(p.Acknowledged) })
	s.report = report
	switch {
	case err != nil:
		return err
	case !report.Complete && ctx.Err() == nil:
		return errors.New("not all was sent")
	case report.EventsLate > 0:
		return fmt.Errorf("%d events were sent too late", report.EventsLate)
	}
	return ctx.Err()
}

// trouble says what was sent besides the events.
func (s *stream) trouble() string {
	r := s.report
	return fmt.Sprintf("%d sent twice, %d too late, %d from the future, %d broken; up to %v out of order", r.Duplicates, r.Late, r.Future, r.Malformed, time.Duration(r.BehindMillis)*time.Millisecond)
}
