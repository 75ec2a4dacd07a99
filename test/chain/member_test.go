package chain_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/millrank/millrank/test/world"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/message/router/middleware"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/handlers"
	"github.com/millrank/millrank/microbatch"
	"github.com/millrank/millrank/operators"
)

// memberEnv holds a memberConfig, in a process that is a member.
const memberEnv = "MILLRANK_TEST_MEMBER"

// memberConfig is one member of the group, in this process or in one of its own.
type memberConfig struct {
	Brokers    []string
	Topics     world.Topics
	Shards     int
	Partitions int // of the events topic
	Settings   operators.Settings

	ClientID          string
	Strategy          string
	InstanceID        string
	Generation        uint32
	SessionTimeout    time.Duration
	HeartbeatInterval time.Duration
	FlushInterval     time.Duration
	FlushCells        int
	PendingCells      int
	BatchRecords      int
	CommitInterval    time.Duration
	IdleTimeout       time.Duration
	SilentInterval    time.Duration
	ReleaseTimeout    time.Duration
	DeliveryTime      time.Duration
	ClockAhead        time.Duration // how wrong this machine's clock is
	Log               string        // file to log to; "" for nowhere

	Boards *memberBoards // ranks and writes leaderboards, too; nil: doesn't
	Only   string        // the one handler that runs, "intake", "rank", "leaderboard" or "late"; "" for all

	// DieAfterLetters kills the process (SIGKILL) when it has published dead letters so many times, before anything that depends on
	// them is committed. 0: never.
	DieAfterLetters int
}

// running is a member in this process.
type running struct {
	intake      *handlers.Intake
	rank        *handlers.Rank
	leaderboard *handlers.Leaderboard
	subscribers []*microbatch.Subscriber
	router      *message.Router
	publisher   *microbatch.Publisher
	close       []func() error // after the router has ended
	cancel      context.CancelFunc
	done        chan struct{}
	err         error
}

// wrap lets a test stand between the handlers and what they use.
type wrap struct {
	logger     watermill.LoggerAdapter
	letters    func(message.Publisher) message.Publisher
	updates    func(message.Publisher) message.Publisher
	middleware []message.HandlerMiddleware
	assigned   func(*microbatch.Claim)
	rankings   func(message.Publisher) message.Publisher
	lists      func(handlers.ListWriter) handlers.ListWriter
}

