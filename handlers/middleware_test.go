package handlers_test

import (
	"errors"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/components/metrics"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/message/router/middleware"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/sony/gobreaker"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/handlers"
)

// underFaults has a member count events, with some middleware, under a fault, and compares all that comes out with the oracle.
func underFaults(t *testing.T, w *world, o options) *member {
	t.Helper()
	seed := newRand(t, uint64(time.Now().UnixNano())%1_000_000).Uint64()
	m := w.start(o)
	w.produceInSteps(liveLogs(seed, len(w.logs), 1500), 5, func(step int) {
		if step == 3 {
			w.awaitDone()
		}
		w.checkDurable()
	})
	w.awaitDone()
	repeats := w.check()
	t.Logf("%d claims, %d dead letters came again", m.claims.Load(), repeats)
	return m
}

// failing returns what fails so often, from the third call on.
func failing(times int) func(int, []*message.Message) error {
	return func(call int, _ []*message.Message) error {
		if call > 2 && call <= 2+times {
			return errDown
		}
		return nil
	}
}

// TestRetry: Watermill's Retry around both handlers, or around each; it is done before the Subscriber has to send a batch again.
func TestRetry(t *testing.T) {
	for name, o := range map[string]func(message.HandlerMiddleware) options{
		"both": func(m message.HandlerMiddleware) options {
			return options{router: func(r *message.Router) { r.AddMiddleware(m) }}
		},
		"deduplicate": func(m message.HandlerMiddleware) options { return options{middleware: []message.HandlerMiddleware{m}} },
		"windower":    func(m message.HandlerMiddleware) options { return options{windower: []message.HandlerMiddleware{m}} },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 1)
			w.letters.do(failing(3))
			var retries atomic.Int64
			retry := middleware.Retry{MaxRetries: 5, InitialInterval: time.Millisecond, Multiplier: 2, MaxInterval: time.Second, OnRetryHook: func(int, time.Duration) { retries.Add(1) }}
			underFaults(t, w, o(retry.Middleware))
			if retries.Load() == 0 || len(w.log.find("it comes again")) > 0 {
				t.Errorf("%d retries; the log says %v", retries.Load(), w.log.find("it comes again"))
			}
		})
	}
}

// TestCircuitBreaker: it opens while dead letters fail, and closes again.
func TestCircuitBreaker(t *testing.T) {
	w := newWorld(t, 1)
	w.letters.do(failing(5))
	var opened, closed atomic.Int64
	breaker := middleware.NewCircuitBreaker(gobreaker.Settings{
		Timeout:     20 * time.Millisecond,
		ReadyToTrip: func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= 2 },
		OnStateChange: func(_ string, _, to gobreaker.State) {
			switch to {
			case gobreaker.StateOpen:
				opened.Add(1)
			case gobreaker.StateClosed:
				closed.Add(1)
			case gobreaker.StateHalfOpen:
			}
		},
	})
	underFaults(t, w, options{middleware: []message.HandlerMiddleware{breaker.Middleware}})
	if opened.Load() == 0 || closed.Load() == 0 {
		t.Errorf("the breaker opened %d times, and closed %d times", opened.Load(), closed.Load())
	}
}

// TestUpdatesFail: updates that fail are no error of a handler, and no breaker opens; nothing is committed that has not arrived.
func TestUpdatesFail(t *testing.T) {
	w := newWorld(t, 1)
	w.updates.do(func(call int, _ []*message.Message) error {
		if call%3 > 0 && call < 100 {
			return errDown
		}
		return nil
	})
	breaker := middleware.NewCircuitBreaker(gobreaker.Settings{ReadyToTrip: func(gobreaker.Counts) bool { return true }})
	underFaults(t, w, options{router: func(r *message.Router) { r.AddMiddleware(breaker.Middleware) }})
	if n := len(w.log.find("Handler returned error")); n > 0 {
		t.Errorf("the handlers failed %d times", n)
	}
}

