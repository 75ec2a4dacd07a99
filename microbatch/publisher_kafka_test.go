package microbatch_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrank/millrank/internal/apachekafka"
	"github.com/millrank/millrank/internal/embedded"
	"github.com/millrank/millrank/microbatch"
)

// textsAt returns the values of all records of "updates" at a real broker, by partition.
func textsAt(t *testing.T, brokers []string, partitions int) [][]string {
	t.Helper()
	c := client(t, brokers, kgo.ConsumeTopics("updates"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ends, err := kadm.NewClient(c).ListEndOffsets(ctx, "updates")
	if err != nil {
		t.Fatal(err)
	}
	missing := int64(0)
	ends.Each(func(o kadm.ListedOffset) { missing += o.Offset })
	values := make([][]string, partitions)
	for missing > 0 {
		fetches := c.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			values[r.Partition] = append(values[r.Partition], string(r.Value))
			missing--
		})
	}
	return values
}

// A real broker, all ways to reach it, its topics, and what is published while it halts, crashes and comes back.
func TestApacheKafka(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes half a minute")
	}
	certificate, file, _ := pemFiles(t)
	kafka := apachekafka.StartTest(t, apachekafka.Options{TLS: &certificate, Users: []embedded.KafkaUser{
		{Mechanism: embedded.Plain, Name: "plain", Password: "one secret"}, {Mechanism: embedded.ScramSHA256, Name: "scram1", Password: "one secret"}, {Mechanism: embedded.ScramSHA512, Name: "scram2", Password: "one secret"},
	}})
	updates := microbatch.Topic{
		Name: "updates", Partitions: 3, ReplicationFactor: 1, Retention: time.Hour, RetentionMin: time.Hour, CleanupPolicy: "delete",
		TimestampType: microbatch.CreateTime, TimestampAfterMax: time.Minute, MaxMessageBytes: 2 << 20,
	}
	base := microbatch.Connection{BootstrapServers: kafka.Brokers()}
	for range 2 {
		if warnings, err := microbatch.EnsureTopics(t.Context(), base, updates); err != nil || len(warnings) > 0 {
			t.Fatal(warnings, err)
		}
	}
	info, err := microbatch.Describe(t.Context(), base, "updates")
	if err != nil || info.ID == [16]byte{} || info.Partitions != 3 || info.Configs["retention.ms"] != "3600000" || info.Configs["message.timestamp.after.max.ms"] != "60000" {
		t.Errorf("%+v, %v", info, err)
	}

	for _, c := range []microbatch.Connection{
		{BootstrapServers: kafka.BrokersTLS(), SecurityProtocol: microbatch.SSL, CAFile: file},
		{BootstrapServers: kafka.BrokersSASL(), SecurityProtocol: microbatch.SASLPlaintext, SASLMechanism: microbatch.SASLPlain, Username: "plain", Password: "one secret"},
		{BootstrapServers: kafka.BrokersSASL(), SecurityProtocol: microbatch.SASLPlaintext, SASLMechanism: microbatch.SASLSCRAM256, Username: "scram1", Password: "one secret"},
		{BootstrapServers: kafka.BrokersSASLTLS(), SecurityProtocol: microbatch.SASLSSL, CAFile: file, SASLMechanism: microbatch.SASLSCRAM512, Username: "scram2", Password: "one secret"},
	} {
		if _, err := microbatch.Describe(t.Context(), c, "updates"); err != nil {
			t.Errorf("%v: %v", c, err)
		}
	}

	config := microbatch.DefaultPublisherConfig(base)
	config.DeliveryTimeout = 3 * time.Second
	p, err := microbatch.NewPublisher(config, logger())
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	// The broker refuses a batch; the producer goes on with another epoch.
	if _, err := microbatch.EnsureTopics(t.Context(), base, microbatch.Topic{Name: "small", Partitions: 1, MaxMessageBytes: 2000}); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := p.Publish("small", message.NewMessage("large", noise(10_000))); !errors.Is(err, microbatch.ErrMessageTooLarge) {
			t.Errorf("a message above the topic's limit: %v", err)
		}
		if err := p.Publish("small", message.NewMessage("small", noise(100)), message.NewMessage("small", noise(100))); err != nil {
			t.Errorf("after a message that was too large: %v", err)
		}
	}

	l := newLoad(4, 3)
	over := make(chan struct{})
	go func() {
		defer close(over)
		for _, halt := range []time.Duration{300 * time.Millisecond, 1500 * time.Millisecond, 5 * time.Second} { // below an attempt, above, and above the delivery timeout
			await(t, l, 100)
			kafka.Pause()
			<-time.After(halt)
			kafka.Resume()
		}
		for range 2 {
			await(t, l, 100)
			kafka.Kill()
			if err := kafka.Restart(t.Context()); err != nil {
				t.Error(err)
				return
			}
		}
		await(t, l, 100)
	}()
	l.run(func(int) bool {
		select {
		case <-over:
			return false
		default:
			return true
		}
	}, func(topic string, msgs ...*message.Message) error {
		err := p.Publish(topic, msgs...)
		if err != nil {
			t.Log(err)
			<-time.After(50 * time.Millisecond)
		}
		return err
	})
	l.check(t, textsAt(t, kafka.Brokers(), 3))
}

// await waits for n more calls that succeed.
func await(t *testing.T, l *load, n int) {
	count := func() int {
		l.mu.Lock()
		defer l.mu.Unlock()
		return len(l.acked)
	}
	before := count()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(patience)
	for count() < before+n {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Errorf("it took too long until %d calls succeeded", n)
			return
		}
	}
}
