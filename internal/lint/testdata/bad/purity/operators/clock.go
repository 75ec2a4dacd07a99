// Package operators reads clocks.
package operators

import (
	"fmt"
	"time"
	wall "time"
)

func late(at time.Time) bool { return wall.Now().After(at) } // want "time.Now in a pure package"

func age(at time.Time) time.Duration { return time.Since(at) } // want "time.Since in a pure package"

func left(at time.Time) time.Duration { return time.Until(at) } // want "time.Until in a pure package"

func pause() {
	time.Sleep(time.Second)                // want "time.Sleep in a pure package"
	_ = time.After(time.Second)            // want "time.After in a pure package"
	_ = time.Tick(time.Second)             // want "time.Tick in a pure package"
	time.AfterFunc(time.Second, func() {}) // want "time.AfterFunc in a pure package"
	_ = time.NewTimer(time.Second)         // want "time.NewTimer in a pure package"
	_ = time.NewTicker(time.Second)        // want "time.NewTicker in a pure package"
}

type machine struct{ now func() time.Time }

func newMachine() machine { return machine{now: time.Now} } // want "time.Now in a pure package"

func show(at time.Time) {
	fmt.Println(at.In(time.Local)) // want "fmt.Println in a pure package" // want "time.Local in a pure package"
	println("late")                // want "println in a pure package"
}
