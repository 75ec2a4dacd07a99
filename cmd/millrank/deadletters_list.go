package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"

	"github.com/millrank/millrank/internal/progress"
)

// letterLine is a dead letter, as JSON has it.
type letterLine struct {
	Published time.Time      `json:"published"` // when it became a dead letter
	At        string         `json:"dead_letter"`
	Reason    string         `json:"reason"`
	Error     string         `json:"error,omitempty"`
	Topic     string         `json:"topic"`
	Partition int32          `json:"partition"`
	Offset    int64          `json:"offset"`
	Timestamp progress.Time  `json:"timestamp"` // the record's; null if it has none
	EventTime progress.Time  `json:"event_time"`
	Watermark progress.Time  `json:"watermark"`
	Lateness  int64          `json:"lateness_ms,omitempty"`
	Key       *string        `json:"key"` // bytes that are not UTF-8 become U+FFFD; null if it has none
	Headers   []letterHeader `json:"headers,omitempty"`
	Cut       string         `json:"cut,omitempty"`          // what of key, headers and value isn't whole, since the record was too large
	Value     *string        `json:"value,omitempty"`        // where it is UTF-8
	Bytes     []byte         `json:"value_base64,omitempty"` // where it isn't
}

type letterHeader struct {
	Key   string  `json:"key"`
	Value *string `json:"value"` // null is null
}

func lineOf(l *foundLetter, whole bool) letterLine {
	line := letterLine{
		Published: l.published, At: l.at, Reason: l.Reason.String(), Error: l.Error, Topic: l.Topic, Partition: l.Partition, Offset: l.Offset,
		Timestamp: progress.Time(l.Timestamp), EventTime: progress.Time(l.EventTime), Watermark: progress.Time(l.Watermark), Lateness: l.Lateness,
	}
	if l.Timestamp < 0 {
		line.Timestamp = progress.NoTime
	}
	line.Key, line.Cut = textOf(l.Key), l.Cut
	if !whole {
		return line
	}
	for _, h := range l.Headers {
		line.Headers = append(line.Headers, letterHeader{h.Key, textOf(h.Value)})
	}
	if utf8.Valid(l.Value) {
		line.Value = textOf(l.Value)
	} else {
		line.Bytes = l.Value
	}
	return line
}

func textOf(b []byte) *string {
	if b == nil {
		return nil
	}
	s := string(b)
	return &s
}

func (a *app) deadLettersListCommand() *cobra.Command {
	var f letterFilter
	limit := 50
	c := &cobra.Command{
		Use: "list", Short: "List dead letters, the newest last", Args: noArgs,
		Long: `Lists dead letters: when each was published, why, where its record was, its time and how late it was, and what is wrong with it. Only the newest are shown, as
many as --limit says; how many there are is said, too. The topic is read through, so that --since makes it quick.`,
		Example: `  millrank dead-letters list
  millrank dead-letters list --reason late --since 24h --limit 1000 --json`,
		RunE: func(c *cobra.Command, _ []string) error {
			if limit < 1 {
				return usage(fmt.Errorf("--limit %d: give 1 or more", limit))
			}
			if err := f.check(time.Now()); err != nil {
				return usage(err)
			}
			return a.deadLettersList(c.Context(), f, limit)
		},
	}
	f.flags(c)
	c.Flags().IntVar(&limit, "limit", limit, "show so many, the newest")
	a.jsonFlag(c)
	return c
}

func (a *app) deadLettersList(ctx context.Context, f letterFilter, limit int) error {
	s, err := a.load()
	if err != nil {
		return err
	}
	var lines []letterLine
	counts := map[string]int{}
	total := 0
	newestLast := func() {
		slices.SortStableFunc(lines, func(a, b letterLine) int { return a.Published.Compare(b.Published) })
		lines = lines[max(0, len(lines)-limit):]
	}
	foreign, err := eachLetter(ctx, s, f, func(l *foundLetter) (bool, error) {
		total++
		counts[l.Reason.String()]++
		if lines = append(lines, lineOf(l, false)); len(lines) >= 2*limit+1000 {
			newestLast()
		}
		return true, nil
	})
	if err != nil {
		return err
	}
	newestLast()
	if foreign > 0 {
		fmt.Fprintf(a.err, "%d records of %s are no dead letters of Millrank's: they are left out.\n", foreign, s.DeadLettersTopic())
	}
	if a.json {
		if lines == nil {
			lines = []letterLine{}
		}
		return json.NewEncoder(a.out).Encode(lines)
	}
	if total == 0 {
		_, err := fmt.Fprintf(a.out, "There are no such dead letters in %s.\n", s.DeadLettersTopic())
		return err
	}
	t := a.table("published", "reason", "record", "event time", "late by", "key", "error")
	for _, l := range lines {
		late := ""
		if l.Lateness > 0 {
			late = (time.Duration(l.Lateness) * time.Millisecond).String()
		}
		key := ""
		if l.Key != nil {
			key = text.Trim(printable(*l.Key), 24)
		}
		t.AppendRow(table.Row{
			l.Published.Format("2006-01-02 15:04:05"), l.Reason, fmt.Sprintf("%s %d/%d", printable(l.Topic), l.Partition, l.Offset),
			shortTime(l.EventTime), late, key, text.Trim(printable(l.Error), 80),
		})
	}
	t.Render()
	words := []string{}
	for _, reason := range []string{"malformed", "future", "late"} {
		if counts[reason] > 0 {
			words = append(words, fmt.Sprintf("%d %s", counts[reason], reason))
		}
	}
	_, err = fmt.Fprintf(a.out, "\n%d of %d: %s. 'millrank dead-letters show PARTITION/OFFSET' shows one.\n", len(lines), total, strings.Join(words, ", "))
	return err
}

