package settings

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
)

// Figure is one of Costs for people: what it is, how much, and how that comes about.
type Figure struct {
	Name  string `json:"name"`
	About string `json:"about"` // the part of the system: events, processes, kafka, redis, clickhouse, network, retention
	Value string `json:"value"`
	By    string `json:"set_by"` // the formula in short, with the settings that it goes by
}

// Brief reports whether 'millrank validate' says it, too.
func (f Figure) Brief() bool {
	return strings.HasPrefix(f.Name, "A restart") || strings.HasPrefix(f.Name, "Memory") || strings.HasSuffix(f.Name, "topic keeps")
}

// Figures returns all, in the order in which they are read.
func (c *Costs) Figures(s Settings) []Figure {
	return slices.Concat(c.processFigures(s), c.topicFigures(s), c.storeFigures(s))
}

func (c *Costs) processFigures(s Settings) []Figure {
	t, about := c.Traffic, "processes"
	figures := []Figure{
		{"A restart reads again", about, fmt.Sprintf("%s records, %v of events: %s", comma(c.ReplayRecords), c.ReplaySpan, SecondsText(c.ReplaySeconds)),
			fmt.Sprintf("rate × (pane + lateness + disorder), and all IDs; at %s a second; time.*, dedup.horizon", comma(int64(replayPerSecond)))},
		{"Source partitions", about, comma(int64(c.Partitions)), fmt.Sprintf("at most %s events a second in each: --partitions", comma(partitionEvents))},
		{"Shards suggested", about, fmt.Sprintf("%d (the settings have %d)", c.Shards, s.Topics.Updates.Partitions),
			fmt.Sprintf("at most %s cells and %.1f cores in each: topics.updates.partitions", comma(shardCells), shardCores)},
		{"Memory of intake", about, memory(c.Handler(Intake)), fmt.Sprintf("%s event IDs × %d B (dedup.*), %s cells per pane × %d B × %d panes",
			comma(c.EventIDs), idBytes, comma(c.PaneCells), openCellBytes+t.ItemBytes, 1+s.panes(s.disorder()))},
		{"Memory of rank", about, memory(c.Handler(Rank)), fmt.Sprintf("%s cells × %d B, %s totals × %d B: %s", comma(c.RankCells), rankCellBytes, comma(c.RankTotals), rankTotalBytes, rankBy(s))},
	}
	if len(s.Redis.Addresses) > 0 {
		figures = append(figures, Figure{"Memory of leaderboard", about, memory(c.Handler(Leaderboard)), fmt.Sprintf("%s lists that change × %d shards and %d: boards[].k, topics.updates.partitions", comma(c.Lists), s.Topics.Updates.Partitions, 1+listsOnTheWay)})
	}
	if len(s.ClickHouse.Addresses) > 0 {
		figures = append(figures, Figure{"Memory of history", about, memory(c.Handler(History)), "the same lists, and rows that wait for flush.history × " + comma(int64(pendingBytes+t.ItemBytes)) + " B"})
	}
	for _, h := range c.Handlers {
		figures = append(figures, Figure{"Cores of " + h.Name, about, fmt.Sprintf("%.2f", h.Cores), coresBy(h.Name)})
	}
	if c.Processes > 0 {
		figures = append(figures, Figure{"Processes", about, comma(int64(c.Processes)), fmt.Sprintf("%.1f busy cores at %.0f %%, memory at %.0f %%, and one to spare: --process-cores, --process-memory",
			c.Cores(), 100*processorsUsed, 100*memoryUsed)})
	}
	return figures
}

func coresBy(handler string) string {
	switch handler {
	case Intake:
		return fmt.Sprintf("%.1f µs an event, %.1f a cell sent, %.0f a message; %d ms a second for each partition read, in all handlers", intakeEventCPU, intakeUpdateCPU, messageCPU, readingCPU/1000)
	case Rank:
		return fmt.Sprintf("%.1f µs a cell, %.2f an entry of a list sent, %.0f a message", rankUpdateCPU, rankEntryCPU, messageCPU)
	case Leaderboard:
		return fmt.Sprintf("%.1f µs an entry of a list, %.0f a message", boardEntryCPU, messageCPU)
	}
	return fmt.Sprintf("%.1f µs a row, %.1f a cell or an entry read, %.0f a message", historyRowCPU, historyUpdateCPU, messageCPU)
}

