package event

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestSlow(t *testing.T) {
	time.Sleep(time.Second) // want "time.Sleep in a test is slow and flaky"
	synctest.Test(t, func(*testing.T) { time.Sleep(time.Hour) })
}
