package event

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// generator writes random records out of the names and values that matter to a codec.
// It reaches at once what changing bytes seldom does: a mapped field that comes twice,
// is an object, or lies in another field's place.
type generator struct {
	random *rand.Rand
	out    strings.Builder
}

var generatedKeys = []string{
	"event_id", "item_id", "region", "timestamp", "value", "user_id", "category", "a", "b", "c", "id", "item", "x.y",
	`item\u005fid`, `\u0061`, `a\ud800`, "timestamq", "valu", "values", "",
}

var generatedValues = []string{
	`null`, `true`, `false`, `0`, `-0`, `1`, `12.34`, `1e3`, `1e400`, `-1.50`, `9007199254740993`, `1795300000`, `1795300000000`,
	`1795300000000000`, `1795300000000000000`, `-1`, `99999999999999999999`, `""`, `"e"`, `"é"`, `"\u00e9"`, `"\ud800"`,
	`"\ud83d\ude00"`, `"2026-11-22T18:40:56Z"`, `"2026-11-22t18:40:56.1234+05:30"`, `"2016-12-31T23:59:60Z"`,
	`"2026-11-22T18:40:56\u005a"`, `"longer than sixteen bytes"`,
}

var generatedFaults = []string{`NaN`, `01`, `1.`, `"\x"`, "\"\xff\"", "\"\n\"", `{"a"}`, `[1 2]`, ``}

func (g *generator) pick(from []string) string { return from[g.random.IntN(len(from))] }

func (g *generator) space() { g.out.WriteString(g.pick([]string{"", "", "", "", " ", "\n\t"})) }

// member writes a field of any name, with any value.
func (g *generator) member(depth int) {
	g.out.WriteString(`"` + g.pick(generatedKeys) + `"`)
	g.space()
	g.out.WriteByte(':')
	g.space()
	g.value(depth)
	g.space()
}

func (g *generator) value(depth int) {
	switch n := g.random.IntN(60); {
	case n == 0:
		g.out.WriteString(g.pick(generatedFaults))
	case n < 12 && depth < 4:
		g.list('{', '}', func() { g.member(depth + 1) })
	case n < 18 && depth < 4:
		g.list('[', ']', func() { g.value(depth + 1) })
	default:
		g.out.WriteString(g.pick(generatedValues))
	}
}

func (g *generator) list(opening, closing byte, write func()) {
	g.out.WriteByte(opening)
	for i := range g.random.IntN(5) {
		if i > 0 {
			g.out.WriteByte(',')
		}
		write()
	}
	g.out.WriteByte(closing)
}

// record returns a good record with random members at its end, one in ten cut off.
func (g *generator) record() string {
	g.out.Reset()
	base := strings.TrimSpace(g.pick(goodRecords))
	g.out.WriteString(base[:len(base)-1])
	for range g.random.IntN(4) {
		g.out.WriteByte(',')
		g.member(1)
	}
	g.out.WriteByte('}')
	record := g.out.String()
	if g.random.IntN(10) == 0 {
		record = record[:g.random.IntN(len(record))]
	}
	return record
}

func TestJSONGeneratedRecords(t *testing.T) {
	const seed, rounds = 20261122, 5000
	g := generator{random: rand.New(rand.NewPCG(seed, 1))}
	compare := newComparison(t) // which prints the record at fault
	accepted := 0
	for range rounds {
		if compare(t, []byte(g.record())) {
			accepted++
		}
	}
	if accepted < rounds/4 || accepted > rounds*3/4 {
		t.Errorf("%d of %d records were accepted: the test is blunt", accepted, rounds)
	}
}
