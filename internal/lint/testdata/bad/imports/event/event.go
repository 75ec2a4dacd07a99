// Package event reaches for what the core may not have.
package event

import (
	"context"      // want "event must not import context"
	"log/slog"     // want "event must not import log/slog"
	"math/rand/v2" // want "event must not import math/rand/v2"
	"net/http"     // want "event must not import net/http"
	"os"           // want "event must not import os"
	"runtime"      // want "event must not import runtime"
	. "strings"    // want "hides where names come from"
	"sync"         // want "event must not import sync"
	"sync/atomic"  // want "event must not import sync/atomic"
	"unsafe"       // want "event must not import unsafe"

	"github.com/millrank/millrank/watermark" // want "event must not import watermark; of this module it may import nothing"
	"github.com/zeebo/xxh3"
)
