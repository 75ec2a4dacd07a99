// Package progress finds out how far a Millrank is, out of Kafka and of its processes: what 'millrank status' shows.
//
//	Read      looks at commits, logs, flushes, groups and processes   read.go
//	State     all that was found                                      state.go
//	Verdict   what that means, and which partition holds time back    verdict.go
//	Process   what a process says of itself at GET /status            process.go
package progress

import (
	"bytes"
	"fmt"
	"time"

	"github.com/millrank/millrank/event"
)

// Time is Unix milliseconds, or event.NoTime. In JSON it is RFC 3339 in UTC, or null.
type Time int64

// NoTime is no time.
const NoTime = Time(event.NoTime)

const timeLayout = "2006-01-02T15:04:05.000Z"

// String returns the time as RFC 3339, or a dash.
func (t Time) String() string {
	if t == NoTime {
		return "-"
	}
	return time.UnixMilli(int64(t)).UTC().Format(timeLayout)
}

// MarshalJSON writes RFC 3339, or null.
func (t Time) MarshalJSON() ([]byte, error) {
	if t == NoTime {
		return []byte("null"), nil
	}
	return []byte(`"` + t.String() + `"`), nil
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (t *Time) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		*t = NoTime
		return nil
	}
	at, err := time.Parse(time.RFC3339, string(bytes.Trim(b, `"`)))
	if err != nil {
		return fmt.Errorf("a time: %w", err)
	}
	*t = Time(at.UnixMilli())
	return nil
}
