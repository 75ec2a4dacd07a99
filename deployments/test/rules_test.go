package deployments

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// ruleFile is the part of rules.yaml that matters here.
type ruleFile struct {
	Groups []struct {
		Rules []struct {
			Alert       string            `json:"alert"`
			Expr        string            `json:"expr"`
			Labels      map[string]string `json:"labels"`
			Annotations map[string]string `json:"annotations"`
		} `json:"rules"`
	} `json:"groups"`
}

const rulesFolder = "deployments/prometheus"

func rules(t *testing.T) ruleFile {
	t.Helper()
	var f ruleFile
	if err := yaml.Unmarshal([]byte(read(t, rulesFolder+"/rules.yaml")), &f); err != nil {
		t.Fatal(err)
	}
	if len(f.Groups) != 1 || len(f.Groups[0].Rules) < 20 {
		t.Fatalf("rules.yaml has %d groups", len(f.Groups))
	}
	return f
}

// TestRules runs the rules' own unit tests: alerts that fire, and a healthy hour in which none does.
func TestRules(t *testing.T) {
	folder := filepath.Join(root, rulesFolder)
	run(t, folder, nil, promtoolPath(t), "check", "rules", "--lint=all", "--lint-fatal", "rules.yaml")
	run(t, folder, nil, promtoolPath(t), "test", "rules", "rules.test.yaml")
}

// TestRulesBite breaks each alert: one that never fires, and one that always does, must each fail the unit tests.
func TestRulesBite(t *testing.T) {
	text, tests := read(t, rulesFolder+"/rules.yaml"), read(t, rulesFolder+"/rules.test.yaml")
	for _, r := range rules(t).Groups[0].Rules {
		for how, expr := range map[string]string{"never": "vector(0) > 1", "always": "vector(1)"} {
			t.Run(r.Alert+" "+how, func(t *testing.T) {
				t.Parallel()
				block := regexp.MustCompile(`(?s)(- alert: ` + r.Alert + `\n)        expr: .*?\n(        (for|labels): )`)
				broken := block.ReplaceAllString(text, "${1}        expr: "+expr+"\n${2}")
				if broken == text {
					t.Fatal("the rule was not found")
				}
				folder := t.TempDir()
				for name, text := range map[string]string{"rules.yaml": broken, "rules.test.yaml": tests} {
					if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
						t.Fatal(err)
					}
				}
				if out, err := try(t, folder, nil, promtoolPath(t), "test", "rules", "rules.test.yaml"); err == nil || !strings.Contains(out, "alertname: "+r.Alert+",") {
					t.Errorf("no test sees that it fires %s:\n%s", how, out)
				}
			})
		}
	}
}

// TestRulesTell: each alert says how bad it is, what it means, and where to read on.
func TestRulesTell(t *testing.T) {
	runbook, err := os.ReadFile(filepath.Join(root, "docs/operations.md"))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, r := range rules(t).Groups[0].Rules {
		if seen[r.Alert] {
			t.Errorf("%s is there twice", r.Alert)
		}
		seen[r.Alert] = true
		if s := r.Labels["severity"]; s != "critical" && s != "warning" && s != "info" {
			t.Errorf("%s has severity %q", r.Alert, s)
		}
		for _, a := range []string{"summary", "description", "runbook_url"} {
			if r.Annotations[a] == "" {
				t.Errorf("%s has no %s", r.Alert, a)
			}
		}
		if want := "docs/operations.md#" + strings.ToLower(r.Alert); !strings.HasSuffix(r.Annotations["runbook_url"], want) {
			t.Errorf("%s: runbook_url is %s, want ...%s", r.Alert, r.Annotations["runbook_url"], want)
		}
		if !regexp.MustCompile(`(?m)^#+ ` + r.Alert + `$`).Match(runbook) {
			t.Errorf("docs/operations.md has no heading %s", r.Alert)
		}
	}
}

// TestRulesKnow: rules and dashboard use only metrics that docs/metrics.md has.
func TestRulesKnow(t *testing.T) {
	docs := read(t, "docs/metrics.md")
	name := regexp.MustCompile(`\b(?:millrank|messaging|db_client|go|process)_[a-z_]+(?:_total|_seconds|_bytes|_bucket|_[a-z]+)\b`)
	used := map[string]string{}
	for _, r := range rules(t).Groups[0].Rules {
		for _, m := range name.FindAllString(r.Expr, -1) {
			used[m] = r.Alert
		}
	}
	for _, p := range panels(t) {
		for _, target := range p.Targets {
			for _, m := range name.FindAllString(target.Expr, -1) {
				used[m] = p.Title
			}
		}
	}
	for m, where := range used {
		metric := strings.TrimSuffix(strings.TrimSuffix(m, "_bucket"), "_duration_seconds_count")
		if metric != m && !strings.HasSuffix(m, "_bucket") {
			metric += "_duration_seconds"
		}
		if labels := []string{"millrank_handler", "millrank_decision", "millrank_state", "millrank_operation", "millrank_outcome", "millrank_table", "messaging_destination_name", "messaging_destination_partition_id", "db_operation_name", "db_system_name", "go_memory_type"}; contains(labels, metric) || strings.HasPrefix(metric, "millrank_freshness_from") || metric == "millrank_version" {
			continue
		}
		if !strings.Contains(docs, "`"+metric+"`") {
			t.Errorf("%s uses %s, which docs/metrics.md doesn't have", where, metric)
		}
	}
}

func contains(all []string, one string) bool {
	for _, a := range all {
		if a == one {
			return true
		}
	}
	return false
}
