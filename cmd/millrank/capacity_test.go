package main

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestCapacity: what docs/capacity.md shows of 'millrank plan' is what it says: whole plans behind their commands, and tables of some figures, a row for each plan.
func TestCapacity(t *testing.T) {
	const file = "../../docs/capacity.md"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	said := regexp.MustCompile("(?s)```sh\nmillrank plan ([^\n]*)\n```\n\n```text\n.*?```\n").ReplaceAllStringFunc(string(text), func(block string) string {
		n++
		_, command, _ := strings.Cut(block, "millrank plan ")
		command, _, _ = strings.Cut(command, "\n")
		out, errs, code := planOutput(t, words(command)...)
		if code != exitOK {
			t.Errorf("millrank plan %s: %s", command, errs)
		}
		lines := strings.Split(out, "\n")
		for i := range lines {
			lines[i] = strings.TrimRight(lines[i], " ")
		}
		return "```sh\nmillrank plan " + command + "\n```\n\n```text\n" + strings.Join(lines, "\n") + "```\n"
	})
	said = regexp.MustCompile("(?s)<!-- plans: [^\n]*-->\n.*?<!-- end -->\n").ReplaceAllStringFunc(said, func(block string) string {
		n++
		return planTable(t, block)
	})
	switch {
	case n < 4:
		t.Errorf("only %d plans in %s", n, file)
	case said == string(text):
	case *rewrite:
		if err := os.WriteFile(file, []byte(said), 0o600); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("%s is out of date: go test ./cmd/millrank -run TestCapacity -rewrite", file)
	}
}

// planTable fills a table's rows in: each begins with the flags of its plan.
func planTable(t *testing.T, block string) string {
	t.Helper()
	head, body, _ := strings.Cut(block, "-->\n")
	names := strings.Split(strings.TrimSpace(strings.TrimPrefix(head, "<!-- plans: ")), "; ")
	var b strings.Builder
	b.WriteString(head + "-->\n| `millrank plan` | " + strings.Join(names, " | ") + " |\n|---" + strings.Repeat("|---", len(names)) + "|\n")
	for _, row := range regexp.MustCompile("(?m)^\\| `(--[^`]*)`").FindAllStringSubmatch(body, -1) {
		out, errs, code := planOutput(t, append(words(row[1]), "--json")...)
		var p plan
		if err := json.Unmarshal([]byte(out), &p); code != exitOK || err != nil {
			t.Errorf("millrank plan %s: %v %s", row[1], err, errs)
		}
		b.WriteString("| `" + row[1] + "`")
		for _, name := range names {
			value := ""
			for _, f := range p.Figures {
				if f.Name == name {
					value, _, _ = strings.Cut(f.Value, ";")
				}
			}
			if value == "" {
				t.Errorf("millrank plan says nothing of %q", name)
			}
			b.WriteString(" | " + value)
		}
		b.WriteString(" |\n")
	}
	b.WriteString("<!-- end -->\n")
	return b.String()
}

// words splits a command line at its blanks, but not within quotes.
func words(line string) (list []string) {
	for _, w := range regexp.MustCompile(`'[^']*'|\S+`).FindAllString(line, -1) {
		list = append(list, strings.Trim(w, "'"))
	}
	return list
}
