package settings_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3" // another one, as editors have

	"github.com/millrank/millrank/pipeline/settings"
)

// go test ./pipeline/settings -rewrite writes what is said of broken files into testdata, and the files that are made of the settings.
var rewrite = flag.Bool("rewrite", false, "write files instead of comparing with them")

// TestBroken: for each broken file, all that is wrong is said, with its place, and what would be right. A person has read the texts (testdata/broken/*.txt). The first line
// says whether an editor with the schema notices something, too. Lines that begin with # env or # set give variables and --set.
func TestBroken(t *testing.T) {
	t.Parallel()
	schema := compiled(t)
	files, err := filepath.Glob("testdata/broken/*.yaml")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d files: %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			from := settings.From{File: file}
			for line := range strings.Lines(string(text)) {
				if variable, ok := strings.CutPrefix(line, "# env "); ok {
					from.Environ = append(from.Environ, strings.TrimSpace(variable))
				}
				if set, ok := strings.CutPrefix(line, "# set "); ok {
					from.Set = append(from.Set, strings.TrimSpace(set))
				}
			}
			_, err = settings.Load(from)
			if err == nil {
				t.Fatal("it was loaded")
			}
			said := "an editor sees nothing wrong\n"
			if !matches(schema, text) {
				said = "an editor sees that something is wrong\n"
			}
			said += err.Error() + "\n"
			if strings.Contains(said, "hunter2") {
				t.Errorf("a secret is in\n%s", said)
			}
			same(t, strings.TrimSuffix(file, ".yaml")+".txt", said)
		})
	}
}

// same compares a text with a file's, or writes it there.
func same(t *testing.T, file, text string) {
	t.Helper()
	if *rewrite {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(strings.Split(string(want), "\n"), strings.Split(text, "\n")); diff != "" {
		t.Errorf("%s is out of date (make generate, or -rewrite, mends it):\n%s", file, diff)
	}
}

func compiled(t *testing.T) *jsonschema.Schema {
	t.Helper()
	text, err := settings.Schema()
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("millrank.schema.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("millrank.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// matches reports whether a YAML text is as a schema says.
func matches(schema *jsonschema.Schema, text []byte) bool {
	var doc any
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return false
	}
	j, err := json.Marshal(doc)
	if err != nil {
		return false
	}
	doc, err = jsonschema.UnmarshalJSON(bytes.NewReader(j))
	return err == nil && schema.Validate(doc) == nil
}
