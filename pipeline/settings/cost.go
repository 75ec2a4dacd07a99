package settings

import (
	"math"
	"slices"
	"time"
)

// Traffic is what costs are reckoned for.
type Traffic struct {
	EventsPerSecond float64 `json:"events_per_second"`
	Partitions      int     `json:"partitions"` // of the source topic
	Items           int     `json:"items"`      // different items in a pane; one that comes from two regions counts twice
	Regions         int     `json:"regions"`    // different values of each dimension
}

// DefaultTraffic is 10,000 events a second of 100,000 items from 10 regions, in 8 partitions.
func DefaultTraffic() Traffic {
	return Traffic{EventsPerSecond: 10_000, Partitions: 8, Items: 100_000, Regions: 10}
}

// Costs are what settings cost, at the most, of all processes together. Producers are taken to key events by item, so that an item is in one partition.
type Costs struct {
	Traffic Traffic `json:"traffic"`

	// ReplaySpan is how much event time a restart of the intake reads again: time.pane + time.allowed_lateness + time.out_of_orderness + dedup.horizon.
	ReplaySpan Duration `json:"replay_span"`
	// ReplayRecords is so many of its records: events per second × (pane + lateness + disorder), and besides EventIDs, since what was seen must be read, too.
	ReplayRecords int64 `json:"replay_records"`
	// ReplaySeconds is how long that takes one process of two cores: ReplayRecords / 1,000,000.
	ReplaySeconds float64 `json:"replay_seconds"`

	// EventIDs is how many IDs are remembered. For each partition: its events per second × dedup.horizon × (1 + 1/dedup.segments), at most dedup.records × 9/8. Both have a
	// segment more than is promised: the one that is being filled.
	EventIDs int64 `json:"event_ids"`
	// EventIDBytes is EventIDs × 38.
	EventIDBytes int64 `json:"event_id_bytes"`

	// PaneCells is how many cells a pane has, one for each group and item: Traffic.Items, at most events per second × pane.
	PaneCells int64 `json:"pane_cells"`
	// IntakeBytes is PaneCells × panes that are open × 100: 1 + (lateness + disorder) / pane, rounded up.
	IntakeBytes int64 `json:"intake_bytes"`

	// RankCells is how many cells rank keeps: PaneCells × panes of the longest window, its lateness and disorder; at most limits.rank_items × topics.updates.partitions.
	// When a partition is idle, it can be those of time.revise_for more.
	RankCells int64 `json:"rank_cells"`
	// RankBytes is RankCells × 150, and 40 more for each sort of totals (window and grouping) beyond two. With limits.rank_items it is × 230 in place of 150: so much while cells go.
	RankBytes int64 `json:"rank_bytes"`

	// Lists is how many lists change at a time: for each board and grouping its groups (1 for global, regions for one dimension) × windows that are open.
	Lists int64 `json:"lists"`
	// ListBytes is what leaderboard keeps of them: each list once for each shard and once merged, K × 50 bytes and 500 for itself.
	ListBytes int64 `json:"list_bytes"`

	// RedisKeys is how many lists Redis holds: for each board its groups × (windows within RedisTTL + 3).
	RedisKeys int64 `json:"redis_keys"`
	// RedisBytes is 500 for each, and for each member 21 in lists of up to 128, 110 in longer ones (measured with Redis 7 and item IDs of 10 bytes).
	RedisBytes int64 `json:"redis_bytes"`
	// RedisTTL is how long keys stay (Settings.RedisTTL).
	RedisTTL Duration `json:"redis_ttl"`

	// EventsRetention is how much the source topic must keep: ReplaySpan. Add the longest time that nothing may run.
	EventsRetention Duration `json:"events_retention"`
	// UpdatesRetention is how long the updates topic keeps records (Settings.UpdatesRetention).
	UpdatesRetention Duration `json:"updates_retention"`
	// RankingsRetention is how long the rankings topic keeps records (Settings.RankingsRetention).
	RankingsRetention Duration `json:"rankings_retention"`
}

const (
	replayPerSecond = 1e6
	idBytes         = 38
	openCellBytes   = 100
	rankCellBytes   = 150
	rankGoingBytes  = 230 // while limits.rank_items lets cells go
	rankViewBytes   = 40  // for each sort of totals beyond two
	entryBytes      = 50
	listBytes       = 500
	redisListBytes  = 500
	redisShortBytes = 21 // a member of a list of up to 128
	redisLongBytes  = 110
	redisShort      = 128
)

// Cost returns what valid settings cost with this traffic. It is an estimate for planning: the formula of each figure stands with it in Costs.
func Cost(s Settings, t Traffic) Costs {
	c := Costs{
		Traffic: t, ReplaySpan: Duration(s.Replays()), RedisTTL: Duration(s.RedisTTL()),
		UpdatesRetention: Duration(s.UpdatesRetention()), RankingsRetention: Duration(s.RankingsRetention()),
	}
	c.EventsRetention = c.ReplaySpan
	c.intake(s)
	c.rank(s)
	c.lists(s)
	return c
}

