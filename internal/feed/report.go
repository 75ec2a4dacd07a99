package feed

import "time"

// Report says what was sent. All counts are of this run.
type Report struct {
	Topic      string `json:"topic"`
	Partitions int    `json:"partitions"`

	Lines      int64    `json:"lines"` // read and dealt with
	Blank      int64    `json:"blank"`
	Events     int64    `json:"events"`
	Unreadable int64    `json:"unreadable"`         // lines that are no event by the mapping; they were sent as they are, and will be dead letters
	Examples   []string `json:"examples,omitempty"` // of what is wrong with them

	// What was added.
	Duplicates   int64 `json:"duplicates"`
	Late         int64 `json:"late"`
	Future       int64 `json:"future"`
	Malformed    int64 `json:"malformed"`
	Punctuations int64 `json:"punctuations"`

	Sent         int64            `json:"sent"`
	Acknowledged int64            `json:"acknowledged"`
	Failed       int64            `json:"failed"`
	Failures     map[string]int64 `json:"failures,omitempty"`
	Bytes        int64            `json:"bytes"` // keys and values that were acknowledged

	FirstTime   *time.Time `json:"first_time,omitempty"` // of events, as they were sent
	LastTime    *time.Time `json:"last_time,omitempty"`
	EndTime     *time.Time `json:"end_time,omitempty"` // of the punctuation at the end
	ShiftSecond int64      `json:"shift_seconds"`      // by which event times were moved

	// BehindMillis is how far an event was behind the newest of its partition, at most.
	BehindMillis int64 `json:"behind_ms"`
	// EventsLate and EventsAhead are how many of the input's own events the pipeline will find late, or too far ahead, if the topic was empty.
	EventsLate  int64 `json:"events_late"`
	EventsAhead int64 `json:"events_ahead"`

	Complete bool  `json:"complete"` // all of the input was sent
	Next     int64 `json:"next"`     // lines that need not be sent again: the Skip to go on with

	Notes    []string `json:"notes,omitempty"` // what else is to be known
	TookSecs float64  `json:"seconds"`
}

// Took returns how long it took.
func (r Report) Took() time.Duration { return time.Duration(r.TookSecs * float64(time.Second)) }

// Progress is how far a run is.
type Progress struct {
	Lines                      int64
	Sent, Acknowledged, Failed int64
	BytesRead, BytesTotal      int64 // of the sources, as stored; BytesTotal is 0 where it isn't known
	EventTime                  time.Time
	Took                       time.Duration
}

func instant(ms int64) *time.Time {
	t := time.UnixMilli(ms).UTC()
	return &t
}
