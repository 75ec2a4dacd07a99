package settings

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/goccy/go-yaml"
)

// Example returns a file of settings with all of them, each explained. What most streams set is set; the others stand there as comments, with their defaults.
func Example() string {
	var e example
	e.WriteString(exampleHead)
	e.section(allKeys(), reflect.ValueOf(Default()), 0)
	return e.String()
}

const exampleHead = `# yaml-language-server: $schema=millrank.schema.json
#
# Settings of Millrank: all there are. A line that begins with #name: is a default: take the # away to change it.
# Check this file with 'millrank validate', which also says what it costs. The schema, for editors, comes from
# 'millrank validate --schema'. Each setting can also come from the environment (MILLRANK_TIME_PANE=10s) or the
# command line (--set time.pane=10s), which win. Durations are written as 250ms, 5s, 1h30m or 7d, bytes as 4096, 512KiB or
# 1MiB, times as 2026-01-31T08:00:00Z.

`

// exampleValues are what the example sets, as YAML.
func exampleValues() map[string]string {
	return map[string]string{
		"name":                    "shop",
		"kafka.bootstrap_servers": "[localhost:9092]",
		"source.topic":            "events",
		"source.fields.event_id":  "[event_id]", "source.fields.item": "item_id", "source.fields.region": "region",
		"source.fields.time": "timestamp", "source.fields.time_format": "rfc3339", "source.fields.value": "value", "source.fields.user": "user_id",
		"time.pane": "1m", "time.out_of_orderness": "5s", "time.allowed_lateness": "30s",
		"dedup.horizon":   "2m",
		"redis.addresses": "[localhost:6379]",
	}
}

// exampleBoards are the example's boards, with their settings explained by the first.
const exampleBoards = `  - name: hourly
    window: 1h
    k: 100
  - name: trending
    window: 15m
    slide: 1m
    k: 50
`

type example struct{ strings.Builder }

// section writes keys, and reports whether any of them is set.
func (e *example) section(keys []key, defaults reflect.Value, depth int) (set bool) {
	for i, k := range keys {
		indent := strings.Repeat("  ", depth)
		e.comment(indent, k)
		switch value, ok := exampleValues()[k.path]; {
		case k.path == "boards":
			e.boards(k)
			set = true
		case k.section():
			var inner example
			mark := "#"
			if inner.section(k.keys, defaults.Field(i), depth+1) {
				mark, set = "", true
			}
			fmt.Fprintf(e, "%s%s%s:\n%s", indent, mark, k.name, inner.String())
		case ok:
			fmt.Fprintf(e, "%s%s: %s\n", indent, k.name, value)
			set = true
		default:
			fmt.Fprintf(e, "%s#%s: %s\n", indent, k.name, asYAML(defaults.Field(i)))
		}
		if depth == 0 && (k.section() || k.list()) {
			e.WriteString("\n")
		}
	}
	return set
}

func (e *example) boards(k key) {
	defaults := reflect.ValueOf(DefaultBoard())
	e.WriteString("# Each has:\n")
	for i, inner := range k.keys {
		limits := []string{}
		if text := inner.limits(); text != "" {
			limits = append(limits, text)
		}
		if _, required := inner.rule("required"); required && defaults.Field(i).IsZero() {
			limits = append(limits, "must be set")
		} else {
			limits = append(limits, "default "+asYAML(defaults.Field(i)))
		}
		e.wrapped("#   ", "#     ", fmt.Sprintf("%s: %s (%s)", inner.name, inner.doc, strings.Join(limits, "; ")))
	}
	e.WriteString(k.name + ":\n" + exampleBoards)
}

// comment explains a setting.
func (e *example) comment(indent string, k key) {
	text := k.doc + "."
	if limits := k.limits(); limits != "" && !k.section() {
		text = k.doc + " (" + limits + ")."
	}
	e.wrapped(indent+"# ", indent+"# ", text)
}

// wrapped writes words in lines of at most 110 characters.
func (e *example) wrapped(first, rest, text string) {
	const width = 110
	line := first
	for i, word := range strings.Fields(text) {
		switch {
		case i == 0:
			line += word
		case len(line)+1+len(word) > width:
			e.WriteString(line + "\n")
			line = rest + word
		default:
			line += " " + word
		}
	}
	e.WriteString(line + "\n")
}

// asYAML writes a value in one line.
func asYAML(v reflect.Value) string {
	switch {
	case v.Kind() == reflect.Slice && v.Len() == 0:
		return "[]"
	case v.Kind() == reflect.Pointer && v.IsNil():
		return "null"
	case v.Kind() == reflect.String && v.Len() == 0:
		return `""`
	}
	text, err := yaml.MarshalWithOptions(v.Interface(), yaml.Flow(true))
	if err != nil {
		panic(fmt.Sprintf("settings: %v can't be written: %v", v, err))
	}
	return strings.TrimSpace(string(text))
}
