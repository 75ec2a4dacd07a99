// Package watermark looks upwards.
package watermark

import (
	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/operators" // want "watermark must not import operators; of this module it may import event"
)
