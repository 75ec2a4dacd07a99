package operators

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/millrank/millrank/event"
)

// scriptWorld is what scripts act in: source partitions with their logs, shards, and
// one merge, with topics of slices between them. Nothing moves but by a command.
type scriptWorld struct {
	printed []string

	settings   Settings
	boards     Boards
	partitions int64
	partCells  int // a flush is split into parts of so many cells
	started    bool

	sources  []*scriptSource
	shards   []*scriptShard
	merge    *scriptMerge
	receiver *scriptReceiver
}

// scriptSource is a source partition: its log, and the fold over it.
type scriptSource struct {
	log    []Record
	fold   *Partition
	run    uint64 // incarnation
	commit Checkpoint
	held   map[int][]event.Update // flushes on their way to a shard that doesn't answer
}

func (w *scriptWorld) printf(format string, args ...any) {
	w.printed = append(w.printed, fmt.Sprintf(format, args...))
}

// do runs a command. Those of one source partition take partition=0.
func (w *scriptWorld) do(a *arguments) {
	switch a.command {
	case "settings": // begins a new world
		w.set(a)
		return
	case "board":
		w.board(a)
		return
	case "receiver", "part", "resume": // a receiver by itself, for what goes on inside the hop
		w.doReceiver(a)
		return
	}
	w.start()
	switch a.command {
	case "event", "punctuate", "malformed":
		w.record(a)
	case "redeliver": // a record of the log comes again, offset=
		w.redeliver(a)
	case "cells": // of the open panes
		w.printCells(w.source(a))
	case "shard-of": // says which shard these items belong to
		for len(a.words) > 0 {
			item := a.word("")
			w.printf("%s: shard %d", item, Shard([]byte(item), len(w.shards)))
		}
	default:
		w.doFlow(a)
	}
}

// set reads the settings; what isn't said is as in DefaultSettings.
func (w *scriptWorld) set(a *arguments) {
	s := DefaultSettings()
	s.Pane = a.duration("pane", s.Pane)
	s.OutOfOrderness = a.duration("out-of-orderness", s.OutOfOrderness)
	s.AllowedLateness = a.duration("allowed-lateness", s.AllowedLateness)
	s.MaxAhead = a.duration("max-ahead", s.MaxAhead)
	s.DedupSegment = a.duration("dedup-segment", s.DedupSegment)
	s.DedupSegments = int(a.number("dedup-segments", int64(s.DedupSegments)))
	s.DedupRecords = a.number("dedup-records", s.DedupRecords)
	s.DedupRecordSegments = int(a.number("dedup-record-segments", int64(s.DedupRecordSegments)))
	*w = scriptWorld{
		printed: w.printed, settings: s,
		boards: Boards{
			Pane: s.Pane, AllowedLateness: s.AllowedLateness, OutOfOrderness: s.OutOfOrderness,
			ReviseFor: a.duration("revise-for", 10*time.Minute), ValueScale: int(a.number("value-scale", 0)),
			Dimensions: []string{"region"}, RankItems: int(a.number("rank-items", 0)),
		},
		partitions: a.number("partitions", 1),
		shards:     make([]*scriptShard, a.number("shards", 1)),
		partCells:  int(a.number("part-cells", math.MaxInt32)),
	}
}

// board adds a board. by=region;global makes one list per region and one of all.
func (w *scriptWorld) board(a *arguments) {
	b := Board{
		Name:     a.word("top"),
		Window:   Window{Size: a.duration("window", w.settings.Pane), Slide: a.duration("slide", 0), Offset: a.duration("offset", 0)},
		K:        int(a.number("k", 10)),
		MinCount: a.number("min-count", 0),
	}
	switch measure := a.text("measure", "count"); measure {
	case "count":
	case "sum":
		b.Measure = Sum
	case "average":
		b.Measure = Average
	default:
		mistakenf("there is no measure %q", measure)
	}
	if a.text("order", "top") == "bottom" {
		b.Order = event.Bottom
	}
	for by := range strings.SplitSeq(a.text("by", "global"), ";") {
		if by == "global" {
			b.By = append(b.By, []string{})
		} else {
			b.By = append(b.By, strings.Split(by, ","))
		}
	}
	w.boards.Boards = append(w.boards.Boards, b)
}

