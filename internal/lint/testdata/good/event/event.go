// Package event takes time as data.
package event

import (
	"errors"
	"fmt"
	"time"

	"github.com/zeebo/xxh3"
)

// ErrEmpty is a sentinel error.
var ErrEmpty = errors.New("empty")

var names = [...]string{"late", "counted"}

// Event has a time of its own.
type Event struct{ Time time.Time }

// Late reports whether now is after the event. After, Now and Tick are not the clock's here.
func (e Event) Late(now time.Time, c clock) bool {
	return e.Time.After(now) || c.Now().After(now) && xxh3.HashString(fmt.Sprint(c.Tick)) > 0
}

type clock struct{ Tick int }

func (clock) Now() time.Time { return time.UnixMilli(0).UTC() }

func name(i int) string {
	names := names
	names[0] = "a copy"
	return names[i]
}

func shadow(time clock) { time.Now() }
