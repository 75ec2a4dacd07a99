package main

import (
	"fmt"
	"time"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/operators"
	"github.com/millrank/millrank/sinks/redis"
)

// k is how long lists are.
const k = 100

// boards returns three boards, each with a list for each region and one of all.
func boards() operators.Boards {
	s := operators.DefaultSettings()
	by := [][]string{{}, {"region"}}
	return operators.Boards{
		Pane: s.Pane, AllowedLateness: s.AllowedLateness, OutOfOrderness: s.OutOfOrderness, ReviseFor: 10 * time.Minute, Dimensions: []string{"region"},
		Boards: []operators.Board{
			{Name: "views", Window: operators.Window{Size: time.Minute}, Measure: operators.Count, K: k, By: by},
			{Name: "sales", Window: operators.Window{Size: time.Hour}, Measure: operators.Sum, K: k, By: by},
			{Name: "trending", Window: operators.Window{Size: 5 * time.Minute, Slide: time.Minute}, Measure: operators.Sum, K: k, By: by},
		},
	}
}

// regionOf returns the name of a region.
func regionOf(i int) string { return fmt.Sprintf("region-%02d", i) }

// watch is where a probe is looked for: a region's list on one of the boards that sum.
type watch struct {
	board  operators.Board
	region string
}

// watches are all of them, which probes take in turn.
type watches []watch

func newWatches(regions int) watches {
	var all watches
	for i := range regions {
		for _, board := range boards().Boards {
			if board.Measure == operators.Sum {
				all = append(all, watch{board: board, region: regionOf(i)})
			}
		}
	}
	return all
}

// of returns where the probe of this number is looked for.
func (w watches) of(number int) watch { return w[number%len(w)] }

// start returns the start of the window in which an event of this time, Unix ms, is to be seen at once: the one that ends
// next. (Those that slide, and end later, are ranked later.)
func (w watch) start(milli int64) int64 {
	size, slide := w.board.Window.Size.Milliseconds(), w.board.Window.Slide.Milliseconds()
	if slide == 0 {
		slide = size
	}
	return milli - milli%slide + slide - size
}

// key returns the key of the list that shows an event of this time.
func (w watch) key(sink *redis.Sink, milli int64) string {
	return sink.Keys(w.board.Name, "region", event.NewGroup(w.region)).Window(w.start(milli))
}

// shows reports whether a list is of this board and region, whatever its window.
func (w watch) shows(list *event.Ranking) bool {
	return list.Board == w.board.Name && list.By == "region" && list.Group.Values()[0] == w.region
}
