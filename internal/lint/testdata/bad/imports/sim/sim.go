// Package sim is allowed random numbers, but no files, no context and no network.
package sim

import (
	"context" // want "sim must not import context"
	"math/rand/v2"
	"net/http" // want "sim must not import net/http"
	"os"       // want "sim must not import os"

	"github.com/millrank/millrank/operators"
	"github.com/millrank/millrank/watermark" // want "sim must not import watermark; of this module it may import operators, event"
)
