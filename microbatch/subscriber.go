package microbatch

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/IBM/sarama"
	"github.com/ThreeDotsLabs/watermill"
	wkafka "github.com/ThreeDotsLabs/watermill-kafka/v3/pkg/kafka"
	"github.com/ThreeDotsLabs/watermill/message"
)

// SubscriberConfig holds a Subscriber's settings. Those that Kafka's own consumer has are
// named as there. Start from DefaultSubscriberConfig.
type SubscriberConfig struct {
	Connection

	GroupID string // group.id
	// GroupInstanceID is group.instance.id: static membership. Closing such a member doesn't leave the group: its
	// partitions wait for it until the session timeout has passed, and if it is back by then it has them at once,
	// while all others go on. It needs another value for each process, and a Subscriber for each topic. Empty: none.
	GroupInstanceID    string
	AssignmentStrategy string        // partition.assignment.strategy: cooperative-sticky (a rebalance stops only the partitions that move), sticky, range or roundrobin
	SessionTimeout     time.Duration // session.timeout.ms
	HeartbeatInterval  time.Duration // heartbeat.interval.ms
	RebalanceTimeout   time.Duration // max.poll.interval.ms, as far as it limits a rebalance
	IsolationLevel     string        // isolation.level: read_committed or read_uncommitted
	FetchMaxWait       time.Duration // fetch.max.wait.ms
	FetchMinBytes      int           // fetch.min.bytes
	FetchBytes         int           // max.partition.fetch.bytes: of one partition, in one fetch; of each, three are in memory at most
	DecompressedBytes  int           // a batch of records that becomes larger when it is decompressed was made to harm: HeaderTooLarge
	CommitInterval     time.Duration // auto.commit.interval.ms: how often what handlers ask for is committed

	BatchRecords   int           // at most so many records in a message
	BatchBytes     int           // a message isn't given another record when it has reached so many bytes
	BatchLinger    time.Duration // how long a message that isn't full waits for more records
	SilentInterval time.Duration // a silent partition sends a message without records this often; 0: never
	ReusePayloads  bool          // a message's payload is written over when it has been acknowledged: saves memory, where neither handlers nor middleware keep it. Intake doesn't
	ReleaseTimeout time.Duration // how long a claim that is taken away waits for its handler
	RetryMin       time.Duration // wait after a first Nack; it doubles with each
	RetryMax       time.Duration // at most

	Identity Identity

	// Tracer, such as OpenTelemetry's for watermill-kafka, wraps what handles a batch: one span for a batch, not for a record.
	Tracer wkafka.SaramaTracer
	// Assigned and Revoked are told of each claim, before its first message and after its
	// last. They must not block.
	Assigned func(*Claim)
	Revoked  func(*Claim)
}

// DefaultSubscriberConfig returns the defaults.
func DefaultSubscriberConfig(c Connection, groupID string) SubscriberConfig {
	return SubscriberConfig{
		Connection:         c,
		GroupID:            groupID,
		AssignmentStrategy: "cooperative-sticky",
		SessionTimeout:     45 * time.Second,
		HeartbeatInterval:  3 * time.Second,
		RebalanceTimeout:   time.Minute,
		IsolationLevel:     "read_committed",
		FetchMaxWait:       100 * time.Millisecond,
		FetchMinBytes:      1,
		FetchBytes:         512 << 10,
		DecompressedBytes:  128 << 20,
		CommitInterval:     time.Second,
		BatchRecords:       8192,
		BatchBytes:         2 << 20,
		BatchLinger:        2 * time.Millisecond,
		SilentInterval:     250 * time.Millisecond,
		ReleaseTimeout:     500 * time.Millisecond,
		RetryMin:           100 * time.Millisecond,
		RetryMax:           10 * time.Second,
	}
}

