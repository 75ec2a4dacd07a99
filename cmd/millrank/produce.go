package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrank/millrank/internal/feed"
	"github.com/millrank/millrank/internal/kafkaclient"
	"github.com/millrank/millrank/pipeline/settings"
)

// produceFlags are the flags of 'millrank produce'.
type produceFlags struct {
	feed.Config
	topic, format, delimiter, timestamps string
	noEnd, quiet                         bool
}

func (a *app) produceCommand() *cobra.Command {
	p := &produceFlags{}
	c := &cobra.Command{
		Use: "produce [file...]", Short: "Send events from files or a pipe to the source topic", GroupID: "start",
		Long: `Sends events to the source topic: to try things out, to replay a file, or to load history. Connection, topic and fields are those of the file of
settings. Files have one JSON object in a line, or are CSV with a header; both may be compressed by gzip. Without a file, or for -, it reads the standard input.

CSV: a row becomes a JSON object. A column's name is the field's; cells are strings, but for the field of the value (and of the time, unless that
is rfc3339), which is a number. Empty cells are left out.

Lines that are no events are sent as they are (Millrank's dead letters say what is wrong with them), counted, and warned about.

Pace: as fast as possible, or --rate events a second, or --speed times as fast as the events happened.

Time: events keep their times, unless --shift-to-now moves them so that the first one is now, with the same distances; then they are sent at the
speed at which they happened, or --speed. Kafka's own timestamps are the time of sending, or with --timestamps event those of the events; faster than life
and moved to now is always the latter, since an event may not be further ahead of its timestamp than time.max_ahead. Kafka deletes
by these timestamps: with old ones, the topic needs retention.ms=-1.

End: at the end every partition is told that time is past all windows that there are events in, so that they close. Events that are sent
to the topic later, but happened before, are then late. --no-end leaves that out: do so where more is to come.

For tests, all of it the same for the same --seed: --disorder, --duplicates, and records that must never count: --late, --future, --malformed.
As long as --disorder is at most time.out_of_orderness + time.allowed_lateness, and the input is in order, none of its events becomes late.

Ctrl-C stops cleanly, and says how to go on (--skip).`,
		Example: `  millrank produce events.ndjson.gz
  millrank produce orders.csv --delimiter ';' --key region,item
  millrank produce yesterday.ndjson --shift-to-now --speed 60
  millrank produce events.ndjson --disorder 5s --duplicates 0.02 --late 0.001 --malformed 0.001
  my-program | millrank produce --no-end`,
		RunE: func(c *cobra.Command, files []string) error {
			s, err := a.load()
			if err != nil {
				return err
			}
			return a.produce(c.Context(), s, p, files, c.Flags().Changed("timestamps"))
		},
	}
	p.flags(c)
	a.jsonFlag(c)
	return c
}

func (p *produceFlags) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&p.topic, "topic", "", "topic to send to, instead of source.topic")
	f.StringVar(&p.format, "format", "", "ndjson, csv or tsv, instead of what the files' names say")
	f.StringVar(&p.delimiter, "delimiter", ",", "what separates the cells of CSV")
	f.Int64Var(&p.Skip, "skip", 0, "leave out so many lines at the beginning (of CSV: rows)")
	f.StringSliceVar(&p.Key, "key", []string{feed.KeyItem}, "records' keys: item, region, user, event_id, several joined by commas, or none. It chooses the partition, as in all of Kafka's clients")
	f.Float64Var(&p.Rate, "rate", 0, "events a second")
	f.Float64Var(&p.Speed, "speed", 0, "how many times as fast as they happened; 0: as fast as possible")
	f.BoolVar(&p.ShiftToNow, "shift-to-now", false, "move event times so that the first is now")
	f.DurationVar(&p.Shift, "shift", 0, "move event times by so much, in whole seconds")
	f.StringVar(&p.timestamps, "timestamps", "now", "records' timestamps: now or event")
	f.DurationVar(&p.Punctuate, "punctuate", 0, "tell all partitions how far time is, so often in event time, so that those without events don't hold it back. The input must be in order to within time.out_of_orderness")
	f.BoolVar(&p.noEnd, "no-end", false, "don't close windows at the end")
	f.Uint64Var(&p.Seed, "seed", 1, "other numbers make another disorder, other duplicates and so on")
	f.DurationVar(&p.Disorder, "disorder", 0, "events come up to so much later than they happened")
	f.Float64Var(&p.Duplicates, "duplicates", 0, "share of events that are sent a second time: 0.02")
	f.Float64Var(&p.Late, "late", 0, "share of records to add that are too late")
	f.Float64Var(&p.Future, "future", 0, "share of records to add that are dated in the future")
	f.Float64Var(&p.Malformed, "malformed", 0, "share of records to add that can't be read")
	f.BoolVar(&p.quiet, "quiet", false, "show no progress")
}

