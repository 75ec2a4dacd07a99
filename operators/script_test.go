package operators

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/millrank/millrank/event"
)

// The scripts in testdata/*.txt say, one rule each, what the engine does. A script is
// prose behind #, and blocks: lines with a command each, a line of four dashes, and what the
// commands print, up to an empty line. A block without the dashes prints nothing.
//
//	event a item=x at=12:00:09.999
//	event b item=x at=12:00:10
//	----
//	0 counted, W 12:00:07.999
//	1 counted, W 12:00:08
//
// Times are times of one day, UTC. The commands and their arguments are in script_world_test.go and its neighbours.
//
// go test ./operators -run TestScripts -rewrite writes what is printed into the scripts.
// It can't tell right from wrong: read what it wrote.
var rewrite = flag.Bool("rewrite", false, "write what the scripts print into testdata, instead of comparing")

func TestScripts(t *testing.T) {
	names, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(names) == 0 {
		t.Fatalf("no scripts in testdata: %v", err)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txt"), func(t *testing.T) { runScript(t, name) })
	}
}

// runScript runs one script in a world of its own, and compares or rewrites what it prints.
func runScript(t *testing.T, name string) {
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	world := &scriptWorld{}
	wholeLines := gocmp.Comparer(func(a, b string) bool { return a == b }) // in a diff, not pieces of them
	var rewritten []string
	for lines, i := strings.Split(strings.TrimRight(string(text), "\n"), "\n"), 0; i < len(lines); {
		if lines[i] == "" || lines[i][0] == '#' {
			rewritten = append(rewritten, lines[i])
			i++
			continue
		}
		block := cutBlock(lines, i)
		got := block.run(t, name, world)
		if diff := gocmp.Diff(block.want, got, wholeLines); diff != "" && !*rewrite {
			t.Errorf("%s:%d: a block prints something else (- the script has, + it prints):\n%s", name, block.line, diff)
		}
		rewritten = append(rewritten, block.commands...)
		if len(got) > 0 {
			rewritten = append(append(rewritten, "----"), got...)
		}
		i = block.end
	}
	if *rewrite && !t.Failed() {
		if err := os.WriteFile(name, []byte(strings.Join(rewritten, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// scriptBlock is lines of a script that belong together.
type scriptBlock struct {
	line     int // number of its first line, from 1
	commands []string
	want     []string // what they are to print
	end      int      // index of the line after it
}

// cutBlock returns the block that begins at index i.
func cutBlock(lines []string, i int) scriptBlock {
	b := scriptBlock{line: i + 1}
	into := &b.commands
	for ; i < len(lines) && lines[i] != ""; i++ {
		if lines[i] == "----" {
			into = &b.want
			continue
		}
		*into = append(*into, lines[i])
	}
	b.end = i
	return b
}

// run runs the block's commands and returns what they print.
func (b scriptBlock) run(t *testing.T, name string, world *scriptWorld) []string {
	world.printed = nil
	for i, line := range b.commands {
		if line[0] == '#' {
			continue
		}
		if err := runCommand(world, line); err != nil {
			t.Fatalf("%s:%d: %v", name, b.line+i, err)
		}
	}
	return world.printed
}

func runCommand(world *scriptWorld, line string) (err error) {
	defer func() {
		if r := recover(); r != nil {
			mistake, ok := r.(scriptMistake)
			if !ok {
				panic(r)
			}
			err = fmt.Errorf("%s: %s", line, string(mistake))
		}
	}()
	a := cutArguments(line)
	world.do(a)
	for name := range a.named {
		mistakenf("it doesn't know %s=", name)
	}
	if len(a.words) > 0 {
		mistakenf("it doesn't know what to do with %q", a.words)
	}
	return nil
}

// scriptMistake is what is wrong with a line of a script. It is panicked with, so that commands stay short.
type scriptMistake string

func mistakenf(format string, args ...any) { panic(scriptMistake(fmt.Sprintf(format, args...))) }

// arguments are a command's: words, and name=value. Each is asked for once.
type arguments struct {
	command string
	words   []string
	named   map[string]string
}

func cutArguments(line string) *arguments {
	fields := strings.Fields(line)
	a := &arguments{command: fields[0], named: map[string]string{}}
	for _, f := range fields[1:] {
		if name, value, ok := strings.Cut(f, "="); ok {
			a.named[name] = value
		} else {
			a.words = append(a.words, f)
		}
	}
	return a
}

// word returns the next word, or what is given instead where there is none.
func (a *arguments) word(otherwise string) string {
	if len(a.words) == 0 {
		return otherwise
	}
	word := a.words[0]
	a.words = a.words[1:]
	return word
}

// flag reports whether a word is among the words.
func (a *arguments) flag(word string) bool {
	for i, w := range a.words {
		if w == word {
			a.words = append(a.words[:i], a.words[i+1:]...)
			return true
		}
	}
	return false
}

func (a *arguments) text(name, otherwise string) string {
	value, ok := a.named[name]
	if !ok {
		return otherwise
	}
	delete(a.named, name)
	return value
}

func (a *arguments) number(name string, otherwise int64) int64 {
	text := a.text(name, "")
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		mistakenf("%s: %v", name, err)
	}
	return n
}

func (a *arguments) duration(name string, otherwise time.Duration) time.Duration {
	text := a.text(name, "")
	if text == "" {
		return otherwise
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		mistakenf("%s: %v", name, err)
	}
	return d
}

// time returns a time in Unix milliseconds: 12:00:01.5 on the scripts' day, 2019-06-01T12:00:01.5, or none.
func (a *arguments) time(name string, otherwise int64) int64 {
	text := a.text(name, "")
	if text == "" {
		return otherwise
	}
	if text == "none" {
		return event.NoTime
	}
	if !strings.Contains(text, "T") {
		text = scriptDay + "T" + text
	}
	t, err := time.Parse(scriptTime, text)
	if err != nil {
		mistakenf("%s: %v", name, err)
	}
	return t.UnixMilli()
}

// scriptDay is the day on which scripts play where they don't say another.
const (
	scriptDay  = "2026-03-01"
	scriptTime = "2006-01-02T15:04:05.999"
)

// clock writes a time as scripts do.
func clock(milliseconds int64) string {
	if milliseconds == event.NoTime {
		return "none"
	}
	t := time.UnixMilli(milliseconds).UTC()
	if t.Format(time.DateOnly) != scriptDay {
		return t.Format(scriptTime)
	}
	return t.Format("15:04:05.999")
}

// clockSpan writes a slice of event time as scripts do.
func clockSpan(start, end int64) string { return "[" + clock(start) + ", " + clock(end) + ")" }
