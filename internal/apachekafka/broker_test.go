package apachekafka_test

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	saslplain "github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
	"go.uber.org/goleak"

	"github.com/millrank/millrank/internal/apachekafka"
	"github.com/millrank/millrank/internal/embedded"
)

var kafka = apachekafka.NewShared(apachekafka.Options{})

func TestMain(m *testing.M) { goleak.VerifyTestMain(kafka.Main(m)) }

// connect returns a client that ends with the test.
func connect(t *testing.T, brokers []string, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	client, err := kgo.NewClient(append(opts, kgo.SeedBrokers(brokers...))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func TestAnswersWhenStarted(t *testing.T) {
	ctx := within(t, time.Minute)
	admin := kadm.NewClient(connect(t, kafka.Broker(t).Brokers()))
	name := rand.Text() // the broker is shared
	if err := kafka.Broker(t).CreateTopic(ctx, name, 3, map[string]string{"retention.ms": "60000"}); err != nil {
		t.Fatal(err)
	}
	topics, err := admin.ListTopics(ctx, name, "mistyped")
	if err != nil {
		t.Fatal(err)
	}
	if got := len(topics[name].Partitions); got != 3 {
		t.Errorf("the topic has %d partitions, want 3", got)
	}
	configs, err := admin.DescribeTopicConfigs(ctx, name)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range configs[0].Configs {
		if c.Key == "retention.ms" && c.MaybeValue() != "60000" {
			t.Errorf("retention.ms is %s, want 60000", c.MaybeValue())
		}
	}
	if topics["mistyped"].Err == nil {
		t.Error("a topic was created by asking for it")
	}
}

func TestUsersAndTLS(t *testing.T) {
	certificate, err := embedded.NewCertificate()
	if err != nil {
		t.Fatal(err)
	}
	b := apachekafka.StartTest(t, apachekafka.Options{
		HeapMiB: 256,
		TLS:     &certificate,
		Users: []embedded.KafkaUser{
			{Mechanism: embedded.Plain, Name: "pat", Password: "plain secret"},
			{Mechanism: embedded.ScramSHA256, Name: "sam", Password: "secret256"},
			{Mechanism: embedded.ScramSHA512, Name: "sue", Password: "secret512"},
		},
	})
	pat := saslplain.Auth{User: "pat", Pass: "plain secret"}.AsMechanism()
	sam := scram.Auth{User: "sam", Pass: "secret256"}.AsSha256Mechanism()
	sue := scram.Auth{User: "sue", Pass: "secret512"}.AsSha512Mechanism()
	mallory := scram.Auth{User: "sue", Pass: "guessed"}.AsSha512Mechanism()
	for _, c := range []struct {
		name    string
		brokers []string
		tls     *tls.Config
		user    sasl.Mechanism
		refused bool
	}{
		{name: "plain text", brokers: b.Brokers()},
		{name: "TLS", brokers: b.BrokersTLS(), tls: certificate.Client()},
		{name: "TLS, unknown authority", brokers: b.BrokersTLS(), tls: &tls.Config{MinVersion: tls.VersionTLS12}, refused: true},
		{name: "PLAIN", brokers: b.BrokersSASL(), user: pat},
		{name: "SCRAM-SHA-256", brokers: b.BrokersSASL(), user: sam},
		{name: "SCRAM-SHA-512", brokers: b.BrokersSASL(), user: sue},
		{name: "PLAIN over TLS", brokers: b.BrokersSASLTLS(), tls: certificate.Client(), user: pat},
		{name: "SCRAM-SHA-512 over TLS", brokers: b.BrokersSASLTLS(), tls: certificate.Client(), user: sue},
		{name: "wrong password", brokers: b.BrokersSASLTLS(), tls: certificate.Client(), user: mallory, refused: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			opts := []kgo.Opt{kgo.RequestRetries(0)}
			if c.tls != nil {
				opts = append(opts, kgo.DialTLSConfig(c.tls))
			}
			if c.user != nil {
				opts = append(opts, kgo.SASL(c.user))
			}
			err := connect(t, c.brokers, opts...).Ping(within(t, 20*time.Second))
			if refused := err != nil; refused != c.refused {
				t.Errorf("refused is %v, want %v: %v", refused, c.refused, err)
			}
		})
	}
}

// TestRestart checks that what was acknowledged is there again, after an end in order and
// after a crash, at the same address.
func TestRestart(t *testing.T) {
	ctx := within(t, 2*time.Minute)
	b := apachekafka.StartTest(t, apachekafka.Options{HeapMiB: 256})
	brokers := b.Brokers()
	client := connect(t, brokers, kgo.DefaultProduceTopic("kept"))
	admin := kadm.NewClient(client)
	if _, err := admin.CreateTopic(ctx, 1, 1, nil, "kept"); err != nil {
		t.Fatal(err)
	}
	stop := func() error { return b.Stop(ctx) }
	kill := func() error { b.Kill(); return nil }
	for i, end := range []func() error{stop, kill} {
		if err := client.ProduceSync(ctx, kgo.StringRecord("x")).FirstErr(); err != nil {
			t.Fatal(err)
		}
		if err := admin.CommitAllOffsets(ctx, "group", kadm.OffsetsFromRecords(kgo.Record{Topic: "kept", Offset: int64(i)})); err != nil {
			t.Fatal(err)
		}
		if err := end(); err != nil {
			t.Fatal(err)
		}
		if err := connect(t, brokers, kgo.RequestRetries(0)).Ping(ctx); err == nil {
			t.Fatal("it answers, though it has ended")
		}
		if err := b.Restart(ctx); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(b.Brokers(), brokers) {
			t.Fatalf("the address was %v and is now %v", brokers, b.Brokers())
		}
		ends, err := admin.ListEndOffsets(ctx, "kept")
		if err != nil {
			t.Fatal(err)
		}
		if end, _ := ends.Lookup("kept", 0); end.Offset != int64(i)+1 {
			t.Errorf("after end %d the log has %d records, want %d", i, end.Offset, i+1)
		}
		commits, err := admin.FetchOffsets(ctx, "group")
		if err != nil {
			t.Fatal(err)
		}
		if commit, _ := commits.Lookup("kept", 0); commit.At != int64(i)+1 {
			t.Errorf("after end %d the commit is %d, want %d", i, commit.At, i+1)
		}
	}
	if err := b.Restart(ctx); err == nil || !strings.Contains(err.Error(), "running") {
		t.Errorf("a second Restart says: %v", err)
	}
}

// TestPause checks that a paused broker doesn't answer, and then does.
func TestPause(t *testing.T) {
	b := kafka.Broker(t)
	// RequestTimeoutOverhead is how long the client waits for an answer.
	client := connect(t, b.Brokers(), kgo.RequestRetries(0), kgo.RequestTimeoutOverhead(time.Second))
	b.Pause()
	defer b.Resume()
	if err := client.Ping(t.Context()); err == nil {
		t.Error("a paused broker answers")
	}
	b.Resume()
	if err := client.Ping(t.Context()); err != nil {
		t.Errorf("a resumed broker doesn't answer: %v", err)
	}
}

// TestFailureShowsLog checks that a start that fails says why, soon.
func TestFailureShowsLog(t *testing.T) {
	apachekafka.Require(t)
	ctx := within(t, 30*time.Second)
	b, err := apachekafka.Start(ctx, apachekafka.Options{Properties: map[string]string{"num.io.threads": "none"}})
	if err == nil {
		t.Fatal(errors.Join(errors.New("it starts with a wrong setting"), b.Close()))
	}
	if !strings.Contains(err.Error(), "num.io.threads") {
		t.Errorf("the error doesn't say what is wrong: %v", err)
	}
}
