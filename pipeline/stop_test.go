package pipeline_test

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/millrank/millrank/microbatch"
	"github.com/millrank/millrank/pipeline"
)

// TestStopAtStart: it can be told to stop at any moment of its start, and ends at once, without an error.
func TestStopAtStart(t *testing.T) {
	e := newEngine(t, "shutdown_timeout=20s", "kafka.session_timeout=1s") // one that is stopped while it joins can't leave, and the next one waits for it
	for i := range 30 {
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		began := time.Now()
		go func() { ended <- pipeline.Run(ctx, e.settings, pipeline.Options{}) }()
		timer := time.AfterFunc(time.Duration(i)*15*time.Millisecond, stop)
		err := <-ended
		timer.Stop()
		stop()
		if err != nil || time.Since(began) > 15*time.Second {
			t.Fatalf("told to stop after %d ms: it ended after %v with %v", i*15, time.Since(began), err)
		}
	}
}

// TestSilentKafka: a broker that takes connections and says nothing keeps no command from being told to stop.
func TestSilentKafka(t *testing.T) {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		var held []net.Conn
		for {
			c, err := l.Accept()
			if err != nil {
				break
			}
			held = append(held, c)
		}
		for _, c := range held {
			_ = c.Close()
		}
	}()
	s := load(t, "name=likes", "source.topic=likes", "kafka.bootstrap_servers="+l.Addr().String(), "topics.replication_factor=1", "boards=[{name: likes, window: 1h, k: 10}]")
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	began := time.Now()
	if _, err := pipeline.ActiveGeneration(ctx, s); err == nil || time.Since(began) > 10*time.Second {
		t.Errorf("it ended after %v with %v", time.Since(began), err)
	}
}

// TestGenerationsBehindRedis: a topic of generations that knows less than Redis does, and holds a record of somebody else's, is mended by the next activation.
func TestGenerationsBehindRedis(t *testing.T) {
	e := newEngine(t)
	if _, err := pipeline.EnsureTopics(t.Context(), e.settings); err != nil {
		t.Fatal(err)
	}
	second := e.settings
	second.Generation = 2
	if _, err := pipeline.EnsureTopics(t.Context(), second); err != nil {
		t.Fatal(err)
	}
	begin := func() {
		t.Helper()
		p, err := pipeline.New(t.Context(), e.settings, pipeline.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
	}
	begin()
	if a, err := pipeline.Activate(t.Context(), e.settings, 2); err != nil || a.Epoch != 2 {
		t.Fatalf("activated: %+v, %v", a, err)
	}
	if _, err := e.admin().DeleteTopics(t.Context(), "likes.generations"); err != nil {
		t.Fatal(err)
	}
	e.redis.Server().SetError("LOADING it is not there")
	begin() // it can't know what Redis knows
	if _, err := pipeline.Activate(t.Context(), e.settings, 1); err == nil || !strings.Contains(err.Error(), "nothing was changed") {
		t.Errorf("activating while Redis is away: %v", err)
	}
	e.redis.Server().SetError("")
	publisher, err := microbatch.NewPublisher(microbatch.DefaultPublisherConfig(e.settings.Connection()), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer publisher.Close()
	if err := publisher.Publish("likes.generations", message.NewMessage("", []byte("hello"))); err != nil {
		t.Fatal(err)
	}
	if a, err := pipeline.Activate(t.Context(), e.settings, 1); err != nil || a.Generation != 1 || a.Epoch != 3 {
		t.Errorf("activated: %+v, %v; want generation 1, epoch 3", a, err)
	}
	if _, err := pipeline.Drop(t.Context(), e.settings, 2); err != nil {
		t.Errorf("dropping the other one: %v", err)
	}
}
