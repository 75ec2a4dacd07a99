package microbatch_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/millrank/millrank/internal/embedded"
	"github.com/millrank/millrank/microbatch"
)

// TestSecureSubscriber: a subscriber reads and commits over an encrypted connection, logged in.
func TestSecureSubscriber(t *testing.T) {
	t.Parallel()
	certificate, err := embedded.NewCertificate()
	if err != nil {
		t.Fatal(err)
	}
	server, err := certificate.Server()
	if err != nil {
		t.Fatal(err)
	}
	user := embedded.KafkaUser{Mechanism: embedded.ScramSHA256, Name: "reader", Password: "secret"}
	broker, err := embedded.StartKafka(embedded.KafkaOptions{Topics: map[string]int32{"events": 1}, TLS: server, Users: []embedded.KafkaUser{user}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.Close)
	k := &kafka{brokers: broker.Brokers(), topic: "events", group: "events-group", cluster: broker.Cluster()}
	k.client = k.connect(t, kgo.DialTLSConfig(certificate.Client()), kgo.SASL(scram.Auth{User: user.Name, Pass: user.Password}.AsSha256Mechanism()))
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, certificate.CertificatePEM, 0o600); err != nil {
		t.Fatal(err)
	}
	config := k.settings("cooperative-sticky")
	config.Connection = microbatch.Connection{
		BootstrapServers: k.brokers, SecurityProtocol: microbatch.SASLSSL, CAFile: ca,
		SASLMechanism: microbatch.SASLSCRAM256, Username: user.Name, Password: user.Password,
	}
	k.produce(t, 0, 0, 100)
	m := join(t, k, config, committing)
	m.untilAll(t, 100)
	claim := m.owned()[0]
	eventually(t, "it is committed", func() bool { w, _ := claim.Committed(); return w.Offset == 100 })
}
