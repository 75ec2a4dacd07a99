package chart_test

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/millrank/millrank/bench/internal/chart"
)

// texts returns what stands in an SVG file, and fails where it isn't well-formed.
func texts(t *testing.T, path string) string {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var b strings.Builder
	for d := xml.NewDecoder(file); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return b.String()
		}
		if err != nil {
			t.Fatal(err)
		}
		if text, ok := token.(xml.CharData); ok {
			b.Write(text)
		}
	}
}

func TestLines(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lines.svg")
	err := chart.Lines(path, chart.Chart{
		Title: "Rate <by> items", X: "items", Y: "events/s", LogX: true,
		Series: []chart.Series{
			{Name: "one process", XY: [][2]float64{{0, 1}, {1000, 2e6}, {1e6, 1e6}, {1e7, math.NaN()}}, Points: true},
			{Name: "nothing known"},
		},
		Marks: []chart.Mark{{X: 1e4, Label: "killed"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	got := texts(t, path)
	for _, want := range []string{"Rate <by> items", "items", "events/s", "one process", "killed"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in the picture: %q", want, got)
		}
	}
	if strings.Contains(got, "nothing known") {
		t.Error("a series without points is in the legend")
	}
	if err := chart.Lines(path, chart.Chart{Series: []chart.Series{{Name: "empty"}}}); err == nil {
		t.Error("a chart of nothing was drawn")
	}
}

func TestBars(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bars.svg")
	if err := chart.Bars(path, "CPU", "seconds per million events", []chart.Bar{{Name: "bound", Value: 0.8, Text: "0.80"}, {Name: "millrank", Value: 1.4, Text: "1.40"}}); err != nil {
		t.Fatal(err)
	}
	got := texts(t, path)
	for _, want := range []string{"CPU", "seconds per million events", "bound", "0.80", "millrank", "1.40"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in the picture: %q", want, got)
		}
	}
	if err := chart.Bars(path, "CPU", "s", nil); err == nil {
		t.Error("a chart of nothing was drawn")
	}
}
