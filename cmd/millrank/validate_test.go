package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/millrank/millrank/pipeline/settings"
)

// validated runs 'millrank validate' with arguments.
func validated(t *testing.T, args ...string) (out, errs string, code int) {
	t.Helper()
	var o, e bytes.Buffer
	code = execute(t.Context(), append([]string{"validate"}, args...), strings.NewReader(""), &o, &e)
	return o.String(), e.String(), code
}

// TestValidate: an example can be written, and is fine; what it costs goes by the traffic.
func TestValidate(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "millrank.yaml")
	text, errs, code := validated(t, "--example")
	if code != exitOK || text != settings.Example() {
		t.Fatalf("exit code %d\n%s", code, errs)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	out, errs, code := validated(t, "-c", file)
	if code != exitOK || errs != "" {
		t.Errorf("exit code %d\n%s", code, errs)
	}
	for _, want := range []string{file + " is fine.", "10,000 events a second (assumed", "2,300,000 records, 3m35s of events: about 2s", "1,350,000 event IDs", "Rankings topic keeps   2d"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	out, errs, code = validated(t, "-c", file, "--events-per-second", "20000", "--set", "boards[0].window=2d")
	if code != exitOK || !strings.Contains(out, "4,600,000 records") || strings.Contains(out, "assumed") || !strings.Contains(errs, "warning: boards: hourly: a window of 2d") {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
	schema, _, code := validated(t, "--schema")
	if code != exitOK || !json.Valid([]byte(schema)) {
		t.Errorf("exit code %d: the schema is no JSON", code)
	}
}

// TestValidateProblems: all problems are said, for people and for programs, and the exit code tells.
func TestValidateProblems(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "millrank.yaml")
	if err := os.WriteFile(file, []byte("kafka: {bootstrap_servers: [a:9092]}\nsource: {topc: events}\nboards: [{name: likes, window: 1h}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, errs, code := validated(t, "-c", file, "--set", "time.pane=7s")
	if code != exitUsage || out != "" {
		t.Errorf("exit code %d\n%s", code, out)
	}
	for _, want := range []string{"3 problems", file + ":2:10: source.topc: is no setting; did you mean source.topic?", file + ":2:1: source.topic: is missing", "boards[0].window: 1h is not made of whole panes"} {
		if !strings.Contains(errs, want) {
			t.Errorf("no %q in\n%s", want, errs)
		}
	}
	out, _, code = validated(t, "-c", file, "--json")
	var v validation
	if err := json.Unmarshal([]byte(out), &v); err != nil || code != exitUsage || v.Valid || len(v.Problems) != 2 || v.Problems[1].Line != 2 || v.Problems[1].Near != "source.topic" || v.Costs != nil {
		t.Errorf("exit code %d, %v\n%s", code, err, out)
	}
	for _, args := range [][]string{{"-c", file + "x"}, {"--example", "--schema"}, {"--items", "0"}, {"--events-per-second", "many"}, {"rest"}} {
		if _, errs, code := validated(t, args...); code != exitUsage && args[0] != "rest" || code == exitOK {
			t.Errorf("%v: exit code %d\n%s", args, code, errs)
		}
	}
}
