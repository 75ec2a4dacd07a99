package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestPublish(t *testing.T) {
	from, into := t.TempDir(), filepath.Join(t.TempDir(), "performance.md")
	write(t, into, "before\n<!-- results of compare -->\nold\n<!-- end of compare -->\nbetween\n<!-- results of steady -->\nkept\n<!-- end of steady -->\nafter\n")
	write(t, filepath.Join(from, "report.md"), "new\n![Rate](rate.svg)\n")
	write(t, filepath.Join(from, "rate.svg"), "<svg/>")
	const want = "before\n<!-- results of compare -->\n\nnew\n![Rate](performance/compare-rate.svg)\n\n<!-- end of compare -->\nbetween\n<!-- results of steady -->\nkept\n<!-- end of steady -->\nafter\n"
	for range 2 { // once more changes nothing
		if err := publish(from, into, t.Output()); err != nil {
			t.Fatal(err)
		}
		if got := read(t, into); got != want {
			t.Fatalf("got\n%s\nwant\n%s", got, want)
		}
	}
	if got := read(t, filepath.Join(filepath.Dir(into), "performance", "compare-rate.svg")); got != "<svg/>" {
		t.Errorf("the picture is %q", got)
	}

	write(t, filepath.Join(from, "sweeps", "report.md"), "more")
	if err := publish(from, into, t.Output()); err == nil || !strings.Contains(err.Error(), "results of sweeps") {
		t.Errorf("there is no place for it: %v", err)
	}
	if err := os.Remove(filepath.Join(from, "rate.svg")); err != nil {
		t.Fatal(err)
	}
	if err := publish(from, into, t.Output()); err == nil {
		t.Error("a picture that isn't there is published")
	}
}

// TestDocs: the real file has a place for each report.
func TestDocs(t *testing.T) {
	text := read(t, filepath.Join("..", "..", "docs", "performance.md"))
	for name := range reports() {
		if _, err := replace(text, name, "x"); err != nil {
			t.Error(err)
		}
	}
}