func (a *app) deadLettersShowCommand() *cobra.Command {
	var raw bool
	c := &cobra.Command{
		Use: "show PARTITION/OFFSET", Short: "Show the dead letter of one record of the source", Args: exactArgs(1),
		Long: `Shows the dead letter of a record of the source, whose partition and offset 'millrank dead-letters list' says: why it is one, its headers and its payload. What doesn't
print is escaped. --raw writes the payload as it is, byte for byte, for a file or a pipe.`,
		Example: `  millrank dead-letters show 3/1207
  millrank dead-letters show 3/1207 --raw | jq .`,
		RunE: func(c *cobra.Command, args []string) error {
			partition, offset, err := parseLetterAt(args[0])
			if err != nil {
				return usage(err)
			}
			if raw && terminal(a.out) {
				return usage(errors.New("--raw writes bytes that a terminal may take for commands: send it to a file or a pipe"))
			}
			s, err := a.load()
			if err != nil {
				return err
			}
			var found *foundLetter
			_, err = eachLetter(c.Context(), s, letterFilter{partition: partition}, func(l *foundLetter) (bool, error) {
				if l.Offset == offset && l.Topic == s.Source.Topic {
					found = l
				}
				return found == nil, nil
			})
			switch {
			case err != nil:
				return err
			case found == nil:
				return fmt.Errorf("%s holds no dead letter of %s partition %d offset %d: it was counted, was dropped as a duplicate, or retention has deleted it", s.DeadLettersTopic(), s.Source.Topic, partition, offset)
			case raw:
				_, err = a.out.Write(found.Value)
				return err
			case a.json:
				return json.NewEncoder(a.out).Encode(lineOf(found, true))
			}
			return a.letterText(found)
		},
	}
	c.Flags().BoolVar(&raw, "raw", false, "write only the payload, byte for byte")
	a.jsonFlag(c)
	return c
}

// payloadShown is how many bytes of a payload are shown.
const payloadShown = 64 << 10

func (a *app) letterText(l *foundLetter) error {
	var b strings.Builder
	line := func(name, value string) { fmt.Fprintf(&b, "%-11s %s\n", name, value) }
	line("reason", l.Reason.String())
	if l.Error != "" {
		line("error", printable(l.Error))
	}
	line("record", fmt.Sprintf("%s partition %d offset %d", printable(l.Topic), l.Partition, l.Offset))
	if l.Timestamp >= 0 {
		line("timestamp", shortTime(progress.Time(l.Timestamp)))
	}
	line("event time", shortTime(progress.Time(l.EventTime)))
	line("watermark", shortTime(progress.Time(l.Watermark)))
	if l.Lateness > 0 {
		line("late by", (time.Duration(l.Lateness) * time.Millisecond).String())
	}
	line("published", l.published.Format("2006-01-02 15:04:05.000")+", dead letter "+l.at)
	if l.Cut != "" {
		line("not whole", l.Cut+": the record was too large for the dead-letter topic")
	}
	line("key", shownBytes(l.Key))
	for _, h := range l.Headers {
		line("header", printable(h.Key)+" = "+shownBytes(h.Value))
	}
	fmt.Fprintf(&b, "payload     %d bytes\n%s\n", len(l.Value), shownBytes(l.Value))
	_, err := fmt.Fprint(a.out, b.String())
	return err
}

func shownBytes(b []byte) string {
	switch {
	case b == nil:
		return "null"
	case len(b) > payloadShown:
		return printable(string(b[:payloadShown])) + fmt.Sprintf("... and %d bytes more: see --raw", len(b)-payloadShown)
	}
	return printable(string(b))
}