func (c *Costs) topicFigures(s Settings) []Figure {
	t, about := c.Traffic, "kafka"
	figures := []Figure{}
	add := func(name string, topic TopicCosts, keeps Duration, by string) {
		figures = append(figures,
			Figure{name + " topic a day", about, fmt.Sprintf("%s; %s entries and %s messages in the busiest second", ByteText(topic.BytesPerDay), comma(whole(topic.EntriesPerSecond)), comma(whole(topic.MessagesPerSecond))), by},
			Figure{name + " topic on disk", about, ByteText(topic.DiskBytes), fmt.Sprintf("%d replicas, %v: %s", t.Replicas, keeps, retentionBy(name))})
	}
	add("Source", c.Source, max(c.EventsRetention, Duration(day)), fmt.Sprintf("%d B an event", t.EventBytes))
	add("Updates", c.Updates, c.UpdatesRetention, fmt.Sprintf("cells that change in %v × %.0f B, %.0f B a message: flush.updates", s.Flush.Updates, updateBytes+updateItemShare*float64(t.ItemBytes), messageBytes))
	add("Rankings", c.Rankings, c.RankingsRetention, fmt.Sprintf("entries of lists that change in %v × %.0f B, %.0f B a message: flush.rankings, boards[].k, shards", s.Flush.Rankings, rankingEntryBytes+rankingItemShare*float64(t.ItemBytes), messageBytes))
	letters := s.Topics.DeadLetters.Retention
	if letters == 0 {
		letters = Duration(brokersRetention)
	}
	add("Dead-letter", c.DeadLetters, letters, fmt.Sprintf("the record and %.0f B", deadLetterBytes))
	return append(figures,
		Figure{"Source topic keeps", about, fmt.Sprintf("%v at least, and as long as nothing may run", c.EventsRetention), "its retention.ms"},
		Figure{"Updates topic keeps", about, c.UpdatesRetention.String(), retentionBy("Updates")},
		Figure{"Rankings topic keeps", about, c.RankingsRetention.String(), retentionBy("Rankings")})
}

func retentionBy(topic string) string {
	switch topic {
	case "Updates":
		return "topics.updates.retention"
	case "Rankings":
		return "topics.rankings.retention"
	case "Source":
		return "a day, or what a restart reads again; its retention.ms"
	}
	return "topics.dead_letters.retention"
}

func (c *Costs) storeFigures(s Settings) (figures []Figure) {
	t := c.Traffic
	if len(s.Redis.Addresses) > 0 {
		figures = append(figures, Figure{"Memory of Redis", "redis", ByteText(float64(c.RedisBytes)),
			fmt.Sprintf("%s lists, kept for %v, × %d B, and members × %d B (%d from K = %d on): redis.ttl, boards[].k", comma(c.RedisKeys), c.RedisTTL, redisListBytes, redisShortBytes+t.ItemBytes, redisLongBytes+t.ItemBytes, redisShort+1)})
	}
	if h := c.ClickHouse; len(s.ClickHouse.Addresses) > 0 {
		keeps := "for ever"
		if s.ClickHouse.TTL != 0 {
			keeps = "for " + s.ClickHouse.TTL.String()
		}
		figures = append(figures,
			Figure{"ClickHouse rows a day", "clickhouse", fmt.Sprintf("%s cells, %s lists, %s dead letters, %s of roll-ups", millions(h.CellRowsPerDay), millions(h.RankingRowsPerDay), millions(h.LetterRowsPerDay), millions(h.RollupRowsPerDay)),
				"different items and regions in a pane; in an hour, day, week, month, year: time.pane, boards"},
			Figure{"ClickHouse inserts a day", "clickhouse", millions(h.InsertedRowsPerDay) + " rows", fmt.Sprintf("the same, and cells that change in %v: flush.history", s.Flush.History)},
			Figure{"ClickHouse bytes a day", "clickhouse", ByteText(h.BytesPerDay), fmt.Sprintf("%.1f B a cell, %.0f a list and %.1f an entry, %.0f a dead letter, %.1f a row of a roll-up; merged, one replica",
				cellRowBytes, listRowBytes, listEntryBytes+listItemShare*float64(t.ItemBytes), letterRowBytes, rollupRowBytes)},
			Figure{"ClickHouse keeps", "clickhouse", ByteText(h.Kept), fmt.Sprintf("after %v; cells, lists and dead letters %s, roll-ups for ever: clickhouse.ttl", t.Running, keeps)})
	}
	return append(figures,
		Figure{"Network received", "network", ByteText(c.ReceivedPerSecond) + " a second", "all processes, at the peak: source, updates and rankings, each read once by each handler"},
		Figure{"Network sent", "network", ByteText(c.SentPerSecond) + " a second", "all processes, at the peak: updates, rankings, dead letters, Redis, ClickHouse"})
}

// rankBy says which settings bound rank's memory.
func rankBy(s Settings) string {
	if s.Limits.RankItems > 0 {
		return "limits.rank_items, the longest window"
	}
	return "the longest window; limits.rank_items can bound it"
}

func memory(h HandlerCosts) string {
	return fmt.Sprintf("%s RSS; %s live", ByteText(float64(h.RSSBytes)), ByteText(float64(h.LiveBytes)))
}

func comma(n int64) string { return humanize.Comma(n) }

// millions returns a large number for people.
func millions(n float64) string {
	if n < 1e6 {
		return comma(whole(n))
	}
	return humanize.CommafWithDigits(n/1e6, 1) + " M"
}

// ByteText returns a number of bytes for people.
func ByteText(n float64) string { return humanize.IBytes(uint64(max(0, min(n, 1e18)))) }

// SecondsText returns about how long it takes, for people.
func SecondsText(s float64) string {
	d := time.Duration(s * float64(time.Second))
	if d < time.Second {
		return "less than a second"
	}
	return "about " + Duration(d.Round(time.Second)).String()
}