func (c *Costs) intake(s Settings) {
	t := c.Traffic
	partitions := float64(max(1, t.Partitions))
	horizon := t.EventsPerSecond / partitions * s.Dedup.Horizon.Std().Seconds() * (1 + 1/float64(s.Dedup.Segments))
	ids := min(horizon, float64(s.Dedup.Records)*(dedupRecordSegments+1)/dedupRecordSegments)
	c.EventIDs = whole(ids * partitions)
	c.EventIDBytes = c.EventIDs * idBytes
	panes := (s.Time.Pane + s.Time.AllowedLateness + s.Time.OutOfOrderness).Std()
	c.ReplayRecords = whole(t.EventsPerSecond*panes.Seconds()) + c.EventIDs
	c.ReplaySeconds = float64(c.ReplayRecords) / replayPerSecond

	c.PaneCells = whole(min(float64(t.Items), t.EventsPerSecond*s.Time.Pane.Std().Seconds()))
	c.IntakeBytes = c.PaneCells * (1 + c.panes(s, s.disorder())) * openCellBytes
}

// disorder is how long a pane stays open after its end.
func (s Settings) disorder() time.Duration {
	return (s.Time.AllowedLateness + s.Time.OutOfOrderness).Std()
}

// panes returns how many panes a time has, rounded up.
func (c *Costs) panes(s Settings, d time.Duration) int64 { return steps(d, s.Time.Pane.Std()) }

func (c *Costs) rank(s Settings) {
	c.RankCells = c.PaneCells * (1 + c.panes(s, s.LongestWindow()+s.disorder()))
	each := int64(rankCellBytes)
	if limit := int64(s.Limits.RankItems); limit > 0 {
		c.RankCells = min(c.RankCells, limit*int64(s.Topics.Updates.Partitions))
		each = rankGoingBytes
	}
	type view struct {
		window, slide, offset Duration
		by                    string
	}
	views := map[view]bool{}
	for _, b := range s.Boards {
		for _, by := range b.By {
			views[view{b.Window, b.slide(), b.Offset, by}] = true
		}
	}
	c.RankBytes = c.RankCells * (each + rankViewBytes*int64(max(0, len(views)-2)))
}

func (c *Costs) lists(s Settings) {
	shards := int64(s.Topics.Updates.Partitions)
	for _, b := range s.Boards {
		var groups int64
		for _, by := range b.operator().By {
			groups += whole(math.Pow(float64(max(1, c.Traffic.Regions)), float64(len(by))))
		}
		members := int64(min(b.K, c.Traffic.Items))
		open := groups * (1 + steps(s.disorder(), b.slide().Std()))
		c.Lists += open
		c.ListBytes += open * (shards + 1) * (listBytes + members*entryBytes)

		if len(s.Redis.Addresses) == 0 {
			continue
		}
		keys, each := groups*(3+steps(c.RedisTTL.Std(), b.slide().Std())), int64(redisShortBytes)
		if b.K > redisShort {
			each = redisLongBytes
		}
		c.RedisKeys += keys
		c.RedisBytes += keys * (redisListBytes + members*each)
	}
}

// slide returns how far apart windows begin.
func (b Board) slide() Duration {
	if b.Slide == 0 {
		return b.Window
	}
	return b.Slide
}

// steps returns how many steps a time has, rounded up.
func steps(d, step time.Duration) int64 { return int64((d + step - 1) / max(1, step)) }

// whole rounds up; what is beyond all measure stays in range.
func whole(f float64) int64 { return int64(math.Ceil(min(f, 1e15))) }

// windowLong is from where on a window is too long for memory to be the right place for it.
const windowLong = day

// Warnings returns what is allowed, but should be known: one text each, that begins with the setting.
func (s Settings) Warnings() []string {
	var warnings []string
	for _, b := range s.Boards {
		if b.Window.Std() > windowLong {
			warnings = append(warnings, "boards: "+b.Name+": a window of "+b.Window.String()+" keeps all its cells in memory, and a restart of rank reads them all: windows as long as that are better asked of the history in ClickHouse")
		}
	}
	if s.Kafka.SecurityProtocol == "SASL_PLAINTEXT" && s.Kafka.SASLMechanism == "PLAIN" {
		warnings = append(warnings, "kafka.security_protocol: SASL_PLAINTEXT with PLAIN sends the password for all to read; use SASL_SSL")
	}
	if s.Redis.Password != "" && !s.Redis.TLS.Enabled && !slices.ContainsFunc(s.Redis.Addresses, local) {
		warnings = append(warnings, "redis.tls.enabled: the password goes to Redis unencrypted")
	}
	return warnings
}

// local reports whether an address is of this machine.
func local(address string) bool {
	return slices.ContainsFunc([]string{"localhost:", "127.0.0.1:", "[::1]:"}, func(p string) bool { return len(address) > len(p) && address[:len(p)] == p })
}
