package progress

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"

	"github.com/millrank/millrank/handlers"
	"github.com/millrank/millrank/internal/kafkaclient"
	"github.com/millrank/millrank/microbatch"
	"github.com/millrank/millrank/pipeline/settings"
	"github.com/millrank/millrank/wire"
)

// Reader looks how far a stream is, as often as it is asked to: from anywhere where Kafka can be reached, since all that counts is there. It joins no group,
// and writes nothing. It is not safe for concurrent use.
type Reader struct {
	settings settings.Settings
	client   *kgo.Client
	admin    *kadm.Client
	heads    *heads
	// Processes are the URLs of processes to ask, such as http://10.0.0.7:8080; empty: those of the groups' members, at the port of http.address.
	Processes []string
}

// NewReader returns a Reader. It connects when it reads. Close it.
func NewReader(s settings.Settings) (*Reader, error) {
	client, err := kafkaclient.New(s.Connection())
	if err != nil {
		return nil, err
	}
	return &Reader{settings: s, client: client, admin: kadm.NewClient(client)}, nil
}

// Close ends its connections.
func (r *Reader) Close() { r.admin.Close() }

// Read looks.
func (r *Reader) Read(ctx context.Context) (State, error) {
	s := r.settings
	st := State{
		At: time.Now().UTC(), Name: s.Name, Generation: s.Generation,
		SourceTopic: s.Source.Topic, UpdatesTopic: s.UpdatesTopic(), RankingsTopic: s.RankingsTopic(),
	}
	if err := kafkaclient.Reach(ctx, r.client, s.Connection()); err != nil {
		return st, err
	}
	var source, updates, rankings topicState
	var work errgroup.Group
	work.Go(func() (err error) {
		source, err = r.topic(ctx, s.Source.Topic, settings.Intake, intakeThrough)
		return err
	})
	work.Go(func() (err error) {
		updates, err = r.topic(ctx, s.UpdatesTopic(), settings.Rank, hopThrough)
		return err
	})
	work.Go(func() (err error) {
		rankings, err = r.topic(ctx, s.RankingsTopic(), settings.Leaderboard, hopThrough)
		return err
	})
	if err := work.Wait(); err != nil {
		return st, err
	}
	if source.missing {
		return st, fmt.Errorf("there is no topic %s: source.topic must exist before anything is counted", s.Source.Topic)
	}
	handlersShown := s
	handlersShown.Handlers = nil // of whatever process, not of one that these settings start
	if err := r.groups(ctx, &st, handlersShown.Runs(), map[string]*topicState{settings.Intake: &source, settings.Rank: &updates, settings.Leaderboard: &rankings}); err != nil {
		return st, err
	}
	for _, c := range source.commits {
		st.Sources = append(st.Sources, Source{Commit: c.Commit, Published: -1, Watermark: NoTime, HeardAt: NoTime})
	}
	st.Shards, st.Rankings = updates.stages(), rankings.stages()
	if err := r.readHeads(ctx, &st); err != nil {
		return st, err
	}
	r.ask(ctx, &st)
	st.Verdict = judge(&st, s)
	return st, nil
}

// readHeads takes in the newest flushes.
func (r *Reader) readHeads(ctx context.Context, st *State) error {
	if len(st.Shards) == 0 || len(st.Sources) == 0 {
		return nil // nothing has run yet
	}
	if r.heads == nil || len(r.heads.of) != len(st.Sources) {
		r.heads = newHeads(wire.Sender{
			Source: r.settings.SourceName(), Generation: r.settings.Generation, SourcePartitions: len(st.Sources), ShardPartitions: len(st.Shards),
		})
	}
	// What a restart of rank would read again holds the newest flush of each source, so none is before that.
	shard := st.Shards[0]
	if err := r.heads.read(ctx, r.settings.Connection(), st.UpdatesTopic, max(shard.LogStart, shard.LowWater), shard.LogEnd); err != nil {
		return err
	}
	greatest := NoTime
	for i, h := range r.heads.of {
		if !h.heard {
			continue
		}
		one := &st.Sources[i]
		one.Heard, one.Published, one.HeardAt = true, h.part.AsOf, Time(h.sent.UnixMilli())
		one.Watermark, one.Idle, one.IdleForMS = Time(h.part.ClosedThrough), h.part.Idle, h.part.IdleFor
		greatest = max(greatest, one.Watermark)
	}
	for i := range st.Sources {
		if one := &st.Sources[i]; one.Watermark != NoTime {
			one.BehindMS = int64(greatest - one.Watermark)
		}
	}
	return nil
}

// topicState is a topic, and what the group that reads it has committed.
type topicState struct {
	missing bool
	commits []commit
}

// commit is a Commit, and for a hop how far time is there.
type commit struct {
	Commit
	closed Time
}

func (t *topicState) stages() []Stage {
	var stages []Stage
	for _, c := range t.commits {
		stages = append(stages, Stage{Commit: c.Commit, ClosedThrough: c.closed})
	}
	return stages
}

// through takes a state apart that goes with a committed offset.
type through func(offset int64, state string) (processed int64, closed Time, err error)

func intakeThrough(offset int64, state string) (int64, Time, error) {
	c, err := handlers.ParseCheckpoint(offset, state)
	return c.ProcessedThrough, NoTime, err
}

