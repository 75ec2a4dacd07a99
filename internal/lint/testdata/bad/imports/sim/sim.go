// Package sim is allowed random numbers, but no files.
package sim

import (
	"io/fs" // want "sim must not import io/fs"
	"math/rand/v2"

	"github.com/millrank/millrank/operators"
)
