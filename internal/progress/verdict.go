package progress

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/pipeline/settings"
	"github.com/millrank/millrank/watermark"
)

// Verdict is what a State means.
type Verdict struct {
	OK       bool     `json:"ok"`
	Summary  string   `json:"summary"`  // one sentence
	Problems []string `json:"problems"` // what is not as it should be, and what to do
	// ClosedThrough is the closing watermark by the newest flushes, as rank computes it: windows that close at or before it are final.
	ClosedThrough Time     `json:"closed_through"`
	Holding       *Holding `json:"holding"` // null where all partitions are idle
	Lag           int64    `json:"lag"`     // records of the source that are not done yet
}

// Holding is which partitions hold time back: those that were never heard from or, else, those that are not idle and have the least watermark.
type Holding struct {
	Partitions []int  `json:"partitions"`
	Silent     bool   `json:"silent"`    // nothing was ever heard from them
	Watermark  Time   `json:"watermark"` // theirs
	AheadMS    int64  `json:"ahead_ms"`  // how far ahead the others are, at least
	Problem    bool   `json:"problem"`   // it is so far that something should be done
	Sentence   string `json:"sentence"`
}

// staleAfter is how long after the idle timeout a partition that isn't idle must have spoken: a live owner speaks with every flush.
const staleAfter = 5 * time.Second

// lagMany is how many records make somebody late, rather than on the way.
const lagMany = 10_000

// judge says what a state means.
func judge(st *State, s settings.Settings) Verdict {
	v := Verdict{Problems: []string{}, ClosedThrough: closed(st)}
	for _, one := range st.Sources {
		v.Lag += one.Lag
	}
	v.Problems = append(v.Problems, groupProblems(st)...)
	v.Problems = append(v.Problems, commitProblems(st)...)
	v.Problems = append(v.Problems, processProblems(st)...)
	if len(st.Shards) == 0 {
		v.Problems = append(v.Problems, fmt.Sprintf("there is no topic %s: generation %d has never run. Start 'millrank run'", st.UpdatesTopic, st.Generation))
	} else if v.Holding = holding(st, s); v.Holding != nil && v.Holding.Problem {
		v.Problems = append([]string{v.Holding.Sentence}, v.Problems...)
	}
	v.OK = len(v.Problems) == 0
	v.Summary = summary(st, v)
	return v
}

func summary(st *State, v Verdict) string {
	idle := 0
	for _, one := range st.Sources {
		if one.Idle {
			idle++
		}
	}
	text := "All is well"
	switch {
	case len(v.Problems) == 1:
		text = "One thing is wrong"
	case !v.OK:
		text = fmt.Sprintf("%d things are wrong", len(v.Problems))
	}
	text += fmt.Sprintf(": %s, %s records behind", count(len(st.Sources), "partition"), humanize.Comma(v.Lag))
	if idle > 0 {
		text += fmt.Sprintf(", %d idle", idle)
	}
	if v.ClosedThrough == NoTime {
		return text + ", time has not begun."
	}
	return text + ", time is at " + clock(v.ClosedThrough) + "."
}

// closed computes the closing watermark, as rank does.
func closed(st *State) Time {
	c := watermark.NewClosing(watermark.KeepFinal, event.NoTime, event.NoTime)
	sources := make([]watermark.Source, len(st.Sources))
	for i, one := range st.Sources {
		w := int64(one.Watermark)
		sources[i] = watermark.Source{Heard: one.Heard, ClosedThrough: w, DroppedThrough: w, Idle: one.Idle, IdleFor: one.IdleForMS}
	}
	c.Advance(sources)
	return Time(c.ClosedThrough())
}

