package deployments

import (
	"context"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// root is the repository's.
const root = "../.."

// read returns a file of the repository.
func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// run runs a command, which must succeed, and returns what it writes.
func run(t *testing.T, folder string, environ []string, name string, args ...string) string {
	t.Helper()
	out, err := try(t, folder, environ, name, args...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return out
}

// try runs a command, and returns what it writes.
func try(t *testing.T, folder string, environ []string, name string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, name, args...)
	c.Dir, c.Env = folder, append(os.Environ(), environ...)
	out, err := c.CombinedOutput()
	return string(out), err
}

// built builds a program once, and returns where it is.
type built struct {
	once sync.Once
	path string
	out  []byte
	err  error
}

func (b *built) get(t *testing.T, name, folder string, args ...string) string {
	t.Helper()
	b.once.Do(func() {
		var dir string
		if dir, b.err = os.MkdirTemp("", "millrank-deploy-"); b.err != nil {
			return
		}
		b.path = filepath.Join(dir, name)
		c := exec.CommandContext(context.WithoutCancel(t.Context()), "go", append([]string{"build", "-o", b.path}, args...)...)
		c.Dir, c.Env = folder, append(os.Environ(), "CGO_ENABLED=0")
		b.out, b.err = c.CombinedOutput()
	})
	if b.err != nil {
		t.Fatalf("building %s: %v\n%s", name, b.err, b.out)
	}
	return b.path
}

var promtool, millrank built

// promtoolPath returns where promtool is, built without the service discoveries that nobody needs here.
func promtoolPath(t *testing.T) string {
	t.Helper()
	return promtool.get(t, "promtool", ".", "-tags", "remove_all_sd", "github.com/prometheus/prometheus/cmd/promtool")
}

// millrankPath returns where the program is, as it is in the image.
func millrankPath(t *testing.T) string {
	t.Helper()
	return millrank.get(t, "millrank", root, "-tags", "nodemo", "-trimpath", "./cmd/millrank")
}

func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.DiscardHandler)) // Helm tells of each file that is a link
	code := m.Run()
	for _, b := range []*built{&promtool, &millrank} {
		if b.path != "" {
			_ = os.RemoveAll(filepath.Dir(b.path))
		}
	}
	os.Exit(code)
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
