package main

import (
	"encoding/json"
	"errors"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/millrank/millrank/microbatch"
)

// table returns a table that is written to the output: with lines and bold heads on a terminal, plain elsewhere.
func (a *app) table(heads ...any) table.Writer {
	t := table.NewWriter()
	t.SetOutputMirror(a.out)
	style := table.StyleLight
	style.Format.Header = text.FormatDefault
	style.Options = table.OptionsNoBordersAndSeparators
	style.Options.SeparateHeader = true
	if terminal(a.out) {
		style.Color.Header = text.Colors{text.Bold}
	}
	t.SetStyle(style)
	t.AppendHeader(table.Row(heads))
	return t
}

// writeJSON writes what --json gives of a thing that is looked at: indented, since people read it, too.
func (a *app) writeJSON(v any) error {
	encoder := json.NewEncoder(a.out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
}

func isNoTopic(err error) bool { return errors.Is(err, microbatch.ErrNoTopic) }

func join(words []string) string { return strings.Join(words, ",") }