// Validate reports all that is wrong, at once.
func (c SubscriberConfig) Validate() error {
	errs := []error{c.Connection.Validate()}
	wrong := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	wrong(c.GroupID == "", "group.id: missing")
	wrong(strategy(c.AssignmentStrategy) == nil, "partition.assignment.strategy: %q is not cooperative-sticky, sticky, range or roundrobin", c.AssignmentStrategy)
	wrong(c.IsolationLevel != "read_committed" && c.IsolationLevel != "read_uncommitted", "isolation.level: %q is not read_committed or read_uncommitted", c.IsolationLevel)
	wrong(c.HeartbeatInterval <= 0 || c.SessionTimeout < 3*c.HeartbeatInterval, "session.timeout.ms: %v is less than three times heartbeat.interval.ms, %v", c.SessionTimeout, c.HeartbeatInterval)
	wrong(c.RebalanceTimeout <= c.ReleaseTimeout, "max.poll.interval.ms: %v is not above the release timeout, %v", c.RebalanceTimeout, c.ReleaseTimeout)
	wrong(c.FetchMaxWait <= 0, "fetch.max.wait.ms: %v is not above 0", c.FetchMaxWait)
	wrong(c.FetchMinBytes <= 0 || c.FetchMinBytes > math.MaxInt32, "fetch.min.bytes: %d is not from 1 to 2147483647", c.FetchMinBytes)
	wrong(c.FetchBytes <= 0 || c.FetchBytes > 512<<20, "max.partition.fetch.bytes: %d is not from 1 to 536870912", c.FetchBytes)
	wrong(c.DecompressedBytes <= 0 || c.DecompressedBytes > math.MaxInt32, "decompressed bytes: %d is not from 1 to 2147483647", c.DecompressedBytes)
	wrong(c.CommitInterval <= 0, "auto.commit.interval.ms: %v is not above 0", c.CommitInterval)
	wrong(c.BatchRecords <= 0, "batch records: %d is not above 0", c.BatchRecords)
	wrong(c.BatchBytes <= 0, "batch bytes: %d is not above 0", c.BatchBytes)
	wrong(c.BatchLinger < 0, "batch linger: %v is below 0", c.BatchLinger)
	wrong(c.SilentInterval < 0, "silent interval: %v is below 0", c.SilentInterval)
	wrong(c.ReleaseTimeout < 0, "release timeout: %v is below 0", c.ReleaseTimeout)
	wrong(c.RetryMin <= 0 || c.RetryMax < c.RetryMin, "retry: %v to %v is no range above 0", c.RetryMin, c.RetryMax)
	wrong(len(c.Identity.Settings) > settingsLimit || !plain(c.Identity.Settings), "identity: the settings' fingerprint, %.200q, is not ASCII text without spaces of at most %d bytes", c.Identity.Settings, settingsLimit)
	return errors.Join(errs...)
}

// strategy returns sarama's, by Kafka's name; nil where there is none.
func strategy(name string) sarama.BalanceStrategy {
	switch name {
	case "cooperative-sticky":
		return sarama.NewBalanceStrategyCooperativeSticky()
	case "sticky":
		return sarama.NewBalanceStrategySticky()
	case "range":
		return sarama.NewBalanceStrategyRange()
	case "roundrobin":
		return sarama.NewBalanceStrategyRoundRobin()
	}
	return nil
}

func (c SubscriberConfig) consumer() (*sarama.Config, error) {
	s, err := c.sarama()
	if err != nil {
		return nil, err
	}
	s.Consumer.Return.Errors = true
	s.Consumer.Offsets.Initial = sarama.OffsetOldest // the newest would lose what came before
	s.Consumer.Offsets.AutoCommit.Enable = false     // commits are ours (commit.go)
	s.Consumer.Group.ResetInvalidOffsets = false     // resetting would lose data in silence
	s.Consumer.Fetch.Max = 0                         // a limit would skip records that exceed it
	s.Consumer.Fetch.Default = 1                     // until it is paused: fetcher reads
	s.Consumer.MaxWaitTime = c.FetchMaxWait
	s.Consumer.Retry.BackoffFunc = func(failed int) time.Duration { return min(backoff(c, failed-1), 2*time.Second) } // 2 s at once would be the default
	if c.IsolationLevel == "read_committed" {
		s.Consumer.IsolationLevel = sarama.ReadCommitted
	}
	s.Consumer.Group.InstanceId = c.GroupInstanceID
	s.Consumer.Group.Session.Timeout = c.SessionTimeout
	s.Consumer.Group.Heartbeat.Interval = c.HeartbeatInterval
	s.Consumer.Group.Rebalance.Timeout = c.RebalanceTimeout
	s.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{strategy(c.AssignmentStrategy)}
	// A join is answered when all members have joined, or the rebalance timeout has passed.
	s.Net.ReadTimeout = max(s.Net.ReadTimeout, c.RebalanceTimeout+5*time.Second)
	s.ChannelBufferSize = 1
	err = s.Validate()
	return s, err
}

// Subscriber is a Watermill Subscriber whose messages hold many records each (Open reads
// them). Of each partition one message is in flight at a time, in order; an Ack lets the next one come, a Nack
// brings the same again, after a while. Offsets are committed only as handlers ask for by Claim.Commit;
// a group that has committed nothing begins at the oldest record. A Subscriber is safe for concurrent use.
type Subscriber struct {
	config SubscriberConfig
	logger watermill.LoggerAdapter

	closing chan struct{}
	running sync.WaitGroup

	mu            sync.Mutex
	closed        bool
	subscriptions int // that have not ended
	err           error
}

// NewSubscriber returns a Subscriber; it connects when Subscribe is called.
func NewSubscriber(config SubscriberConfig, logger watermill.LoggerAdapter) (*Subscriber, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	if logger == nil {
		logger = watermill.NopLogger{}
	}
	return &Subscriber{config: config, logger: logger, closing: make(chan struct{})}, nil
}

