// Package operators looks downwards.
package operators

import (
	"math/bits"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/watermark"
)
