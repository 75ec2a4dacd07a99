package e2e_test

import (
	"bytes"
	"cmp"
	"compress/gzip"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"testing"
	"text/template"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/operators"
	"github.com/millrank/millrank/sim"
)

//go:embed testdata/inputs.yaml
var corpus []byte

// input is one entry of testdata/inputs.yaml, which says what its fields are.
type input struct {
	Name        string            `yaml:"name"`
	Why         string            `yaml:"why"`
	Fields      map[string]string `yaml:"fields"`
	Value       *string           `yaml:"value"`
	Tombstone   bool              `yaml:"tombstone"`
	Key         string            `yaml:"key"`
	Headers     map[string]string `yaml:"headers"`
	At          time.Duration     `yaml:"at"`
	Time        string            `yaml:"time"`
	Compressed  bool              `yaml:"compressed"`
	Transaction string            `yaml:"transaction"`
	Times       int               `yaml:"times"`
	Want        string            `yaml:"want"`
	Reason      event.Reason      `yaml:"reason"`
	Says        string            `yaml:"says"`
	Conflict    bool              `yaml:"conflict"`
}

// readInputs reads the corpus.
func readInputs(t *testing.T) []input {
	t.Helper()
	var list []input
	if err := yaml.NewDecoder(bytes.NewReader(corpus), yaml.Strict()).Decode(&list); err != nil {
		t.Fatalf("testdata/inputs.yaml: %v", err)
	}
	names := map[string]bool{}
	for _, in := range list {
		if in.Name == "" || names[in.Name] {
			t.Fatalf("testdata/inputs.yaml: the name %q is empty, or there twice", in.Name)
		}
		names[in.Name] = true
		if in.Want != unseen {
			in.decision(t)
		}
	}
	return list
}

// unseen is what becomes of records of aborted transactions.
const unseen = "unseen"

func (in *input) decision(t *testing.T) event.Decision {
	t.Helper()
	for d := event.Malformed; int(d) < event.Decisions; d++ {
		if d.String() == in.Want {
			return d
		}
	}
	t.Fatalf("testdata/inputs.yaml: %s: want %q is no decision", in.Name, in.Want)
	return 0
}

// inputRecord is a record that an input, or a good event after it, is made into.
type inputRecord struct {
	sim.Record         // as a reader of RFC 8259 understands it: the offset is still due
	in         *input  // nil: a good event
	value, key []byte  // nil: null
	headers    []field // in order
}

type field struct{ name, value string }

// inputSettings are those that the corpus is written for. They are live ones, with panes of 5 s.
func inputSettings() operators.Settings {
	s := operators.DefaultSettings()
	s.Pane, s.OutOfOrderness, s.AllowedLateness, s.MaxAhead, s.DedupSegment = 5*time.Second, time.Second, 2500*time.Millisecond, 5*time.Second, 15*time.Second
	s.DedupRecords = 100_000
	return s
}

// inputRecords makes the records of the corpus, in order, a good event after each input.
func inputRecords(t *testing.T, start time.Time) []inputRecord {
	t.Helper()
	inputs := readInputs(t)
	var records []inputRecord
	newest := start // a good event is never late
	for i := range inputs {
		in := &inputs[i]
		for n := range max(1, in.Times) {
			r := in.record(t, start, n)
			records = append(records, r)
			if in.Want == event.Counted.String() {
				newest = maxTime(newest, time.UnixMilli(r.At))
			}
		}
		good := inputRecord{Record: sim.Record{
			EventID: "good after " + in.Name, Item: "good", Dims: []string{"eu"}, Value: 1, At: newest.UnixMilli(), Time: newest.UnixMilli(),
		}}
		good.value = good.JSON()
		records = append(records, good)
	}
	return records
}

