package chain

import (
	"fmt"
	"slices"
	"strings"

	"github.com/millrank/millrank/event"
)

// Happening is something that runs are meant to meet.
type Happening uint8

// The happenings.
const (
	Zombie Happening = iota
	Resumed
	Died
	Killed
	Left
	Retained
	CommitLost
	CommitAnswerLost
	CommitRefused
	LandedNot
	LandedPartly
	LandedUnheard
	LateArrival
	ArrivedMixed
	LettersFailed
	LetterTwice
	GivenUp
	Replayed
	RankReplayed
	MergeReplayed
	RevisionAgain
	FlushedInParts
	FlushedToSome
	Heartbeat
	Idle
	ListFinal
	ListRevised
	ListInexact
	ListEmpty
	RedisWritten
	RedisRefused
	OlderRow
	AfterFinal
	MalformedRecord
	FutureRecord
	LateRecord
	DuplicateRecord
	ConflictRecord
	PunctuationRecord
	CountedRecord
	happenings
)

var happeningNames = [happenings]string{
	"an old owner goes on as a zombie", "an owner resumed at a commit", "an instance died", "a process died with several claims", "a claim was given back in order",
	"retention cut a log", "a commit was lost", "a commit's answer was lost", "a zombie's commit was refused",
	"nothing of a flush arrived", "a flush arrived by half", "a flush arrived, and its answer was lost", "what was left behind arrived late", "parts of a flush arrived one by one",
	"dead letters failed, and the batch came again", "a dead letter came twice", "a batch was given up between the two handlers",
	"a record was replayed", "rank replayed a message", "merge replayed a message", "a revision was said again",
	"a flush had several lanes", "a flush had only some lanes free", "a flush was a heartbeat", "a flush said that its source is idle",
	"a final list was published", "a final list was revised", "a list was inexact", "a list was empty",
	"Redis took a list", "Redis refused an older list", "ClickHouse had a newer row", "cells came after their window was dropped",
	"a malformed record", "a record from the future", "a late record", "a duplicate", "a duplicate with another payload", "a punctuation", "a counted record",
}

func (h Happening) String() string { return happeningNames[h] }

// Coverage counts what happened in runs.
type Coverage struct{ counts [happenings]int64 }

func (c *Coverage) note(h Happening) { c.counts[h]++ }

// Add adds what happened in other runs.
func (c *Coverage) Add(other *Coverage) {
	for h, n := range other.counts {
		c.counts[h] += n
	}
}

// Missing returns what never happened.
func (c *Coverage) Missing() []string {
	var missing []string
	for h, n := range c.counts {
		if n == 0 {
			missing = append(missing, Happening(h).String())
		}
	}
	return missing
}

// String returns a line for each happening, with how often it did.
func (c *Coverage) String() string {
	var b strings.Builder
	for h, n := range c.counts {
		fmt.Fprintf(&b, "%12d  %v\n", n, Happening(h))
	}
	return b.String()
}

// decisions counts what a source partition's log holds.
func (c *Coverage) decisions(t *truth) {
	for _, o := range t.outcomes {
		i := slices.Index([]event.Decision{event.Malformed, event.Future, event.Late, event.Duplicate, event.Punctuation, event.Counted}, o.Decision)
		c.note([]Happening{MalformedRecord, FutureRecord, LateRecord, DuplicateRecord, PunctuationRecord, CountedRecord}[i])
		if o.Conflict {
			c.note(ConflictRecord)
		}
	}
}

// landed counts a flush that has failed.
func (c *Coverage) landed(arrived, missing int, fate Fate) {
	switch {
	case fate == Responded:
		c.note(LandedUnheard)
	case arrived == 0:
		c.note(LandedNot)
	case missing > 0:
		c.note(LandedPartly)
	}
}

// flushed counts a flush.
func (c *Coverage) flushed(given, lanes, entries int, idle bool) {
	if given > 1 {
		c.note(FlushedInParts)
	}
	if given < lanes {
		c.note(FlushedToSome)
	}
	if entries == 0 {
		c.note(Heartbeat)
	}
	if idle {
		c.note(Idle)
	}
}

// listed counts a published list.
func (c *Coverage) listed(r *event.Ranking) {
	if r.Final {
		c.note(ListFinal)
	}
	if !r.Exact {
		c.note(ListInexact)
	}
	if len(r.Entries) == 0 {
		c.note(ListEmpty)
	}
}
