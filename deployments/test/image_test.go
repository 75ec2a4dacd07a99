package deployments

import (
	"bytes"
	"debug/elf"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
)

// TestImage builds what the image holds as the Dockerfile does: from the files that .dockerignore lets into the context, in two places. Both are the same
// bytes, linked statically, and say the version.
func TestImage(t *testing.T) {
	dockerfile := read(t, "deployments/Dockerfile")
	build := regexp.MustCompile(`(?s)go build (-tags nodemo .*?)-ldflags "(.*?)" \\\n\s*-o /program/millrank (\./cmd/millrank)`).FindStringSubmatch(dockerfile)
	if build == nil {
		t.Fatal("the Dockerfile builds in a way that this test doesn't know")
	}
	flags := strings.Fields(strings.ReplaceAll(build[1], "\\\n", " "))
	linked := strings.NewReplacer("$VERSION", "v1.2.3", "$COMMIT", "abc", "$DATE", "2026-01-02T03:04:05Z").Replace(build[2])
	var programs [2][]byte
	for i := range programs {
		folder := t.TempDir()
		copyContext(t, folder)
		out := filepath.Join(t.TempDir(), "millrank")
		run(t, folder, []string{"CGO_ENABLED=0", "GOFLAGS=-buildvcs=false"}, "go", append(append([]string{"build"}, flags...), "-ldflags", linked, "-o", out, build[3])...)
		program, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		programs[i] = program
		if said := run(t, folder, nil, out, "version"); !strings.Contains(said, "millrank v1.2.3\ncommit abc, 2026-01-02T03:04:05Z") {
			t.Errorf("it says\n%s", said)
		}
	}
	if !bytes.Equal(programs[0], programs[1]) {
		t.Error("two builds of the same files differ")
	}
	file, err := elf.NewFile(bytes.NewReader(programs[0]))
	if err != nil {
		t.Fatal(err)
	}
	if file.Section(".interp") != nil || file.Section(".dynamic") != nil {
		t.Error("it is linked dynamically, and an image of nothing else can't run it")
	}
	if n := len(programs[0]) >> 20; n > 60 {
		t.Errorf("it has %d MiB; is the demo in it?", n)
	}
}

// copyContext copies what Docker would send.
func copyContext(t *testing.T, to string) {
	t.Helper()
	patterns, err := ignorefile.ReadAll(strings.NewReader(read(t, "deployments/Dockerfile.dockerignore")))
	if err != nil {
		t.Fatal(err)
	}
	ignored, err := patternmatcher.New(patterns)
	if err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil || rel == "." {
			return err
		}
		if d.IsDir() && (rel == ".git" || rel == ".tools") {
			return filepath.SkipDir // ignored, and large
		}
		if skip, err := ignored.MatchesOrParentMatches(rel); err != nil || skip || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return err
		}
		return os.WriteFile(target, text, 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestDockerfile: the last stage is nothing but files and a user that isn't root, and every base has a version.
func TestDockerfile(t *testing.T) {
	dockerfile := read(t, "deployments/Dockerfile")
	last := dockerfile[strings.LastIndex(dockerfile, "\nFROM ")+1:]
	if !strings.HasPrefix(last, "FROM scratch\n") || strings.Contains(last, "\nRUN ") {
		t.Error("the image is made from more than scratch")
	}
	for _, line := range []string{"USER 65532:65532\n", `CMD ["/usr/local/bin/millrank", "health"]`, `ENTRYPOINT ["/usr/local/bin/millrank"]`, "COPY --from=program /program/millrank /usr/local/bin/millrank\n"} {
		if !strings.Contains(last, line) {
			t.Errorf("the image lacks %s", line)
		}
	}
	for _, from := range regexp.MustCompile(`(?m)^FROM (?:--platform=\S+ )?(\S+)`).FindAllStringSubmatch(dockerfile, -1) {
		if base := from[1]; base != "scratch" && base != "$PROGRAM" && !regexp.MustCompile(`^[a-z]+:[0-9]+\.[0-9]+`).MatchString(base) {
			t.Errorf("the base %s has no version", base)
		}
	}
	if wanted, is := regexp.MustCompile(`(?m)^go ([0-9.]+)`).FindStringSubmatch(read(t, "go.mod"))[1], regexp.MustCompile(`golang:([0-9.]+)`).FindStringSubmatch(dockerfile)[1]; !strings.HasPrefix(is, wanted[:strings.LastIndex(wanted, ".")]) {
		t.Errorf("the image is built by Go %s; go.mod wants %s", is, wanted)
	}
}
