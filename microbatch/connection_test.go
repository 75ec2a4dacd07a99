package microbatch_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/millrank/millrank/internal/embedded"
	"github.com/millrank/millrank/microbatch"
)

// pemFiles writes a new certificate and its key to files.
func pemFiles(t *testing.T) (made embedded.Certificate, certificate, key string) {
	t.Helper()
	made, err := embedded.NewCertificate()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certificate, key = filepath.Join(dir, "certificate.pem"), filepath.Join(dir, "key.pem")
	for path, pem := range map[string][]byte{certificate: made.CertificatePEM, key: made.KeyPEM} {
		if err := os.WriteFile(path, pem, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return made, certificate, key
}

func TestConnect(t *testing.T) {
	made, certificate, key := pemFiles(t)
	encrypted, err := made.Server()
	if err != nil {
		t.Fatal(err)
	}
	mutual := encrypted.Clone()
	mutual.ClientAuth, mutual.ClientCAs = tls.RequireAndVerifyClientCert, x509.NewCertPool()
	mutual.ClientCAs.AppendCertsFromPEM(made.CertificatePEM)
	users := []kfake.Opt{
		kfake.EnableSASL(), kfake.Superuser("PLAIN", "me", "a secret"),
		kfake.Superuser("SCRAM-SHA-256", "me", "a secret"), kfake.Superuser("SCRAM-SHA-512", "me", "a secret"),
	}
	with := func(more ...kfake.Opt) []kfake.Opt { return append(more, users...) }

	for name, c := range map[string]struct {
		opts       []kfake.Opt
		connection microbatch.Connection
	}{
		"plain text":    {nil, microbatch.Connection{}},
		"encrypted":     {[]kfake.Opt{kfake.TLS(encrypted)}, microbatch.Connection{SecurityProtocol: microbatch.SSL, CAFile: certificate}},
		"mutual":        {[]kfake.Opt{kfake.TLS(mutual)}, microbatch.Connection{SecurityProtocol: microbatch.SSL, CAFile: certificate, CertificateFile: certificate, KeyFile: key}},
		"PLAIN":         {users, microbatch.Connection{SecurityProtocol: microbatch.SASLPlaintext, SASLMechanism: microbatch.SASLPlain, Username: "me", Password: "a secret"}},
		"SCRAM-SHA-256": {users, microbatch.Connection{SecurityProtocol: microbatch.SASLPlaintext, SASLMechanism: microbatch.SASLSCRAM256, Username: "me", Password: "a secret"}},
		"SCRAM-SHA-512": {with(kfake.TLS(encrypted)), microbatch.Connection{SecurityProtocol: microbatch.SASLSSL, CAFile: certificate, SASLMechanism: microbatch.SASLSCRAM512, Username: "me", Password: "a secret"}},
	} {
		t.Run(name, func(t *testing.T) {
			cluster := fakeKafka(t, 1, c.opts...)
			c.connection.BootstrapServers = cluster.ListenAddrs()
			publish := func(change func(*microbatch.Connection)) error {
				config := microbatch.DefaultPublisherConfig(c.connection)
				config.DeliveryTimeout = time.Second
				change(&config.Connection)
				p, err := microbatch.NewPublisher(config, nil)
				if err != nil {
					return err
				}
				defer p.Close()
				return p.Publish("updates", message.NewMessage("", nil))
			}
			if err := publish(func(*microbatch.Connection) {}); err != nil {
				t.Fatal(err)
			}
			if n := cluster.PartitionInfo("updates", 0).HighWatermark; n != 1 {
				t.Errorf("%d records are written", n)
			}
			if c.connection.Password != "" {
				err := publish(func(c *microbatch.Connection) { c.Password = "wrong guess" })
				if err == nil || strings.Contains(err.Error(), "wrong guess") {
					t.Errorf("with a wrong password: %v", err)
				}
			}
			if c.connection.CAFile != "" {
				if err := publish(func(c *microbatch.Connection) { c.CAFile = "" }); err == nil || !strings.Contains(err.Error(), "certificate") {
					t.Errorf("of an unknown authority: %v", err)
				}
			}
		})
	}
}

func TestConnectionWrong(t *testing.T) {
	_, certificate, key := pemFiles(t)
	good := []string{"127.0.0.1:9092"}
	for _, c := range []struct {
		connection microbatch.Connection
		want       []string
	}{
		{microbatch.Connection{}, []string{"bootstrap.servers: missing"}},
		{
			microbatch.Connection{BootstrapServers: []string{"kafka", "kafka:port", ":9092", "a:1,b:2", "kafka:0", "http://kafka:9092"}, SecurityProtocol: "TLS", RequestTimeout: -1, ConnectTimeout: -1, MetadataMaxAge: -1},
			[]string{
				`bootstrap.servers: "kafka" is not host:port`, `"kafka:port"`, `":9092"`, `"a:1,b:2"`, `"kafka:0"`, `"http://kafka:9092"`, "security.protocol: \"TLS\"",
				"request.timeout.ms:", "socket.connection.setup.timeout.ms:", "metadata.max.age.ms:",
			},
		},
		{
			microbatch.Connection{BootstrapServers: good, CAFile: "x", CertificateFile: "x", KeyFile: "x", SASLMechanism: "PLAIN", Username: "me", Password: "a secret"},
			[]string{
				"ssl.ca.location: given, but security.protocol is PLAINTEXT; set that to SSL or SASL_SSL", "ssl.certificate.location: given", "ssl.key.location: given",
				"sasl.mechanism: given", "sasl.username: given", "sasl.password: given",
			},
		},
		{microbatch.Connection{BootstrapServers: good, SecurityProtocol: "SASL_SSL", CAFile: "missing.pem", CertificateFile: "missing.pem"}, []string{"ssl.ca.location: open missing.pem", "ssl.key.location: missing", `sasl.mechanism: ""`}},
		{microbatch.Connection{BootstrapServers: good, SecurityProtocol: "SSL", CAFile: key, CertificateFile: key, KeyFile: key}, []string{"ssl.ca.location: " + key + " holds no certificate", "ssl.certificate.location " + key}},
		{microbatch.Connection{BootstrapServers: good, SecurityProtocol: "SSL", KeyFile: certificate}, []string{"ssl.certificate.location: missing"}},
		{microbatch.Connection{BootstrapServers: good, SecurityProtocol: "SASL_PLAINTEXT", SASLMechanism: "PLAIN"}, []string{"sasl.username: missing", "sasl.password: missing"}},
		{microbatch.Connection{BootstrapServers: good, SecurityProtocol: "SASL_PLAINTEXT", SASLMechanism: "GSSAPI"}, []string{`sasl.mechanism: "GSSAPI"`}},
		{microbatch.Connection{BootstrapServers: good, SecurityProtocol: "SASL_PLAINTEXT", SASLMechanism: "OAUTHBEARER", Password: "a secret"}, []string{"the token function: missing", "sasl.username, sasl.password: given"}},
	} {
		err := c.connection.Validate()
		if err == nil {
			t.Errorf("%v: nothing is wrong", c.connection)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%v: nothing about %s in:\n%v", c.connection, want, err)
			}
		}
		if got := strings.Count(err.Error(), "\n") + 1; got != len(c.want) {
			t.Errorf("%v: %d errors, not %d:\n%v", c.connection, got, len(c.want), err)
		}
		if strings.Contains(err.Error(), "a secret") {
			t.Errorf("the error holds the password: %v", err)
		}
	}
	if err := (microbatch.Connection{BootstrapServers: []string{"127.0.0.1:9092", "[::1]:9093"}}).Validate(); err != nil {
		t.Error(err)
	}
}

func TestConnectionSecrets(t *testing.T) {
	c := microbatch.Connection{BootstrapServers: []string{"a:1", "b:2"}, SecurityProtocol: "SASL_SSL", SASLMechanism: "PLAIN", Username: "me", Password: "a secret"}
	if got, want := c.String(), `Kafka at a:1,b:2 as millrank, SASL_SSL, PLAIN as "me"`; got != want {
		t.Errorf("%s, not %s", got, want)
	}
	config := microbatch.DefaultPublisherConfig(c)
	for _, text := range []string{fmt.Sprintf("%v %+v %#v %s", c, c, c, c), fmt.Sprintf("%v %+v %#v", config, config, config), fmt.Sprintf("%v %+v %#v", &c, []any{c}, struct{ C microbatch.Connection }{c}), c.LogValue().String()} {
		if strings.Contains(text, "a secret") {
			t.Errorf("the password is in %s", text)
		}
	}
}