func maxTime(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// record makes the n-th record of an input.
func (in *input) record(t *testing.T, start time.Time, n int) inputRecord {
	t.Helper()
	at := start.Add(in.At)
	id := in.Name
	if in.Times > 1 {
		id += " " + strconv.Itoa(n)
	}
	funcs := template.FuncMap{
		"repeat": strings.Repeat,
		"hex": func(digits string) (string, error) {
			b, err := hex.DecodeString(digits)
			return string(b), err
		},
		"gzip": packed,
		"unix": func(unit string) int64 {
			return map[string]int64{"s": at.Unix(), "ms": at.UnixMilli(), "ns": at.UnixNano()}[unit]
		},
		"zone": func(offset string) (string, error) {
			zone, err := time.Parse("-07:00", offset)
			return at.In(zone.Location()).Format(time.RFC3339Nano), err
		},
	}
	expand := func(text string) string {
		made, err := template.New(in.Name).Funcs(funcs).Parse(text)
		var b strings.Builder
		if err == nil {
			err = made.Execute(&b, nil)
		}
		if err != nil {
			t.Fatalf("testdata/inputs.yaml: %v", err)
		}
		return b.String()
	}
	good := in.event(id, at, expand)
	funcs["event"] = func() string { return good }

	r := inputRecord{in: in, value: []byte(good)}
	if in.Value != nil {
		r.value = []byte(expand(*in.Value))
	}
	if in.Tombstone {
		r.value = nil
	}
	if in.Key != "" {
		r.key = []byte(expand(in.Key))
	}
	for _, name := range slices.Sorted(maps.Keys(in.Headers)) {
		r.headers = append(r.headers, field{name, expand(in.Headers[name])})
	}
	r.Record = in.understood(t, &r)
	r.Time = in.timestamp(t, start)
	return r
}

// event returns the good event, with the input's fields.
func (in *input) event(id string, at time.Time, expand func(string) string) string {
	fields := map[string]string{
		"event_id": strconv.Quote(id), "item_id": `"tea"`, "region": `"eu"`, "timestamp": strconv.Quote(at.UTC().Format(time.RFC3339Nano)), "value": "1",
	}
	names := []string{"event_id", "item_id", "region", "timestamp", "value"}
	for _, name := range slices.Sorted(maps.Keys(in.Fields)) {
		if _, known := fields[name]; !known {
			names = append(names, name)
		}
		fields[name] = expand(in.Fields[name])
	}
	var b strings.Builder
	for _, name := range names {
		if fields[name] != "" {
			fmt.Fprintf(&b, `,"%s":%s`, name, fields[name])
		}
	}
	return "{" + b.String()[1:] + "}"
}

// timestamp returns the Kafka record's.
func (in *input) timestamp(t *testing.T, start time.Time) int64 {
	t.Helper()
	if in.Time == "none" {
		return sim.NoTimestamp
	}
	after, err := time.ParseDuration(cmp.Or(in.Time, "0s"))
	if err != nil {
		t.Fatalf("testdata/inputs.yaml: %s: %v", in.Name, err)
	}
	return start.Add(after).UnixMilli()
}

// understood is the record as encoding/json and package time understand it, for the oracle. It shares nothing with the decoder.
func (in *input) understood(t *testing.T, r *inputRecord) sim.Record {
	t.Helper()
	advance, punctuates := in.Headers["advance-watermark"]
	if in.Want == event.Malformed.String() {
		return sim.Record{Kind: sim.Malformed}
	}
	if in.Tombstone && punctuates {
		at, err := strconv.ParseInt(advance, 10, 64)
		if when, wrong := time.Parse(time.RFC3339, advance); wrong == nil {
			at, err = when.UnixMilli(), nil
		}
		if err != nil {
			t.Fatalf("testdata/inputs.yaml: %s: %v", in.Name, err)
		}
		return sim.Record{Kind: sim.Punctuation, At: at}
	}
	read := json.NewDecoder(bytes.NewReader(r.value))
	read.UseNumber()
	var fields map[string]any
	if err := read.Decode(&fields); err != nil {
		t.Fatalf("testdata/inputs.yaml: %s: %v", in.Name, err)
	}
	at, err := time.Parse(time.RFC3339, fmt.Sprint(fields["timestamp"]))
	value, ok := new(big.Rat).SetString(fmt.Sprint(cmp.Or(fields["value"], any(json.Number("1")))))
	if err != nil || !ok || !value.IsInt() {
		t.Fatalf("testdata/inputs.yaml: %s can't be accepted: %v, %v", in.Name, err, value)
	}
	return sim.Record{
		EventID: fmt.Sprint(fields["event_id"]), Item: fmt.Sprint(fields["item_id"]), Dims: []string{fmt.Sprint(fields["region"])},
		At: at.UnixMilli(), Value: value.Num().Int64(),
	}
}

// packed returns a text compressed by gzip.
func packed(text string) (string, error) {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write([]byte(text))
	return b.String(), cmp.Or(err, w.Close())
}
