package event

import (
	"cmp"
	"errors"
	"math/rand/v2"
	"testing"
	"unicode/utf8"
)

// fuzzMappings are the mappings that every input is decoded with.
func fuzzMappings() map[string]Mapping {
	eu := "eu"
	dotted := DefaultMapping()
	dotted.EventID, dotted.Item = []string{"a.id"}, "a.b.item"
	dotted.Region, dotted.RegionDefault, dotted.Dimensions = "a.region", &eu, []string{`x\.y`, "a.c"}
	dotted.Value, dotted.ValueScale, dotted.User = "value", 2, ""
	dotted.ItemBytesMax, dotted.RecordBytesMax = 16, 4096

	several := DefaultMapping()
	several.EventID = []string{"user_id", "item_id", "event_id"}
	several.Dimensions = []string{"category"}
	several.ValueScale, several.EventIDBytesMax = 9, 8

	all := map[string]Mapping{"flat": DefaultMapping(), "dotted": dotted, "several": several}
	for _, unit := range []TimeFormat{UnixSeconds, UnixMillis, UnixMicros, UnixNanos} {
		m := DefaultMapping()
		m.TimeFormat = unit
		m.TimeMin = m.TimeMin.AddDate(-40, 0, 0) // 1960: negative times, rounded down
		all[string(unit)] = m
	}
	return all
}

// goodRecords are accepted by at least one of fuzzMappings.
var goodRecords = []string{
	good,
	` { "event_id" : "e1" , "item_id" : 42 , "region" : "" , "timestamp" : "2026-11-22t18:40:56.7899999+05:30" , "ignored" : [ { } , [ ] , -1.5e+3 , true , false , null , "\ud800" ] } `,
	`{"event_id":"e","event_id":"f","item\u005fid":"\u00e9\ud83d\ude00\"\\\/\b\f\n\r\t","region":"b","timestamp":"2016-12-31T23:59:60Z","value":-0.0e5}`,
	`{"a":{"id":"e1","b":{"item":"i1"},"region":"eu","c":"x"},"x.y":"z","timestamp":"2000-02-29T00:00:00-12:34","value":12.34}`,
	`{"a":{"id":"e1","b":{"item":"i1"}},"a":{"id":"e2","b":[{"item":"i3"}],"b":{"b":0,"item":"i2"}},"timestamp":"2096-02-29T00:00:00Z","value":1.50e1}`,
	`{"event_id":"e1","item_id":"i1","region":"eu","timestamp":"2026-11-22T18:40:56.123456789Z","value":9007199.254740992,"user_id":"u1","category":"books"}`,
	`{"event_id":9,"item_id":-0,"region":0,"timestamp":1795300000000,"value":9007199254740992,"user_id":""}`,
	`{"event_id":"e1","item_id":"i1","region":"eu","timestamp":-1,"value":900719925474099.2e1}`,
	`{"event_id":"e1","item_id":"i1","region":"eu","timestamp":1795300000000000000,"value":0.0000000000000000000000000000001e31}`,
	`{"event_id":"e1","item_id":"i1","region":"eu","timestamp":1795300000999999,"value":-0e-99999999999999999999}`,
	`{"event_id":"حارم","item_id":"naïve","region":"日本","timestamp":1795300000,"value":1e-0,"user_id":"😀"}`,
}

// FuzzJSON compares the codec with referenceDecode: both accept or neither does, and
// what they accept is the same event.
func FuzzJSON(f *testing.F) {
	for _, bad := range badRecords {
		if len(bad.record) < 100000 { // the oversized ones are table tests; as seeds they only slow the fuzzer down
			f.Add([]byte(bad.record))
		}
	}
	for _, record := range goodRecords {
		f.Add([]byte(record))
	}
	compare := newComparison(f)
	f.Fuzz(func(t *testing.T, record []byte) { compare(t, record) })
}

