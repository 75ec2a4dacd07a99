package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"
	goredis "github.com/redis/go-redis/v9"

	"github.com/millrank/millrank/sinks/redis"
)

// shownEvery is how often the screen is drawn anew.
const shownEvery = 200 * time.Millisecond

// shownItems is how many items of a board are shown.
const shownItems = 10

// shownStream is what is seen of a stream at a moment.
type shownStream struct {
	name, title, unit string
	sent, all         int64 // events
	start             string
	final             bool
	items             []goredis.Z
}

// look reads what is to be seen of a stream.
func look(ctx context.Context, client *goredis.Client, s *stream) (shownStream, error) {
	key := s.settings.Redis.Prefix + "global:top_k:" + s.shown
	var items *goredis.ZSliceCmd
	var meta *goredis.MapStringStringCmd
	_, err := client.TxPipelined(ctx, func(p goredis.Pipeliner) error {
		items, meta = p.ZRevRangeWithScores(ctx, key, 0, shownItems-1), p.HGetAll(ctx, redis.Meta(key))
		return nil
	})
	if err != nil {
		return shownStream{}, fmt.Errorf("reading Redis: %w", err)
	}
	m := meta.Val()
	return shownStream{
		name: s.name, title: s.title, unit: s.unit, sent: s.sent.Load(), all: int64(s.events),
		start: m["start"], final: m["final"] == "1", items: items.Val(),
	}, nil
}

// draw draws what is seen of all streams.
func draw(all []shownStream, width int) string {
	bold, dim := lipgloss.NewStyle().Bold(true), lipgloss.NewStyle().Faint(true)
	bar := lipgloss.NewStyle().Foreground(lipgloss.Color("4"))
	width = min(max(width, 60), 110)
	var b strings.Builder
	for _, s := range all {
		fmt.Fprintln(&b, bold.Render(cut(s.title, width)))
		share := float64(s.sent) / float64(max(s.all, 1))
		const cells = 30
		full := min(cells, int(share*cells))
		fmt.Fprintf(&b, "%s%s %s\n", bar.Render(strings.Repeat("█", full)), dim.Render(strings.Repeat("░", cells-full)),
			dim.Render(cut(fmt.Sprintf("%3.0f %% sent; %s", 100*min(share, 1), window(s)), width-cells-1)))
		top := 1.0
		if len(s.items) > 0 {
			top = max(top, s.items[0].Score)
		}
		for i := range shownItems {
			if i >= len(s.items) {
				fmt.Fprintln(&b)
				continue
			}
			item := s.items[i]
			length := max(0, int(item.Score/top*float64(width-56)))
			fmt.Fprintf(&b, "%3d  %-40s %6.0f %s\n", i+1, cut(fmt.Sprint(item.Member), 40), item.Score, bar.Render(strings.Repeat("▇", length)))
		}
		fmt.Fprintln(&b)
	}
	return b.String()
}

func window(s shownStream) string {
	if s.start == "" {
		return "no window yet"
	}
	state := "still counted"
	if s.final {
		state = "final"
	}
	return "window of " + strings.TrimSuffix(s.start, ":00.000Z") + ", " + state
}

// cut shortens a text to so many characters.
func cut(text string, most int) string {
	runes := []rune(text)
	if len(runes) <= most {
		return text
	}
	return string(runes[:most-1]) + "…"
}

// screen shows the boards as they change.
type screen struct {
	looks  func() ([]shownStream, error)
	cancel func() // on q and Ctrl-C
	shown  []shownStream
	width  int
}

type drawAgain struct{}

func again() tea.Cmd { return tea.Tick(shownEvery, func(time.Time) tea.Msg { return drawAgain{} }) }

// Init begins to draw.
func (s *screen) Init() tea.Cmd { return again() }

// Update takes keys, and looks again.
func (s *screen) Update(m tea.Msg) (tea.Model, tea.Cmd) {
	switch m := m.(type) {
	case tea.WindowSizeMsg:
		s.width = m.Width
	case tea.KeyPressMsg:
		if key := m.String(); key == "q" || key == "ctrl+c" || key == "esc" {
			s.cancel()
			return s, tea.Quit
		}
	case drawAgain:
		all, err := s.looks()
		if err == nil {
			s.shown = all
		}
		return s, again()
	}
	return s, nil
}

// View draws.
func (s *screen) View() tea.View { return tea.NewView(draw(s.shown, s.width)) }

// showOn shows the boards on a terminal until ctx is done; what is seen last stays there. Keys q and Ctrl-C call quit.
func showOn(ctx context.Context, in io.Reader, out io.Writer, looks func() ([]shownStream, error), quit func()) error {
	program := tea.NewProgram(&screen{looks: looks, cancel: quit}, tea.WithContext(ctx), tea.WithInput(in), tea.WithOutput(out), tea.WithoutSignalHandler())
	if _, err := program.Run(); err != nil && !errors.Is(err, tea.ErrProgramKilled) && ctx.Err() == nil {
		return fmt.Errorf("the terminal: %w", err)
	}
	return nil
}

// showLines says how far all is, a line every few seconds, where there is no terminal.
func showLines(ctx context.Context, out io.Writer, looks func() ([]shownStream, error)) {
	ticker := time.NewTicker(2 * time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		all, err := looks()
		if err != nil {
			continue
		}
		for _, s := range all {
			first := "nothing yet"
			if len(s.items) > 0 {
				first = fmt.Sprintf("%v with %.0f %s", s.items[0].Member, s.items[0].Score, s.unit)
			}
			fmt.Fprintf(out, "%-9s %3.0f %% sent; %s; on top: %s\n", s.name, 100*min(1, float64(s.sent)/float64(s.all)), window(s), first)
		}
	}
}
