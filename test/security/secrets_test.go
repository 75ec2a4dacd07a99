package security_test

import (
	"context"
	"encoding/base64"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
)

const clickhousePassword = "canary-clickhouse-Mw93fgh"

// canaries are secrets, in all forms in which they could get out.
func canaries() []string {
	var all []string
	for _, secret := range []string{kafkaPassword, redisPassword, clickhousePassword, "canary-wrong", "canary-url"} {
		all = append(all, secret, url.QueryEscape(secret), base64.StdEncoding.EncodeToString([]byte(secret)))
	}
	return all
}

// clean sees that an output has no canary.
func clean(t *testing.T, who, text string) {
	t.Helper()
	for _, canary := range canaries() {
		if at := strings.Index(text, canary); at >= 0 {
			t.Errorf("%s shows a secret: %s", who, text[max(0, at-200):min(len(text), at+200)])
		}
	}
}

// TestSecrets: no command shows a secret, whether it works, is refused, or is told nonsense, and neither does a process that runs, at log level debug, in its log
// and by HTTP: secrets that come from files, from the environment and from --set.
func TestSecrets(t *testing.T) {
	k := kafka.Get(t)
	server, redis := guardedRedis(t, k)
	folder := t.TempDir()
	withFiles := slices.DeleteFunc(append(scram(k, "millrank"), redis...), func(one string) bool { return strings.Contains(one, "canary") })
	s := newStream(t, append(withFiles, "clickhouse.addresses=127.0.0.1:1", "clickhouse.protocol=http", "log.level=debug", "http.profiles=true")...)
	given := map[string][]string{ // how secrets come, and what of them is wrong
		"files": {
			"kafka.sasl_password_file=" + file(t, folder, "kafka", []byte(kafkaPassword+"\n")), "redis.password_file=" + file(t, folder, "redis", []byte(redisPassword+"\n")),
			"clickhouse.password_file=" + file(t, folder, "clickhouse", []byte(clickhousePassword)),
		},
		"--set":         {"kafka.sasl_password=" + kafkaPassword, "redis.password=" + redisPassword, "clickhouse.password=" + clickhousePassword},
		"wrong":         {"kafka.sasl_password=canary-wrong-7Hq", "redis.password=canary-wrong-8Jw", "clickhouse.password=canary-wrong-9Ke"},
		"both":          {"kafka.sasl_password=" + kafkaPassword, "kafka.sasl_password_file=" + file(t, folder, "other", []byte(kafkaPassword)), "redis.password=" + redisPassword},
		"in an address": {"kafka.sasl_password=" + kafkaPassword, "redis.addresses=redis://millrank:canary-url-1@127.0.0.1:1", "clickhouse.addresses=http://millrank:canary-url-2@127.0.0.1:1"},
		"not used":      {"kafka.security_protocol=SSL", "kafka.sasl_password=" + kafkaPassword, "redis.password=" + redisPassword},
	}
	commands := [][]string{
		{"validate"}, {"validate", "--json"}, {"topics", "--dry-run"}, {"topics", "--json"}, {"status"}, {"status", "--json"}, {"top"}, {"top", "--json"}, {"dead-letters", "list"},
		{"dead-letters", "list", "--json"}, {"dead-letters", "replay", "--dry-run"}, {"migrate"}, {"activate", "1"}, {"drop", "2"}, {"health"}, {"plan"}, {"version"}, {"status", "--from", "clickhouse"},
	}
	for how, set := range given {
		for _, args := range commands {
			out, _, _ := s.command(set, args...)
			clean(t, how+": "+strings.Join(args, " "), out)
			if out == "" {
				t.Errorf("%s: %v says nothing at all", how, args)
			}
		}
	}

	ctx, cancel := context.WithTimeout(t.Context(), patience*3)
	defer cancel()
	args := []string{"run", "--config", ""}
	for _, one := range s.set {
		args = append(args, "--set", one)
	}
	process := exec.CommandContext(ctx, program.Get(t).path, args...)
	process.Env = append(os.Environ(), "MILLRANK_KAFKA_SASL_PASSWORD="+kafkaPassword, "MILLRANK_REDIS_PASSWORD="+redisPassword, "MILLRANK_CLICKHOUSE_PASSWORD="+clickhousePassword)
	log := &output{}
	process.Stdout, process.Stderr = log, log
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	address := ""
	eventually(t, "it has an HTTP server", func() bool {
		_, rest, ok := strings.Cut(log.String(), `"msg":"HTTP server","address":"`)
		var whole bool
		address, _, whole = strings.Cut(rest, `"`)
		return ok && whole
	})
	s.counts(server, s.produce(100))
	for _, path := range []string{"/livez", "/readyz", "/status", "/metrics", "/nothing", "/debug/pprof/goroutine?debug=2", "/debug/pprof/heap"} {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err != nil || len(body) == 0 {
			t.Errorf("%s: %d bytes, %v", path, len(body), err)
		}
		clean(t, path, string(body))
	}
	server.Kill() // so that there are errors, too
	eventually(t, "its log tells of Redis", func() bool { return strings.Contains(log.String(), "could not be published") })
	_ = process.Process.Signal(syscall.SIGQUIT) // a panic's traces
	_ = process.Wait()
	if text := log.String(); !strings.Contains(text, `"level":"DEBUG"`) || !strings.Contains(text, "goroutine ") {
		t.Errorf("the log has no debugging or no traces: %s", text)
	}
	clean(t, "the log", log.String())
	for _, one := range s.letters(t) {
		clean(t, "a dead letter", one)
	}
}
