package settings

import (
	"math"
	"slices"
	"time"
)

// topics reckons what flows through Kafka. Entries and messages are those of the busiest second, bytes those of an average day.
func (m *model) topics(s Settings) {
	t := m.Traffic
	m.Source = m.topic(m.rate(), m.rate(), t.EventsPerSecond*float64(t.EventBytes), max(m.EventsRetention.Std(), day))
	m.Updates = m.updates(s)
	m.Rankings = m.rankings(s)
	letters := s.Topics.DeadLetters.Retention.Std()
	if letters == 0 {
		letters = brokersRetention
	}
	m.DeadLetters = m.topic(m.rate()*t.DeadLetters, m.rate()*t.DeadLetters, t.EventsPerSecond*t.DeadLetters*(float64(t.EventBytes)+deadLetterBytes), letters)
}

// topic sums a topic up, of which so many bytes are written in a second.
func (m *model) topic(entries, messages, bytes float64, retention time.Duration) TopicCosts {
	bytes *= secondsOfDay
	kept := min(retention, m.Traffic.Running.Std())
	return TopicCosts{EntriesPerSecond: entries, MessagesPerSecond: messages, BytesPerDay: bytes, DiskBytes: bytes * kept.Hours() / 24 * float64(m.Traffic.Replicas)}
}

// updates: each flush of a partition sends the cells that have changed since the last one, and goes to every shard.
func (m *model) updates(s Settings) TopicCosts {
	flush := s.Flush.Updates.Std().Seconds()
	changed := func(rate float64) float64 { return m.items.cells(m.counted(rate*flush)) / flush }
	messages := float64(m.Partitions) * float64(s.Topics.Updates.Partitions) / flush
	bytes := changed(m.Traffic.EventsPerSecond)*(updateBytes+updateItemShare*float64(m.Traffic.ItemBytes)) + messages*messageBytes
	return m.topic(changed(m.rate()), messages, bytes, m.UpdatesRetention.Std())
}

// rankings: each flush of a shard sends the lists in which something has changed, whole, and goes to every partition.
func (m *model) rankings(s Settings) TopicCosts {
	flush, shards := s.Flush.Rankings.Std().Seconds(), float64(s.Topics.Updates.Partitions)
	messages := shards * float64(s.Topics.Rankings.Partitions) / flush
	var lists, entries [2]float64 // of an average second, and of the busiest
	for i, rate := range []float64{m.Traffic.EventsPerSecond, m.rate()} {
		for _, b := range s.Boards {
			for _, by := range b.operator().By {
				l, e := m.sent(b, math.Pow(float64(max(1, m.Traffic.Regions)), float64(len(by))), shards, flush, m.counted(rate))
				lists[i], entries[i] = lists[i]+l, entries[i]+e
			}
		}
	}
	bytes := lists[0]*rankingListBytes + entries[0]*(rankingEntryBytes+rankingItemShare*float64(m.Traffic.ItemBytes)) + messages*messageBytes
	return m.topic(entries[1], messages, bytes, m.RankingsRetention.Std())
}

// sent returns how many lists of a board and grouping the shards send in a second, and how many entries these have.
func (m *model) sent(b Board, groups, shards, flush, rate float64) (lists, entries float64) {
	k := float64(b.K)
	different := m.items.cells // in all groups
	if groups == 1 {
		different = m.items.seen
	}
	window := rate * b.Window.Std().Seconds()
	if b.slide() == b.Window { // on average it is half full
		window /= 2
	}
	has := min(k, different(window)/groups/shards)
	changes := rate / groups * flush / shards * m.items.best(k*shards) // of what is in the list, in a flush
	if has < k {
		changes = rate / groups * flush / shards
	}
	lists = groups * shards * -math.Expm1(-changes) / flush
	return lists, lists * has
}

// history: a row for each cell, list and dead letter, and for each period of the roll-ups.
func (m *model) history(s Settings) {
	if len(s.ClickHouse.Addresses) == 0 {
		return
	}
	h, t := &m.ClickHouse, m.Traffic
	pane := s.Time.Pane.Std().Seconds()
	h.CellRowsPerDay = m.items.cells(m.counted(t.EventsPerSecond*pane)) * secondsOfDay / pane
	h.LetterRowsPerDay = t.EventsPerSecond * t.DeadLetters * secondsOfDay
	var entries float64
	for _, b := range s.Boards {
		rows := float64(m.groups(b)) * secondsOfDay / b.slide().Std().Seconds()
		h.RankingRowsPerDay += rows
		entries += rows * float64(min(b.K, t.Items))
	}
	days := t.Running.Std().Hours() / 24
	for _, period := range []float64{1. / 24, 1, 7, 30, 365} {
		h.RollupRowsPerDay += m.items.cells(m.counted(t.EventsPerSecond*secondsOfDay*min(period, days))) / min(period, days)
	}
	perishable := h.CellRowsPerDay*cellRowBytes + h.RankingRowsPerDay*listRowBytes + entries*(listEntryBytes+listItemShare*float64(t.ItemBytes)) + h.LetterRowsPerDay*letterRowBytes
	rollups := h.RollupRowsPerDay * rollupRowBytes
	h.BytesPerDay = perishable + rollups
	kept := days
	if ttl := s.ClickHouse.TTL.Std(); ttl != 0 {
		kept = min(kept, ttl.Hours()/24)
	}
	h.Kept = perishable*kept + rollups*days + tablesBytes

	flush := s.Flush.History.Std().Seconds()
	h.InsertedRowsPerDay = h.CellRowsPerDay + h.RankingRowsPerDay + h.LetterRowsPerDay // as they close ...
	if pane > flush {                                                                  // ... and in between
		h.InsertedRowsPerDay += m.items.cells(m.counted(t.EventsPerSecond*flush)) * secondsOfDay / flush
	}
	rows := float64(shardRowsMax * s.Topics.Updates.Partitions)
	m.RowBytes = whole(min(rows, m.items.cells(m.counted(m.rate()*flush))) * float64(pendingBytes+t.ItemBytes))
}

