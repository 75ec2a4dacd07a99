package settings_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/millrank/millrank/microbatch"
	"github.com/millrank/millrank/pipeline/settings"
	"github.com/millrank/millrank/sinks/redis"
)

// TestAccepted: what Validate lets pass, no part of the pipeline refuses; and what it doesn't, it names by a setting. Random settings near the edges.
func TestAccepted(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 0))
	accepted, refused := 0, 0
	for range 1500 {
		s := randomSettings(random)
		err := s.Validate()
		if problems, ok := errors.AsType[settings.Problems](err); ok {
			refused++
			for _, p := range problems {
				if p.Key == "time" || p.Key == "boards" || p.Key == "kafka" || p.Key == "source.fields" || strings.Contains(p.String(), "%!") {
					t.Fatalf("seed %d: a problem has no setting of its own: %s\n%v", seed, p, s)
				}
			}
			continue
		}
		accepted++
		for name, err := range refusals(t, s) {
			if err != nil {
				t.Fatalf("seed %d: %s: %v\n%v", seed, name, err, s)
			}
		}
	}
	if accepted < 100 || refused < 100 {
		t.Errorf("seed %d: %d accepted, %d refused", seed, accepted, refused)
	}
}

// refusals asks all parts.
func refusals(t *testing.T, s settings.Settings) map[string]error {
	t.Helper()
	subscriber := microbatch.DefaultSubscriberConfig(s.Connection(), s.Group(settings.Intake))
	subscriber.SessionTimeout, subscriber.HeartbeatInterval = s.Kafka.SessionTimeout.Std(), min(3*time.Second, s.Kafka.SessionTimeout.Std()/5)
	subscriber.BatchRecords, subscriber.BatchBytes, subscriber.SilentInterval = s.Limits.BatchRecords, int(s.Limits.BatchBytes), s.Flush.Updates.Std()
	publisher := microbatch.DefaultPublisherConfig(s.Connection())
	publisher.Compression, publisher.DeliveryTimeout, publisher.MaxMessageBytes = s.Kafka.CompressionType, s.Kafka.DeliveryTimeout.Std(), int(s.Topics.DeadLetters.MaxMessageBytes)
	all := map[string]error{
		"fold": s.Fold().Validate(), "boards": s.Rankings().Validate(), "mapping": s.Mapping().Validate(), "subscriber": subscriber.Validate(), "publisher": publisher.Validate(),
	}
	options, err := s.RedisOptions()
	all["redis options"] = err
	if err == nil && len(s.Redis.Addresses) > 0 {
		client := goredis.NewUniversalClient(options)
		all["redis"] = redis.Config{Client: client, Prefix: s.Redis.Prefix, DefaultBoard: s.Redis.DefaultBoard, Boards: s.Rankings(), TTL: s.RedisTTL(), Timeout: s.Redis.Timeout.Std()}.Validate()
		all["closing"] = client.Close()
	}
	return all
}

func randomSettings(r *rand.Rand) settings.Settings {
	s := settings.Default()
	s.Kafka.BootstrapServers, s.Source.Topic = []string{"kafka-1:9092"}, "events"
	pick := func(d ...time.Duration) settings.Duration { return settings.Duration(d[r.IntN(len(d))]) }
	rarely := func(change func()) {
		if r.IntN(15) == 0 {
			change()
		}
	}
	s.Time.Pane = pick(time.Minute, time.Minute, 10*time.Second, time.Second, 1500*time.Millisecond)
	rarely(func() { s.Time.AllowedLateness = pick(0, -1, 400*24*time.Hour, 401*24*time.Hour, time.Microsecond) })
	rarely(func() { s.Time.OutOfOrderness = pick(0, 401*24*time.Hour, 1) })
	rarely(func() { s.Time.ReviseFor = pick(0, 24*time.Hour, 401*24*time.Hour) })
	rarely(func() {
		s.Dedup.Horizon, s.Dedup.Segments = pick(time.Second, 7*time.Hour, time.Minute), 1+r.IntN(1002)
	})
	rarely(func() { s.Dedup.Records = []int64{1024, 1_900_000_000, 1_910_000_000, 0}[r.IntN(4)] })
	rarely(func() { s.Kafka.SessionTimeout = pick(100*time.Millisecond, time.Hour, 0) })
	rarely(func() {
		s.Kafka.RequestTimeout, s.Kafka.DeliveryTimeout = pick(100*time.Millisecond, time.Hour), pick(time.Second, time.Hour)
	})
	rarely(func() {
		s.Limits.BatchBytes, s.Flush.Updates = settings.Bytes(1<<uint(8+r.IntN(25))), pick(time.Millisecond, 0, time.Hour)
	})
	rarely(func() { s.Topics.DeadLetters.MaxMessageBytes = settings.Bytes(1 << uint(15+r.IntN(13))) })
	rarely(func() { s.Source.RecordBytesMax = settings.Bytes(32 << uint(r.IntN(22))) })
	rarely(func() { s.Limits.RankItems = []int{-1, 0, 1000, 999}[r.IntN(4)] })
	rarely(func() { s.Source.Fields.Region = "" })
	rarely(func() { s.Source.Fields.RegionDefault = new(string) })
	rarely(func() {
		s.Source.Fields.Item, s.Source.Fields.ValueScale = []string{"a.b", "event_id.x", `a\`, ""}[r.IntN(4)], r.IntN(11)
	})
	for i := range r.IntN(3) {
		name := []string{"category", "kind"}[i]
		rarely(func() { name = []string{"category", "global", "top_k", "a,b", "region"}[r.IntN(5)] })
		s.Source.Fields.Dimensions = append(s.Source.Fields.Dimensions, settings.Dimension{Name: name, Field: fmt.Sprint("f", i)})
	}
	for i := range 1 + r.IntN(2) {
		b := settings.DefaultBoard()
		b.Name, b.Window = fmt.Sprint("b", i), pick(time.Hour, 24*time.Hour, time.Minute, 3*time.Minute)
		rarely(func() { b.Window = pick(1500*time.Millisecond, 3*time.Second, 400*24*time.Hour, 401*24*time.Hour) })
		rarely(func() { b.Name = []string{"b0", "B", ""}[r.IntN(3)] })
		rarely(func() { b.Slide = pick(time.Minute, 2*time.Hour, 1500*time.Millisecond, -time.Minute) })
		rarely(func() { b.Offset = pick(time.Minute, -time.Hour, time.Millisecond, -23*time.Hour) })
		rarely(func() { b.K, b.MinCount = r.IntN(10_002), int64(r.IntN(3)-1) })
		rarely(func() {
			b.By = []string{[]string{"global", "region,region", "category", "region,kind", "", "a,b", "global,region"}[r.IntN(7)]}
		})
		s.Boards = append(s.Boards, b)
	}
	if r.IntN(2) == 0 {
		s.Redis.Addresses = []string{"localhost:6379"}
		rarely(func() {
			s.Redis.TTL, s.Redis.Timeout = pick(time.Second, time.Hour, 48*time.Hour), pick(0, 100*time.Millisecond)
		})
		rarely(func() {
			s.Redis.DefaultBoard, s.Redis.Prefix = []string{"b0", "b1", "x"}[r.IntN(3)], []string{"x:", "{", ""}[r.IntN(3)]
		})
	}
	return s
}
