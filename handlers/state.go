package handlers

import (
	"fmt"
	"strings"

	"github.com/millrank/millrank/operators"
)

// checkpointState writes a checkpoint as the state of a commit: all but its low-water, which is the
// committed offset.
func checkpointState(c operators.Checkpoint) string {
	return fmt.Sprintf("watermark:%d,count-from:%d,processed-through:%d", c.Watermark, c.CountFrom, c.ProcessedThrough)
}

// parseCheckpoint reads what checkpointState wrote.
func parseCheckpoint(lowWater int64, state string) (operators.Checkpoint, error) {
	c := operators.Checkpoint{LowWater: lowWater}
	_, err := fmt.Sscanf(strings.ReplaceAll(state, ",", " "), "watermark:%d count-from:%d processed-through:%d", &c.Watermark, &c.CountFrom, &c.ProcessedThrough)
	if err != nil {
		return c, fmt.Errorf("state %q of the committed offset: %w", state, err)
	}
	switch {
	case checkpointState(c) != state: // the numbers are there, but not only they
		return c, fmt.Errorf("state %q of the committed offset: not as it is written", state)
	case c.LowWater < 0 || c.CountFrom < c.LowWater || c.ProcessedThrough < c.LowWater-1 || c.CountFrom-1 > c.ProcessedThrough:
		return c, fmt.Errorf("state %q can't go with the committed offset %d", state, lowWater)
	}
	return c, nil
}
