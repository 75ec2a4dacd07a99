package microbatch_test

import (
	"errors"
	"fmt"
	"hash/crc32"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrank/millrank/microbatch"
)

// left runs a group that commits offset 50 of 100 in each of two partitions, and returns what it has
// committed with that for partition 1.
func left(t *testing.T, k *kafka, config microbatch.SubscriberConfig) (metadata string) {
	t.Helper()
	for p := range int32(2) {
		k.produce(t, p, 0, 100)
	}
	m := join(t, k, config, func(d delivery) {
		_ = d.claim.Commit(50, fmt.Sprintf("state-of-%d", d.claim.Partition))
		d.message.Ack()
	})
	m.untilAll(t, 200)
	m.leave(t)
	_, metadata = k.committed(t, 1)
	return metadata
}

// signed returns a metadata text with the checksum that it should have.
func signed(text string) string {
	text, _, _ = strings.Cut(text, " crc32c=")
	return fmt.Sprintf("%s crc32c=%08x", text, crc32.Checksum([]byte(text), crc32.MakeTable(crc32.Castagnoli)))
}

func with(text, pattern, replacement string) string {
	return signed(regexp.MustCompile(pattern).ReplaceAllString(text, replacement))
}

// refused checks an error that refuses to resume.
func refused(t *testing.T, err error, partition int32, reason error, says ...string) {
	t.Helper()
	var r *microbatch.RefusedError
	if !errors.As(err, &r) || !errors.Is(err, reason) {
		t.Fatalf("got %v, want to be refused: %v", err, reason)
	}
	if r.Partition != partition {
		t.Errorf("partition %d is refused, want %d", r.Partition, partition)
	}
	for _, want := range append(says, "To mend it: ", r.Group, r.Topic) {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error doesn't say %q: %v", want, err)
		}
	}
}

// TestRefused: a group that can't be resumed is refused when it starts, with the reason and what
// to do; and nothing is changed by that.
func TestRefused(t *testing.T) {
	t.Parallel()
	type start struct {
		k        *kafka
		config   *microbatch.SubscriberConfig
		metadata string // as committed for partition 1
	}
	for name, c := range map[string]struct {
		change    func(*testing.T, start)
		partition int32
		reason    error
		says      []string
	}{
		"damaged": {
			func(t *testing.T, s start) {
				s.k.commit(t, 1, 50, strings.Replace(s.metadata, "state-of", "state_of", 1))
			},
			1, microbatch.ErrDamaged, []string{"offset 50", "state_of", "new generation"},
		},
		"reset by a tool": {
			func(t *testing.T, s start) { s.k.commit(t, 1, 70, "") },
			1, microbatch.ErrDamaged, []string{"offset 70", "reset the group's offsets", "delete the group"},
		},
		"of a newer version": {
			func(t *testing.T, s start) { s.k.commit(t, 1, 50, "millrank/2 "+s.metadata) },
			1, microbatch.ErrFormat, []string{"run the newer version"},
		},
		"of another topic": {
			func(t *testing.T, s start) {
				s.k.commit(t, 1, 50, with(s.metadata, "topic=[0-9a-f]{32}", "topic=00112233445566778899aabbccddeeff"))
			},
			1, microbatch.ErrTopic, []string{"00112233445566778899aabbccddeeff", "new generation"},
		},
		"of another number of partitions": {
			func(t *testing.T, s start) { s.k.commit(t, 1, 50, with(s.metadata, "partitions=2", "partitions=3")) },
			1, microbatch.ErrPartitions, []string{"found 2, needed 3"},
		},
		"partitions added": {
			func(t *testing.T, s start) { s.k.addPartitions(t, 5) },
			0, microbatch.ErrPartitions, []string{"found 5, needed 2", "new generation"},
		},
		"outputs changed": {
			func(_ *testing.T, s start) { s.config.Identity.Outputs = 9 },
			0, microbatch.ErrOutputs, []string{"found 9, needed 8", "set it back"},
		},
		"settings changed": {
			func(_ *testing.T, s start) { s.config.Identity.Settings = "def" },
			0, microbatch.ErrSettings, []string{"found def, needed abc", "set them back"},
		},
		"another generation": {
			func(_ *testing.T, s start) { s.config.Identity.Generation = 2 },
			0, microbatch.ErrGeneration, []string{"found 1, needed 2", "a group of its own"},
		},
		"below the start of the log": {
			func(t *testing.T, s start) { s.k.deleteRecords(t, 1, 51) },
			1, microbatch.ErrBelowStart, []string{"offset 50", "log start 51", "retention.ms"},
		},
		"past the end of the log": {
			func(t *testing.T, s start) { s.k.commit(t, 1, 101, s.metadata) },
			1, microbatch.ErrPastEnd, []string{"offset 101", "log end 100"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := fake(t, 2, 1)
			config := k.settings("cooperative-sticky")
			config.Identity = microbatch.Identity{Generation: 1, Settings: "abc", Outputs: 8}
			c.change(t, start{k, &config, left(t, k, config)})
			before, text := k.committed(t, 1)
			_, err := tryJoin(t, k, config, ack)
			refused(t, err, c.partition, c.reason, c.says...)
			if after, textAfter := k.committed(t, 1); after != before || textAfter != text {
				t.Errorf("%d with %q is committed after that, %d with %q before", after, textAfter, before, text)
			}
		})
	}
}

