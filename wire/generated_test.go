package wire

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestGenerated: the generated code is what make generate made of the .proto files as
// they are now, with the plugins that go.mod names. This needs none of the tools:
// generated.sha256 has the sums of what went in and what came out.
func TestGenerated(t *testing.T) {
	stamp := readFile(t, "generated.sha256")
	files := []string{"generate.sh", "protoc.txt"}
	for _, pattern := range []string{"*.proto", "*.pb.go"} {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			t.Fatalf("no %s (%v)", pattern, err)
		}
		files = append(files, found...)
	}
	var want []string
	for _, name := range files {
		want = append(want, fmt.Sprintf("%x  %s", sha256.Sum256([]byte(readFile(t, name))), name))
	}
	got := strings.Split(strings.TrimSpace(stamp), "\n")
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("run make generate: generated.sha256 has\n%s\nand the files are\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}

	mod := readFile(t, "../go.mod")
	for _, plugin := range []struct{ file, line, module string }{
		{"update.pb.go", `protoc-gen-go (v\S+)`, "google.golang.org/protobuf"},
		{"update_vtproto.pb.go", `protoc-gen-go-vtproto version: (v\S+)`, "github.com/planetscale/vtprotobuf"},
	} {
		made := regexp.MustCompile(plugin.line).FindStringSubmatch(readFile(t, plugin.file))
		if len(made) < 2 || !strings.Contains(mod, plugin.module+" "+made[1]+"\n") {
			t.Errorf("run make generate: %s was made by %q, but go.mod has another version of %s", plugin.file, made, plugin.module)
		}
	}
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
