package main

import (
	"fmt"
	"strings"
)

// assumed says what was reckoned with that nobody has given.
func (p planned) assumed(changed func(string) bool) []string {
	t := p.traffic
	var list []string
	add := func(flags, text string) {
		for flag := range strings.FieldsSeq(flags) {
			if changed(flag) {
				return
			}
		}
		list = append(list, text+" (--"+strings.Fields(flags)[0]+")")
	}
	add("events-per-second events-per-day", rounded(t.EventsPerSecond)+" events a second")
	add("peak", fmt.Sprintf("the busiest second has %v times the average", t.Peak))
	add("event-bytes", fmt.Sprintf("%d bytes an event in Kafka", t.EventBytes))
	add("items", comma(int64(t.Items))+" items")
	add("item-bytes", fmt.Sprintf("IDs of %d bytes", t.ItemBytes))
	add("regions", fmt.Sprintf("%d regions", t.Regions))
	add("item-regions", "items are seen in all regions alike")
	add("skew", fmt.Sprintf("popularity by Zipf's law, exponent %v", t.Skew))
	add("duplicates", fmt.Sprintf("%v %% repeats", 100*t.Duplicates))
	add("dead-letters", fmt.Sprintf("%v %% dead letters", 100*t.DeadLetters))
	add("replicas", fmt.Sprintf("%d replicas", t.Replicas))
	add("process-cores", fmt.Sprintf("processes of %v cores", p.cores))
	add("process-memory", fmt.Sprintf("and %s", p.memory))
	return list
}

// showPlan writes a plan for people.
func (a *app) showPlan(p plan) error {
	t := p.Costs.Traffic
	_, err := fmt.Fprintf(a.out, "With %s events a day (%s a second, %s at the peak) of %s items in %d regions, and the settings of %s:\n\n",
		rounded(t.EventsPerSecond*86_400), rounded(t.EventsPerSecond), rounded(t.EventsPerSecond*t.Peak), comma(int64(t.Items)), t.Regions, p.Settings)
	if err != nil {
		return err
	}
	a.figures(p.Figures)
	_, err = fmt.Fprintf(a.out, "\nAssumed: %s; producers key events by item.\n", strings.Join(p.Assumed, "; "))
	return err
}

func rounded(n float64) string { return comma(int64(n + 0.5)) }
