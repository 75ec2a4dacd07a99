package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/millrank/millrank/internal/feed"
)

// produceProgress shows how far 'millrank produce' is.
type produceProgress struct {
	tell func(feed.Progress)
	end  func()
}

// produceLines is how often there is a line, where there is no terminal.
const produceLines = 5 * time.Second

// produceProgress shows progress as it fits where it is shown: a bar, lines, or nothing.
func (a *app) produceProgress(quiet bool, topic string) produceProgress {
	switch {
	case quiet:
		return produceProgress{func(feed.Progress) {}, func() {}}
	case terminal(a.err):
		return progressBar(a.err, topic)
	}
	last := time.Duration(0)
	return produceProgress{func(p feed.Progress) {
		if p.Took-last >= produceLines {
			last = p.Took
			a.tellf("%s: %s", topic, progressText(p))
		}
	}, func() {}}
}

// progressText says how far it is.
func progressText(p feed.Progress) string {
	text := humanize.Comma(p.Acknowledged) + " records acknowledged"
	if seconds := p.Took.Seconds(); seconds > 0 {
		text += fmt.Sprintf(" (%s a second)", humanize.Comma(int64(float64(p.Acknowledged)/seconds)))
	}
	if p.BytesTotal > 0 {
		text += fmt.Sprintf(", %d%% of the input", 100*p.BytesRead/p.BytesTotal)
	}
	if !p.EventTime.IsZero() {
		text += ", at " + p.EventTime.Format(time.DateTime)
	}
	if p.Failed > 0 {
		text += fmt.Sprintf(", %s refused", humanize.Comma(p.Failed))
	}
	return text
}

// progressBar is a bar of the bytes that were read, or only text where nobody knows how many there are.
func progressBar(to io.Writer, topic string) produceProgress {
	var now feed.Progress // the bar's own goroutine reads it by the channel below
	latest := make(chan feed.Progress, 1)
	said := decor.Any(func(decor.Statistics) string {
		select {
		case now = <-latest:
		default:
		}
		return " " + progressText(now)
	})
	container := mpb.New(mpb.WithOutput(to), mpb.WithWidth(40), mpb.WithAutoRefresh())
	bar := container.AddBar(0, mpb.PrependDecorators(decor.Name(topic+" ")), mpb.AppendDecorators(said))
	return produceProgress{
		tell: func(p feed.Progress) {
			select {
			case <-latest:
			default:
			}
			latest <- p
			bar.SetTotal(max(p.BytesTotal, p.BytesRead+1), false)
			bar.SetCurrent(p.BytesRead)
		},
		end: func() {
			bar.SetTotal(-1, true) // it is at its end, wherever that is
			container.Wait()
		},
	}
}

// reportRows are the lines of the report, without those of nothing.
func reportRows(r feed.Report) []table.Row {
	var rows []table.Row
	count := func(name string, n int64) {
		if n != 0 {
			rows = append(rows, table.Row{name, humanize.Comma(n)})
		}
	}
	count("lines", r.Lines)
	count("empty lines", r.Blank)
	count("events", r.Events)
	count("lines that are no events", r.Unreadable)
	count("duplicates added", r.Duplicates)
	count("late ones added", r.Late)
	count("from the future added", r.Future)
	count("malformed ones added", r.Malformed)
	count("punctuations", r.Punctuations)
	rows = append(rows, table.Row{"records acknowledged", humanize.Comma(r.Acknowledged)})
	for _, failure := range slices.Sorted(maps.Keys(r.Failures)) {
		rows = append(rows, table.Row{"refused: " + failure, humanize.Comma(r.Failures[failure])})
	}
	for _, at := range []struct {
		name string
		time *time.Time
	}{{"first event", r.FirstTime}, {"last event", r.LastTime}, {"windows closed up to", r.EndTime}} {
		if at.time != nil {
			rows = append(rows, table.Row{at.name, at.time.Format("2006-01-02 15:04:05.000 UTC")})
		}
	}
	if r.BehindMillis > 0 {
		rows = append(rows, table.Row{"out of order by up to", time.Duration(r.BehindMillis) * time.Millisecond})
	}
	took := r.Took().Round(time.Millisecond).String()
	if r.TookSecs > 0 {
		took += fmt.Sprintf(", %s records a second", humanize.Comma(int64(float64(r.Acknowledged)/r.TookSecs)))
	}
	return append(rows, table.Row{"took", took})
}