// TestNotRefused: what is at the limits can be resumed.
func TestNotRefused(t *testing.T) {
	t.Parallel()
	k := fake(t, 2, 1)
	config := k.settings("cooperative-sticky")
	metadata := left(t, k, config)
	k.deleteRecords(t, 0, 50)
	k.commit(t, 1, 100, metadata)
	m := join(t, k, config, ack)
	m.untilAll(t, 50)
	m.untilOwns(t, 2)
	for p, c := range m.owned() {
		if want := []int64{50, 100}[p]; c.Start.Offset != want || !c.Start.Resumed || c.Start.LogEnd != 100 || c.Partitions != 2 {
			t.Errorf("partition %d starts at %+v, want %d", p, c.Start, want)
		}
	}
}

// TestRetention: a group that has stopped for longer than the log is kept is refused, also by a real Kafka.
func TestRetention(t *testing.T) {
	each(t, 2, func(t *testing.T, k *kafka, strategy string) {
		config := k.settings(strategy)
		left(t, k, config)
		k.deleteRecords(t, 0, 60)
		_, err := tryJoin(t, k, config, ack)
		refused(t, err, 0, microbatch.ErrBelowStart, "offset 50", "log start 60")
	})
}

// TestRetentionWhileRunning: a member takes no partition over whose commit is below the start of the
// log by then.
func TestRetentionWhileRunning(t *testing.T) {
	each(t, 2, func(t *testing.T, k *kafka, strategy string) {
		config := k.settings(strategy)
		left(t, k, config)
		first := join(t, k, config, ack)
		first.untilAll(t, 100)
		second := join(t, k, config, ack)
		second.untilOwns(t, 1)
		var lost int32
		first.read(func() {
			for p := range first.owned() {
				lost = p
			}
		})
		k.deleteRecords(t, lost, 60)
		first.leave(t)
		stopped(t, second)
		refused(t, second.Err(), lost, microbatch.ErrBelowStart, "offset 50", "log start 60")
	})
}

// stopped waits until a member has stopped by itself.
func stopped(t *testing.T, m *member) {
	t.Helper()
	select {
	case <-m.done:
	case <-time.After(patience):
		t.Fatal("it doesn't stop")
	}
}

// TestPartitionsAdded: a subscriber stops when its topic gets more partitions, since the same event
// IDs may come in other partitions from then on.
func TestPartitionsAdded(t *testing.T) {
	each(t, 2, func(t *testing.T, k *kafka, strategy string) {
		config := k.settings(strategy)
		config.MetadataMaxAge = 50 * time.Millisecond
		m := join(t, k, config, committing)
		m.untilOwns(t, 2)
		k.addPartitions(t, 4)
		stopped(t, m)
		refused(t, m.Err(), -1, microbatch.ErrPartitions, "found 4, needed 2")
	})
}

// TestTopicMadeAnew: a subscriber stops when its topic is deleted and made anew. Kafka deletes what was
// committed with the topic, so nothing may tell after a restart.
func TestTopicMadeAnew(t *testing.T) {
	each(t, 2, func(t *testing.T, k *kafka, strategy string) {
		config := k.settings(strategy)
		config.MetadataMaxAge = 50 * time.Millisecond
		k.produce(t, 0, 0, 10)
		m := join(t, k, config, committing)
		m.untilAll(t, 10)
		eventually(t, "it is committed", func() bool { offset, _ := k.committed(t, 0); return offset == 10 })
		if _, err := k.admin.DeleteTopic(t.Context(), k.topic); err != nil {
			t.Fatal(err)
		}
		k.create(t, 2)
		eventually(t, "records can be written", func() bool { // more than there were: their offsets tell nothing
			records := make([]*kgo.Record, 20)
			for i := range records {
				records[i] = &kgo.Record{Value: []byte("anew")}
			}
			return k.connect(t).ProduceSync(t.Context(), records...).FirstErr() == nil
		})
		stopped(t, m)
		refused(t, m.Err(), -1, microbatch.ErrTopic)
	})
}

// TestCommitDeleted: a group whose commits were deleted begins at the oldest record, never at the newest.
func TestCommitDeleted(t *testing.T) {
	each(t, 2, func(t *testing.T, k *kafka, strategy string) {
		config := k.settings(strategy)
		left(t, k, config)
		eventually(t, "the group is deleted", func() bool {
			r, err := k.admin.DeleteGroup(t.Context(), k.group)
			return err == nil && r.Err == nil
		})
		k.deleteRecords(t, 1, 20)
		m := join(t, k, config, ack)
		m.untilAll(t, 180)
		m.read(func() {
			for p, first := range []int{0, 20} {
				if err := same(m.values(int32(p)), values(int32(p), first, 100-first)); err != nil {
					t.Errorf("partition %d: %v", p, err)
				}
				if c := m.owned()[int32(p)]; c.Start != (microbatch.Start{Offset: int64(first), LogEnd: 100}) {
					t.Errorf("partition %d starts at %+v", p, c.Start)
				}
			}
		})
	})
}
