package deployments

import (
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/millrank/millrank/internal/embedded"
	"github.com/millrank/millrank/internal/embedded/clickhousetest"
	"github.com/millrank/millrank/pipeline/settings"
)

// TestKafkaScript: kafka.sh makes a command of each line of kafka.txt, for the topics and groups that the settings have.
func TestKafkaScript(t *testing.T) {
	folder := root + "/deployments/acl"
	out := run(t, folder, nil, "./kafka.sh", "shop", "views", "3", "bad.views")
	s := settings.Default()
	s.Name, s.Generation, s.Source.Topic, s.Topics.DeadLetters.Name = "shop", 3, "views", "bad.views"
	names := map[string]bool{s.Source.Topic: true, s.UpdatesTopic(): true, s.RankingsTopic(): true, s.GenerationsTopic(): true, s.DeadLettersTopic(): true}
	for _, h := range settings.AllHandlers() {
		names[s.Group(h)] = true
	}
	command := regexp.MustCompile(`^kafka-acls\.sh --bootstrap-server "\$BOOTSTRAP" \$\{COMMAND_CONFIG:-\} --add --allow-principal User:(millrank-[a-z]+) --operation ([A-Z][A-Za-z]+) --(topic|group) (\S+) --resource-pattern-type literal$`)
	lines, seen := 0, map[string]bool{}
	for line := range strings.Lines(out) {
		line = strings.TrimSpace(line)
		if line == "set -eu" {
			continue
		}
		m := command.FindStringSubmatch(line)
		if m == nil || !names[m[4]] {
			t.Errorf("what is %s?", line)
			continue
		}
		if seen[line] {
			t.Errorf("twice: %s", line)
		}
		seen[line] = true
		lines++
	}
	if want := len(regexp.MustCompile(`(?m)^millrank-`).FindAllString(read(t, "deployments/acl/kafka.txt"), -1)); lines != want || want < 50 {
		t.Errorf("%d commands for %d lines", lines, want)
	}
	for _, wrong := range [][]string{{}, {"shop"}, {"shop", "a; rm -rf x"}, {"shop", "views", "1", "x", "y"}} {
		if out, err := try(t, folder, nil, "./kafka.sh", wrong...); err == nil {
			t.Errorf("kafka.sh %v prints %s", wrong, out)
		}
	}
}

// TestClickHouseRights: the statements are ones that ClickHouse understands. (The embedded one has no users, so that they can't be tried.)
func TestClickHouseRights(t *testing.T) {
	server := clickhousetest.StartTest(t, embedded.ClickHouseOptions{})
	statements := 0
	for statement := range strings.SplitSeq(regexp.MustCompile(`(?m)^(?:-- (GRANT .*)|--.*)$`).ReplaceAllString(read(t, "deployments/acl/clickhouse.sql"), "$1"), ";") {
		if statement = strings.TrimSpace(statement); statement == "" {
			continue
		}
		statements++
		ask := server.URL() + "?query=" + url.QueryEscape("SELECT formatQuery('"+strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(statement)+"')")
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, ask, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		said, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err != nil || response.StatusCode != http.StatusOK {
			t.Errorf("%s: %s, %s (%v)", statement, response.Status, said, err)
		}
	}
	if statements < 10 {
		t.Errorf("there are %d statements", statements)
	}
}