// counting reports whether the caller is called while a batch is counted.
func counting() bool {
	var list [20]uintptr
	frames := runtime.CallersFrames(list[:runtime.Callers(2, list[:])])
	for more := true; more; {
		var f runtime.Frame
		f, more = frames.Next()
		if strings.HasSuffix(f.Function, "handlers.turn.count") {
			return true
		}
	}
	return false
}

// TestRecoverer: a panic in the fold gives the partition back, and its next claim goes on from the commit.
func TestRecoverer(t *testing.T) {
	w := newWorld(t, 2)
	var readings atomic.Int64
	m := underFaults(t, w, options{
		intake: func(c *handlers.IntakeConfig) {
			c.Now = func() time.Time {
				if counting() {
					if n := readings.Add(1); n == 3 || n == 5 {
						panic("no time")
					}
				}
				return time.Now()
			}
		},
		router: func(r *message.Router) { r.AddMiddleware(middleware.Recoverer) },
	})
	if n := m.claims.Load(); n < 3 {
		t.Errorf("there were %d claims: no partition was given back", n)
	}
	if len(w.log.find("no time")) == 0 || len(w.log.find("partition given up")) == 0 {
		t.Error("the log doesn't say why")
	}
	for _, s := range m.Status() {
		if s.Replaying {
			t.Errorf("%+v still replays", s)
		}
	}
}

// poisoned is the same for PoisonQueue and IgnoreErrors.
func poisoned(t *testing.T, w *world, o options) {
	t.Helper()
	w.letters.do(failing(2))
	m := underFaults(t, w, o)
	if m.claims.Load() < 2 || len(w.log.find("was acknowledged")) == 0 {
		t.Errorf("there were %d claims; the log says %v", m.claims.Load(), w.log.find("partition given up"))
	}
}

// TestPoisonQueue: it has a batch acknowledged whose dead letters are not safe. That is noticed, and the
// partition begins again at its commit: no dead letter is lost.
func TestPoisonQueue(t *testing.T) {
	for _, at := range []string{"deduplicate", "windower"} {
		t.Run(at, func(t *testing.T) {
			w := newWorld(t, 1)
			queue := &outlet{}
			poison, err := middleware.PoisonQueue(queue, "poison")
			if err != nil {
				t.Fatal(err)
			}
			o := options{middleware: []message.HandlerMiddleware{poison}}
			if at == "windower" {
				o = options{windower: []message.HandlerMiddleware{poison}}
			}
			poisoned(t, w, o)
			messages := queue.all()
			if len(messages) == 0 {
				t.Fatal("nothing came to the poison queue")
			}
			if why := messages[0].Metadata.Get(middleware.ReasonForPoisonedKey); !strings.Contains(why, "dead letters") && !strings.Contains(why, "refused") {
				t.Errorf("the poison queue is told %q", why)
			}
		})
	}
}

// TestIgnoreErrors: the same, where errors are swallowed without a word.
func TestIgnoreErrors(t *testing.T) {
	w := newWorld(t, 1)
	ignore := middleware.NewIgnoreErrors([]error{handlers.ErrRefused, errDown})
	poisoned(t, w, options{router: func(r *message.Router) {
		r.AddMiddleware(func(h message.HandlerFunc) message.HandlerFunc {
			return ignore.Middleware(func(m *message.Message) ([]*message.Message, error) {
				out, err := h(m)
				if errors.Is(err, handlers.ErrRefused) {
					err = handlers.ErrRefused // it compares the innermost errors' texts
				}
				return out, err
			})
		})
	}})
}

// TestTimeout: a handler that takes too long is given up, and its batch comes again.
func TestTimeout(t *testing.T) {
	timeout := middleware.Timeout(100 * time.Millisecond)
	retry := middleware.Retry{MaxRetries: 3, InitialInterval: time.Millisecond, ResetContextOnRetry: true}
	for name, o := range map[string]options{
		"by itself":   {middleware: []message.HandlerMiddleware{timeout}},
		"with Retry":  {middleware: []message.HandlerMiddleware{retry.Middleware, timeout}},
		"of windower": {windower: []message.HandlerMiddleware{timeout}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 1)
			release := make(chan struct{})
			var held atomic.Int64
			w.letters.do(func(call int, _ []*message.Message) error {
				if call == 3 {
					held.Add(1)
					<-release
				}
				return nil
			})
			t.Cleanup(func() { close(release) })
			underFaults(t, w, o)
			if held.Load() == 0 {
				t.Error("nothing took too long")
			}
		})
	}
}

