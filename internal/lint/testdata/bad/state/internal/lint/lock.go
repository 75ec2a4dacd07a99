// Package lint counts.
package lint

import (
	"sync"
	"sync/atomic"
)

var mu sync.Mutex // want "package variable mu is a sync.Mutex"

var count, total atomic.Int64 // want "package variable count is a sync/atomic.Int64"
