package settings

import (
	"fmt"
	"strings"
	"time"
)

// Duration is a time.Duration that is written as 250ms, 5s, 1m, 1h30m or 7d.
type Duration time.Duration

// Std returns it as the standard library's.
func (d Duration) Std() time.Duration { return time.Duration(d) }

// Time3339 is a time that is written as in RFC 3339.
type Time3339 time.Time

// Std returns it as the standard library's.
func (t Time3339) Std() time.Time { return time.Time(t) }

// String returns it as it is written.
func (t Time3339) String() string { return time.Time(t).UTC().Format(time.RFC3339) }

// Bytes is a number of bytes, written as 4096, 512KiB or 1MiB.
type Bytes int

// String returns it as it is written, in the largest whole unit.
func (d Duration) String() string {
	const day = 24 * time.Hour
	std := time.Duration(d)
	if std != 0 && std%day == 0 {
		return fmt.Sprintf("%dd", std/day)
	}
	text := std.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// String returns it as it is written, in the largest whole unit.
func (b Bytes) String() string {
	for _, unit := range []struct {
		name string
		size Bytes
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if b != 0 && b%unit.size == 0 {
			return fmt.Sprintf("%d%s", b/unit.size, unit.name)
		}
	}
	return fmt.Sprint(int(b))
}