// newComparison returns a function that tests one record against the reference, with
// every mapping. The codecs live on from record to record, as in production.
func newComparison(tb testing.TB) func(t *testing.T, record []byte) (accepted bool) {
	mappings := fuzzMappings()
	codecs := map[string]*JSON{}
	for name, m := range mappings {
		c, err := NewJSON(m)
		if err != nil {
			tb.Fatal(err)
		}
		codecs[name] = c
	}
	var got Event // never cleared: nothing of one event may show in the next
	return func(t *testing.T, record []byte) (accepted bool) {
		if record == nil {
			record = []byte{}
		}
		for name, m := range mappings {
			before := string(record)
			gotErr := codecs[name].Decode(record, &got)
			if string(record) != before {
				t.Fatalf("%s: %q\nbecame %q", name, before, record)
			}
			if gotErr != nil {
				checkError(t, gotErr)
			}
			want, wantErr := referenceDecode(m, record)
			switch {
			case (gotErr == nil) != (wantErr == nil):
				t.Fatalf("%s: %q\nthe codec says %v, the reference %v", name, record, gotErr, wantErr)
			case gotErr == nil:
				accepted = true
				if diff := sameEvent(&got, &want); diff != "" {
					t.Fatalf("%s: %q\n%s", name, record, diff)
				}
			}
		}
		return accepted
	}
}

// Every kind of value in every field, in every mapping: most are of the wrong type.
func TestJSONEveryKindInEveryField(t *testing.T) {
	compare := newComparison(t)
	for _, value := range []string{``, `null`, `true`, `false`, `{}`, `{"a":{}}`, `[]`, `[[1],{}]`, `""`, `"a"`, `"\u0061"`, `"\ud800"`, `0`, `-7`, `1.5`, `1e3`} {
		for _, field := range []string{"event_id", "item_id", "region", "timestamp", "value", "user_id", "category"} {
			compare(t, []byte(with(field, value)))
			compare(t, []byte(flat(UnixMillis, field, value)))
			compare(t, []byte(`{"category":`+cmp.Or(value, "7")+`,`+good[1:]))
		}
		for _, field := range []string{"id", "region", "c", "b"} {
			inner := `"id":"e1","region":"eu","c":"x","b":{"item":"i1"}`
			compare(t, []byte(`{"a":{`+inner+`,"`+field+`":`+cmp.Or(value, "7")+`},"timestamp":"2026-11-22T18:40:56Z","x.y":`+cmp.Or(value, "7")+`}`))
		}
	}
}

// checkError tests what holds for the errors of all records.
func checkError(t *testing.T, err error) {
	t.Helper()
	m, ok := errors.AsType[*MalformedError](err)
	switch {
	case !ok:
		t.Fatalf("not a *MalformedError: %v", err)
	case m.Reason == "" || m.Detail == "":
		t.Fatalf("an error that doesn't say what is wrong: %#v", m)
	case len(err.Error()) > 350 || !utf8.ValidString(err.Error()):
		t.Fatalf("an error of %d bytes: %s", len(err.Error()), err)
	}
}

// TestJSONMutations is a short FuzzJSON for every test run: good records with a few
// bytes changed, moved or taken from another one. A failure prints its record.
func TestJSONMutations(t *testing.T) {
	const seed, rounds = 20261122, 4000
	random := rand.New(rand.NewPCG(seed, 0))
	compare := newComparison(t)
	pick := func(n int) int { return random.IntN(n) }
	accepted := 0
	for range rounds {
		record := []byte(goodRecords[pick(len(goodRecords))])
		for range 1 + pick(3) {
			other := goodRecords[pick(len(goodRecords))]
			switch at := pick(len(record)); pick(4) {
			case 0:
				record[at] = other[pick(len(other))]
			case 1:
				record[at] ^= 1 << pick(8)
			case 2:
				from := pick(len(other))
				piece := other[from:min(len(other), from+pick(12))]
				record = append(record[:at:at], append([]byte(piece), record[at:]...)...)
			case 3:
				record = append(record[:at:at], record[min(len(record), at+1+pick(4)):]...)
			}
			if len(record) == 0 {
				break
			}
		}
		if compare(t, record) {
			accepted++
		}
	}
	if accepted < rounds/20 {
		t.Errorf("only %d of %d mutated records were accepted: the test is blunt", accepted, rounds)
	}
}
