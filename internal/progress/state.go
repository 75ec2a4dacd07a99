package progress

import "time"

// State is how far a stream is: what Read has found in Kafka, and what processes say of themselves. Its JSON is what 'millrank status --json' writes.
type State struct {
	At         time.Time `json:"at"`
	Name       string    `json:"name"`
	Generation uint32    `json:"generation"`
	Active     uint32    `json:"active_generation,omitempty"` // which readers see; 0: not known
	Verdict    Verdict   `json:"verdict"`

	Sources  []Source `json:"partitions"` // of the source
	Shards   []Stage  `json:"shards"`     // partitions of the updates topic, which rank reads
	Rankings []Stage  `json:"rankings"`   // partitions of the rankings topic, which leaderboard reads
	Groups   []Group  `json:"groups"`

	// What became of records in the processes that could be asked, since each started.
	Decisions   map[string]int64 `json:"decisions,omitempty"`
	Conflicts   int64            `json:"conflicts"`
	Processes   []Process        `json:"processes"`
	Unreachable []string         `json:"unreachable,omitempty"` // of which process nothing was heard, and why

	SourceTopic   string `json:"source_topic"`
	UpdatesTopic  string `json:"updates_topic"`
	RankingsTopic string `json:"rankings_topic"`
}

// Commit is what a group has committed for a partition, beside where the log begins and ends.
type Commit struct {
	Partition int    `json:"partition"`
	LogStart  int64  `json:"log_start"`
	LogEnd    int64  `json:"log_end"`
	LowWater  int64  `json:"low_water"`         // where a restart begins to read; -1: nothing is committed
	Through   int64  `json:"processed_through"` // all up to here is done, and durable downstream; log_start - 1 where nothing is
	Lag       int64  `json:"lag"`               // records: log end - 1 - processed_through
	Replay    int64  `json:"replay"`            // records that a restart reads again: processed_through + 1 - low_water
	Owner     string `json:"owner,omitempty"`   // client ID and host of the group's member that has it; empty: nobody
	Problem   string `json:"problem,omitempty"` // why it can't be resumed, if so
	committed bool   // there is a commit that can be read
}

// Source is how far a source partition is.
type Source struct {
	Commit
	Heard     bool  `json:"heard"`     // any flush of it is in the updates topic, as far as was looked
	Published int64 `json:"published"` // the offset that its newest flush is as of, -1 where there is none
	Watermark Time  `json:"watermark"` // W, as of that flush
	Idle      bool  `json:"idle"`      // as of that flush
	IdleForMS int64 `json:"idle_for_ms"`
	HeardAt   Time  `json:"heard_at"`  // when the flush was sent
	BehindMS  int64 `json:"behind_ms"` // how far W is behind the greatest of all partitions
}

// Stage is how far a partition of updates or rankings is.
type Stage struct {
	Commit
	ClosedThrough Time `json:"closed_through"`
}

// Group is a handler's consumer group.
type Group struct {
	Handler string   `json:"handler"`
	Group   string   `json:"group"`
	State   string   `json:"state"` // Kafka's: Stable, Empty, Dead, PreparingRebalance, CompletingRebalance
	Members []Member `json:"members"`
	Lag     int64    `json:"lag"` // records, of all partitions
}

// Member is a member of a group.
type Member struct {
	ClientID   string `json:"client_id"`
	Host       string `json:"host"`
	Partitions int    `json:"partitions"`
}
