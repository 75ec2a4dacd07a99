package apachekafka_test

import (
	"crypto/tls"
	"errors"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/millrank/millrank/internal/apachekafka"
	"github.com/millrank/millrank/internal/embedded"
)

// TestRights checks that a broker which asks its ACLs knows who comes by a certificate and who by SCRAM, that it lets them do what an ACL says and nothing
// else, and that a client without a certificate doesn't get in where one is wanted.
func TestRights(t *testing.T) {
	ctx := within(t, 2*time.Minute)
	authority, err := embedded.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	until := time.Now().Add(time.Hour)
	server, err := authority.Issue("broker", until, "localhost", "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	client, err := authority.Issue("carla", until)
	if err != nil {
		t.Fatal(err)
	}
	b := apachekafka.StartTest(t, apachekafka.Options{
		HeapMiB: 256, TLS: &server, ClientAuthority: authority.CertificatePEM, Authorize: true,
		Users: []embedded.KafkaUser{{Mechanism: embedded.ScramSHA512, Name: "sue", Password: "secret512"}},
	})
	admin := kadm.NewClient(connect(t, b.Brokers()))
	if _, err := admin.CreateTopic(ctx, 1, 1, nil, "events"); err != nil {
		t.Fatal(err)
	}
	trusting := embedded.Certificate{CertificatePEM: authority.CertificatePEM}.Client()
	certified, err := client.Server()
	if err != nil {
		t.Fatal(err)
	}
	certified.RootCAs = trusting.RootCAs
	for name, c := range map[string]*kgo.Client{
		"carla": connect(t, b.BrokersTLS(), kgo.RequestRetries(0), kgo.DialTLSConfig(certified), kgo.DefaultProduceTopic("events"), kgo.DisableIdempotentWrite()),
		"sue": connect(t, b.BrokersSASLTLS(), kgo.RequestRetries(0), kgo.DialTLSConfig(trusting.Clone()), kgo.DefaultProduceTopic("events"), kgo.DisableIdempotentWrite(),
			kgo.SASL(scram.Auth{User: "sue", Pass: "secret512"}.AsSha512Mechanism())),
	} {
		if err := c.ProduceSync(ctx, kgo.StringRecord("x")).FirstErr(); !errors.Is(err, kerr.TopicAuthorizationFailed) {
			t.Errorf("%s may write without an ACL: %v", name, err)
		}
		rule := kadm.NewACLs().Allow("User:" + name).AllowHosts("*").Topics("events").ResourcePatternType(kmsg.ACLResourcePatternTypeLiteral).Operations(kmsg.ACLOperationWrite)
		if _, err := admin.CreateACLs(ctx, rule); err != nil {
			t.Fatal(err)
		}
		for {
			err := c.ProduceSync(ctx, kgo.StringRecord("x")).FirstErr()
			if err == nil {
				break
			}
			if ctx.Err() != nil {
				t.Fatalf("%s may not write with an ACL: %v", name, err)
			}
		}
	}
	if err := connect(t, b.BrokersTLS(), kgo.RequestRetries(0), kgo.DialTLSConfig(&tls.Config{RootCAs: trusting.RootCAs, MinVersion: tls.VersionTLS12})).Ping(ctx); err == nil {
		t.Error("a client without a certificate gets in")
	}
}
