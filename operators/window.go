package operators

import (
	"errors"
	"fmt"
	"time"
)

// Window says which slices of event time are ranked, as unions of panes: windows of
// length Size, half-open [start, end), that start at every multiple of Slide, shifted by
// Offset. With Slide = Size they are tumbling, with less they slide and overlap.
type Window struct {
	Size   time.Duration // a multiple of the pane
	Slide  time.Duration // a multiple of the pane, at most Size; 0 means Size
	Offset time.Duration // a multiple of the pane, less than Slide either way; e.g. -1h for days that begin at 23:00 UTC
}

func (w Window) String() string {
	s := "tumbling " + w.Size.String()
	if w.Slide != 0 && w.Slide != w.Size {
		s = "sliding " + w.Size.String() + " every " + w.Slide.String()
	}
	if w.Offset != 0 {
		s += " from " + w.Offset.String()
	}
	return s
}

// validate reports all that is wrong with the window over panes of this length.
func (w Window) validate(pane time.Duration) error {
	var errs []error
	w = w.normal()
	if w.Size <= 0 || w.Size > durationMax || w.Size%pane != 0 {
		errs = append(errs, fmt.Errorf("window size is %v; it must be a multiple of the pane, %v, of at most %v", w.Size, pane, durationMax))
	}
	if w.Slide <= 0 || w.Slide > w.Size || w.Slide%pane != 0 {
		errs = append(errs, fmt.Errorf("window slide is %v; it must be a multiple of the pane, %v, of at most the size, %v", w.Slide, pane, w.Size))
	}
	if w.Slide > 0 && w.Size/w.Slide > slidesMax {
		errs = append(errs, fmt.Errorf("window size is %v, %d slides of %v; it must be at most %d slides", w.Size, w.Size/w.Slide, w.Slide, slidesMax))
	}
	if w.Offset%pane != 0 || w.Offset.Abs() >= max(w.Slide, 1) && w.Offset != 0 {
		errs = append(errs, fmt.Errorf("window offset is %v; it must be a multiple of the pane, %v, of less than the slide, %v", w.Offset, pane, w.Slide))
	}
	return errors.Join(errs...)
}

// slidesMax bounds how many windows hold one instant: a day, every minute.
const slidesMax = 1440

// normal spells out the default slide, and brings the offset into [0, slide).
func (w Window) normal() Window {
	if w.Slide == 0 {
		w.Slide = w.Size
	}
	if w.Slide > 0 {
		w.Offset = ((w.Offset % w.Slide) + w.Slide) % w.Slide
	}
	return w
}

// span is a window's geometry in milliseconds.
type span struct{ size, slide, offset int64 }

func (w Window) span() span {
	w = w.normal()
	return span{w.Size.Milliseconds(), w.Slide.Milliseconds(), w.Offset.Milliseconds()}
}

// last returns the start of the last window that holds the instant t. The others that
// hold it start a slide earlier each, down to t - size (exclusive).
func (s span) last(t int64) int64 { return floorDiv(t-s.offset, s.slide)*s.slide + s.offset }

// first returns the start of the first window that holds t.
func (s span) first(t int64) int64 { return s.last(t-s.size) + s.slide }

// sliding reports whether windows overlap.
func (s span) sliding() bool { return s.slide < s.size }
