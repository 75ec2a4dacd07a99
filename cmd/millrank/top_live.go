package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
)

// live shows a text that changes, until q is pressed. show makes it, for a terminal of this width; keys, which may be nil, is told of other keys.
func (a *app) live(ctx context.Context, every time.Duration, keys func(key string), show func(width int) (string, error)) error {
	if every < 100*time.Millisecond {
		every = 100 * time.Millisecond
	}
	l := &liveView{every: every, keys: keys, show: show, width: 80}
	_, err := tea.NewProgram(l, tea.WithContext(ctx), tea.WithInput(a.in), tea.WithOutput(a.out)).Run()
	if err != nil && !errors.Is(err, tea.ErrInterrupted) && ctx.Err() == nil {
		return fmt.Errorf("the terminal: %w", err)
	}
	return nil
}

// liveView is what is shown at the moment. It looks in a command of its own, so that keys work while it does.
type liveView struct {
	every         time.Duration
	keys          func(string)
	show          func(int) (string, error)
	width, height int
	text          string
	err           error
	looking       bool
	stale         bool // a key has changed what is to be shown, while it looked
	turn          int  // of the wait that counts: a key ends one
}

type (
	looked struct {
		text string
		err  error
	}
	lookAgain struct{ turn int }
)

func (l *liveView) look() (tea.Model, tea.Cmd) {
	if l.looking {
		l.stale = true
		return l, nil
	}
	l.looking, l.stale = true, false
	width := l.width
	return l, func() tea.Msg {
		text, err := l.show(width)
		return looked{text, err}
	}
}

// Init looks first.
func (l *liveView) Init() tea.Cmd {
	_, look := l.look()
	return look
}

// Update takes keys and what was seen.
func (l *liveView) Update(m tea.Msg) (tea.Model, tea.Cmd) {
	switch m := m.(type) {
	case tea.WindowSizeMsg:
		l.width, l.height = m.Width, m.Height
		return l.look()
	case tea.KeyPressMsg:
		switch key := m.String(); {
		case key == "q" || key == "ctrl+c" || key == "esc":
			return l, tea.Quit
		case l.keys != nil:
			l.keys(key)
			return l.look()
		}
	case looked:
		l.looking, l.err = false, m.err
		if m.err == nil {
			l.text = m.text
		}
		if l.stale {
			return l.look()
		}
		l.turn++
		turn := l.turn
		return l, tea.Tick(l.every, func(time.Time) tea.Msg { return lookAgain{turn} })
	case lookAgain:
		if m.turn == l.turn && !l.looking {
			return l.look()
		}
	}
	return l, nil
}

// View is what was seen last, and what goes wrong now.
func (l *liveView) View() tea.View {
	text := strings.TrimRight(l.text, "\n")
	if lines := strings.Split(text, "\n"); l.height > 4 && len(lines) > l.height-3 {
		text = strings.Join(lines[:l.height-3], "\n") + "\n..."
	}
	if l.err != nil {
		text += "\n\nthis was the last; now: " + l.err.Error()
	}
	v := tea.NewView(text + "\n\nq quits")
	v.AltScreen = true
	return v
}
