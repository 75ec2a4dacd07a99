package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/millrank/millrank/internal/embedded"
	"github.com/millrank/millrank/internal/feed"
	"github.com/millrank/millrank/pipeline/settings"
)

const fewEvents = `{"event_id":"1","item_id":"x","region":"r","timestamp":"2026-03-01T12:00:00Z"}
{"event_id":"2","item_id":"y","region":"r","timestamp":"2026-03-01T12:00:01Z"}
`

// produceTo runs 'millrank produce' with these arguments on an embedded broker, as the command does once the settings are loaded.
func produceTo(t *testing.T, in string, args ...string) (out, errs string, err error) {
	t.Helper()
	kafka, err := embedded.StartKafka(embedded.KafkaOptions{Topics: map[string]int32{"clicks": 3}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(kafka.Close)
	s := settings.Default()
	s.Kafka.BootstrapServers, s.Source.Topic = kafka.Brokers(), "clicks"
	board := settings.DefaultBoard()
	board.Window = settings.Duration(time.Hour)
	s.Boards = []settings.Board{board}
	var stdout, stderr bytes.Buffer
	a := &app{in: strings.NewReader(in), out: &stdout, err: &stderr}
	c := a.produceCommand()
	p := &produceFlags{}
	c.ResetFlags()
	p.flags(c)
	a.jsonFlag(c)
	if err := c.ParseFlags(args); err != nil {
		t.Fatal(err)
	}
	err = a.produce(t.Context(), s, p, c.Flags().Args(), c.Flags().Changed("timestamps"))
	return stdout.String(), stderr.String(), err
}

// TestProduce: events from a pipe and from files arrive, and the table says so.
func TestProduce(t *testing.T) {
	t.Parallel()
	out, errs, err := produceTo(t, fewEvents)
	if err != nil || errs != "" || !strings.Contains(out, "topic clicks") || !strings.Contains(out, "2026-03-01 13:00:36.000 UTC") {
		t.Errorf("%v\n%s%s", err, out, errs)
	}
	path := filepath.Join(t.TempDir(), "events.csv")
	if err := os.WriteFile(path, []byte("event_id;item_id;region;timestamp\n1;x;r;2026-03-01T12:00:00Z\nno\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, errs, err = produceTo(t, fewEvents, path, "-", "--delimiter", ";", "--no-end", "--json", "--key", "region,item")
	var report feed.Report
	if err != nil || json.Unmarshal([]byte(out), &report) != nil || report.Events != 3 || report.Unreadable != 1 || report.Acknowledged != 4 {
		t.Errorf("%v\n%s%s", err, out, errs)
	}
	if !strings.Contains(errs, "warning: 1 lines") || !strings.Contains(errs, "events.csv, line 2") {
		t.Errorf("errors:\n%s", errs)
	}
}

// TestProduceShifted: what moves to now is sent as it happened, or with its own timestamps.
func TestProduceShifted(t *testing.T) {
	t.Parallel()
	tenSecondsApart := strings.ReplaceAll(fewEvents, "12:00:01Z", "12:00:10Z")
	for _, c := range []struct {
		in          string
		args        []string
		least, most time.Duration
	}{
		{fewEvents, []string{"--shift-to-now"}, 900 * time.Millisecond, time.Minute},
		{tenSecondsApart, []string{"--shift-to-now", "--speed", "100"}, 0, 9 * time.Second},
	} {
		began := time.Now()
		out, errs, err := produceTo(t, c.in, append(c.args, "--json", "--quiet")...)
		took := time.Since(began)
		var report feed.Report
		if err != nil || json.Unmarshal([]byte(out), &report) != nil || report.EventsAhead != 0 || report.FirstTime.Before(began.Add(-2*time.Second)) {
			t.Errorf("%v: %v\n%s%s", c.args, err, out, errs)
		}
		if took < c.least || took > c.most {
			t.Errorf("%v: took %v", c.args, took)
		}
	}
}

// TestProduceWrong: what can't be is refused by the flag's name, before anything is sent.
func TestProduceWrong(t *testing.T) {
	t.Parallel()
	for want, args := range map[string][]string{
		"--timestamps":        {"--timestamps", "then"},
		"--delimiter":         {"--delimiter", ";;"},
		"--format":            {"--format", "xml"},
		"--key":               {"--key", "shop"},
		"no such file":        {"/nowhere/events.ndjson"},
		"is a folder":         {t.TempDir()},
		"--rate and --speed":  {"--rate", "1", "--speed", "1"},
		"topic nothing":       {"--topic", "nothing"},
		"--late: 3 is no":     {"--late", "3"},
		"--shift and --shift": {"--shift", "1h", "--shift-to-now"},
	} {
		_, _, err := produceTo(t, fewEvents, args...)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: error %v, want %s", args, err, want)
		}
	}
}

// TestProduced: the command ends with how to go on.
func TestProduced(t *testing.T) {
	t.Parallel()
	stopped := produced(feed.Report{Next: 7, ShiftSecond: 90}, nil, feed.Config{ShiftToNow: true, Speed: 60, EventTime: true}, false)
	if stopped == nil || !strings.Contains(stopped.Error(), "--skip 7 --shift 1m30s --speed 60 --timestamps event") {
		t.Errorf("error %v", stopped)
	}
	if err := produced(feed.Report{Next: 7}, context.DeadlineExceeded, feed.Config{}, true); err == nil || !strings.Contains(err.Error(), "7 lines were sent") {
		t.Errorf("error %v", err)
	}
	if err := produced(feed.Report{Complete: true, Failed: 2}, nil, feed.Config{}, false); err == nil {
		t.Error("refused records: no error")
	}
	if err := produced(feed.Report{Complete: true}, nil, feed.Config{}, false); err != nil {
		t.Error(err)
	}
}

// TestProgressText: progress says what is known.
func TestProgressText(t *testing.T) {
	t.Parallel()
	p := feed.Progress{Acknowledged: 120_000, Failed: 3, BytesRead: 1, BytesTotal: 4, EventTime: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), Took: 2 * time.Second}
	const want = "120,000 records acknowledged (60,000 a second), 25% of the input, at 2026-03-01 12:00:00, 3 refused"
	if got := progressText(p); got != want {
		t.Errorf("got %s", got)
	}
}

// TestProgressBar: a bar is drawn, and ended wherever it is.
func TestProgressBar(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	bar := progressBar(&out, "clicks")
	bar.tell(feed.Progress{Acknowledged: 5, BytesRead: 10, BytesTotal: 100})
	bar.tell(feed.Progress{Acknowledged: 50, BytesRead: 60, BytesTotal: 100})
	bar.end()
	if !strings.Contains(out.String(), "clicks") || !strings.Contains(out.String(), "50 records acknowledged") {
		t.Errorf("drawn:\n%s", out.String())
	}
}
