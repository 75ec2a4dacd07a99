// Package security_test tries the engine against servers that want encryption, certificates, passwords and rights: a real Apache Kafka and a real Redis.
package security_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/millrank/millrank/internal/apachekafka"
	"github.com/millrank/millrank/internal/embedded"
	"github.com/millrank/millrank/internal/testserver"
)

// passwords of users, as canaries: no output of anything may have one.
const (
	kafkaPassword = "canary-kafka-Zx81qwe"
	redisPassword = "canary-redis-Vb27rty"
)

// guarded is an Apache Kafka that wants certificates or passwords, and asks its ACLs. Its super user is millrank.
type guarded struct {
	*apachekafka.Broker
	authority *embedded.Authority
	folder    string // of PEM files
}

// Close ends it.
func (g *guarded) Close() error {
	_ = os.RemoveAll(g.folder)
	return g.Broker.Close()
}

// principals are those of deployments/acl/kafka.txt, and the super user.
func principals() []string {
	return []string{"millrank", "millrank-intake", "millrank-rank", "millrank-leaderboard", "millrank-late", "millrank-history", "millrank-topics", "millrank-operator", "millrank-producer"}
}

var kafka = testserver.NewShared(apachekafka.Available, start)

func TestMain(m *testing.M) { os.Exit(program.Main(kafka.Main(m)).Run()) }

func start(ctx context.Context) (*guarded, error) {
	folder, err := os.MkdirTemp("", "millrank-security-")
	if err != nil {
		return nil, err
	}
	g := &guarded{folder: folder}
	if g.authority, err = embedded.NewAuthority(); err != nil {
		return nil, err
	}
	server, err := g.authority.Issue("broker", time.Now().Add(24*time.Hour), "127.0.0.1") // not localhost, by which a test finds a wrong name
	if err != nil {
		return nil, err
	}
	options := apachekafka.Options{HeapMiB: 256, TLS: &server, ClientAuthority: g.authority.CertificatePEM, Authorize: true, Properties: map[string]string{
		"super.users": "User:ANONYMOUS;User:millrank", "group.min.session.timeout.ms": "6000",
	}}
	for _, name := range principals() {
		options.Users = append(options.Users, embedded.KafkaUser{Mechanism: embedded.ScramSHA512, Name: name, Password: kafkaPassword})
	}
	if g.Broker, err = apachekafka.Start(ctx, options); err != nil {
		return nil, err
	}
	if err := os.WriteFile(g.ca(), g.authority.CertificatePEM, 0o600); err != nil {
		return nil, err
	}
	return g, nil
}

func (g *guarded) ca() string { return filepath.Join(g.folder, "ca.pem") }

// pem writes a certificate and its key, and returns the files' names.
func pem(t *testing.T, c embedded.Certificate) (certificate, key string) {
	t.Helper()
	folder := t.TempDir()
	return file(t, folder, "certificate.pem", c.CertificatePEM), file(t, folder, "key.pem", c.KeyPEM)
}

func file(t *testing.T, folder, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(folder, name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// issue has the broker's authority issue a certificate.
func (g *guarded) issue(t *testing.T, name string, hosts ...string) embedded.Certificate {
	t.Helper()
	return issueBy(t, g.authority, name, time.Now().Add(time.Hour), hosts...)
}

func issueBy(t *testing.T, a *embedded.Authority, name string, until time.Time, hosts ...string) embedded.Certificate {
	t.Helper()
	c, err := a.Issue(name, until, hosts...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
