package settings

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// slidesMax is how many windows of a board may hold one instant, as in operators.
const slidesMax = 1440

// together checks what must go together.
func (c *checker) together() {
	c.times()
	for i := range c.settings.Boards {
		c.board(i)
	}
	c.topics()
	c.fields()
	c.kafka()
	c.redis()
	c.clickhouse()
	c.http()
	c.handlers()
}

func (c *checker) times() {
	s := c.settings
	n := max(1, s.Dedup.Segments)
	c.wrong(int64(s.Dedup.Horizon)%(int64(n)*int64(time.Millisecond)) != 0, "dedup.horizon", fmt.Sprintf("a whole number of milliseconds for each of the %d dedup.segments", n),
		"%v in %d steps is not whole milliseconds each", s.Dedup.Horizon, n)
	from, to := s.Source.TimeMin, s.Source.TimeMax
	c.wrong(!from.Std().Before(to.Std()), "source.time_max", "later than source.time_min ("+from.String()+")", "%v is not after source.time_min", to)
	for path, t := range map[string]Time3339{"source.time_min": from, "source.time_max": to} {
		c.wrong(t.Std().UTC().Year() < 1 || t.Std().UTC().Year() > 9999, path, "the years 1 to 9999", "%v lies outside", t)
	}
}

func (c *checker) board(i int) {
	s := c.settings
	b, path, pane := s.Boards[i], fmt.Sprintf("boards[%d]", i), s.Time.Pane.Std()
	for j := range i {
		c.wrong(s.Boards[j].Name == b.Name, path+".name", "each name once", "%q is the name of boards[%d], too", b.Name, j)
	}
	if pane < time.Second || pane%time.Millisecond != 0 {
		return // there is a problem already; windows can be checked when it is mended
	}
	whole := fmt.Sprintf("whole panes: a multiple of time.pane (%v)", s.Time.Pane)
	window, slide, offset := b.Window.Std(), b.Slide.Std(), b.Offset.Std()
	c.wrong(window%pane != 0, path+".window", whole, "%v is not made of whole panes", b.Window)
	c.wrong(slide%pane != 0, path+".slide", whole, "%v is not made of whole panes", b.Slide)
	c.wrong(slide > window, path+".slide", fmt.Sprintf("at most the window, %v", b.Window), "%v is longer than the window: events between windows would be in none", b.Slide)
	if slide <= 0 {
		slide = window
	}
	if slide > 0 {
		c.wrong(window/slide > slidesMax, path+".slide", fmt.Sprintf("at least %v: a window of at most %d slides", Duration((window+slidesMax-1)/slidesMax), slidesMax),
			"%v makes a window of %d slides", b.Slide, window/slide)
	}
	c.wrong(offset%pane != 0, path+".offset", whole, "%v is not made of whole panes", b.Offset)
	c.wrong(offset != 0 && offset.Abs() >= slide, path+".offset", fmt.Sprintf("less than the time between windows (%v), either way", Duration(slide)), "%v is too far", b.Offset)
	if len(s.Redis.Addresses) > 0 {
		const second = "whole seconds, since keys in Redis name windows by the second"
		c.wrong(slide%time.Second != 0 && b.Slide != 0, path+".slide", second, "%v is not whole seconds", b.Slide)
		c.wrong(slide%time.Second != 0, path+".window", second, "%v is not whole seconds", b.Window)
		c.wrong(offset%time.Second != 0, path+".offset", second, "%v is not whole seconds", b.Offset)
	}
	c.by(path, b.By)
}

