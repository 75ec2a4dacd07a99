package trial

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/millrank/millrank/bench/internal/workload"
	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/pipeline"
	"github.com/millrank/millrank/pipeline/settings"
	"github.com/millrank/millrank/wire"
)

// Millrank is the program as users have it: intake and rank, with all that lets them be killed at any moment.
type Millrank struct {
	Program   string   // the file, as Build makes it
	Label     string   // what tells it from other builds; "" for this one
	Set       []string // further settings, path=value
	Processes int      // 0 means 1
	Profiles  Profiles // of the first process
	// Adjust changes settings of a round, before Set does; nil for nothing.
	Adjust func(*settings.Settings)
}

// Name is Engine's.
func (m Millrank) Name() string {
	if m.Label != "" {
		return "millrank-" + m.Label
	}
	return "millrank"
}

// What is Engine's.
func (m Millrank) What() string {
	if m.Label != "" {
		return "Millrank, another build: " + m.Program
	}
	return "Millrank, the built program: intake and rank, replayable, committed to Kafka"
}

// board is the board of the job.
const board = "bench"

// Settings returns what the program is told for a round.
func (m Millrank) Settings(r Round) (settings.Settings, error) {
	w := r.Workload
	s := settings.Default()
	s.Name, s.Kafka.BootstrapServers, s.Source.Topic = r.Name, r.Brokers, r.Topic
	s.Handlers = []string{settings.Intake, settings.Rank}
	s.Source.Fields.Time, s.Source.Fields.TimeFormat, s.Source.Fields.Value = "ts", "unix_ms", "count"
	s.Time.Pane, s.Time.OutOfOrderness, s.Time.AllowedLateness = settings.Duration(w.Window), settings.Duration(w.OutOfOrderness), settings.Duration(w.AllowedLateness)
	// As long as an event that is sent again can still be counted.
	s.Dedup.Horizon = settings.Duration(w.Window + w.AllowedLateness + w.OutOfOrderness)
	s.Boards = []settings.Board{{Name: board, Measure: "count", Window: settings.Duration(w.Window), K: workload.K, Order: "top", By: []string{"global", "region"}}}
	s.Topics.DeadLetters.Name = r.Name + ".dead-letters"
	s.HTTP.Address, s.Log.Format, s.Log.Level = "", "text", "warn"
	if m.Adjust != nil {
		m.Adjust(&s)
	}
	file := filepath.Join(r.Folder, "millrank.yaml")
	if err := os.WriteFile(file, []byte(s.String()), 0o600); err != nil {
		return s, fmt.Errorf("Millrank's settings: %w", err)
	}
	s, err := settings.Load(settings.From{File: file, Set: m.Set})
	if err != nil {
		return s, fmt.Errorf("Millrank's settings: %w", err)
	}
	return s, os.WriteFile(file, []byte(s.String()), 0o600)
}

// Launch is Engine's.
func (m Millrank) Launch(ctx context.Context, r Round) (Launch, error) {
	s, err := m.Settings(r)
	if err != nil {
		return Launch{}, err
	}
	l := Launch{Out: s.RankingsTopic(), Decode: rankings}
	for _, t := range pipeline.Topics(s) {
		if t.Name == l.Out {
			if err := createOutput(ctx, r.Brokers, t); err != nil {
				return Launch{}, err
			}
		}
	}
	for range max(1, m.Processes) {
		l.Commands = append(l.Commands, m.command(r))
	}
	if m.Profiles.Folder != "" {
		address, err := FreeAddress()
		if err != nil {
			return Launch{}, err
		}
		l.Commands[0].Args = append(l.Commands[0].Args, "--set", "http.address="+address, "--set", "http.profiles=true")
		l.Beside = func(ctx context.Context) error {
			return fetchProfile(ctx, address, m.Profiles.Seconds, filepath.Join(m.Profiles.Folder, r.Name+".prof"))
		}
	}
	return l, nil
}

// command returns the command of one process.
func (m Millrank) command(r Round, further ...string) *exec.Cmd {
	arguments := append([]string{"run", "--config", filepath.Join(r.Folder, "millrank.yaml")}, further...)
	return exec.Command(m.Program, arguments...) //nolint:noctx // whoever launches it ends it
}

// rankings reads a message of the rankings topic.
func rankings(value []byte) ([]row, error) {
	_, _, message, err := wire.DecodeRankings(value)
	if err != nil {
		return nil, err
	}
	rows := make([]row, 0, len(message.Lists))
	for i := range message.Lists {
		list := &message.Lists[i]
		if list.Board != board {
			continue
		}
		r := row{key: workload.Key{Window: list.Start, Region: regionOf(list)}, part: message.Source, asOf: message.AsOf, final: list.Final}
		r.table.Lines = make([]workload.Line, len(list.Entries))
		for i, e := range list.Entries {
			r.table.Lines[i] = workload.Line{Item: e.Item, Count: int64(e.Score)}
		}
		rows = append(rows, r)
	}
	return rows, nil
}

func regionOf(list *event.Ranking) string {
	if list.By == "" {
		return workload.Global
	}
	return strings.Join(list.Group.Values(), ",")
}

// Build builds the program into a folder, as releases are built, and returns the file.
func Build(ctx context.Context, folder string) (string, error) {
	file := filepath.Join(folder, "millrank")
	command := exec.CommandContext(ctx, "go", "build", "-trimpath", "-tags", "nodemo", "-o", file, "github.com/millrank/millrank/cmd/millrank")
	if out, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building cmd/millrank (run it inside the repository): %w\n%s", err, out)
	}
	return file, nil
}