// newMember makes a member; start runs it.
func newMember(c memberConfig, w wrap) (*running, error) {
	log, err := c.logger()
	if err != nil {
		return nil, err
	}
	if w.logger != nil {
		log = w.logger
	}
	pc := microbatch.DefaultPublisherConfig(c.connection())
	pc.DeliveryTimeout, pc.MaxMessageBytes = c.DeliveryTime, 4<<20
	publisher, err := microbatch.NewPublisher(pc, log)
	if err != nil {
		return nil, err
	}
	router, err := message.NewRouter(message.RouterConfig{CloseTimeout: 10 * time.Second}, log)
	if err != nil {
		return nil, err
	}
	router.AddMiddleware(middleware.Recoverer)
	m := &running{router: router, publisher: publisher, done: make(chan struct{})}
	for name, add := range map[string]func(memberConfig, wrap, watermill.LoggerAdapter) error{
		"intake": m.addIntake, "rank": m.addRank, "leaderboard": m.addLeaderboard, "late": m.addLate,
	} {
		if c.Only != "" && c.Only != name || c.Boards == nil && name != "intake" {
			continue
		}
		if err := add(c, w, log); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (c memberConfig) connection() microbatch.Connection {
	return microbatch.Connection{BootstrapServers: c.Brokers, ClientID: c.ClientID, MetadataMaxAge: time.Second, RequestTimeout: 5 * time.Second}
}

func (m *running) addIntake(c memberConfig, w wrap, log watermill.LoggerAdapter) (err error) {
	var updates, letters message.Publisher = m.publisher, m.publisher
	if c.DieAfterLetters > 0 {
		letters = &deadly{Publisher: letters, after: int64(c.DieAfterLetters)}
	}
	if w.letters != nil {
		letters = w.letters(letters)
	}
	if w.updates != nil {
		updates = w.updates(updates)
	}
	ic := handlers.DefaultIntakeConfig()
	if ic.Codec, err = handlers.JSON(event.DefaultMapping()); err != nil {
		return err
	}
	ic.Settings, ic.Source, ic.Generation, ic.Shards = c.Settings, c.source(), c.Generation, c.Shards
	ic.Updates, ic.UpdatesTopic, ic.DeadLetters, ic.DeadLettersTopic = updates, c.Topics.Updates, letters, c.Topics.Letters
	ic.FlushInterval, ic.FlushCells, ic.PendingCells, ic.IdleTimeout = c.FlushInterval, c.FlushCells, c.PendingCells, c.IdleTimeout
	ic.Now = func() time.Time { return time.Now().Add(c.ClockAhead) }
	ic.Logger = log
	if m.intake, err = handlers.NewIntake(ic); err != nil {
		return err
	}
	subscriber, err := m.subscriber(c, "", ic.Identity(), w.assigned, log)
	if err != nil {
		return err
	}
	deduplicate, _ := m.intake.AddTo(m.router, c.Topics.Events, subscriber)
	deduplicate.AddMiddleware(w.middleware...)
	m.close = append(m.close, m.intake.Close)
	return nil
}

func (c memberConfig) source() string { return "test/" + c.Topics.Events }

// subscriber makes the subscriber of one handler, a member of a group of its own.
func (m *running) subscriber(c memberConfig, handler string, id microbatch.Identity, assigned func(*microbatch.Claim), log watermill.LoggerAdapter) (*microbatch.Subscriber, error) {
	sc := microbatch.DefaultSubscriberConfig(c.connection(), c.Topics.Group+handler)
	sc.AssignmentStrategy, sc.GroupInstanceID, sc.SessionTimeout, sc.HeartbeatInterval = c.Strategy, c.InstanceID, c.SessionTimeout, c.HeartbeatInterval
	sc.RebalanceTimeout, sc.ReusePayloads = 5*time.Second, true
	sc.CommitInterval, sc.BatchRecords, sc.ReleaseTimeout = c.CommitInterval, c.BatchRecords, c.ReleaseTimeout
	sc.SilentInterval, sc.FetchMaxWait, sc.RetryMax = c.SilentInterval, 50*time.Millisecond, time.Second
	sc.Identity, sc.Assigned = id, assigned
	s, err := microbatch.NewSubscriber(sc, log)
	if err == nil {
		m.subscribers = append(m.subscribers, s)
	}
	return s, err
}

func (c memberConfig) logger() (watermill.LoggerAdapter, error) {
	if c.Log == "" {
		return watermill.NopLogger{}, nil
	}
	file, err := os.OpenFile(c.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	return watermill.NewSlogLogger(slog.New(slog.NewTextHandler(file, nil))), nil
}

func (m *running) start() {
	ctx, cancel := context.WithCancel(context.Background())
	m.cancel = cancel
	go func() {
		defer close(m.done)
		err := m.router.Run(ctx)
		if ctx.Err() != nil && errors.Is(err, context.Canceled) {
			err = nil // it was stopped before it had begun
		}
		for _, s := range m.subscribers {
			err = errors.Join(err, s.Err())
		}
		for _, f := range m.close {
			err = errors.Join(err, f())
		}
		m.err = errors.Join(err, m.publisher.Close())
	}()
}

// stop ends a member as SIGTERM does, and returns when it has gone.
func (m *running) stop() error {
	m.cancel()
	<-m.done
	return m.err
}

// startMember starts a member in this process, and stops it with the test.
func startMember(t testing.TB, c memberConfig, w wrap) *running {
	t.Helper()
	m, err := newMember(c, w)
	if err != nil {
		t.Fatal(err)
	}
	m.start()
	t.Cleanup(func() { _ = m.stop() })
	return m
}

// deadly kills its process after some publishes.
type deadly struct {
	message.Publisher
	after, n int64
}

func (d *deadly) Publish(topic string, messages ...*message.Message) error {
	err := d.Publisher.Publish(topic, messages...)
	if err == nil && atomic.AddInt64(&d.n, 1) >= d.after {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // nothing more happens
	}
	return err
}

// beMember is the life of a process that is a member.
func beMember(text string) int {
	var c memberConfig
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	m, err := newMember(c, wrap{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	m.start()
	select {
	case <-term:
		m.cancel()
		<-m.done
	case <-m.done:
	}
	if m.err != nil && !errors.Is(m.err, context.Canceled) {
		fmt.Fprintln(os.Stderr, m.err)
		return 1
	}
	return 0
}

func TestMain(m *testing.M) {
	if text := os.Getenv(memberEnv); text != "" {
		os.Exit(beMember(text))
	}
	os.Exit(m.Run())
}

// member returns settings for a member in which everything happens soon, but one thing: its session lasts longer than any slow machine keeps it from
// sending heartbeats, though not as long as tests wait, should it ever end without leaving the group.
func member(w *world.World) memberConfig {
	return memberConfig{
		Brokers: w.Brokers, Topics: w.Topics, Shards: w.Shards, Partitions: w.Partitions, Settings: w.Settings,
		Strategy: "cooperative-sticky", Generation: 1, SessionTimeout: world.Patience / 2, HeartbeatInterval: 100 * time.Millisecond,
		FlushInterval: 20 * time.Millisecond, FlushCells: 50_000, PendingCells: 500_000, BatchRecords: 1000,
		CommitInterval: 20 * time.Millisecond, IdleTimeout: 300 * time.Millisecond, SilentInterval: 20 * time.Millisecond,
		ReleaseTimeout: 500 * time.Millisecond, DeliveryTime: 10 * time.Second,
	}
}

// mortal returns settings for a member that will be killed or halted: it is missed soon.
func (c memberConfig) mortal() memberConfig {
	c.SessionTimeout = 600 * time.Millisecond
	return c
}