// Subscribe joins the group and returns its messages of a topic. The channel closes when ctx is
// done, when the Subscriber is closed, or when going on would give wrong results (Err).
//
// The error is a RefusedError when what the group has committed can't be resumed, or says
// what keeps Kafka from being reached. When ctx is done before it has subscribed, the error is its cause, too.
func (s *Subscriber) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	if err := s.begin(); err != nil {
		return nil, err
	}
	caller := ctx
	ctx, stop := context.WithCancel(ctx)
	g, inner, err := s.connect(ctx, stop, topic)
	if err != nil {
		stop()
		s.ended()
		return nil, interrupted(caller, err)
	}
	none, err := inner.Subscribe(ctx, topic)
	if err != nil {
		stop()
		s.ended()
		g.line.cut()
		return nil, interrupted(caller, errors.Join(err, g.client.Close()))
	}
	s.running.Go(func() { g.commit.run(ctx) })
	s.running.Go(func() { g.watch(ctx) })
	go func() {
		defer s.ended()
		defer close(g.out)
		defer stop()
		select {
		case <-s.closing:
		case <-ctx.Done():
		}
		hurry := time.AfterFunc(s.config.ReleaseTimeout+closeGrace, g.line.cut)
		defer hurry.Stop()
		if err := errors.Join(inner.Close(), g.client.Close()); err != nil {
			g.logger.Error("closing the consumer", err, nil)
		}
		<-none       // closed: the group's claims are released
		g.line.cut() // what watermill-kafka hasn't closed yet
	}()
	return g.out, nil
}

// interrupted says of an error that it comes from the context's end, if that is so.
func interrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%w while subscribing: %w", context.Cause(ctx), err)
	}
	return err
}

// closeGrace is how long Close waits for brokers, besides ReleaseTimeout.
const closeGrace = 3 * time.Second

// connect makes what a subscription consists of, and looks whether the group can be resumed.
func (s *Subscriber) connect(ctx context.Context, stop func(), topic string) (_ *group, _ *wkafka.Subscriber, err error) {
	line := newLifeline(s.config.Connection.withDefaults().ConnectTimeout)
	connected := make(chan struct{})
	defer close(connected)
	go func() {
		select {
		case <-connected:
		case <-ctx.Done():
			line.cut()
		case <-s.closing:
			line.cut()
		}
	}()
	defer func() {
		if err != nil {
			line.cut()
		}
	}()
	kafka, err := s.config.consumer()
	if err != nil {
		return nil, nil, err
	}
	base, err := s.config.sarama()
	if err != nil {
		return nil, nil, err
	}
	base.Consumer.IsolationLevel = kafka.Consumer.IsolationLevel
	line.serve(kafka)
	line.serve(base)
	client, err := sarama.NewClient(s.config.BootstrapServers, base)
	if err != nil {
		return nil, nil, fmt.Errorf("Kafka at %v: %w", s.config.BootstrapServers, err)
	}
	g := &group{
		config: s.config, topic: topic, client: client, line: line,
		logger: s.logger.With(watermill.LogFields{"topic": topic, "consumer_group": s.config.GroupID}),
		out:    make(chan *message.Message),
		over:   ctx.Done(), closing: s.closing,
		claims: map[int32]*Claim{}, givenUp: map[int32]int{},
	}
	g.commit = newCommitter(g)
	g.stop = func(err error) {
		s.fail(err)
		stop()
	}
	if err := g.lookFirst(); err != nil {
		return nil, nil, errors.Join(err, client.Close())
	}
	inner, err := wkafka.NewSubscriber(wkafka.SubscriberConfig{
		Brokers:               s.config.BootstrapServers,
		Unmarshaler:           wkafka.DefaultMarshaler{}, // not called: see group.WrapConsumerGroupHandler
		OverwriteSaramaConfig: kafka,
		ConsumerGroup:         s.config.GroupID,
		Tracer:                hook{g, s.config.Tracer},
	}, s.logger)
	if err != nil {
		return nil, nil, errors.Join(err, client.Close())
	}
	return g, inner, nil
}

// begin counts a subscription in, unless the Subscriber is closed.
func (s *Subscriber) begin() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errors.New("subscriber is closed")
	}
	if s.config.GroupInstanceID != "" && s.subscriptions > 0 {
		return fmt.Errorf("group.instance.id: %q serves a subscription already, and a second one would throw it out of the group: use another Subscriber", s.config.GroupInstanceID)
	}
	s.subscriptions++
	s.running.Add(1)
	return nil
}

func (s *Subscriber) ended() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.subscriptions--
	s.running.Done()
}

// SubscribeInitialize does nothing: EnsureTopics creates topics, since their settings matter.
func (s *Subscriber) SubscribeInitialize(string) error { return nil }

// Err returns why a subscription has ended by itself, or nil. It is meaningful once the
// messages' channel is closed.
func (s *Subscriber) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

func (s *Subscriber) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = err
		s.logger.Error("the subscriber stops", err, nil)
	}
}

// Close leaves the group, after handlers have been given ReleaseTimeout to finish, and
// closes the messages' channels. Where no broker answers it gives up some seconds later.
func (s *Subscriber) Close() error {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.closing)
	}
	s.mu.Unlock()
	s.running.Wait()
	return nil
}
