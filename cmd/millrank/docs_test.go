package main

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// page is a page of the documentation.
type page struct{ name, text string }

// pages returns README.md and all of docs.
func pages(t *testing.T) (list []page) {
	t.Helper()
	files, err := filepath.Glob("../../docs/*.md")
	if err != nil || len(files) < 8 {
		t.Fatalf("%d pages, %v", len(files), err)
	}
	for _, file := range append(files, "../../README.md") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, page{strings.TrimPrefix(file, "../../"), string(text)})
	}
	return list
}

// TestDocsCommands: each 'millrank ...' in the documentation is a command, with flags that there are, and settings that there are.
func TestDocsCommands(t *testing.T) {
	known := settingNames(t)
	commands := regexp.MustCompile("(?m)(?:^\\s*(?:[A-Z_]+=\\S+ )*|`|exec millrank /usr/local/bin/)millrank ([a-z][^\n`]*)")
	n := 0
	for _, p := range pages(t) {
		for _, found := range commands.FindAllStringSubmatch(p.text, -1) {
			n++
			checkCommand(t, p.name, found[1], known)
		}
	}
	if n < 60 {
		t.Errorf("only %d commands were found", n)
	}
}

func checkCommand(t *testing.T, where, text string, known map[string]bool) {
	t.Helper()
	for _, end := range []string{" #", ";", "|", " > ", " &&", "\\"} {
		text, _, _ = strings.Cut(text, end)
	}
	var args []string
	for word := range strings.FieldsSeq(text) {
		args = append(args, strings.Trim(word, `'"`))
	}
	example := len(args) > 0 && args[len(args)-1] == "..."
	if example {
		args = args[:len(args)-1]
	}
	a := &app{in: strings.NewReader(""), out: io.Discard, err: io.Discard}
	command, rest, err := a.root().Find(args)
	if err != nil || command == command.Root() {
		t.Errorf("%s: millrank %s: there is no such command", where, text)
		return
	}
	if err := command.ParseFlags(rest); err != nil && !example && !strings.Contains(text, "...") {
		t.Errorf("%s: millrank %s: %v", where, text, err)
		return
	}
	if err := command.ValidateArgs(command.Flags().Args()); err != nil && len(rest) > 0 && !strings.Contains(text, "...") {
		t.Errorf("%s: millrank %s: %v", where, text, err)
	}
	for _, set := range a.set {
		if path, _, _ := strings.Cut(set, "="); !known[regexp.MustCompile(`\[\d+\]`).ReplaceAllString(path, "[]")] {
			t.Errorf("%s: millrank %s: %s is no setting", where, text, path)
		}
	}
}

// settingNames returns all settings, and the sections that they are in, by docs/configuration.md, which is made from them.
func settingNames(t *testing.T) map[string]bool {
	t.Helper()
	text, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, found := range regexp.MustCompile("(?m)^\\| `([a-z_.\\[\\]]+)`").FindAllStringSubmatch(string(text), -1) {
		for name := found[1]; !names[name]; name = name[:strings.LastIndexByte(name, '.')] {
			names[name] = true
			names[strings.TrimSuffix(name, "[]")] = true
			if !strings.Contains(name, ".") {
				break
			}
		}
	}
	if len(names) < 100 {
		t.Fatalf("%d settings", len(names))
	}
	return names
}

// TestDocsSettings: what is written like a setting is one.
func TestDocsSettings(t *testing.T) {
	known := settingNames(t)
	n := 0
	for _, p := range pages(t) {
		for _, found := range regexp.MustCompile("`([a-z_]+(?:\\[\\])?\\.[a-z_.\\[\\]]+?)(?:\\.?\\*)?(?:[:=][^`]*)?`").FindAllStringSubmatch(p.text, -1) {
			name := found[1]
			section, _, _ := strings.Cut(name, ".")
			if !known[section] || strings.HasSuffix(name, ".md") || strings.HasSuffix(name, ".yaml") {
				continue
			}
			if n++; !known[name] {
				t.Errorf("%s: %s is no setting", p.name, name)
			}
		}
	}
	if n < 200 {
		t.Errorf("only %d settings were found", n)
	}
}

