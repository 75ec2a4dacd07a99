// Package lint is not pure.
package lint

import (
	"os"
	"time"
)

func now() (time.Time, []string) { return time.Now(), os.Args }
