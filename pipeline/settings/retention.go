package settings

import "time"

const (
	retentionMargin  = time.Hour // over what a restart reads: so long rank or leaderboard may be away, at least
	retentionDefault = day       // the same, where topics.*.retention doesn't say
	redisTTLDefault  = 48 * time.Hour
)

// LongestWindow returns the longest window of all boards.
func (s Settings) LongestWindow() time.Duration {
	var longest time.Duration
	for _, b := range s.Boards {
		longest = max(longest, b.Window.Std())
	}
	return longest
}

// Replays returns how much event time a restart of the intake reads again: time.pane + time.allowed_lateness + time.out_of_orderness + dedup.horizon.
func (s Settings) Replays() time.Duration {
	return (s.Time.Pane + s.Time.AllowedLateness + s.Time.OutOfOrderness + s.Dedup.Horizon).Std()
}

// changes returns how long after its start a list can change, at the longest.
func (s Settings) changes() time.Duration {
	return s.LongestWindow() + s.Time.AllowedLateness.Std() + s.Time.ReviseFor.Std()
}

// restarts returns how much of updates and rankings a restart reads, at the most: longest window + allowed_lateness + out_of_orderness + revise_for.
func (s Settings) restarts() time.Duration { return s.changes() + s.Time.OutOfOrderness.Std() }

// UpdatesRetention returns how long the updates topic keeps records: topics.updates.retention, or else what a restart reads and a day more. So long rank
// can be away; what it then lacks would take a new generation.
func (s Settings) UpdatesRetention() time.Duration {
	if r := s.Topics.Updates.Retention.Std(); r != 0 {
		return r
	}
	return s.restarts() + retentionDefault
}

// RankingsRetention returns how long the rankings topic keeps records: topics.rankings.retention, or else as UpdatesRetention, and at least RedisTTL, since a
// Redis that was emptied is filled in from there.
func (s Settings) RankingsRetention() time.Duration {
	if r := s.Topics.Rankings.Retention.Std(); r != 0 {
		return r
	}
	return max(s.restarts()+retentionDefault, s.RedisTTL())
}

// RedisTTL returns how long a key stays after it was written last: redis.ttl, or else 48 h, or more where windows can change for longer.
func (s Settings) RedisTTL() time.Duration {
	if t := s.Redis.TTL.Std(); t != 0 {
		return t
	}
	return max(redisTTLDefault, s.changes())
}
