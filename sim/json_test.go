package sim_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/millrank/millrank/sim"
)

// read is a decoder for the tests only: what any decoder must refuse, this one does.
func read(value []byte, scale int) (sim.Record, error) {
	var r sim.Record
	if !utf8.Valid(value) || len(value) > 1<<20 {
		return r, errors.New("not UTF-8, or too long")
	}
	var fields struct {
		EventID   string          `json:"event_id"`
		Item      *string         `json:"item_id"`
		Region    *string         `json:"region"`
		Category  *string         `json:"category"`
		Timestamp json.RawMessage `json:"timestamp"`
		Value     json.RawMessage `json:"value"`
	}
	if err := json.Unmarshal(value, &fields); err != nil {
		return r, err
	}
	if fields.EventID == "" || fields.Item == nil {
		return r, errors.New("an ID is missing")
	}
	r.EventID, r.Item, r.Value = fields.EventID, *fields.Item, 1
	for _, dim := range []*string{fields.Region, fields.Category} {
		if dim != nil {
			r.Dims = append(r.Dims, *dim)
		}
	}
	var text string
	if err := json.Unmarshal(fields.Timestamp, &text); err == nil {
		at, err := time.Parse(time.RFC3339, text)
		if err != nil {
			return r, err
		}
		r.At = at.UnixMilli()
	} else if err := json.Unmarshal(fields.Timestamp, &r.At); err != nil {
		return r, err
	}
	if year := time.UnixMilli(r.At).Year(); year < 2000 || year >= 2200 {
		return r, fmt.Errorf("the year is %d", year)
	}
	if fields.Value == nil {
		return r, nil
	}
	var number json.Number
	value = fields.Value
	if value[0] == '"' {
		return r, errors.New("the value is a string")
	}
	if err := json.Unmarshal(value, &number); err != nil {
		return r, err
	}
	exact, ok := new(big.Rat).SetString(number.String())
	if !ok || len(number) > 30 {
		return r, errors.New("the value is not a number")
	}
	exact.Mul(exact, new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(scale)), nil)))
	if !exact.IsInt() || exact.Num().CmpAbs(big.NewInt(1<<53)) > 0 {
		return r, errors.New("the value is out of range")
	}
	r.Value = exact.Num().Int64()
	return r, nil
}

// TestJSON: every event can be read back from its bytes, in each format.
func TestJSON(t *testing.T) {
	for seed := uint64(1); seed <= 100; seed++ {
		for _, log := range sim.Generate(seed, sim.SharpOptions(rand.New(rand.NewPCG(seed, 0)))) {
			for _, r := range log {
				for _, f := range []sim.Format{{}, {UnixMillis: true}, {Scale: 2}, {UnixMillis: true, Scale: 20}} {
					got, err := read(f.JSON(r), f.Scale)
					if r.Kind != sim.Event {
						if err == nil {
							t.Fatalf("seed %d: %+v gives %s, which can be read", seed, r, f.JSON(r))
						}
						continue
					}
					got.Offset, got.Time = r.Offset, r.Time
					if err != nil || !reflect.DeepEqual(got, r) {
						t.Fatalf("seed %d: %+v\nread back as %+v, %v\nfrom %s", seed, r, got, err, f.JSON(r))
					}
				}
			}
		}
	}
}

// TestMalformed: no malformed record can be read, and they are of many kinds, among them
// no value at all.
func TestMalformed(t *testing.T) {
	kinds := make(map[string]bool)
	null := false
	for offset := range int64(1000) {
		value := sim.Record{Offset: offset, Kind: sim.Malformed}.JSON()
		if r, err := read(value, 0); err == nil {
			t.Errorf("offset %d: %.200q can be read: %+v", offset, value, r)
		}
		kinds[string(value)] = true
		null = null || value == nil
	}
	if len(kinds) < 75 || !null {
		t.Errorf("%d kinds, want 75; no value at all: %v", len(kinds), null)
	}
}

func TestFormatValue(t *testing.T) {
	for _, test := range []struct {
		value int64
		scale int
		want  string
	}{
		{-5, 0, `-5`}, {-5, 2, `-0.05`}, {1999, 2, `19.99`}, {1, 2, `0.01`}, {0, 1, `0.0`}, {100, 2, `1.00`},
		{math.MinInt64, 0, `-9223372036854775808`}, {math.MinInt64, 3, `-9223372036854775.808`},
	} {
		got := string(sim.Format{Scale: test.scale}.JSON(sim.Record{EventID: "e", Item: "a", Value: test.value}))
		want := `{"event_id":"e","item_id":"a","timestamp":"1970-01-01T00:00:00.000Z","value":` + test.want + `}`
		if got != want {
			t.Errorf("%d at scale %d: %s, want %s", test.value, test.scale, got, want)
		}
	}
}
