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
	for _, counts := range s.lateCounts(late) {
		if err := s.count(ctx, counts); err != nil {
			return fmt.Errorf("late events were not counted: %w", err)
		}
	}
	return nil
}

// lateCount is late events of one source partition that one list lacks.
type lateCount struct {
	key     string
	args    []any // of late.lua, the first ones
	offsets []any // ascending
}

// count counts where the lists are, as send writes them.
func (s *Sink) count(ctx context.Context, counts []lateCount) error {
	if s.config.Generation == 0 {
		_, err := s.countAt(ctx, counts, s.only)
		return err
	}
	cluster, err := s.clustered(ctx)
	if err != nil {
		return err
	}
	for try := range switchesMax {
		at, err := s.where(ctx)
		if err != nil {
			return err
		}
		if cluster && (at.moving || try > 0) {
			if err := s.show(ctx, at, lateKeys(counts)); err != nil {
				return err
			}
		}
		misplaced, err := s.countAt(ctx, counts, func(key string) place { return s.place(key, at, cluster) })
		if err != nil {
			return err
		}
		if cluster || len(misplaced) > 0 {
			after, err := s.readPointer(ctx)
			if err != nil {
				return err
			}
			if cluster && after.epoch != at.epoch {
				misplaced = counts
			}
		}
		s.counts.misplaced.Add(int64(len(misplaced)))
		if counts = misplaced; len(counts) == 0 {
			return nil
		}
	}
	return errSwitching
}

// lateKeys returns the keys of counts, each once.
func lateKeys(counts []lateCount) []string {
	keys := make([]string, len(counts))
	for i := range counts {
		keys[i] = counts[i].key
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// countAt returns the counts that belong somewhere else.
func (s *Sink) countAt(ctx context.Context, counts []lateCount, to func(key string) place) (misplaced []lateCount, err error) {
	calls := make([]*call, len(counts))
	for i, c := range counts {
		p := to(c.key)
		calls[i] = &call{script: lateScript, keys: p.keys[1:], args: slices.Concat(c.args, []any{p.generation, p.asOf}, c.offsets)}
	}
	err = s.run(ctx, calls)
	for i, c := range calls {
		switch {
		case c.err != nil:
		case c.answer == answerSuperseded:
			misplaced = append(misplaced, counts[i])
		case c.answer < 0:
			s.counts.lateOld.Add(int64(len(counts[i].offsets)))
		default:
			s.counts.late.Add(c.answer)
		}
	}
	return misplaced, err
}

// lateOffsets is how many offsets a call has at most.
const lateOffsets = 5000

// lateCounts returns what is to be counted: for each list and source partition the offsets, ascending. What is too
// much for one call goes on in the next round, which is only run when the one before has been answered.
func (s *Sink) lateCounts(late []Late) [][]lateCount {
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
	var rounds [][]lateCount
	for _, c := range all {
		slices.Sort(c.offsets)
		offsets := slices.Compact(c.offsets)
		args := []any{"late_through:" + c.source + ":" + strconv.Itoa(int(c.partition)), decimal(s.config.TTL.Milliseconds()), flag(c.end > expired)}
		round := 0
		for part := range slices.Chunk(offsets, lateOffsets) {
			count := lateCount{key: c.key, args: args}
			for _, offset := range part {
				count.offsets = append(count.offsets, decimal(offset))
			}
			if round == len(rounds) {
				rounds = append(rounds, nil)
			}
			rounds[round] = append(rounds[round], count)
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
