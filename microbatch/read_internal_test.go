package microbatch

import (
	"testing"
	"time"
)

// TestTimestamp: what sarama makes of timestamps, where a record or its batch's first one has none.
func TestTimestamp(t *testing.T) {
	const at = 1_709_043_537_301
	for name, c := range map[string]struct {
		sarama time.Time
		want   int64
	}{
		"usual":                           {time.UnixMilli(at), at},
		"the epoch":                       {time.UnixMilli(0), 0},
		"none, the first one has one":     {time.UnixMilli(at).Add((-1 - at) * time.Millisecond), NoTimestamp},
		"none, nor the first one":         {time.Time{}, NoTimestamp},
		"one, but the first one has none": {time.Time{}.Add((at + 1) * time.Millisecond), at},
	} {
		if got := timestamp(c.sarama); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}
