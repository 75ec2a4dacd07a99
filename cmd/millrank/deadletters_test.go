package main

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrank/millrank/internal/kafkaclient"
	"github.com/millrank/millrank/internal/progress"
	"github.com/millrank/millrank/microbatch"
)

// reads returns so many records of a topic.
func (w *world) reads(topic string, n int) []*kgo.Record {
	w.Helper()
	client, err := kafkaclient.New(microbatch.Connection{BootstrapServers: w.kafka.Brokers()}, kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		w.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(w.Context(), 20*time.Second)
	defer cancel()
	var all []*kgo.Record
	for len(all) < n {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			w.Fatalf("%d of %d records of %s: %v", len(all), n, topic, err)
		}
		all = append(all, fetches.Records()...)
	}
	return all
}

func (w *world) letters(args ...string) []letterLine {
	w.Helper()
	var list []letterLine
	text := w.says(append([]string{"dead-letters", "list", "--json"}, args...)...)
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		w.Fatalf("%v\n%s", err, text)
	}
	return list
}

// TestDeadLetters: of each reason there is one that handlers have made; they are listed, shown, and replayed as far as that can do good.
func TestDeadLetters(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.runs()
	now := time.Now().UTC()
	old := now.Add(-time.Hour).Truncate(time.Millisecond)
	w.sends(1, old, "k", likes("1", "a", "eu", old))
	w.sends(1, old, "late", likes("2", "a", "eu", old.Add(-10*time.Minute)), kgo.RecordHeader{Key: "trace", Value: []byte("\x1b]0;boo\a")})
	w.sends(1, old, "future", likes("3", "f", "eu", old.Add(10*time.Minute)))                     // its time has come by now
	w.sends(1, old, "future", likes("4", "f", "eu", now.Add(time.Hour)))                          // its time has not
	w.sends(2, old, "bad\x1b[2J", "\x1b[31mno JSON\x00\n")                                        // never
	w.sends(3, old, "was bad", strings.Replace(likes("5", "m", "eu", old), "item_id", "item", 1)) // read once fields.item is mended
	w.stateIs(func(st progress.State) bool {
		return hasCounted(1)(st) && st.Decisions["late"] == 1 && st.Decisions["future"] == 2 && st.Decisions["malformed"] == 2
	})

	list := w.letters()
	if len(list) != 5 {
		t.Fatalf("%d dead letters: %+v", len(list), list)
	}
	late := w.letters("--reason", "late")
	if len(late) != 1 || late[0].Partition != 1 || late[0].Offset != 1 || late[0].Lateness <= 0 || *late[0].Key != "late" || late[0].EventTime != progress.Time(old.Add(-10*time.Minute).UnixMilli()) {
		t.Errorf("%+v", late)
	}
	for args, want := range map[string]int{"--partition 1": 3, "--since 1h": 5, "--until 1h": 0, "--limit 2": 2, "--since 2020-01-01 --reason malformed": 2} {
		if got := len(w.letters(strings.Fields(args)...)); got != want {
			t.Errorf("%s: %d, not %d", args, got, want)
		}
	}
	out := w.says("dead-letters", "list")
	if strings.ContainsAny(out, "\x1b\x00\a") || !strings.Contains(out, "5 of 5: 2 malformed, 2 future, 1 late") || !strings.Contains(out, "events 1/1") {
		t.Errorf("%q", out)
	}
	t.Log("\n" + out)
	for at, want := range map[string]string{"1/1": `trace = \x1b]0;boo\a`, "2/0": `\x1b[31mno JSON\x00\n`} {
		if out := w.says("dead-letters", "show", at); !strings.Contains(out, want) || strings.ContainsAny(out, "\x1b\x00\a") {
			t.Errorf("%s: no %q in\n%q", at, want, out)
		}
	}
	if out := w.says("dead-letters", "show", "2/0", "--raw"); out != "\x1b[31mno JSON\x00\n" {
		t.Errorf("raw: %q", out)
	}
	if _, errs, code := w.tries("dead-letters", "show", "1/0"); code != exitFailed || !strings.Contains(errs, "it was counted") {
		t.Errorf("show of a counted one: exit code %d, %s", code, errs)
	}
	for _, args := range []string{"list --reason nope", "list --since soon", "show 1-2", "replay --to events.dead-letters"} {
		if _, errs, code := w.tries(append([]string{"dead-letters"}, strings.Fields(args)...)...); code != exitUsage || errs == "" {
			t.Errorf("%s: exit code %d, %s", args, code, errs)
		}
	}

	// What is late is refused, with all that goes with it; a dry run says why what is held back.
	if _, errs, code := w.tries("dead-letters", "replay"); code != exitUsage || !strings.Contains(errs, "1 of these dead letters are late") || !strings.Contains(errs, "nothing was published") {
		t.Errorf("exit code %d, %s", code, errs)
	}
	out = w.says("dead-letters", "replay", "--dry-run")
	for _, want := range []string{"Records that would be published to events: 1.", "Held back: 1; their time is still too far ahead", "Held back: 2; they still can't be read", "Held back: 1; they would be late"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	t.Log("\n" + out)
	// The one whose time has come is counted, in the partition that it came from.
	w.says("dead-letters", "replay", "--reason", "future")
	w.stateIs(hasCounted(2))
	if got := lines(topOfJSON(t, w.says("top", "--json", "--window", old.Add(10*time.Minute).Format(time.RFC3339)))); got != "1 f 1" {
		t.Errorf("after its replay: %s", got)
	}
	// Forced, the late one is late again. Of its two dead letters that are one record each, both are there.
	w.says("dead-letters", "replay", "--reason", "late", "--force")
	w.stateIs(func(st progress.State) bool { return hasCounted(2)(st) && st.Decisions["late"] == 2 })
	// A mapping that was mended reads what was malformed; dry, since the engine doesn't have it.
	if out := w.says("dead-letters", "replay", "--reason", "malformed", "--dry-run", "--set", "source.fields.item=item"); !strings.Contains(out, "would be published to events: 1.") {
		t.Error(out)
	}
	// Into another topic all go as they are, with timestamps, keys and headers.
	w.says("dead-letters", "replay", "--reason", "late", "--to", "other", "--partition", "1", "--until", "0s")
	for _, r := range w.reads("other", 2) {
		if string(r.Key) != "late" || !r.Timestamp.Equal(old) || r.Headers[0].Key != "trace" || !strings.HasPrefix(string(r.Headers[len(r.Headers)-1].Value), "events/1/") {
			t.Errorf("replayed: %+v", r)
		}
	}
}

// TestDeadLetterTwice: repeats of a dead letter count once.
func TestDeadLetterTwice(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.runs()
	w.sends(0, time.Now(), "k", "no JSON")
	w.stateIs(func(st progress.State) bool { return st.Decisions["malformed"] == 1 })
	again := w.reads("events.dead-letters", 1)[0]
	if err := w.client.ProduceSync(t.Context(), &kgo.Record{Topic: again.Topic, Partition: 1 - again.Partition, Value: again.Value, Headers: again.Headers},
		&kgo.Record{Topic: again.Topic, Value: []byte("somebody's")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	out, errs, _ := w.tries("dead-letters", "list")
	if !strings.Contains(out, "1 of 1: 1 malformed") || !strings.Contains(errs, "1 records of events.dead-letters are no dead letters") {
		t.Errorf("%s%s", out, errs)
	}
	if out := w.says("dead-letters", "replay", "--force"); !strings.Contains(out, "were published to events: 1.") {
		t.Error(out)
	}
}
