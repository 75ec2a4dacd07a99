package settings

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// Traffic is what costs are reckoned for.
type Traffic struct {
	EventsPerSecond float64 `json:"events_per_second"` // on average, over a day
	Peak            float64 `json:"peak"`              // the busiest second's rate, in averages: what memory, cores and partitions must do for
	EventBytes      int     `json:"event_bytes"`       // of a record, as it lies in Kafka
	Partitions      int     `json:"partitions"`        // of the source topic; 0: as many as are suggested
	Items           int     `json:"items"`             // different items
	ItemBytes       int     `json:"item_bytes"`        // of an item's ID
	Regions         int     `json:"regions"`           // different values of each dimension
	ItemRegions     int     `json:"item_regions"`      // in how many of them an item is seen
	Skew            float64 `json:"skew"`              // how events fall on items: Zipf's exponent; 0: not known, so that all figures are the most that can be

	Duplicates  float64  `json:"duplicates"`   // share of records that are repeats
	DeadLetters float64  `json:"dead_letters"` // share of records that can't be counted
	Replicas    int      `json:"replicas"`     // of Kafka's topics
	Running     Duration `json:"running"`      // how long it has run: what has no retention is reckoned as of then
}

// DefaultTraffic is 10,000 events a second of 100,000 items from 10 regions, in 8 partitions: the most that can be.
func DefaultTraffic() Traffic {
	return Traffic{
		EventsPerSecond: 10_000, Peak: 1, EventBytes: 130, Partitions: 8, Items: 100_000, ItemBytes: 10, Regions: 10, ItemRegions: 1,
		Replicas: 3, Running: Duration(runningDefault),
	}
}

// Costs are what settings cost, of all processes together. Producers are taken to key events by item, so that an item is in one partition. Figures says how each
// is reckoned; rates and memory are those of the busiest second, what is "per day" is an average day's.
type Costs struct {
	Traffic Traffic `json:"traffic"`

	ReplaySpan    Duration `json:"replay_span"` // how much event time a restart of the intake reads again
	ReplayRecords int64    `json:"replay_records"`
	ReplaySeconds float64  `json:"replay_seconds"` // in one process of two cores

	Partitions int `json:"partitions"` // of the source: Traffic's, or as many as are suggested
	Shards     int `json:"shards"`     // topics.updates.partitions that are suggested
	Processes  int `json:"processes"`  // that run all handlers, one to spare

	EventIDs     int64 `json:"event_ids"` // that are remembered
	EventIDBytes int64 `json:"event_id_bytes"`
	PaneCells    int64 `json:"pane_cells"` // (region, item) pairs in a pane
	IntakeBytes  int64 `json:"intake_bytes"`

	RankCells  int64 `json:"rank_cells"`  // of panes that are kept
	RankTotals int64 `json:"rank_totals"` // what they add up to, in each sort of windows
	RankBytes  int64 `json:"rank_bytes"`

	Lists     int64 `json:"lists"` // that change at a time
	ListBytes int64 `json:"list_bytes"`
	RowBytes  int64 `json:"row_bytes"` // of rows that wait for ClickHouse

	Handlers []HandlerCosts `json:"handlers"`

	Source      TopicCosts `json:"source"`
	Updates     TopicCosts `json:"updates"`
	Rankings    TopicCosts `json:"rankings"`
	DeadLetters TopicCosts `json:"dead_letters"`

	RedisKeys  int64    `json:"redis_keys"`
	RedisBytes int64    `json:"redis_bytes"`
	RedisTTL   Duration `json:"redis_ttl"`

	ClickHouse ClickHouseCosts `json:"clickhouse"`

	// ReceivedPerSecond and SentPerSecond are bytes, of all processes.
	ReceivedPerSecond float64 `json:"received_bytes_per_second"`
	SentPerSecond     float64 `json:"sent_bytes_per_second"`

	EventsRetention   Duration `json:"events_retention"` // at least. Add the longest time that nothing may run
	UpdatesRetention  Duration `json:"updates_retention"`
	RankingsRetention Duration `json:"rankings_retention"`
}

// model is what costs are reckoned with.
type model struct {
	*Costs
	items popularity
}

// HandlerCosts are what a handler needs, in processes of its own.
type HandlerCosts struct {
	Name      string  `json:"name"`
	Cores     float64 `json:"cores"`      // busy at the peak
	LiveBytes int64   `json:"live_bytes"` // what it holds
	RSSBytes  int64   `json:"rss_bytes"`  // what that takes in one process, with Go's collector at GOGC=100
}

