package process

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// mainVariable has this test's program be one whose main is Main.
const mainVariable = "MILLRANK_TEST_MAIN"

func TestMain(m *testing.M) {
	parts := map[string]Part{"whisper": func(_ context.Context, argument string, _ io.Reader, out io.Writer) error {
		fmt.Fprint(out, argument)
		if argument == "" {
			return errors.New("nothing to say")
		}
		return nil
	}}
	if os.Getenv(mainVariable) == "" {
		Tests(m, parts)
	}
	Main("program", parts, func(ctx context.Context, args []string, out, _ io.Writer) error {
		switch args[0] {
		case "help":
			return fmt.Errorf("asked: %w", flag.ErrHelp)
		case "fail":
			return errors.New("out of luck")
		case "wait":
			fmt.Fprintln(out, "waiting")
			<-ctx.Done()
		}
		fmt.Fprint(out, args[0])
		return nil
	})
}

// again is this program, of which Main is the main function.
func again(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	command := exec.CommandContext(t.Context(), os.Args[0], args...)
	command.Env = append(os.Environ(), mainVariable+"=1")
	return command
}

// TestExitCodes: what a program ends with, and what it says.
func TestExitCodes(t *testing.T) {
	part := func(argument string) *exec.Cmd {
		c := again(t)
		c.Env = slices.Concat(c.Env, []string{partVariable + "=whisper", argumentVariable + "=" + argument})
		return c
	}
	for name, c := range map[string]struct {
		command  *exec.Cmd
		code     int
		out, err string
	}{
		"well":               {again(t, "well"), 0, "well", ""},
		"help":               {again(t, "help"), 2, "", ""},
		"an error":           {again(t, "fail"), 1, "", "program: out of luck\n"},
		"a part":             {part("hush"), 0, "hush", ""},
		"a part that failed": {part(""), 1, "", "program: whisper: nothing to say\n"},
	} {
		var out, err strings.Builder
		c.command.Stdout, c.command.Stderr = &out, &err
		_ = c.command.Run() // its exit code is looked at
		if code := c.command.ProcessState.ExitCode(); code != c.code || out.String() != c.out || err.String() != c.err {
			t.Errorf("%s: exit code %d, out %q, error %q", name, code, out.String(), err.String())
		}
	}
}

// TestSignals: an interrupt and SIGTERM end a program's context, and the program by itself.
func TestSignals(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		c := again(t, "wait")
		out, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewReader(out)
		if line, err := lines.ReadString('\n'); line != "waiting\n" {
			t.Fatalf("%q, %v", line, err)
		}
		if err := c.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		rest, _ := io.ReadAll(lines)
		if err := c.Wait(); err != nil || string(rest) != "wait" {
			t.Errorf("%v: it said %q, and ended with %v", signal, rest, err)
		}
	}
}