func hopThrough(offset int64, state string) (int64, Time, error) {
	c, err := handlers.ParseResume(offset, state)
	return c.PublishedThrough, Time(c.ClosedThrough), err
}

// topic looks where a topic's partitions begin and end, and what a handler's group has committed for them.
func (r *Reader) topic(ctx context.Context, topic, handler string, parse through) (topicState, error) {
	starts, err := r.admin.ListStartOffsets(ctx, topic)
	if err == nil {
		err = starts.Error()
	}
	if errors.Is(err, kerr.UnknownTopicOrPartition) {
		return topicState{missing: true}, nil
	}
	if err != nil {
		return topicState{}, fmt.Errorf("log starts of %s: %w", topic, err)
	}
	group := r.settings.Group(handler)
	commits, err := r.admin.FetchOffsetsForTopics(ctx, group, topic)
	if err != nil && !errors.Is(err, kerr.GroupIDNotFound) {
		return topicState{}, fmt.Errorf("commits of group %s: %w", group, err)
	}
	ends, err := r.admin.ListEndOffsets(ctx, topic) // last, so that nothing is done that isn't there
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return topicState{}, fmt.Errorf("log ends of %s: %w", topic, err)
	}
	var t topicState
	for _, start := range starts[topic] {
		c := commit{Commit{Partition: int(start.Partition), LogStart: start.Offset, LowWater: -1, Through: start.Offset - 1}, NoTime}
		if end, ok := ends.Lookup(topic, start.Partition); ok {
			c.LogEnd = end.Offset
		}
		if at, ok := commits.Lookup(topic, start.Partition); ok && at.Err == nil && at.At >= 0 {
			c.read(at.At, at.Metadata, r.settings.Generation, parse)
		}
		c.Lag = max(0, c.LogEnd-1-c.Through)
		t.commits = append(t.commits, c)
	}
	slices.SortFunc(t.commits, func(a, b commit) int { return a.Partition - b.Partition })
	return t, nil
}

// read takes in what is committed.
func (c *commit) read(offset int64, metadata string, generation uint32, parse through) {
	c.LowWater = offset
	id, state, err := microbatch.ParseCommit(metadata)
	if err == nil && id.Generation != generation {
		err = fmt.Errorf("%w: %d", microbatch.ErrGeneration, id.Generation)
	}
	if err == nil {
		var processed int64
		if processed, c.closed, err = parse(offset, state); err == nil {
			c.committed, c.Through, c.Replay = true, processed, max(0, processed+1-offset)
		}
	}
	switch {
	case err != nil:
		c.Problem = err.Error()
	case offset < c.LogStart:
		c.Problem = fmt.Sprintf("retention has deleted records that a restart needs: it begins at offset %d, the log at %d; raise retention.ms. An owner that runs goes on; "+
			"if it stops before it has moved on, start a new generation", offset, c.LogStart)
	case offset > c.LogEnd:
		c.Problem = fmt.Sprintf("the log ends at %d, before the committed offset %d: records were lost on the broker; start a new generation", c.LogEnd, offset)
	}
}

// groups looks who is a member of the handlers' groups, and who owns what.
func (r *Reader) groups(ctx context.Context, st *State, names []string, topics map[string]*topicState) error {
	var groups []string
	for _, handler := range names {
		groups = append(groups, r.settings.Group(handler))
	}
	described, err := r.admin.DescribeGroups(ctx, groups...)
	if err != nil {
		return fmt.Errorf("consumer groups %s: %w", strings.Join(groups, ", "), err)
	}
	for i, handler := range names {
		d := described[groups[i]]
		if d.Err != nil && !errors.Is(d.Err, kerr.GroupIDNotFound) {
			return fmt.Errorf("consumer group %s: %w", groups[i], d.Err)
		}
		g := Group{Handler: handler, Group: groups[i], State: d.State, Members: []Member{}}
		if g.State == "" {
			g.State = "Dead" // as Kafka calls a group that isn't there
		}
		topic := topics[handler]
		for _, m := range d.Members {
			member := Member{ClientID: m.ClientID, Host: host(m.ClientHost)}
			if assigned, ok := m.Assigned.AsConsumer(); ok {
				for _, t := range assigned.Topics {
					member.Partitions += len(t.Partitions)
					topic.owned(t.Partitions, member)
				}
			}
			g.Members = append(g.Members, member)
		}
		if topic != nil {
			for _, c := range topic.commits {
				g.Lag += c.Lag
			}
		}
		st.Groups = append(st.Groups, g)
	}
	return nil
}

// owned notes who owns partitions.
func (t *topicState) owned(partitions []int32, m Member) {
	if t == nil {
		return
	}
	for i := range t.commits {
		if slices.Contains(partitions, int32(t.commits[i].Partition)) {
			t.commits[i].Owner = m.ClientID + "@" + m.Host
		}
	}
}

// host is a member's host as it can be connected to: Kafka writes /10.0.0.7, others 10.0.0.7:51234.
func host(client string) string {
	client = strings.TrimPrefix(client, "/")
	if h, _, err := net.SplitHostPort(client); err == nil {
		return h
	}
	return client
}
