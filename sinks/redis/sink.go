// Package redis writes merged lists to Redis, where product UIs read them: each list is a ZSET with at
// most K members and a HASH that describes it, both changed by one Lua script, so that nobody reads half
// a list.
//
// # Keys
//
// A list of all events has the key
//
//	global:top_k:<board>:<window>
//
// a list of a region region:<region>:top_k:<board>:<window>, and one of any dimensions <name>:<value>: for each
// of them, in the grouping's order, in place of region:<region>:. Names and values are percent-encoded where
// they hold one of % : { }. The window is its start, UTC, as 20060102T150405Z. Besides, each board and group has
//
//	...:top_k:<board>         its newest window
//	...:top_k:<board>:final   its newest window that is final
//	...:top_k                 the default board's newest window
//
// which are lists of their own, written after the window's. Config.Prefix stands in front of all keys.
//
// The ZSET's members are item IDs, and its scores what the board measures. ZREVRANGE gives the order of
// a board that ranks the top, ZRANGE that of one that ranks the bottom, ties included. An empty list
// is no ZSET at all.
//
// # What describes a list
//
// {<key>}:meta is a HASH in the same cluster slot, so that MULTI, ZREVRANGE, HGETALL, EXEC reads both as of one moment:
//
//	start, end   the window's; as all times RFC 3339 in UTC with milliseconds: 2006-01-02T15:04:05.000Z
//	watermark    the closing watermark when it was written; empty where there is none yet
//	final        1 once the window has closed; a later revision can still correct it
//	revision     the rankings offset that it is as of
//	updated_at   when it was written, by the writer's clock
//	generation   the run over the source that it is of, where there are generations
//	exact        0 if a score can be wrong, by at most max_error
//	duplicates   events dropped as duplicates in this group and window
//	late         events that came too late to be counted; with the keys of windows only, not with the three above.
//	             late_through:<source>:<partition> is how far they have been counted
//
// Late counts hold from when Redis was last empty; the history has them all.
//
// # Generations
//
// With Config.Generation several runs over the source write side by side. The keys above are the active one's; another one's list of key X is at {X}:gN, which
// Shadow returns, and its meta at {X}:gN:meta. Activate switches. On a single server that is one step: one MULTI never reads two
// generations. In a cluster, each list and its meta move together.
//
// # Order and repetition
//
// A list is only replaced by one with a greater (start, revision); the same one is taken as written. So
// it does no harm to write again, or to be late: a writer that has been replaced can only write
// something older, which is refused, or the same.
package redis

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	goredis "github.com/redis/go-redis/v9"

	"github.com/millrank/millrank/operators"
)

// Config says where and how lists are written.
type Config struct {
	// Client is a single server's, Sentinel's or a cluster's client, which stays the caller's to close. Its option
	// ContextTimeoutEnabled must be set, or Timeout would not hold with a server that is silent. The server
	// should refuse writes when it is full (maxmemory-policy noeviction): what it evicted
	// would be found missing, and written again, for ever.
	Client goredis.UniversalClient
	// Prefix stands in front of all keys. It holds no { or }. Whoever else uses this Redis must have another one.
	Prefix string
	// Generation is the run over the source whose lists are written. 0 means that there are no generations: all is public at once.
	Generation uint32
	// Active says which generation is to be public, as far as this process knows, and the epoch of that activation, which grows by each: 0 where it knows
	// of none. It is called often, and by several goroutines. It is due with a Generation.
	Active func() (generation uint32, epoch int64)
	// DefaultBoard is the board whose newest window is also at ...:top_k. "" means the first of Boards.
	DefaultBoard string
	// Boards are the boards whose lists are written. Windows must start at whole seconds.
	Boards operators.Boards
	// TTL is how long a key stays after it was written last, at least as long as the longest window can change.
	// 0 means 48 h, or more where windows need that.
	TTL time.Duration
	// Timeout bounds each round trip, of which a call makes more the more there is to write. 0 means 5 s.
	Timeout time.Duration
	// Remember is how many bytes of lists each Writer remembers, to send only what has changed. 0 means 64 MiB.
	Remember int
	// Now is the clock. nil means time.Now.
	Now func() time.Time
	// Logger is told what is unusual. nil means nobody.
	Logger watermill.LoggerAdapter
}

const ttlDefault = 48 * time.Hour

// Validate reports all that is wrong, at once.
func (c Config) Validate() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	switch client := c.Client.(type) {
	case nil:
		fail("Client is missing")
	case *goredis.Ring:
		fail("Client is a Ring, whose servers don't know of each other; use a single server, Sentinel or a cluster")
	case *goredis.Client:
		if !client.Options().ContextTimeoutEnabled {
			fail("Client: set its option ContextTimeoutEnabled, or Timeout does not hold with a server that is silent")
		}
	case *goredis.ClusterClient:
		if !client.Options().ContextTimeoutEnabled {
			fail("Client: set its option ContextTimeoutEnabled, or Timeout does not hold with a server that is silent")
		}
	}
	if strings.ContainsAny(c.Prefix, "{}") {
		fail("Prefix is %q; it must not hold { or }, which say what a key's cluster slot is", c.Prefix)
	}
	if c.Generation != 0 && c.Active == nil {
		fail("Active is missing; with a Generation it must say which one is to be public")
	}
	if c.Timeout < 0 {
		fail("Timeout is %v; it must not be negative", c.Timeout)
	}
	if c.Remember < 0 {
		fail("Remember is %d; it must not be negative", c.Remember)
	}
	if err := c.Boards.Validate(); err != nil {
		fail("Boards: %w", err)
		return errors.Join(errs...)
	}
	errs = append(errs, c.validateBoards())
	if longest, board := c.longest(); c.TTL != 0 && c.TTL < max(longest, time.Second) {
		fail("TTL is %v; board %q can change a list until %v after its window's start, so it must be that at least, and 1s", c.TTL, board, longest)
	}
	return errors.Join(errs...)
}