// TopicCosts are what a topic takes.
type TopicCosts struct {
	EntriesPerSecond  float64 `json:"entries_per_second"` // events, cells, list entries, dead letters
	MessagesPerSecond float64 `json:"messages_per_second"`
	BytesPerDay       float64 `json:"bytes_per_day"` // of one replica
	DiskBytes         float64 `json:"disk_bytes"`    // of all replicas, for its retention
}

// ClickHouseCosts are what the history takes, merged, on one replica.
type ClickHouseCosts struct {
	CellRowsPerDay     float64 `json:"cell_rows_per_day"`
	RankingRowsPerDay  float64 `json:"ranking_rows_per_day"`
	LetterRowsPerDay   float64 `json:"letter_rows_per_day"`
	RollupRowsPerDay   float64 `json:"rollup_rows_per_day"`
	BytesPerDay        float64 `json:"bytes_per_day"`
	InsertedRowsPerDay float64 `json:"inserted_rows_per_day"` // with the versions that merges fold
	Kept               float64 `json:"kept_bytes"`            // with clickhouse.ttl, or as of Traffic.Running
}

// Cost returns what valid settings cost with this traffic. It is an estimate for planning: Figures says how each figure comes about.
func Cost(s Settings, t Traffic) Costs {
	t.Peak, t.ItemRegions, t.Replicas = max(1, t.Peak), max(1, t.ItemRegions), max(1, t.Replicas)
	c := Costs{
		Traffic: t, ReplaySpan: Duration(s.Replays()), RedisTTL: Duration(s.RedisTTL()), EventsRetention: Duration(s.Replays()),
		UpdatesRetention: Duration(s.UpdatesRetention()), RankingsRetention: Duration(s.RankingsRetention()),
	}
	m := model{&c, newPopularity(t)}
	if c.Partitions = t.Partitions; c.Partitions < 1 {
		c.Partitions = multiple(m.rate()/partitionEvents, partitionsAtOnce)
	}
	m.intake(s)
	m.rank(s)
	m.lists(s)
	m.topics(s)
	m.history(s)
	m.handlers(s)
	m.network(s)
	return c
}

// rate is how many records there are in the busiest second.
func (m *model) rate() float64 { return m.Traffic.EventsPerSecond * m.Traffic.Peak }

// busiest is how many records there are in the busiest stretch of this length: at the peak's rate, but a day has no more than it has.
func (m *model) busiest(d time.Duration) float64 {
	seconds := d.Seconds()
	return m.Traffic.EventsPerSecond * min(m.Traffic.Peak*seconds, max(seconds, secondsOfDay))
}

// counted is how many events of so many records are counted.
func (m *model) counted(records float64) float64 {
	return records * max(0, 1-m.Traffic.Duplicates-m.Traffic.DeadLetters)
}

func (m *model) intake(s Settings) {
	partitions := float64(m.Partitions)
	horizon := m.rate() / partitions * s.Dedup.Horizon.Std().Seconds() * (1 + 1/float64(s.Dedup.Segments))
	ids := min(horizon, float64(s.Dedup.Records)*(dedupRecordSegments+1)/dedupRecordSegments)
	m.EventIDs = whole(ids * partitions)
	m.EventIDBytes = m.EventIDs * idBytes
	panes := (s.Time.Pane + s.Time.AllowedLateness + s.Time.OutOfOrderness).Std()
	m.ReplayRecords = whole(m.rate()*panes.Seconds()) + m.EventIDs
	m.ReplaySeconds = float64(m.ReplayRecords) / replayPerSecond

	m.PaneCells = whole(m.items.cells(m.counted(m.rate() * s.Time.Pane.Std().Seconds())))
	m.IntakeBytes = m.PaneCells * (1 + s.panes(s.disorder())) * int64(openCellBytes+m.Traffic.ItemBytes)
}

// disorder is how long a pane stays open after its end.
func (s Settings) disorder() time.Duration {
	return (s.Time.AllowedLateness + s.Time.OutOfOrderness).Std()
}

// panes returns how many panes a time has, rounded up.
func (s Settings) panes(d time.Duration) int64 { return steps(d, s.Time.Pane.Std()) }

// sorts returns the sorts of totals that rank keeps: boards with the same windows and grouping share them.
func (s Settings) sorts() map[totalsSort]bool {
	all := map[totalsSort]bool{}
	for _, b := range s.Boards {
		for _, by := range b.By {
			all[totalsSort{b.Window, b.slide(), b.Offset, by}] = true
		}
	}
	return all
}

type totalsSort struct {
	window, slide, offset Duration
	by                    string
}