// TestRandomFailures: handlers that fail before they begin, or panic, and messages that are handled twice.
func TestRandomFailures(t *testing.T) {
	w := newWorld(t, 2)
	underFaults(t, w, options{
		router:     func(r *message.Router) { r.AddMiddleware(middleware.Recoverer) },
		middleware: []message.HandlerMiddleware{middleware.RandomFail(.1), middleware.RandomPanic(.1), middleware.Duplicator},
		windower:   []message.HandlerMiddleware{middleware.RandomFail(.1), middleware.RandomPanic(.1), middleware.Duplicator},
	})
}

// TestInstantAck: with it batches would overtake each other, and be lost in silence; so the subscriber stops, and says why.
func TestInstantAck(t *testing.T) {
	w := newWorld(t, 1)
	w.produce(liveLogs(newRand(t, 5).Uint64(), 1, 500))
	m := w.start(options{middleware: []message.HandlerMiddleware{middleware.InstantAck}})
	err := within(t, "the member stops", m.done)
	m.done <- err
	if err == nil || !strings.Contains(err.Error(), "InstantAck") {
		t.Errorf("it stops with %v", err)
	}
	if through := w.through()[0]; through >= 0 {
		t.Errorf("committed as processed through %d", through)
	}
}

// TestMetrics: Watermill's metrics know both handlers.
func TestMetrics(t *testing.T) {
	w := newWorld(t, 1)
	registry := prometheus.NewRegistry()
	underFaults(t, w, options{router: func(r *message.Router) {
		metrics.NewPrometheusMetricsBuilder(registry, "", "").AddPrometheusRouterMetrics(r)
	}})
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	handled := map[string]uint64{}
	for _, f := range families {
		if f.GetName() != "handler_execution_time_seconds" {
			continue
		}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetName() == "handler_name" {
					handled[l.GetValue()] += m.GetHistogram().GetSampleCount()
				}
			}
		}
	}
	if n := handled["deduplicate"]; n < 15 || handled["windower"] < n-1 {
		t.Errorf("handled by handler: %v", handled)
	}
}

// TestCorrelationID: what is in a message's metadata is there in both handlers.
func TestCorrelationID(t *testing.T) {
	clock, letters := newClock(start), &outlet{}
	c := testConfig(t, &outlet{}, letters)
	c.Now = clock.Now
	in, err := handlers.NewIntake(c)
	if err != nil {
		t.Fatal(err)
	}
	seen := make(chan string, 1)
	events := routerWith(t, in, watermill.NopLogger{}, func(r *message.Router) {
		r.AddMiddleware(middleware.CorrelationID, func(h message.HandlerFunc) message.HandlerFunc {
			return func(m *message.Message) ([]*message.Message, error) {
				if message.HandlerNameFromCtx(m.Context()) == "windower" {
					seen <- middleware.MessageCorrelationID(m)
				}
				return h(m)
			}
		})
	})
	m := malformed("{")
	middleware.SetCorrelationID("number 7", m)
	if err := events.Publish("events", m); err != nil {
		t.Fatal(err)
	}
	if id := within(t, "the windower has it", seen); id != "number 7" {
		t.Errorf("the windower sees the correlation ID %q", id)
	}
	eventually(t, "it is a dead letter", func() bool { n, _ := letters.count(); return n == 1 })
	if l := parse(t, letters.all())[0]; l.Reason != event.Malformed || len(l.Headers) != 1 || string(l.Headers[0].Value) != "number 7" {
		t.Errorf("the dead letter is %+v", l)
	}
}
