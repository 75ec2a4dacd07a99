package main

import (
	"context"
	"slices"

	"github.com/millrank/millrank/bench/internal/trial"
)

// The engines, by name.
const (
	boundName    = "bound"
	millrankName = "millrank"
)

// names returns all engines' names, in the order in which they run and are shown.
func names() []string {
	all := defaults()
	for _, peer := range trial.Peers() {
		all = append(all, peer.Name())
	}
	return all
}

// defaults returns those that run where nothing else is said.
func defaults() []string { return []string{boundName, millrankName} }

// build is another build of Millrank: a program's file.
type build struct{ name, file string }

// chosen makes ready those that are to run.
func chosen(ctx context.Context, c config, folder string) ([]trial.Engine, error) {
	var engines []trial.Engine
	for _, name := range names() {
		if !slices.Contains(c.only, name) {
			continue
		}
		switch name {
		case boundName:
			engines = append(engines, trial.Bound{Workers: 2, Profiles: c.profiles})
		case millrankName:
			program, err := trial.Build(ctx, folder)
			if err != nil {
				return nil, err
			}
			engines = append(engines, trial.Millrank{Program: program, Set: c.set, Profiles: c.profiles})
		default:
			peers := trial.Peers()
			at := slices.IndexFunc(peers, func(p trial.JVM) bool { return p.Name() == name })
			engines = append(engines, peers[at])
		}
	}
	for _, b := range c.programs {
		engines = append(engines, trial.Millrank{Program: b.file, Label: b.name, Set: c.set, Profiles: c.profiles})
	}
	return engines, nil
}
