package pipeline_test

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/millrank/millrank/pipeline"
)

// TestStopAtStart: it can be told to stop at any moment of its start, and ends at once, without an error.
func TestStopAtStart(t *testing.T) {
	e := newEngine(t, "shutdown_timeout=20s")
	for i := range 30 {
		ctx, stop := context.WithCancel(context.Background())
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
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			defer c.Close()
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