// start makes the world, once.
func (w *scriptWorld) start() {
	if w.started {
		return
	}
	w.started = true
	for range w.partitions {
		s := &scriptSource{commit: CheckpointAt(0), held: map[int][]event.Update{}, run: 1}
		s.fold = NewPartition(w.settings, len(w.shards), s.commit)
		w.sources = append(w.sources, s)
	}
	for i := range w.shards {
		w.shards[i] = &scriptShard{commit: ResumeAt(0), run: 1, rank: NewRank(w.boards, len(w.sources), 1, ResumeAt(0))}
	}
	w.merge = &scriptMerge{commit: ResumeAt(0), sink: map[event.ListKey]event.Ranking{}, merge: NewMerge(w.boards, len(w.shards), ResumeAt(0))}
}

// source returns the source partition that a command is for.
func (w *scriptWorld) source(a *arguments) *scriptSource {
	return w.sources[a.number("partition", 0)]
}

// record appends a record to a source partition's log, and folds it. Its Kafka
// timestamp, record=, is the time that it speaks of where nothing else is said.
func (w *scriptWorld) record(a *arguments) {
	s := w.source(a)
	offset := int64(0)
	if n := len(s.log); n > 0 {
		offset = s.log[n-1].Offset + 1
	}
	r := Record{Offset: a.number("offset", offset)}
	at := a.time("at", 0)
	if r.Time = a.time("record", at); r.Time == event.NoTime { // record=none
		r.Time = NoTimestamp
	}
	switch a.command {
	case "event":
		id := a.word("")
		if id == "" || at == 0 {
			mistakenf("an event needs an ID and at=")
		}
		r.Event = event.Event{
			ID: event.NewID([]byte(id)), Item: []byte(a.text("item", "x")), Group: []byte(event.NewGroup(a.text("region", "eu"))),
			Time: at, Value: a.number("value", 1),
		}
	case "punctuate":
		r.Kind, r.Advance = KindPunctuation, at
	case "malformed":
		r.Kind = KindMalformed
	}
	s.log = append(s.log, r)
	w.step(s, &r)
}

func (w *scriptWorld) redeliver(a *arguments) {
	s, offset := w.source(a), a.number("offset", -1)
	i := slices.IndexFunc(s.log, func(r Record) bool { return r.Offset == offset })
	if i < 0 {
		mistakenf("there is no such record")
	}
	w.step(s, &s.log[i])
}

// step folds a record and prints what became of it.
func (w *scriptWorld) step(s *scriptSource, r *Record) {
	var open []int64 // starts
	for _, pane := range s.fold.panes.open {
		open = append(open, pane.start)
	}
	out := s.fold.Step(r)
	line := fmt.Sprintf("%d %v", out.Offset, out.Decision)
	if len(w.sources) > 1 {
		line = fmt.Sprintf("%d:%s", slices.Index(w.sources, s), line)
	}
	if out.Conflict {
		line += " with another payload"
	}
	if out.Decision == event.Repeated {
		w.printf("%s", line)
		return
	}
	line += ", W " + clock(out.Watermark)
	if out.Decision == event.Late {
		end := out.Pane + w.settings.Pane.Milliseconds()
		line += fmt.Sprintf(", %v past %s", time.Duration(out.Lateness)*time.Millisecond, clockSpan(out.Pane, end))
	}
	for _, start := range open {
		if !slices.ContainsFunc(s.fold.panes.open, func(p *pane) bool { return p.start == start }) {
			line += ", closes " + clockSpan(start, start+w.settings.Pane.Milliseconds())
		}
	}
	w.printf("%s", line)
}

// printCells prints what a fold has counted in its open panes.
func (w *scriptWorld) printCells(s *scriptSource) {
	none := true
	for _, pane := range s.fold.panes.open {
		var cells []event.Cell
		for i := range pane.cells {
			cells = append(cells, pane.view(i))
		}
		slices.SortFunc(cells, func(a, b event.Cell) int {
			return cmp.Or(slices.Compare(a.Group, b.Group), slices.Compare(a.Item, b.Item))
		})
		for _, c := range cells {
			none = false
			w.printf("%s %s %s: count %d, sum %d, min %d, max %d, duplicates %d", clockSpan(pane.start, pane.end),
				strings.Join(event.Group(c.Group).Values(), ","), c.Item, c.Count, c.Sum, c.Min, c.Max, c.Duplicates)
		}
	}
	if none {
		w.printf("no open pane")
	}
}