// TestDocsMetrics: what is written like a metric is one, by docs/metrics.md, which is compared with what a process exports.
func TestDocsMetrics(t *testing.T) {
	text, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	known := string(text)
	dotted := regexp.MustCompile("`([a-z_.]+)`").FindAllStringSubmatch(known, -1)
	labels := map[string]bool{}
	for _, l := range dotted {
		labels[strings.ReplaceAll(l[1], ".", "_")] = true
	}
	n := 0
	for _, p := range pages(t) {
		for _, found := range regexp.MustCompile("`((?:millrank|messaging|db_client|go_memory|process)_[a-z_]+)[`{]").FindAllStringSubmatch(p.text, -1) {
			name := regexp.MustCompile(`_(bucket|sum|count)$`).ReplaceAllString(found[1], "")
			if n++; !strings.Contains(known, "`"+name+"`") && !labels[name] {
				t.Errorf("%s: %s is no metric", p.name, name)
			}
		}
	}
	if n < 60 {
		t.Errorf("only %d metrics were found", n)
	}
}

// TestDocsMessages: the messages in docs/troubleshooting.md are those of the program.
func TestDocsMessages(t *testing.T) {
	var code strings.Builder
	for _, folder := range []string{"microbatch", "handlers", "pipeline", "sinks", "internal/progress", "cmd"} {
		err := filepath.WalkDir("../../"+folder, func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			code.Write(text)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile("../../docs/troubleshooting.md")
	if err != nil {
		t.Fatal(err)
	}
	messages := regexp.MustCompile(`(?:^|[^*])\*([^*|]+ [^*|]+)\*(?:$|[^*])`).FindAllStringSubmatch(string(text), -1)
	_, tables, _ := strings.Cut(string(text), "## It refuses to go on")
	messages = append(messages, regexp.MustCompile(`(?m)^\| ([a-zA-Z.][^|]*) \|`).FindAllStringSubmatch(tables, -1)...)
	n := 0
	for _, m := range messages {
		for part := range strings.SplitSeq(regexp.MustCompile(`\([^)]*\)`).ReplaceAllString(m[1], ""), "...") {
			part = strings.Trim(part, " :")
			if part == "message" || part == "address already in use" || !strings.Contains(part, " ") {
				continue
			}
			if n++; !strings.Contains(code.String(), part) {
				t.Errorf("docs/troubleshooting.md: no code says %q", part)
			}
		}
	}
	if n < 30 {
		t.Errorf("only %d messages were found", n)
	}
}

// TestDocsLinks: what pages link to in the repository is there, headings too.
func TestDocsLinks(t *testing.T) {
	headings := map[string]map[string]bool{}
	for _, p := range pages(t) {
		headings[p.name] = map[string]bool{}
		for _, h := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(p.text, -1) {
			anchor := regexp.MustCompile(`[^\pL\pN _-]`).ReplaceAllString(strings.ToLower(h[1]), "")
			headings[p.name][strings.ReplaceAll(anchor, " ", "-")] = true
		}
	}
	for _, p := range pages(t) {
		for _, found := range regexp.MustCompile(`\]\(([^)\s]+)\)`).FindAllStringSubmatch(p.text, -1) {
			link, anchor, _ := strings.Cut(found[1], "#")
			if strings.Contains(link, "://") {
				continue
			}
			target := p.name
			if link != "" {
				target = filepath.Join(filepath.Dir(p.name), link)
			}
			if _, err := os.Stat("../../" + target); err != nil {
				t.Errorf("%s links to %s, which isn't there", p.name, found[1])
			} else if anchors, page := headings[target]; anchor != "" && page && !anchors[anchor] {
				t.Errorf("%s links to %s: there is no such heading", p.name, found[1])
			}
		}
	}
}
