package operators

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/millrank/millrank/event"
)

// Measure says what a board ranks items by.
type Measure uint8

// The measures.
const (
	Count   Measure = iota // events counted
	Sum                    // the sum of their values
	Average                // the sum of their values divided by their count
)

// String returns the measure's name, as settings spell it.
func (m Measure) String() string { return [...]string{"count", "sum", "average"}[m] }

// Board is a named leaderboard.
type Board struct {
	Name     string      // [a-z0-9_-]+
	Window   Window      // which slices of time are ranked
	Measure  Measure     // what by
	MinCount int64       // items with fewer events than this are left out, before the cut; for averages above all
	Order    event.Order // which end comes first
	K        int         // at most so many entries, 1 to 10,000
	By       [][]string  // one list for each combination of these dimensions' values; an empty By entry is one list of all
}

const kMax = 10_000

var boardName = regexp.MustCompile(`^[a-z0-9_-]+$`)

// score is what the board ranks an item by; unit is 10^scale of the values.
func (b *Board) score(count, sum int64, unit float64) float64 {
	switch b.Measure {
	case Sum:
		return float64(sum) / unit
	case Average:
		return float64(sum) / float64(count) / unit
	}
	return float64(count)
}

// Boards is what rank and merge need to know of the leaderboards over one stream.
type Boards struct {
	Pane            time.Duration // as in Settings
	AllowedLateness time.Duration // as in Settings
	OutOfOrderness  time.Duration // as in Settings
	ReviseFor       time.Duration // how long, in closing watermark, a final window is kept for corrections when a source is idle
	ValueScale      int           // values are in units of 10^-ValueScale, 0 to 9
	Dimensions      []string      // names of the dimensions that a cell's group holds, in its order
	Boards          []Board

	// RankItems (limits.rank_items) is how many cells a shard keeps, one for each pane, group,
	// item and source partition; 0 is no limit. As long as they suffice, every list is exact. When
	// they don't, the lightest items go, and lists that this can touch say that they
	// aren't exact, and by how much scores can be off (see Rank.Room). Settings of one generation can
	// differ in it.
	//
	// It bounds a shard's memory: with names of 11 bytes that count in two views (such as per
	// region and global), 150 bytes per cell, and 230 while cells go; each further view takes 40. A list that holds few items takes 500.
	// So a flood of regions, of one item each, holds up to 800 bytes per cell. Lists that are still to be told come on top.
	RankItems int
}

// Validate reports all that is wrong, at once, by board and name.
func (b Boards) Validate() error {
	var errs []error
	checkDuration(&errs, "Pane", b.Pane, time.Millisecond)
	checkDuration(&errs, "AllowedLateness", b.AllowedLateness, 0)
	checkDuration(&errs, "OutOfOrderness", b.OutOfOrderness, 0)
	checkDuration(&errs, "ReviseFor", b.ReviseFor, 0)
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	for i, name := range b.Dimensions {
		if name == "" || strings.Contains(name, ",") || slices.Contains(b.Dimensions[:i], name) {
			errs = append(errs, fmt.Errorf("dimension %q: names must be there once, not be empty, and have no comma", name))
		}
	}
	if b.ValueScale < 0 || b.ValueScale > 9 {
		errs = append(errs, fmt.Errorf("ValueScale is %d; it must be 0 to 9", b.ValueScale))
	}
	if b.RankItems < 0 {
		errs = append(errs, fmt.Errorf("RankItems is %d; it must be 0, for no limit, or more", b.RankItems))
	}
	names := map[string]bool{}
	for _, board := range b.Boards {
		fail := func(err error) {
			if err != nil {
				errs = append(errs, fmt.Errorf("board %q: %w", board.Name, err))
			}
		}
		if !boardName.MatchString(board.Name) {
			fail(errors.New("its name must consist of a-z, 0-9, _ and -"))
		}
		if names[board.Name] {
			fail(errors.New("there are two of this name"))
		}
		names[board.Name] = true
		fail(board.Window.validate(b.Pane))
		if board.K < 1 || board.K > kMax {
			fail(fmt.Errorf("K is %d; it must be 1 to %d", board.K, kMax))
		}
		if board.MinCount < 0 {
			fail(fmt.Errorf("MinCount is %d; it must not be negative", board.MinCount))
		}
		if len(board.By) == 0 {
			fail(errors.New("By is empty; it needs at least one grouping, such as {} for all events together"))
		}
		for i, by := range board.By {
			fail(b.validateBy(by))
			for _, other := range board.By[:i] {
				if slices.Equal(by, other) {
					fail(fmt.Errorf("By has %q twice", by))
				}
			}
		}
	}
	return errors.Join(errs...)
}

func (b Boards) validateBy(by []string) error {
	for i, name := range by {
		if !slices.Contains(b.Dimensions, name) {
			return fmt.Errorf("there is no dimension %q; there are %q", name, b.Dimensions)
		}
		if slices.Contains(by[:i], name) {
			return fmt.Errorf("the grouping %q has a dimension twice", by)
		}
	}
	return nil
}

// unit is what values are divided by.
func (b Boards) unit() float64 {
	unit := 1.0
	for range b.ValueScale {
		unit *= 10
	}
	return unit
}
