package event

import (
	"context"
	"os"
	"testing"
	"time"
)

// Tests may use what they like, but for sleeping.
func TestClock(t *testing.T) { _, _, _ = time.Now(), os.Args, context.Background() }
