package e2e_test

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/operators"
	"github.com/millrank/millrank/sim"
)

// TestInputsDecided: the decoder and the fold make of each input what the corpus says, and so does the oracle, which reads by encoding/json.
func TestInputsDecided(t *testing.T) {
	records := seen(inputRecords(t, time.Now().Truncate(30*time.Second)))
	decoder, err := event.NewJSON(event.DefaultMapping())
	if err != nil {
		t.Fatal(err)
	}
	log := make([]sim.Record, len(records))
	for i := range records {
		records[i].Offset = int64(i)
		log[i] = records[i].Record
	}
	fold := operators.NewPartition(inputSettings(), 4, operators.CheckpointAt(0))
	for i, said := range sim.Decide(inputSettings(), log) {
		r := &records[i]
		want, conflict, name := event.Counted, false, r.EventID
		if r.in != nil {
			want, conflict, name = r.in.decision(t), r.in.Conflict, r.in.Name
		}
		if said.Decision != want || said.Conflict != conflict {
			t.Errorf("%s: the oracle says %v (conflict: %t), the corpus %v (%t)", name, said.Decision, said.Conflict, want, conflict)
		}
		step := operators.Record{Offset: r.Offset, Time: r.Time, Kind: operators.Kind(r.Kind), Advance: r.At}
		if r.Kind != sim.Punctuation && !(r.in != nil && r.in.Headers["advance-watermark"] != "") { // those are read by the handler
			step.Kind = operators.KindEvent
			if err := decoder.Decode(r.value, &step.Event); err != nil {
				step.Kind = operators.KindMalformed
				r.checkReason(t, err)
			} else if r.in != nil && r.in.Reason != "" {
				t.Errorf("%s: it is decoded; want reason %s", name, r.in.Reason)
			}
		}
		if out := fold.Step(&step); out.Decision != want || out.Conflict != conflict {
			t.Errorf("%s: %v (conflict: %t), want %v (%t)", name, out.Decision, out.Conflict, want, conflict)
		}
	}
}

// seen leaves the records of aborted transactions out.
func seen(records []inputRecord) []inputRecord {
	var list []inputRecord
	for _, r := range records {
		if r.in == nil || r.in.Want != unseen {
			list = append(list, r)
		}
	}
	return list
}

func (r *inputRecord) checkReason(t *testing.T, err error) {
	t.Helper()
	bad, ok := errors.AsType[*event.MalformedError](err)
	switch {
	case r.in == nil || !ok:
		t.Errorf("%s: %v", r.EventID, err)
	case bad.Reason != r.in.Reason || !strings.Contains(bad.Error(), r.in.Says):
		t.Errorf("%s: %s, %q; want %s, and %q in it", r.in.Name, bad.Reason, bad, r.in.Reason, r.in.Says)
	}
}

// go test ./test/e2e -run TestInputsDocumented -rewrite writes the table into docs/reliability.md.
var rewrite = flag.Bool("rewrite", false, "write the table of inputs into docs/reliability.md, instead of comparing")

// TestInputsDocumented: the table in docs/reliability.md is the corpus.
func TestInputsDocumented(t *testing.T) {
	const file, begin, end = "../../docs/reliability.md", "<!-- inputs: go test ./test/e2e -run TestInputsDocumented -rewrite -->\n", "<!-- end of inputs -->\n"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(text), begin)
	got, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		t.Fatalf("%s lacks the lines %s and %s", file, begin, end)
	}
	want := inputsTable(readInputs(t))
	if got == want {
		return
	}
	if !*rewrite {
		t.Fatalf("%s is out of date: go test ./test/e2e -run TestInputsDocumented -rewrite; want\n%s", file, want)
	}
	if err := os.WriteFile(file, []byte(before+begin+want+end+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

// inputsTable lists the inputs by what becomes of them.
func inputsTable(inputs []input) string {
	names := map[string][]string{}
	for _, in := range inputs {
		outcome := in.Want
		switch {
		case in.Reason != "":
			outcome += ": `" + string(in.Reason) + "`"
		case in.Want == event.Malformed.String():
			outcome += ", by the fold" // not by the decoder
		case in.Conflict:
			outcome += ", and a conflict"
		}
		names[outcome] = append(names[outcome], in.Name)
	}
	var b strings.Builder
	b.WriteString("| outcome | inputs |\n|---|---|\n")
	for _, outcome := range slices.Sorted(maps.Keys(names)) {
		fmt.Fprintf(&b, "| %s | %s |\n", outcome, strings.Join(names[outcome], "; "))
	}
	return b.String()
}
