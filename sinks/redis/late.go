package redis

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/operators"
)

// Late is an event that came too late to be counted.
type Late struct {
	Group     event.Group // values of all of Boards.Dimensions, in their order
	Pane      int64       // where its pane begins, Unix milliseconds
	Source    string      // the topic that it came from
	Partition int32       // of that topic
	Offset    int64       // in that partition
}

// Late counts late events in the meta HASH of each list that they are missing from: of each board, grouping and window that
// holds the pane. The events of a source partition come in the order of their offsets. Repeats are
// ignored, so after an error the same events are given again.
//
// A list that isn't there yet gets its count beforehand, unless its window ended longer than
// TTL ago: whatever events come, the keys in Redis are those of a TTL's windows. Only
// the keys of windows have counts: the others, such as ...:top_k:<board>, show different windows over time.
func (s *Sink) Late(ctx context.Context, late []Late) error {
	for _, calls := range s.lateCalls(late) {
		err := s.run(ctx, calls)
		for _, c := range calls {
			switch {
			case c.err != nil:
			case c.answer < 0:
				s.counts.lateOld.Add(int64(len(c.args) - lateArgs))
			default:
				s.counts.late.Add(c.answer)
			}
		}
		if err != nil {
			return fmt.Errorf("late events were not counted: %w", err)
		}
	}
	return nil
}

const lateArgs = 3 // that late.lua has before the offsets

// lateOffsets is how many offsets a call has at most.
const lateOffsets = 5000

// lateCalls returns the calls that count events: for each list and source partition the offsets, ascending. What is too
// much for one call goes on in the next round, which is only run when the one before has been answered.
func (s *Sink) lateCalls(late []Late) [][]*call {
	type counter struct {
		key       string
		source    string
		partition int32
	}
	type counted struct {
		counter
		end     int64
		offsets []int64
	}
	var all []*counted
	at := map[counter]*counted{}
	for _, l := range late {
		values := l.Group.Values()
		for i := range s.config.Boards.Boards {
			board := &s.config.Boards.Boards[i]
			for _, by := range board.By {
				keys := s.Keys(board.Name, strings.Join(by, ","), s.project(values, by))
				for start := range windowsOf(board.Window, l.Pane) {
					id := counter{keys.Window(start), l.Source, l.Partition}
					c := at[id]
					if c == nil {
						c = &counted{counter: id, end: start + board.Window.Size.Milliseconds()}
						at[id] = c
						all = append(all, c)
					}
					c.offsets = append(c.offsets, l.Offset)
				}
			}
		}
	}
	expired := s.config.Now().Add(-s.config.TTL).UnixMilli()
	var rounds [][]*call
	for _, c := range all {
		slices.Sort(c.offsets)
		offsets := slices.Compact(c.offsets)
		round := 0
		for part := range slices.Chunk(offsets, lateOffsets) {
			args := make([]any, 0, lateArgs+len(part))
			args = append(args, "late_through:"+c.source+":"+strconv.Itoa(int(c.partition)), decimal(s.config.TTL.Milliseconds()), flag(c.end > expired))
			for _, offset := range part {
				args = append(args, decimal(offset))
			}
			if round == len(rounds) {
				rounds = append(rounds, nil)
			}
			rounds[round] = append(rounds[round], &call{script: lateScript, keys: []string{Meta(c.key)}, args: args})
			round++
		}
	}
	return rounds
}

// project returns the group of a grouping: its dimensions' values out of those of all.
func (s *Sink) project(values, by []string) event.Group {
	kept := make([]string, len(by))
	for i, name := range by {
		if at := slices.Index(s.config.Boards.Dimensions, name); at < len(values) {
			kept[i] = values[at]
		}
	}
	return event.NewGroup(kept...)
}

// windowsOf gives the starts of the windows that hold an instant, Unix milliseconds, the newest first.
func windowsOf(w operators.Window, at int64) func(yield func(start int64) bool) {
	size, slide, offset := w.Size.Milliseconds(), slideOf(w).Milliseconds(), w.Offset.Milliseconds()
	return func(yield func(int64) bool) {
		into := (at - offset) % slide
		if into < 0 {
			into += slide
		}
		for start := at - into; start > at-size; start -= slide {
			if !yield(start) {
				return
			}
		}
	}
}
