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
	run(t, folder, nil, promtoolPath(t), append([]string{"test", "rules"}, ruleTests()...)...)
}

// TestRulesBite breaks each alert: one that never fires, and one that always does, must each fail the unit tests.
func TestRulesBite(t *testing.T) {
	text := read(t, rulesFolder+"/rules.yaml")
	for _, r := range rules(t).Groups[0].Rules {
		for how, expr := range map[string]string{"never": "vector(0) > 1", "always": "vector(1)"} {
			t.Run(r.Alert+" "+how, func(t *testing.T) {
				t.Parallel()
				rule := regexp.MustCompile(`(?s)      - alert: ` + r.Alert + `\n        expr: .*?\n(        (?:for|labels): .*?)(?:\n      - alert|$)`).FindStringSubmatch(text)
				if rule == nil {
					t.Fatal("the rule was not found")
				}
				folder := t.TempDir()
				write(t, filepath.Join(folder, "rules.yaml"), "groups:\n  - name: millrank\n    rules:\n      - alert: "+r.Alert+"\n        expr: "+expr+"\n"+rule[1]+"\n")
				seen := false
				for _, name := range ruleTests() {
					write(t, filepath.Join(folder, name), testsOf(t, name, r.Alert))
					out, err := try(t, folder, nil, promtoolPath(t), "test", "rules", name)
					seen = seen || err != nil && strings.Contains(out, "alertname: "+r.Alert+",")
				}
				if !seen {
					t.Errorf("no test sees that it fires %s", how)
				}
			})
		}
	}
}

// ruleTests are the files of unit tests.
func ruleTests() []string { return []string{"rules.test.yaml", "days.test.yaml"} }

// testsOf returns a file of unit tests, without what is about other alerts.
func testsOf(t *testing.T, name, alert string) string {
	t.Helper()
	head, tests, found := strings.Cut(read(t, rulesFolder+"/"+name), "\ntests:\n")
	if !found {
		t.Fatalf("%s has no tests", name)
	}
	out := head + "\ntests:"
	for one := range strings.SplitSeq("\n"+tests, "\n  - name: ") {
		series, asked, ok := strings.Cut(one, "\n    alert_rule_test:")
		if !ok || !regexp.MustCompile(`alertname: `+alert+`\b`).MatchString(asked) {
			continue
		}
		asked = regexp.MustCompile(`\n      - \{eval_time: \w+, alertname: (\w+), exp_alerts: \[\]\}`).ReplaceAllStringFunc(asked, func(line string) string {
			if strings.Contains(line, "alertname: "+alert+",") {
				return line
			}
			return ""
		})
		out += "\n  - name: " + series + "\n    alert_rule_test:" + asked
	}
	return out + "\n"
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
