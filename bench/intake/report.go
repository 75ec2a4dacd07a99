package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"text/tabwriter"
)

// row is one way's line of JSON.
type row struct {
	Way         string   `json:"way"`
	What        string   `json:"what"`
	Broker      string   `json:"broker"`
	Partitions  int      `json:"partitions"`
	Topic       written  `json:"topic"`
	Go          string   `json:"go"`
	CPUs        int      `json:"cpus"`
	Median      *round   `json:"median,omitempty"` // missing: the slot is empty
	Rounds      []round  `json:"rounds,omitempty"`
	ToSarama    *float64 `json:"times_sarama,omitempty"`
	ToWatermill *float64 `json:"times_watermill,omitempty"`
}

// report prints the results. Ratios are of rates from the first record, since the ways
// read different numbers of records, and joining a group takes the same time for all.
func report(out io.Writer, c config, topic written, results []measured) error {
	rows := make([]row, len(results))
	for i, m := range results {
		rows[i] = row{
			Way: m.way.name, What: m.way.what, Broker: c.broker, Partitions: c.partitions, Topic: topic,
			Go: runtime.Version(), CPUs: runtime.NumCPU(), Rounds: m.rounds,
		}
		if len(m.rounds) > 0 {
			rows[i].Median = new(m.middle())
		}
	}
	for i := range rows {
		rows[i].ToSarama = ratio(rows[i], "sarama", rows)
		rows[i].ToWatermill = ratio(rows[i], "watermill", rows)
	}
	if c.json {
		return printJSON(out, rows)
	}
	return printTable(out, c, topic, rows)
}

// ratio returns how many times as fast as the way of that name a row is.
func ratio(r row, name string, all []row) *float64 {
	for _, other := range all {
		if other.Way == name && other.Median != nil && r.Median != nil {
			return new(r.Median.FromFirst / other.Median.FromFirst)
		}
	}
	return nil
}

func printJSON(out io.Writer, rows []row) error {
	encoder := json.NewEncoder(out)
	for _, r := range rows {
		if err := encoder.Encode(r); err != nil {
			return fmt.Errorf("results: %w", err)
		}
	}
	return nil
}

func printTable(out io.Writer, c config, topic written, rows []row) error {
	var lines strings.Builder
	lines.WriteString("way\trecords\trecords/s from start\tfrom first record\tCPU s per M\tpeak RSS MiB\tx sarama\tx watermill\t\n")
	for _, r := range rows {
		if r.Median == nil {
			fmt.Fprintf(&lines, "%s\t-\t-\t-\t-\t-\t-\t-\t\n", r.Way)
			continue
		}
		m := r.Median
		fmt.Fprintf(&lines, "%s\t%d\t%.0f\t%.0f\t%.2f\t%d\t%s\t%s\t\n",
			r.Way, m.Records, m.FromStart, m.FromFirst, m.CPU, m.PeakRSS>>20, times(r.ToSarama), times(r.ToWatermill))
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, err := io.WriteString(table, lines.String())
	if err := errors.Join(err, table.Flush()); err != nil {
		return fmt.Errorf("results: %w", err)
	}
	_, err = fmt.Fprintf(out, "%s broker, %d partitions, %s; medians of %d rounds; %s on %d CPUs\n",
		c.broker, c.partitions, topic, c.rounds, runtime.Version(), runtime.NumCPU())
	return err
}

func times(ratio *float64) string {
	if ratio == nil {
		return "-"
	}
	return fmt.Sprintf("%.2f", *ratio)
}
