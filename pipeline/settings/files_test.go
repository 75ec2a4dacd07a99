package settings_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/millrank/millrank/pipeline/settings"
)

// TestFiles: what is made of the settings is as the settings are now. make generate writes it.
func TestFiles(t *testing.T) {
	t.Parallel()
	schema, err := settings.Schema()
	if err != nil {
		t.Fatal(err)
	}
	same(t, "../../docs/configuration.md", settings.Reference())
	same(t, "../../deployments/millrank.schema.json", string(schema))
	same(t, "../../deployments/millrank.yaml", settings.Example())
}

// TestExample: the example can be loaded, is what the schema says, and names its schema. Its comments are the defaults: without the # the settings are the same.
func TestExample(t *testing.T) {
	t.Parallel()
	text := settings.Example()
	if !strings.HasPrefix(text, "# yaml-language-server: $schema=millrank.schema.json\n") {
		t.Error("it doesn't begin with its schema")
	}
	bare := regexp.MustCompile(`(?m)^( *)#([a-z_]+:)`).ReplaceAllString(text, "$1$2")
	if strings.Count(bare, "\n") != strings.Count(text, "\n") || bare == text {
		t.Fatal("there is no comment to take away")
	}
	schema := compiled(t)
	if !matches(schema, []byte(text)) {
		t.Error("it is not as the schema says")
	}
	with, without := load(t, text), load(t, bare)
	if diff := gocmp.Diff(with.String(), without.String()); diff != "" {
		t.Errorf("a comment isn't the default:\n%s", diff)
	}
	for path := range allPaths(t) {
		if name := path[strings.LastIndex(path, ".")+1:]; !strings.Contains(text, name+":") && !strings.Contains(text, "each with name, "+name) && path != "source.fields.dimensions[].name" {
			t.Errorf("it lacks %s", path)
		}
	}
}

// allPaths returns all settings' paths, as the reference has them.
func allPaths(t *testing.T) map[string]bool {
	t.Helper()
	paths := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)`").FindAllStringSubmatch(settings.Reference(), -1) {
		paths[m[1]] = true
	}
	if len(paths) < 90 {
		t.Fatalf("%d settings", len(paths))
	}
	return paths
}

// load loads a text as a file.
func load(t *testing.T, text string, from ...settings.From) settings.Settings {
	t.Helper()
	f := settings.From{}
	if len(from) > 0 {
		f = from[0]
	}
	f.File = filepath.Join(t.TempDir(), "millrank.yaml")
	if err := os.WriteFile(f.File, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := settings.Load(f)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
