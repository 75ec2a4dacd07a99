package main

import (
	"context"
	"time"

	"github.com/millrank/millrank/bench/internal/process"
)

// read consumes the first n records of the topic, from its oldest on, in a consumer group
// that nobody has used before, closes what it has opened, and says how it went. The topic
// may hold more than n. It fails where a record can't be read.
type read func(ctx context.Context, topic string, n int64) (result, error)

// result is how reading went, as the reader saw it.
type result struct {
	records int64     // how many it saw, n or more
	begin   mark      // where what is to be measured began; zero: with the call
	first   time.Time // when it had the first
	done    time.Time // when it had the last, before it closed anything
}

// mark is a moment.
type mark struct {
	time time.Time
	cpu  time.Duration // of this process, up to then
}

// now returns the mark of this moment.
func now() (mark, error) {
	cpu, err := process.CPU()
	return mark{time.Now(), cpu}, err
}

// way is one way to read.
type way struct {
	name string // of the row, and for -only
	what string
	slow bool // it reads -slow-records only
	read read // nil: the slot is empty
}

// ways returns all ways, in the order in which they are measured and shown.
func ways(c clients) []way {
	return []way{
		{name: "sarama", what: "sarama's consumer group, counting", read: c.sarama},
		{name: "watermill", what: "watermill-kafka and its router, one message per record, no-op handler", slow: true, read: c.watermill},

		{name: "microbatch", what: "micro-batches and a router, no-op handler", read: c.microbatch},
		{name: "fold", what: "micro-batches, full fold, updates published", read: c.fold},
		{name: "replay", what: "a restart's replay of everything", read: c.replay},
	}
}

// clients is what the ways have in common.
type clients struct {
	brokers []string
}
