package security_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/millrank/millrank/internal/embedded"
	"github.com/millrank/millrank/pipeline/settings"
)

// TestDocs: each piece of settings in docs/security.md can be loaded, with files where it names some.
func TestDocs(t *testing.T) {
	text, err := os.ReadFile("../../docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	authority, err := embedded.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	certificate := issueBy(t, authority, "client", time.Now().Add(time.Hour))
	for name, content := range map[string][]byte{"pem": certificate.CertificatePEM, "key": certificate.KeyPEM} {
		file(t, folder, "client."+name, content)
		file(t, folder, "server."+name, content)
	}
	for _, name := range []string{"kafka-ca.pem", "redis-ca.pem", "clickhouse-ca.pem", "clients-ca.pem", "ca.pem"} {
		file(t, folder, name, authority.CertificatePEM)
	}
	for _, name := range []string{"kafka-password", "redis-password", "clickhouse-password"} {
		file(t, folder, name, []byte("secret\n"))
	}
	moved := regexp.MustCompile(`(/etc/millrank|/run/secrets)/`).ReplaceAllString(string(text), folder+"/")
	snippets := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(moved, -1)
	if len(snippets) < 5 {
		t.Fatalf("%d snippets", len(snippets))
	}
	for _, snippet := range snippets {
		path := filepath.Join(folder, "millrank.yaml")
		whole := snippet[1] + "source: {topic: views}\nboards: [{name: likes, window: 1h}]\n"
		if !strings.Contains(whole, "bootstrap_servers") {
			whole += "kafka: {bootstrap_servers: [localhost:9092]}\n"
		}
		file(t, folder, "millrank.yaml", []byte(whole))
		s, err := settings.Load(settings.From{File: path})
		if err != nil {
			t.Errorf("%s\n%v", snippet[1], err)
		}
		if warnings := s.Warnings(); len(warnings) > 0 {
			t.Errorf("%s\nwarns: %v", snippet[1], warnings)
		}
	}
}

// TestOpenFiles: a file with a secret that everyone can read is warned of.
func TestOpenFiles(t *testing.T) {
	path := file(t, t.TempDir(), "password", []byte("secret"))
	set := []string{"kafka.bootstrap_servers=localhost:9092", "source.topic=views", "boards=[{name: likes, window: 1h}]", "redis.addresses=localhost:6379", "redis.password_file=" + path}
	for mode, want := range map[os.FileMode]int{0o600: 0, 0o640: 0, 0o644: 1} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		s, err := settings.Load(settings.From{Set: set})
		if got := s.Warnings(); err != nil || len(got) != want || want == 1 && !strings.HasPrefix(got[0], "redis.password_file: ") {
			t.Errorf("mode %o: %v (%v)", mode, got, err)
		}
	}
}
