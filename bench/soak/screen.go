package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"
)

// linesEvery is how often there is a line of how it is going, where there is no terminal.
const linesEvery = 10 * time.Second

// screen says how it is going: on a terminal with a bar, else in lines.
type screen struct {
	to       io.Writer
	terminal bool
	total    time.Duration

	mu        sync.Mutex
	container *mpb.Progress
	bar       *mpb.Bar
	now       string
	said      time.Time
}

func newScreen(to io.Writer, total time.Duration) *screen {
	file, ok := to.(*os.File)
	return &screen{to: to, total: total, terminal: ok && term.IsTerminal(int(file.Fd()))}
}

// sayf says something once.
func (s *screen) sayf(format string, args ...any) {
	line := time.Now().Format(time.TimeOnly) + " " + fmt.Sprintf(format, args...) + "\n"
	s.mu.Lock()
	container := s.container
	s.mu.Unlock()
	if container != nil {
		_, _ = container.Write([]byte(line)) // above the bar
		return
	}
	fmt.Fprint(s.to, line)
}

// begin shows the bar, where there is a terminal.
func (s *screen) begin() {
	if !s.terminal {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.container = mpb.New(mpb.WithOutput(s.to), mpb.WithWidth(30), mpb.WithAutoRefresh())
	s.bar = s.container.AddBar(s.total.Milliseconds(), mpb.PrependDecorators(decor.Elapsed(decor.ET_STYLE_GO)), mpb.AppendDecorators(decor.Any(func(decor.Statistics) string {
		s.mu.Lock()
		defer s.mu.Unlock()
		return " " + s.now
	})))
}

// status says how it is now.
func (s *screen) status(done time.Duration, now string) {
	s.mu.Lock()
	s.now = now
	bar := s.bar
	speaks := bar == nil && time.Since(s.said) >= linesEvery
	if speaks {
		s.said = time.Now()
	}
	s.mu.Unlock()
	switch {
	case bar != nil:
		bar.SetCurrent(min(done, s.total).Milliseconds())
	case speaks:
		s.sayf("%v of %v: %s", done.Round(time.Second), s.total, now)
	}
}

// end takes the bar away.
func (s *screen) end() {
	s.mu.Lock()
	container, bar := s.container, s.bar
	s.container, s.bar = nil, nil
	s.mu.Unlock()
	if container != nil {
		bar.SetTotal(-1, true)
		container.Wait()
	}
}

// verdict shows a word in green or red, where there are colours.
func (s *screen) verdict(good bool, words string) string {
	switch {
	case !s.terminal:
		return words
	case good:
		return text.FgGreen.Sprint(words)
	}
	return text.FgRed.Sprint(words)
}