func (m *model) rank(s Settings) {
	kept := s.LongestWindow() + s.disorder()
	pane, panes := s.Time.Pane.Std(), 1+s.panes(kept)
	m.RankCells = whole(m.items.cells(m.counted(m.busiest(kept)/kept.Seconds()*pane.Seconds()))) * panes
	cellBytes := int64(rankCellBytes)
	if limit := int64(s.Limits.RankItems); limit > 0 {
		m.RankCells = min(m.RankCells, limit*int64(s.Topics.Updates.Partitions))
		cellBytes += rankGoingBytes
	}
	for sort := range s.sorts() {
		m.RankTotals += min(m.RankCells, m.totals(sort, s.disorder()))
	}
	names := min(float64(m.RankCells), m.items.seen(m.counted(m.busiest(kept+pane))))
	m.RankBytes = m.RankCells*cellBytes + m.RankTotals*rankTotalBytes + whole(names*float64(rankNameBytes+m.Traffic.ItemBytes))
}

// totals returns how many totals the windows of a sort have: the one that is not over, and those that are not closed yet.
func (m *model) totals(sort totalsSort, disorder time.Duration) int64 {
	different := m.items.cells
	if sort.by == "global" {
		different = m.items.seen
	}
	n := different(m.counted(m.busiest(sort.window.Std())))
	if sort.slide == sort.window { // the next one has but begun
		next := min(disorder, sort.window.Std())
		return whole(n + different(m.counted(m.busiest(next))) + n*float64(max(0, steps(disorder, sort.window.Std())-1)))
	}
	return whole(n * float64(1+steps(disorder, sort.slide.Std())))
}

// groups returns how many lists a board has for each window, by how many dimensions each is.
func (m *model) groups(b Board) (n int64) {
	for _, by := range b.operator().By {
		n += whole(math.Pow(float64(max(1, m.Traffic.Regions)), float64(len(by))))
	}
	return n
}

func (m *model) lists(s Settings) {
	shards := int64(s.Topics.Updates.Partitions)
	for _, b := range s.Boards {
		groups, members := m.groups(b), int64(min(b.K, m.Traffic.Items))
		open := groups * (1 + steps(s.disorder(), b.slide().Std()))
		m.Lists += open
		m.ListBytes += open * (shards + 1 + listsOnTheWay) * (listBytes + members*entryBytes)
		m.RankBytes += open * shards * (listBytes + 2*members*leaderBytes)

		if len(s.Redis.Addresses) == 0 {
			continue
		}
		keys, each := groups*(3+steps(min(m.RedisTTL, m.Traffic.Running).Std(), b.slide().Std())), int64(redisShortBytes)
		if b.K > redisShort {
			each = redisLongBytes
		}
		m.RedisKeys += keys
		m.RedisBytes += keys * (redisListBytes + members*(each+int64(m.Traffic.ItemBytes)))
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

// multiple rounds up to a multiple of n, at least one.
func multiple(f float64, n int) int { return max(1, int(math.Ceil(min(f, 1e6)/float64(n)))) * n }

// Validate reports all that can't be, by the names of the flags of 'millrank plan'.
func (t Traffic) Validate() error {
	var errs []error
	wrong := func(bad bool, flag string, value any, allowed string) {
		if bad {
			errs = append(errs, fmt.Errorf("--%s: %v, it must be %s", flag, value, allowed))
		}
	}
	in := func(x, from, to float64) bool { return x >= from && x <= to } // false of NaN, too
	wrong(!in(t.EventsPerSecond, 1e-3, 1e9), "events-per-second", t.EventsPerSecond, "0.001 to 1e9")
	wrong(!in(t.Peak, 1, 1000), "peak", t.Peak, "1 to 1000")
	wrong(!in(float64(t.EventBytes), 1, 1<<30), "event-bytes", t.EventBytes, "1 to 2^30")
	wrong(!in(float64(t.Partitions), 0, 1<<16), "partitions", t.Partitions, "0 to 65536")
	wrong(!in(float64(t.Items), 1, 1e12), "items", t.Items, "1 to 10^12")
	wrong(!in(float64(t.ItemBytes), 1, 1024), "item-bytes", t.ItemBytes, "1 to 1024")
	wrong(!in(float64(t.Regions), 1, 1e6), "regions", t.Regions, "1 to 10^6")
	wrong(!in(float64(t.ItemRegions), 1, float64(t.Regions)), "item-regions", t.ItemRegions, "1 to --regions")
	wrong(!in(t.Skew, 0, 5), "skew", t.Skew, "0 to 5")
	wrong(!in(t.Duplicates, 0, 1), "duplicates", t.Duplicates, "a share, 0 to 1")
	wrong(!in(t.DeadLetters, 0, 1) || t.Duplicates+t.DeadLetters > 1, "dead-letters", t.DeadLetters, "a share, 0 to 1, also with --duplicates")
	wrong(!in(float64(t.Replicas), 1, 100), "replicas", t.Replicas, "1 to 100")
	return errors.Join(errs...)
}
