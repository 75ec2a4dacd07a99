package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/millrank/millrank/pipeline/settings"
)

// go test ./cmd/millrank -run 'TestPlan|TestCapacity' -rewrite writes what 'millrank plan' says into testdata and docs/capacity.md.
var rewrite = flag.Bool("rewrite", false, "write what 'millrank plan' says, instead of comparing")

// planOutput runs 'millrank plan' with arguments, in a folder without a file of settings.
func planOutput(t *testing.T, args ...string) (out, errs string, code int) {
	t.Helper()
	var o, e bytes.Buffer
	code = execute(t.Context(), append([]string{"plan"}, args...), strings.NewReader(""), &o, &e)
	return o.String(), e.String(), code
}

// TestPlan: plans for 10 billion events a day are what they were. Whoever changes the model sees what that does.
func TestPlan(t *testing.T) {
	for name, args := range map[string][]string{
		"10-billion-1-million-items":   {"--events-per-day", "10e9", "--items", "1000000"},
		"10-billion-100-million-items": {"--events-per-day", "10e9", "--items", "100000000"},
		"most-that-can-be":             {"--events-per-second", "1000", "--items", "50000", "--skew", "0", "--peak", "1", "--set", "limits.rank_items=100000", "--set", "clickhouse.addresses="},
	} {
		out, errs, code := planOutput(t, args...)
		if code != exitOK || errs != "" {
			t.Fatalf("%s: exit code %d\n%s", name, code, errs)
		}
		file := filepath.Join("testdata", "plan", name+".txt")
		if *rewrite {
			if err := os.WriteFile(file, []byte(out), 0o600); err != nil {
				t.Fatal(err)
			}
			continue
		}
		want, err := os.ReadFile(file)
		if err != nil || out != string(want) {
			t.Errorf("millrank plan %s (%v; go test ./cmd/millrank -run TestPlan -rewrite, and look at the difference):\n%s\nwant\n%s", strings.Join(args, " "), err, out, want)
		}
	}
}

// TestPlanSettings: a file of settings counts, and its number of shards; so do --set and what is said as JSON.
func TestPlanSettings(t *testing.T) {
	file := filepath.Join(t.TempDir(), "millrank.yaml")
	text := "kafka: {bootstrap_servers: [a:9092]}\nsource: {topic: events}\nboards: [{name: likes, window: 1h, k: 10}]\ntopics: {updates: {partitions: 5}}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var p plan
	out, errs, code := planOutput(t, "-c", file, "--events-per-second", "2000", "--partitions", "6", "--set", "dedup.horizon=80s", "--json")
	if err := json.Unmarshal([]byte(out), &p); err != nil || code != exitOK {
		t.Fatalf("exit code %d, %v\n%s%s", code, err, out, errs)
	}
	if c := p.Costs; p.Settings != file || c.Partitions != 6 || c.EventIDs != 4000*90 || c.Updates.MessagesPerSecond != 5*6*4 || c.RedisBytes != 0 || c.ClickHouse.Kept != 0 || c.Processes < 2 {
		t.Errorf("%s: %+v", p.Settings, c)
	}
	if len(p.Figures) < 15 || len(p.Assumed) < 8 {
		t.Errorf("%d figures, %d assumptions", len(p.Figures), len(p.Assumed))
	}
	for _, f := range p.Figures {
		if f.Name == "" || f.Value == "" || f.By == "" {
			t.Errorf("figure %+v says not all", f)
		}
	}
	if strings.Contains(strings.Join(p.Assumed, " "), "events-per") {
		t.Errorf("what was given is said to be assumed: %v", p.Assumed)
	}
}

// TestPlanMistakes: what can't be is named, and ends with 2.
func TestPlanMistakes(t *testing.T) {
	for _, args := range [][]string{
		{"--events-per-second", "1", "--events-per-day", "1"}, {"--events-per-day", "0"}, {"--items", "0"}, {"--process-cores", "0"}, {"--process-memory", "much"},
		{"--running", "long"}, {"--item-regions", "11"}, {"--skew", "-1"}, {"--config", "none.yaml"}, {"--set", "time.pane=7s"}, {"--peak", "0.5"},
	} {
		_, errs, code := planOutput(t, args...)
		named := strings.TrimPrefix(args[0], "--")
		if args[0] == "--set" || args[0] == "--config" {
			named = args[1]
		}
		if strings.HasPrefix(named, "time.pane") {
			named = "time.pane"
		}
		if named = strings.Replace(named, "events-per-day", "events-per-", 1); code != exitUsage || !strings.Contains(errs, named) {
			t.Errorf("%v: exit code %d\n%s", args, code, errs)
		}
	}
}

// TestPlanOfValidate: 'millrank validate' says what 'millrank plan' says.
func TestPlanOfValidate(t *testing.T) {
	file := filepath.Join(t.TempDir(), "millrank.yaml")
	if err := os.WriteFile(file, []byte(settings.Example()), 0o600); err != nil {
		t.Fatal(err)
	}
	said, _, _ := validated(t, "-c", file, "--events-per-second", "7000", "--items", "3000000")
	planned, _, _ := planOutput(t, "-c", file, "--events-per-second", "7000", "--items", "3000000", "--skew", "0", "--item-regions", "1", "--peak", "1", "--partitions", "8", "--duplicates", "0", "--dead-letters", "0")
	plain := func(line string) string { return strings.Join(strings.Fields(line), " ") }
	all := map[string]bool{}
	for line := range strings.Lines(planned) {
		all[plain(line)] = true
	}
	rows := 0
	for line := range strings.Lines(said) {
		if strings.HasPrefix(line, " Memory") || strings.HasPrefix(line, " A restart") {
			if rows++; !all[plain(line)] {
				t.Errorf("validate says %q, plan does not:\n%s", line, planned)
			}
		}
	}
	if rows < 4 {
		t.Errorf("%d rows in\n%s", rows, said)
	}
}
