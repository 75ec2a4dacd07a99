package kafkaclient_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrank/millrank/internal/embedded"
	"github.com/millrank/millrank/internal/kafkaclient"
	"github.com/millrank/millrank/microbatch"
)

// TestConnections: over each sort of connection, topics are created and a record is produced and read again.
func TestConnections(t *testing.T) {
	t.Parallel()
	certificate, err := embedded.NewCertificate()
	if err != nil {
		t.Fatal(err)
	}
	server, err := certificate.Server()
	if err != nil {
		t.Fatal(err)
	}
	pem := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(pem, certificate.CertificatePEM, 0o600); err != nil {
		t.Fatal(err)
	}
	users := []embedded.KafkaUser{
		{Mechanism: embedded.Plain, Name: "p", Password: "secret-p"},
		{Mechanism: embedded.ScramSHA256, Name: "s256", Password: "secret-256"},
		{Mechanism: embedded.ScramSHA512, Name: "s512", Password: "secret-512"},
	}
	for _, test := range []struct {
		name  string
		kafka embedded.KafkaOptions
		c     microbatch.Connection
	}{
		{"plain text", embedded.KafkaOptions{}, microbatch.Connection{}},
		{"encrypted", embedded.KafkaOptions{TLS: server}, microbatch.Connection{SecurityProtocol: microbatch.SSL, CAFile: pem}},
		{"SASL PLAIN", embedded.KafkaOptions{Users: users}, microbatch.Connection{SecurityProtocol: microbatch.SASLPlaintext, SASLMechanism: microbatch.SASLPlain, Username: "p", Password: "secret-p"}},
		{"SCRAM 256, encrypted", embedded.KafkaOptions{Users: users, TLS: server}, microbatch.Connection{SecurityProtocol: microbatch.SASLSSL, CAFile: pem, SASLMechanism: microbatch.SASLSCRAM256, Username: "s256", Password: "secret-256"}},
		{"SCRAM 512, encrypted", embedded.KafkaOptions{Users: users, TLS: server}, microbatch.Connection{SecurityProtocol: microbatch.SASLSSL, CAFile: pem, SASLMechanism: microbatch.SASLSCRAM512, Username: "s512", Password: "secret-512"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			broker, err := embedded.StartKafka(test.kafka)
			if err != nil {
				t.Fatal(err)
			}
			defer broker.Close()
			test.c.BootstrapServers = broker.Brokers()
			works(t, test.c)
			if test.c.Password == "" {
				return
			}
			test.c.Password = "not it"
			client, err := kafkaclient.New(test.c)
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			if err := kafkaclient.Reach(t.Context(), client, test.c); err == nil || strings.Contains(err.Error(), "not it") {
				t.Errorf("with a wrong password: %v", err)
			}
		})
	}
}

func works(t *testing.T, c microbatch.Connection) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	admin, err := kafkaclient.NewAdmin(c)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	if _, err := admin.CreateTopic(ctx, 2, 1, nil, "events"); err != nil {
		t.Fatal(err)
	}
	client, err := kafkaclient.New(c, kgo.ConsumeTopics("events"))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := kafkaclient.Reach(ctx, client, c); err != nil {
		t.Fatal(err)
	}
	if err := client.ProduceSync(ctx, &kgo.Record{Topic: "events", Value: []byte("hello")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	fetched := client.PollFetches(ctx)
	if records := fetched.Records(); fetched.Err() != nil || len(records) != 1 || string(records[0].Value) != "hello" {
		t.Errorf("read %v, %v", records, fetched.Err())
	}
}

// TestWrong: a connection that the pipeline would refuse is refused, by the same names.
func TestWrong(t *testing.T) {
	t.Parallel()
	_, err := kafkaclient.New(microbatch.Connection{BootstrapServers: []string{"nowhere"}, SecurityProtocol: "TLS"})
	if err == nil || !strings.Contains(err.Error(), "bootstrap.servers") || !strings.Contains(err.Error(), "security.protocol") {
		t.Errorf("error %v", err)
	}
	if _, err := kafkaclient.NewAdmin(microbatch.Connection{}); err == nil {
		t.Error("no servers: no error")
	}
}

// TestUnreachable: who isn't there is named, within the timeouts.
func TestUnreachable(t *testing.T) {
	t.Parallel()
	c := microbatch.Connection{BootstrapServers: []string{"127.0.0.1:1"}, ConnectTimeout: 100 * time.Millisecond, RequestTimeout: 100 * time.Millisecond}
	client, err := kafkaclient.New(c)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	began := time.Now()
	err = kafkaclient.Reach(t.Context(), client, c)
	if err == nil || !strings.Contains(err.Error(), "127.0.0.1:1") || time.Since(began) > 5*time.Second {
		t.Errorf("after %v: %v", time.Since(began), err)
	}
}
