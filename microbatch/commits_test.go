package microbatch_test

import (
	"errors"
	"testing"

	"github.com/millrank/millrank/microbatch"
)

func TestParseCommit(t *testing.T) {
	t.Parallel()
	const written = "millrank/1 generation=7 topic=000102030405060708090a0b0c0d0e0f partitions=12 outputs=8 settings=abc state=at:5,b:-1 crc32c=89aa1f25"
	id, state, err := microbatch.ParseCommit(written)
	if want := (microbatch.Identity{Generation: 7, Settings: "abc", Outputs: 8}); err != nil || id != want || state != "at:5,b:-1" {
		t.Errorf("%+v, state %q, %v", id, state, err)
	}
	for text, want := range map[string]error{
		"":                   microbatch.ErrDamaged,
		"somebody's":         microbatch.ErrDamaged,
		written[:90]:         microbatch.ErrDamaged,
		"millrank/2 new=way": microbatch.ErrFormat,
	} {
		if _, _, err := microbatch.ParseCommit(text); !errors.Is(err, want) {
			t.Errorf("%q: %v, not %v", text, err, want)
		}
	}
}
