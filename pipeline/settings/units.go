package settings

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
)

// Duration is a time.Duration that is written as 250ms, 5s, 1m, 1h30m or 7d.
type Duration time.Duration

// Time3339 is a time that is written as in RFC 3339.
type Time3339 time.Time

// Bytes is a number of bytes, written as 4096, 512KiB or 1MiB.
type Bytes int

// Std returns it as the standard library's.
func (d Duration) Std() time.Duration { return time.Duration(d) }

// Std returns it as the standard library's.
func (t Time3339) Std() time.Time { return time.Time(t) }

const day = 24 * time.Hour

// String returns it as it is written, in the largest whole unit.
func (d Duration) String() string {
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

// String returns it as it is written.
func (t Time3339) String() string { return time.Time(t).UTC().Format(time.RFC3339) }

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

// MarshalText writes it as String does.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// MarshalText writes it as String does.
func (t Time3339) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// MarshalText writes it as String does.
func (b Bytes) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

var daysFirst = regexp.MustCompile(`^(-?)(\d+)d(.*)$`)

// UnmarshalText reads 250ms, 5s, 1h30m, 7d or 1d12h.
func (d *Duration) UnmarshalText(text []byte) error {
	s, days := string(text), time.Duration(0)
	if m := daysFirst.FindStringSubmatch(s); m != nil {
		n, err := strconv.ParseInt(m[2], 10, 32)
		if err != nil || n > 100_000 {
			return errors.New("too many days")
		}
		days, s = time.Duration(n)*day, m[1]+m[3]
		if m[1] == "-" {
			days = -days
		}
		if m[3] == "" {
			*d = Duration(days)
			return nil
		}
	}
	rest, err := time.ParseDuration(s)
	if err != nil || rest.Abs() > 100_000*day || (rest < 0) != (days < 0) && rest != 0 && days != 0 {
		return errors.New("no duration")
	}
	*d = Duration(days + rest)
	return nil
}

// UnmarshalText reads 2026-11-26T08:00:00Z.
func (t *Time3339) UnmarshalText(text []byte) error {
	std, err := time.Parse(time.RFC3339, string(text))
	*t = Time3339(std)
	return err
}

// UnmarshalText reads 4096, 512KiB, 1MiB; also 1MB, a million.
func (b *Bytes) UnmarshalText(text []byte) error {
	n, err := humanize.ParseBytes(string(text))
	if err == nil && n > 1<<40 {
		err = errors.New("too large")
	}
	*b = Bytes(n)
	return err
}
