// Package chart draws measurements as SVG files, all in one style.
package chart

import (
	"fmt"
	"image/color"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	_ "gonum.org/v1/plot/vg/vgsvg" // the format of files that end in .svg
)

// The size of every picture.
const (
	width  = 8 * vg.Inch
	height = 4.5 * vg.Inch
)

// Chart is lines over two axes. X and Y name the axes, with their units.
type Chart struct {
	Title, X, Y string
	// LogX and LogY draw an axis by powers of ten; values that aren't above 0 are left out then.
	LogX, LogY bool
	Series     []Series
	Marks      []Mark
}

// Series is one line: its points are {x, y}, in the order in which they are joined.
type Series struct {
	Name string
	XY   [][2]float64
	// Points has each point shown, too.
	Points bool
}

// Mark is a vertical line, where something happened.
type Mark struct {
	X     float64
	Label string
}

// Bar is one bar of a bar chart. Text stands above it.
type Bar struct {
	Name  string
	Value float64
	Text  string
}

// Lines writes a chart to a file that ends in .svg. Its error says what could not be drawn or written.
func Lines(path string, c Chart) error {
	p := newPlot(c.Title, c.X, c.Y)
	if c.LogX {
		p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
	}
	if c.LogY {
		p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
	} else {
		p.Y.Min = 0
	}
	drawn := 0
	for i, s := range c.Series {
		xys := make(plotter.XYs, 0, len(s.XY))
		for _, xy := range s.XY {
			if finite(xy[0]) && finite(xy[1]) && (!c.LogX || xy[0] > 0) && (!c.LogY || xy[1] > 0) {
				xys = append(xys, plotter.XY{X: xy[0], Y: xy[1]})
			}
		}
		if len(xys) == 0 {
			continue
		}
		drawn += len(xys)
		line, points, err := plotter.NewLinePoints(xys)
		if err != nil {
			return fmt.Errorf("drawing %s: series %q: %w", path, s.Name, err)
		}
		line.Color, line.Width = plotutil.Color(i), vg.Points(1.5)
		points.Color, points.Shape = line.Color, draw.CircleGlyph{}
		p.Add(line)
		if s.Points || len(xys) == 1 {
			p.Add(points)
		}
		p.Legend.Add(s.Name, line)
	}
	if drawn == 0 {
		return fmt.Errorf("drawing %s: there is nothing to draw", path)
	}
	if err := addMarks(p, c.Marks); err != nil {
		return fmt.Errorf("drawing %s: %w", path, err)
	}
	return save(p, path)
}

// Bars writes a bar chart to a file that ends in .svg: one bar above each name, y says what they measure.
func Bars(path, title, y string, bars []Bar) error {
	if len(bars) == 0 {
		return fmt.Errorf("drawing %s: there is nothing to draw", path)
	}
	p := newPlot(title, "", y)
	p.Y.Min = 0
	names, values := make([]string, len(bars)), make(plotter.Values, len(bars))
	texts := plotter.XYLabels{XYs: make(plotter.XYs, len(bars)), Labels: make([]string, len(bars))}
	for i, b := range bars {
		names[i], values[i] = b.Name, b.Value
		texts.XYs[i], texts.Labels[i] = plotter.XY{X: float64(i), Y: b.Value}, b.Text
	}
	columns, err := plotter.NewBarChart(values, vg.Points(40))
	if err != nil {
		return fmt.Errorf("drawing %s: %w", path, err)
	}
	columns.Color, columns.LineStyle.Width = plotutil.Color(2), 0
	labels, err := plotter.NewLabels(texts)
	if err != nil {
		return fmt.Errorf("drawing %s: %w", path, err)
	}
	for i := range labels.TextStyle {
		labels.TextStyle[i].XAlign = draw.XCenter
	}
	labels.Offset = vg.Point{Y: vg.Points(3)}
	p.Add(columns, labels)
	p.NominalX(names...)
	p.Y.Max *= 1.08 // room for the texts
	return save(p, path)
}

func newPlot(title, x, y string) *plot.Plot {
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = title, x, y
	p.Title.Padding, p.BackgroundColor = vg.Points(8), color.White
	p.Legend.Top, p.Legend.Left = true, false
	p.Legend.Padding = vg.Points(2)
	p.Add(plotter.NewGrid())
	return p
}

// addMarks draws vertical lines over the height that the series take.
func addMarks(p *plot.Plot, marks []Mark) error {
	bottom, top := p.Y.Min, p.Y.Max
	texts := plotter.XYLabels{}
	for _, m := range marks {
		line, err := plotter.NewLine(plotter.XYs{{X: m.X, Y: bottom}, {X: m.X, Y: top}})
		if err != nil {
			return fmt.Errorf("mark %q: %w", m.Label, err)
		}
		line.Color, line.Dashes = color.Gray{Y: 150}, []vg.Length{vg.Points(2), vg.Points(3)}
		p.Add(line)
		texts.XYs, texts.Labels = append(texts.XYs, plotter.XY{X: m.X, Y: bottom}), append(texts.Labels, m.Label)
	}
	if len(marks) == 0 {
		return nil
	}
	labels, err := plotter.NewLabels(texts)
	if err != nil {
		return err
	}
	for i := range labels.TextStyle {
		labels.TextStyle[i].Rotation, labels.TextStyle[i].Font.Size = math.Pi/2, vg.Points(7)
		labels.TextStyle[i].Color = color.Gray{Y: 100}
	}
	labels.Offset = vg.Point{X: vg.Points(8), Y: vg.Points(3)}
	p.Add(labels)
	return nil
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

func save(p *plot.Plot, path string) error {
	if err := p.Save(width, height, path); err != nil {
		return fmt.Errorf("drawing %s: %w", path, err)
	}
	return nil
}