// handlers reckons cores and memory.
func (m *model) handlers(s Settings) {
	rate, updates, rankings := m.rate(), m.Updates, m.Rankings
	shards, lanes := s.Topics.Updates.Partitions, s.Topics.Rankings.Partitions
	add := func(name string, reads int, held, data int64, micros float64) {
		m.Handlers = append(m.Handlers, HandlerCosts{
			Name: name, Cores: (micros + float64(reads)*readingCPU) / 1e6, LiveBytes: held + data, RSSBytes: processBytes + held + whole(float64(data)*heapGrowth),
		})
	}
	add(Intake, m.Partitions, intakeBytes, m.EventIDBytes+m.IntakeBytes, rate*intakeEventCPU+updates.EntriesPerSecond*intakeUpdateCPU+updates.MessagesPerSecond*messageCPU)
	add(Rank, shards, hopBytes, m.RankBytes, updates.EntriesPerSecond*rankUpdateCPU+rankings.EntriesPerSecond*rankEntryCPU+(updates.MessagesPerSecond+rankings.MessagesPerSecond)*messageCPU)
	if len(s.Redis.Addresses) > 0 {
		add(Leaderboard, lanes, hopBytes, m.ListBytes, rankings.EntriesPerSecond*boardEntryCPU+rankings.MessagesPerSecond*messageCPU)
	}
	if len(s.ClickHouse.Addresses) > 0 {
		rows := m.ClickHouse.InsertedRowsPerDay / secondsOfDay * m.Traffic.Peak
		add(History, shards+lanes, historyBytes, m.ListBytes+m.RowBytes, rows*historyRowCPU+(updates.EntriesPerSecond+rankings.EntriesPerSecond)*historyUpdateCPU+(updates.MessagesPerSecond+rankings.MessagesPerSecond)*messageCPU)
	}
	m.Shards = multiple(max(float64(m.RankCells)/shardCells, m.Handlers[1].Cores/shardCores), shardsAtOnce)
}

// Fleet sets how many processes run all handlers, when each has so many cores and so much memory; one of them is to spare.
func (c *Costs) Fleet(cores float64, memory int64) {
	var busy, live float64
	for _, h := range c.Handlers {
		busy += h.Cores
		live += float64(h.RSSBytes - processBytes)
	}
	room := float64(memory)*memoryUsed - processBytes
	c.Processes = 1 + max(1, int(math.Ceil(busy/processorsUsed/cores)), int(math.Ceil(live/max(1, room))))
}

// Cores is how many are busy at the peak, of all handlers.
func (c *Costs) Cores() (cores float64) {
	for _, h := range c.Handlers {
		cores += h.Cores
	}
	return cores
}

// network reckons what all processes receive and send in the busiest second.
func (m *model) network(s Settings) {
	perSecond := func(t TopicCosts) float64 { return t.BytesPerDay / secondsOfDay * m.Traffic.Peak }
	readers := 1.0
	if len(s.ClickHouse.Addresses) > 0 {
		readers++
		m.SentPerSecond += m.ClickHouse.InsertedRowsPerDay / secondsOfDay * m.Traffic.Peak * insertedRowSent
	}
	lists := 0.0
	if len(s.Redis.Addresses) > 0 {
		lists++
		m.SentPerSecond += m.Rankings.EntriesPerSecond / float64(s.Topics.Updates.Partitions) * redisEntrySent
	}
	if readers > 1 {
		lists++
	}
	m.ReceivedPerSecond = perSecond(m.Source) + perSecond(m.Updates)*readers + perSecond(m.Rankings)*lists
	m.SentPerSecond += perSecond(m.Updates) + perSecond(m.Rankings) + perSecond(m.DeadLetters)
}

// Handler returns what a handler needs; zeros where it doesn't run.
func (c *Costs) Handler(name string) HandlerCosts {
	if i := slices.IndexFunc(c.Handlers, func(h HandlerCosts) bool { return h.Name == name }); i >= 0 {
		return c.Handlers[i]
	}
	return HandlerCosts{Name: name}
}