// validateBoards reports boards whose keys would not be right.
func (c Config) validateBoards() error {
	var errs []error
	found := c.DefaultBoard == ""
	for _, board := range c.Boards.Boards {
		found = found || board.Name == c.DefaultBoard
		if slide := slideOf(board.Window); slide%time.Second != 0 || board.Window.Offset%time.Second != 0 {
			errs = append(errs, fmt.Errorf("board %q: its windows (%v) must start at whole seconds, since keys name them by the second", board.Name, board.Window))
		}
		for _, by := range board.By {
			for _, name := range by {
				if name == global || name == topK {
					errs = append(errs, fmt.Errorf("board %q: a dimension can't be called %q, which has a meaning in keys", board.Name, name))
				}
			}
		}
	}
	if !found {
		errs = append(errs, fmt.Errorf("DefaultBoard is %q; there is no such board", c.DefaultBoard))
	}
	return errors.Join(errs...)
}

// longest returns the longest time from a window's start to when it can't change any more, and its board.
func (c Config) longest() (longest time.Duration, board string) {
	for _, b := range c.Boards.Boards {
		if b.Window.Size > longest {
			longest, board = b.Window.Size, b.Name
		}
	}
	return longest + c.Boards.AllowedLateness + c.Boards.ReviseFor, board
}

// withDefaults returns the settings with their defaults filled in.
func (c Config) withDefaults() Config {
	if c.DefaultBoard == "" && len(c.Boards.Boards) > 0 {
		c.DefaultBoard = c.Boards.Boards[0].Name
	}
	if c.TTL == 0 {
		longest, _ := c.longest()
		c.TTL = max(ttlDefault, longest)
	}
	if c.Timeout == 0 {
		c.Timeout = 5 * time.Second
	}
	if c.Remember == 0 {
		c.Remember = 64 << 20
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = watermill.NopLogger{}
	}
	return c
}

// Sink writes lists to one Redis, with a Writer for each partition of the rankings topic. It is safe for
// concurrent use; its Writers are not.
type Sink struct {
	config Config
	boards map[string]*operators.Board
	counts counts

	standing   standing
	activating chan struct{} // holds one while this process activates
}

// New returns the sink for these settings. It doesn't connect. An error says all that is wrong with the settings.
func New(config Config) (*Sink, error) {
	if err := config.Validate(); err != nil {
		return nil, fmt.Errorf("Redis sink: %w", err)
	}
	s := &Sink{config: config.withDefaults(), boards: map[string]*operators.Board{}, activating: make(chan struct{}, 1)}
	for i := range s.config.Boards.Boards {
		board := &s.config.Boards.Boards[i]
		s.boards[board.Name] = board
	}
	return s, nil
}

// Stats counts what a Sink has done since it was made.
type Stats struct {
	Pipelines int64 // round trips
	Commands  int64 // commands in them, repeated ones included
	Bytes     int64 // of those commands, as they are sent
	Lists     int64 // lists given to Write
	Whole     int64 // keys written with the whole list
	Deltas    int64 // keys written with what had changed
	Repeats   int64 // keys that held the same list already
	Older     int64 // keys that held a newer list, so that it was refused
	Resent    int64 // deltas whose base wasn't there, so that the whole list was sent
	Lost      int64 // keys and sentinels that Redis has lost
	Forgotten int64 // keys that writers have forgotten, since Remember was reached
	Moved     int64 // lists moved when a generation was activated
	Misplaced int64 // keys that were not written at first, since another generation had been activated
	Late      int64 // late events counted, once for each list that they are missing from
	LateOld   int64 // late events not counted, since their list is older than TTL and not there
}

// counts is Stats, as it is counted.
type counts struct {
	pipelines, commands, bytes, lists, whole, deltas, repeats, older, resent, lost, forgotten, moved, misplaced, late, lateOld atomic.Int64
}

// Stats returns the counts.
func (s *Sink) Stats() Stats {
	c := &s.counts
	return Stats{
		Pipelines: c.pipelines.Load(), Commands: c.commands.Load(), Bytes: c.bytes.Load(), Lists: c.lists.Load(),
		Whole: c.whole.Load(), Deltas: c.deltas.Load(), Repeats: c.repeats.Load(), Older: c.older.Load(),
		Resent: c.resent.Load(), Lost: c.lost.Load(), Forgotten: c.forgotten.Load(), Moved: c.moved.Load(), Misplaced: c.misplaced.Load(), Late: c.late.Load(), LateOld: c.lateOld.Load(),
	}
}