func (c *checker) by(path string, groupings []string) {
	c.distinct(path+".by", groupings)
	known := slices.Compact(slices.Sorted(slices.Values(c.settings.Dimensions())))
	for i, by := range groupings {
		at := fmt.Sprintf("%s.by[%d]", path, i)
		if by == "global" {
			continue
		}
		parts := strings.Split(by, ",")
		for j, name := range parts {
			if !slices.Contains(known, name) {
				p := Problem{Place: c.place(at), Key: at, Found: fmt.Sprintf("%q is no dimension", name), Near: nearest(name, append([]string{"global"}, known...)),
					Allowed: "global, or one of " + strings.Join(known, ", ") + ", or several of them joined by commas without spaces; source.fields.dimensions names further ones"}
				c.problems = append(c.problems, p)
				break
			}
			c.wrong(slices.Contains(parts[:j], name), at, "each dimension once", "%q has %s twice", by, name)
		}
	}
}

func (c *checker) topics() {
	s := c.settings
	need := Duration(s.restarts() + retentionMargin)
	why := fmt.Sprintf("0, or at least %v: longest window + time.allowed_lateness + time.out_of_orderness + time.revise_for + 1h", need)
	updates, rankings := s.Topics.Updates.Retention, s.Topics.Rankings.Retention
	c.wrong(updates != 0 && updates < need, "topics.updates.retention", why, "%v is too short: a restart would lack records", updates)
	c.wrong(rankings != 0 && rankings < need, "topics.rankings.retention", why, "%v is too short: a restart would lack records", rankings)
	if ttl := Duration(s.RedisTTL()); len(s.Redis.Addresses) > 0 {
		c.wrong(rankings != 0 && rankings < ttl, "topics.rankings.retention", fmt.Sprintf("0, or at least %v, as long as keys stay in Redis (redis.ttl)", ttl),
			"%v is too short: an emptied Redis is filled in from there", rankings)
	}
	letters, record := s.Topics.DeadLetters.MaxMessageBytes, s.Source.RecordBytesMax
	c.wrong(letters < record+deadLetterRoom, "topics.dead_letters.max_message_bytes",
		fmt.Sprintf("at least %v: source.record_bytes_max (%v) and %v for headers", record+deadLetterRoom, record, deadLetterRoom), "%v is too little: a dead letter is a record with headers", letters)
	c.wrong(s.Topics.DeadLetters.Name == "" && len(s.DeadLettersTopic()) > topicMax, "topics.dead_letters.name", "a name, since <source.topic>.dead-letters is too long for a topic", "is missing")
	names := []struct{ path, topic string }{
		{"the updates topic", s.UpdatesTopic()}, {"the rankings topic", s.RankingsTopic()}, {"the generations topic", s.GenerationsTopic()},
		{"topics.dead_letters.name", s.DeadLettersTopic()},
	}
	for _, n := range names {
		c.wrong(n.topic == s.Source.Topic, "source.topic", "a topic of its own", "%q is also %s", s.Source.Topic, n.path)
	}
	for _, n := range names[:3] {
		c.wrong(n.topic == s.DeadLettersTopic(), "topics.dead_letters.name", "a topic of its own", "%q is also %s", s.DeadLettersTopic(), n.path)
	}
}

// deadLetterRoom is for what a dead letter adds to a record: headers that say why and where, and the key once more.
const deadLetterRoom = Bytes(16 << 10)

func (c *checker) handlers() {
	s := c.settings
	c.distinct("handlers", s.Handlers)
	for i, h := range s.Handlers {
		c.wrong(len(s.Redis.Addresses) == 0 && (h == Leaderboard || h == Late), fmt.Sprintf("handlers[%d]", i), "intake and rank; or set redis.addresses, too",
			"%s writes to Redis, but redis.addresses is not set", h)
		c.wrong(len(s.ClickHouse.Addresses) == 0 && h == History, fmt.Sprintf("handlers[%d]", i), "another one; or set clickhouse.addresses, too",
			"%s writes to ClickHouse, but clickhouse.addresses is empty", h)
	}
}

// distinct checks that nothing is in a list twice.
func (c *checker) distinct(path string, list []string) {
	for i, item := range list {
		c.wrong(slices.Contains(list[:i], item), fmt.Sprintf("%s[%d]", path, i), "each once", "%q is there twice", item)
	}
}