// produce sends the events. The flag --timestamps was given or not.
func (a *app) produce(ctx context.Context, s settings.Settings, p *produceFlags, files []string, timestamps bool) error {
	c, err := a.produceConfig(s, p, files, timestamps)
	if err != nil {
		return usage(err)
	}
	topic := s.Source.Topic
	if p.topic != "" {
		topic = p.topic
	}
	if most := c.Times.OutOfOrderness + c.Times.AllowedLateness; c.Disorder > most {
		a.tellf("warning: --disorder %v is more than time.out_of_orderness + time.allowed_lateness (%v): some events will be late", c.Disorder, most)
	}
	target, err := feed.Open(ctx, topic, func(opts ...kgo.Opt) (*kgo.Client, error) {
		return kafkaclient.New(s.Connection(), append(opts, compression(s.Kafka.CompressionType))...)
	})
	if err != nil {
		return err
	}
	defer target.Close()
	show := a.produceProgress(p.quiet, topic)
	report, err := feed.Run(ctx, target, c, show.tell)
	show.end()
	if showErr := a.showReport(report); showErr != nil {
		return showErr
	}
	return produced(report, err, c, len(files) == 0)
}

func (a *app) produceConfig(s settings.Settings, p *produceFlags, files []string, timestamps bool) (feed.Config, error) {
	c := p.Config
	c.Mapping, c.End, c.Times = s.Mapping(), !p.noEnd, feed.TimesOf(s)
	switch p.timestamps {
	case "now":
	case "event":
		c.EventTime = true
	default:
		return c, fmt.Errorf("--timestamps: %q is not now or event", p.timestamps)
	}
	if c.ShiftToNow && c.Rate == 0 && c.Speed == 0 {
		c.Speed = 1
	}
	if c.ShiftToNow && c.Speed > 1 && !timestamps {
		c.EventTime = true
	}
	sources, err := a.produceSources(p, files)
	c.Sources = sources
	return c, errors.Join(err, c.Validate())
}

func (a *app) produceSources(p *produceFlags, files []string) ([]feed.Source, error) {
	comma, size := utf8.DecodeRuneInString(p.delimiter)
	if size != len(p.delimiter) || size == 0 || strings.ContainsRune("\"\r\n\uFFFD", comma) {
		return nil, fmt.Errorf("--delimiter: %q is not one character, such as ; (for tabs: --format tsv)", p.delimiter)
	}
	if p.format != "" && p.format != feed.NDJSON && p.format != feed.CSV && p.format != feed.TSV {
		return nil, fmt.Errorf("--format: %q is not ndjson, csv or tsv", p.format)
	}
	if len(files) == 0 {
		if f, ok := a.in.(*os.File); ok && terminal(f) {
			return nil, errors.New("no input: name a file, pipe events in, or give - to type them")
		}
		files = []string{"-"}
	}
	var sources []feed.Source
	var errs []error
	for _, file := range files {
		if file == "-" {
			format := p.format
			if format == "" {
				format = feed.NDJSON
			}
			source := feed.Reader("standard input", a.in, format)
			source.Comma = comma
			sources = append(sources, source)
			continue
		}
		source, err := feed.File(file, p.format)
		source.Comma = comma
		sources, errs = append(sources, source), append(errs, err)
	}
	return sources, errors.Join(errs...)
}

// compression returns a setting of compression_type as the client has it.
func compression(name string) kgo.Opt {
	codec := map[string]kgo.CompressionCodec{
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(), "snappy": kgo.SnappyCompression(), "gzip": kgo.GzipCompression(), "none": kgo.NoCompression(),
	}[name]
	return kgo.ProducerBatchCompression(codec, kgo.NoCompression())
}

// produced returns what the command ends with. What came from a pipe can't be skipped.
func produced(r feed.Report, err error, c feed.Config, pipe bool) error {
	goOn := fmt.Sprintf("go on with the same flags and --skip %d", r.Next)
	if c.ShiftToNow {
		stamps := "now"
		if c.EventTime {
			stamps = "event"
		}
		goOn += fmt.Sprintf(" --shift %v --speed %v --timestamps %s, without --shift-to-now", time.Duration(r.ShiftSecond)*time.Second, c.Speed, stamps)
	}
	if pipe {
		goOn = fmt.Sprintf("%d lines were sent", r.Next)
	}
	switch {
	case err != nil:
		return fmt.Errorf("%w\n%s", err, goOn)
	case !r.Complete:
		return fmt.Errorf("stopped; %s", goOn)
	case r.Failed > 0:
		return fmt.Errorf("%d records were refused", r.Failed)
	}
	return nil
}

// showReport writes the report, and warnings of what in it is likely not meant.
func (a *app) showReport(r feed.Report) error {
	if r.EndTime != nil && r.EndTime.After(time.Now()) {
		a.tellf("warning: all partitions were told that time is past %s, so that all windows close. What is sent from now on, of before that, will be late; --no-end leaves that out",
			r.EndTime.UTC().Format(time.DateTime))
	}
	for _, note := range r.Notes {
		a.tellf("warning: %s", note)
	}
	for _, example := range r.Examples {
		a.tellf("  %s", example)
	}
	if a.json {
		return json.NewEncoder(a.out).Encode(r)
	}
	t := table.NewWriter()
	t.SetOutputMirror(a.out)
	t.SetStyle(table.StyleLight)
	t.Style().Options = table.OptionsNoBordersAndSeparators
	t.SetTitle("topic %s, %d partitions", r.Topic, r.Partitions)
	t.AppendRows(reportRows(r))
	t.Render()
	return nil
}

// tellf writes a line to the standard error; where that is closed, nobody wants to know.
func (a *app) tellf(format string, args ...any) { _, _ = fmt.Fprintf(a.err, format+"\n", args...) }