// holding finds who holds time back.
func holding(st *State, s settings.Settings) *Holding {
	var silent, live []Source
	for _, one := range st.Sources {
		switch {
		case !one.Heard:
			silent = append(silent, one)
		case !one.Idle:
			live = append(live, one)
		}
	}
	if len(silent) > 0 {
		return silence(st, silent)
	}
	if len(live) == 0 {
		return nil
	}
	slices.SortStableFunc(live, func(a, b Source) int { return compareTimes(a.Watermark, b.Watermark) })
	tolerance := s.Time.Pane.Std() + s.Time.OutOfOrderness.Std()
	rest := slices.IndexFunc(live, func(one Source) bool { return apart(live[0].Watermark, one.Watermark) > tolerance })
	h := &Holding{Watermark: live[0].Watermark}
	stale := Time(st.At.Add(-s.Time.IdleTimeout.Std() - staleAfter).UnixMilli())
	old := slices.DeleteFunc(slices.Clone(live), func(one Source) bool { return one.HeardAt >= stale })
	switch {
	case rest > 0: // some are so far ahead that these few matter
		held := live[:rest]
		h.Partitions, h.Problem = numbers(held), true
		h.AheadMS = apart(live[0].Watermark, live[rest].Watermark).Milliseconds()
		h.Sentence = fmt.Sprintf("%s back: %s at %s, while %s at %s or later. %s", holds(held), is(held), clock(live[0].Watermark), are(live[rest:]), clock(live[rest].Watermark), why(st, held, s))
	case len(old) > 0:
		h.Partitions, h.Problem = numbers(old), true
		h.Sentence = fmt.Sprintf("%s back: %s at %s, and nothing has come from %s since %s. %s", holds(old), is(old), clock(old[0].Watermark), them(old), clock(old[0].HeardAt), why(st, old, s))
	default:
		h.Partitions = numbers(live[:1])
		if len(live) > 1 {
			h.AheadMS = apart(live[0].Watermark, live[1].Watermark).Milliseconds()
		}
		h.Sentence = fmt.Sprintf("Partition %d has the least watermark, %s; the others are ahead by %v or more.", live[0].Partition, clock(live[0].Watermark), time.Duration(h.AheadMS)*time.Millisecond)
	}
	return h
}

// silence is what is said of partitions that were never heard from.
func silence(st *State, silent []Source) *Holding {
	h := &Holding{Partitions: numbers(silent), Silent: true, Problem: true, Watermark: NoTime}
	others := []Time{}
	for _, one := range st.Sources {
		if one.Heard && one.Watermark != NoTime {
			others = append(others, one.Watermark)
		}
	}
	at := ""
	if len(others) > 0 {
		at = fmt.Sprintf(", while the others are at %s to %s", clock(slices.Min(others)), clock(slices.Max(others)))
	}
	h.Sentence = fmt.Sprintf("%s back: nothing has been heard from %s%s. No window can close before that. %s", holds(silent), them(silent), at, ownership(st, silent))
	return h
}

// why says what keeps partitions that were heard from.
func why(st *State, held []Source, s settings.Settings) string {
	one := held[0]
	if one.Owner == "" || one.Problem != "" {
		return ownership(st, held)
	}
	if doing := owner(st, one.Partition); doing != "" {
		return doing
	}
	name := "Partition " + strconv.Itoa(one.Partition)
	if one.Lag > lagMany {
		return fmt.Sprintf("%s has %s records still to read (owner %s): that takes a while, or more processes. If it doesn't move, see its owner's log", name, humanize.Comma(one.Lag), one.Owner)
	}
	return fmt.Sprintf("%s has been read to its end, or nearly (owner %s): its events are older than the others'. When nothing comes for time.idle_timeout (%v), time goes on without it; "+
		"or have its producer send punctuations", name, one.Owner, s.Time.IdleTimeout)
}

// ownership says what is up with the owners of partitions, for lack of anything that they say.
func ownership(st *State, held []Source) string {
	one := held[0]
	g := st.Groups[slices.IndexFunc(st.Groups, func(g Group) bool { return g.Handler == settings.Intake })]
	switch {
	case one.Problem != "":
		return fmt.Sprintf("Partition %d can't be resumed: %s", one.Partition, one.Problem)
	case len(g.Members) == 0:
		return fmt.Sprintf("No process runs the intake (group %s has no members): start 'millrank run'", g.Group)
	case g.State != "Stable":
		return fmt.Sprintf("Group %s is rebalancing (%s): look again in a moment", g.Group, g.State)
	case one.Owner == "":
		return fmt.Sprintf("No process owns partition %d, though group %s has %s: see their logs", one.Partition, g.Group, count(len(g.Members), "member"))
	}
	if doing := owner(st, one.Partition); doing != "" {
		return doing
	}
	return fmt.Sprintf("Its owner, %s, has published nothing of partition %d yet: see its log, and whether it can write to %s", one.Owner, one.Partition, st.UpdatesTopic)
}

// owner returns what the process that owns a partition says of it, where that explains something.
func owner(st *State, partition int) string {
	for _, p := range st.Processes {
		for _, one := range p.Partitions {
			switch {
			case one.Partition != partition:
			case one.PausedUntil != nil:
				return fmt.Sprintf("Reading of partition %d pauses until %s, since too many of its records are malformed or from the future: see 'millrank dead-letters list', and limits.dead_letter_share",
					partition, one.PausedUntil.UTC().Format(time.RFC3339))
			case one.Replaying:
				return fmt.Sprintf("Partition %d is being replayed after a restart, %s records to go: wait", partition, humanize.Comma(one.ReplayThrough-one.Offset))
			}
		}
	}
	return ""
}
