package embedded_test

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
	"go.uber.org/goleak"

	"github.com/millrank/millrank/internal/apachekafka"
	"github.com/millrank/millrank/internal/embedded"
)

// apache is the real Kafka that the embedded one is held against.
var apache = apachekafka.NewShared(apachekafka.Options{})

func TestMain(m *testing.M) {
	// sarama's metrics have one goroutine that never ends.
	goleak.VerifyTestMain(apache.Main(m), goleak.IgnoreTopFunction("github.com/rcrowley/go-metrics.(*meterArbiter).tick"))
}

// patience bounds every wait for something that must happen.
const patience = time.Minute

// eachKafka runs a test against the embedded Kafka and against a real one: what holds for
// both is what code that was tested with the embedded one may rely on.
func eachKafka(t *testing.T, test func(t *testing.T, brokers []string)) {
	t.Run("embedded", func(t *testing.T) { test(t, start(t, embedded.KafkaOptions{Brokers: 3}).Brokers()) })
	t.Run("apache", func(t *testing.T) { test(t, apache.Broker(t).Brokers()) })
}

func start(t *testing.T, options embedded.KafkaOptions) *embedded.Kafka {
	t.Helper()
	kafka, err := embedded.StartKafka(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(kafka.Close)
	return kafka
}

func connect(t *testing.T, brokers []string, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	base := []kgo.Opt{kgo.SeedBrokers(brokers...), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.MetadataMinAge(10 * time.Millisecond)}
	client, err := kgo.NewClient(append(base, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// patiently returns a context for waits.
func patiently(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// eventually waits until the condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ctx := patiently(t)
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for !holds() {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// topic creates a topic with a name of its own that begins with the test's. A real broker
// says that it is created before all its parts know it: topic waits for that.
func topic(t *testing.T, admin *kadm.Client, partitions int32, configs map[string]*string) string {
	t.Helper()
	name := strings.NewReplacer("/", ".", "#", ".").Replace(t.Name()) + "-" + rand.Text()[:6]
	if _, err := admin.CreateTopic(t.Context(), partitions, 1, configs, name); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the topic is there", func() bool {
		ends, err := admin.ListEndOffsets(t.Context(), name)
		return err == nil && ends.Error() == nil
	})
	return name
}

func TestKafkaDefaults(t *testing.T) {
	kafka := start(t, embedded.KafkaOptions{Topics: map[string]int32{"three": 3}})
	if n := len(kafka.Brokers()); n != 1 {
		t.Errorf("%d brokers, want 1", n)
	}
	if !strings.HasPrefix(kafka.Brokers()[0], "127.0.0.1:") {
		t.Errorf("it listens on %v, which others can reach", kafka.Brokers())
	}
	topics, err := kadm.NewClient(connect(t, kafka.Brokers(), kgo.AllowAutoTopicCreation())).ListTopics(t.Context(), "three", "mistyped")
	if err != nil {
		t.Fatal(err)
	}
	if n := len(topics["three"].Partitions); n != 3 {
		t.Errorf("the topic has %d partitions, want 3", n)
	}
	if topics["mistyped"].Err == nil {
		t.Error("a topic was created by asking for it")
	}
}

func TestKafkaAutoCreateTopics(t *testing.T) {
	kafka := start(t, embedded.KafkaOptions{AutoCreateTopics: true, AutoCreatePartitions: 4})
	client := connect(t, kafka.Brokers(), kgo.AllowAutoTopicCreation())
	if err := client.ProduceSync(patiently(t), &kgo.Record{Topic: "new", Partition: 3}).FirstErr(); err != nil {
		t.Error(err)
	}
}

func TestKafkaPorts(t *testing.T) {
	first := start(t, embedded.KafkaOptions{Brokers: 2})
	_, text, _ := net.SplitHostPort(first.Brokers()[1])
	port, _ := strconv.Atoi(text)
	if kafka, err := embedded.StartKafka(embedded.KafkaOptions{Ports: []int{0, port}}); err == nil {
		kafka.Close()
		t.Error("two clusters listen on one port")
	}
	first.Close()
	first.Close()
	again := start(t, embedded.KafkaOptions{Ports: []int{0, port}})
	if again.Brokers()[1] != first.Brokers()[1] {
		t.Errorf("brokers at %v, want the second at %v", again.Brokers(), first.Brokers()[1])
	}
	if _, err := embedded.StartKafka(embedded.KafkaOptions{Brokers: 2, Ports: []int{0}}); err == nil {
		t.Error("one port does for two brokers")
	}
	if _, err := embedded.StartKafka(embedded.KafkaOptions{Users: []embedded.KafkaUser{{Mechanism: "NONE", Name: "x", Password: "y"}}}); err == nil {
		t.Error("there is a mechanism NONE")
	}
}

func TestKafkaUsersAndTLS(t *testing.T) {
	certificate, err := embedded.NewCertificate()
	if err != nil {
		t.Fatal(err)
	}
	server, err := certificate.Server()
	if err != nil {
		t.Fatal(err)
	}
	kafka := start(t, embedded.KafkaOptions{TLS: server, Users: []embedded.KafkaUser{
		{Mechanism: embedded.Plain, Name: "pat", Password: "plain secret"},
		{Mechanism: embedded.ScramSHA256, Name: "sam", Password: "secret256"},
		{Mechanism: embedded.ScramSHA512, Name: "sue", Password: "secret512"},
	}})
	for _, c := range []struct {
		name    string
		tls     *tls.Config
		user    sasl.Mechanism
		refused bool
	}{
		{name: "PLAIN", tls: certificate.Client(), user: plain.Auth{User: "pat", Pass: "plain secret"}.AsMechanism()},
		{name: "SCRAM-SHA-256", tls: certificate.Client(), user: scram.Auth{User: "sam", Pass: "secret256"}.AsSha256Mechanism()},
		{name: "SCRAM-SHA-512", tls: certificate.Client(), user: scram.Auth{User: "sue", Pass: "secret512"}.AsSha512Mechanism()},
		{name: "wrong password", tls: certificate.Client(), user: scram.Auth{User: "sue", Pass: "guessed"}.AsSha512Mechanism(), refused: true},
		{name: "nobody", tls: certificate.Client(), refused: true},
		{name: "unknown authority", tls: &tls.Config{MinVersion: tls.VersionTLS12}, user: plain.Auth{User: "pat", Pass: "plain secret"}.AsMechanism(), refused: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			opts := []kgo.Opt{kgo.RequestRetries(0), kgo.DialTLSConfig(c.tls)}
			if c.user != nil {
				opts = append(opts, kgo.SASL(c.user))
			}
			err := connect(t, kafka.Brokers(), opts...).Ping(patiently(t))
			if refused := err != nil; refused != c.refused {
				t.Errorf("refused is %v, want %v: %v", refused, c.refused, err)
			}
		})
	}
}
