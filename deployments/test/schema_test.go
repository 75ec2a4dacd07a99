package deployments

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"sigs.k8s.io/yaml"
)

// kubernetes are the schemas of Kubernetes' API, as its repository has them: of the version whose types we decode into. A cluster publishes the same.
type kubernetes struct {
	mu     sync.Mutex
	folder string
	known  map[string]*jsonschema.Schema // by apiVersion and kind
}

var cluster kubernetes

// accepts checks an object against its schema; what is not Kubernetes' own has none here.
func (k *kubernetes) accepts(t *testing.T, apiVersion, kind, text string) error {
	t.Helper()
	group, _, _ := strings.Cut(apiVersion, "/")
	if group == "monitoring.coreos.com" || group == "keda.sh" {
		return nil
	}
	object, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		return err
	}
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(string(object)))
	if err != nil {
		return err
	}
	return k.schema(t, apiVersion, kind).Validate(value)
}

func (k *kubernetes) schema(t *testing.T, apiVersion, kind string) *jsonschema.Schema {
	t.Helper()
	k.mu.Lock()
	defer k.mu.Unlock()
	if s := k.known[apiVersion+kind]; s != nil {
		return s
	}
	if k.folder == "" {
		types := strings.TrimSpace(run(t, ".", nil, "go", "list", "-mod=mod", "-m", "-f", "{{.Version}}", "k8s.io/api"))
		var module struct{ Dir string }
		out := run(t, t.TempDir(), nil, "go", "mod", "download", "-json", "k8s.io/kubernetes@"+strings.Replace(types, "v0.", "v1.", 1))
		if err := json.Unmarshal([]byte(out), &module); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		k.folder, k.known = filepath.Join(module.Dir, "api", "openapi-spec", "v3"), map[string]*jsonschema.Schema{}
	}
	file := "apis__" + strings.ReplaceAll(apiVersion, "/", "__") + "_openapi.json"
	if !strings.Contains(apiVersion, "/") {
		file = "api__" + apiVersion + "_openapi.json"
	}
	text, err := os.ReadFile(filepath.Join(k.folder, file))
	if err != nil {
		t.Fatal(err)
	}
	document, err := jsonschema.UnmarshalJSON(strings.NewReader(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource(file, document); err != nil {
		t.Fatal(err)
	}
	s, err := compiler.Compile(file + "#/components/schemas/" + definition(t, text, kind))
	if err != nil {
		t.Fatal(err)
	}
	k.known[apiVersion+kind] = s
	return s
}

// definition returns the name of a kind's schema in a document of one group and version.
func definition(t *testing.T, document []byte, kind string) string {
	t.Helper()
	var file struct {
		Components struct {
			Schemas map[string]struct {
				Kinds []struct{ Kind string } `json:"x-kubernetes-group-version-kind"`
			}
		}
	}
	if err := json.Unmarshal(document, &file); err != nil {
		t.Fatal(err)
	}
	for name, s := range file.Components.Schemas {
		if len(s.Kinds) == 1 && s.Kinds[0].Kind == kind {
			return name
		}
	}
	t.Fatalf("Kubernetes has no schema of %s", kind)
	return ""
}

// TestSchemas: the schemas see what types alone don't: that something is missing.
func TestSchemas(t *testing.T) {
	const good = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: a}
spec:
  selector: {matchLabels: {a: b}}
  template:
    spec: {containers: [{name: a, livenessProbe: {httpGet: {path: /livez, port: http}}}]}
`
	for text, right := range map[string]bool{
		good: true,
		strings.Replace(good, "selector: {matchLabels: {a: b}}", "replicas: 1", 1): false,
		strings.Replace(good, ", port: http", "", 1):                               false,
		strings.Replace(good, "[{name: a, ", "[{", 1):                              false,
		strings.Replace(good, "port: http", "port: [http]", 1):                     false,
	} {
		if err := cluster.accepts(t, "apps/v1", "Deployment", text); (err == nil) != right {
			t.Errorf("%s\n%v", text, err)
		}
	}
}
