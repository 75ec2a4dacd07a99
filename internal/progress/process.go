package progress

import (
	"maps"
	"time"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/handlers"
	"github.com/millrank/millrank/sinks/clickhouse"
	"github.com/millrank/millrank/sinks/redis"
)

// Process is what a process says of itself at GET /status: the partitions that it owns now, and what it has counted since it started.
type Process struct {
	Name       string    `json:"name"` // the setting
	Generation uint32    `json:"generation"`
	Version    string    `json:"version,omitempty"`
	Started    time.Time `json:"started"`

	Handlers []Handler `json:"handlers"`
	Error    string    `json:"error,omitempty"` // why there are no handlers yet

	// What became of records, by event.Decision's names, since the start of the process; replayed ones count as such.
	Decisions map[string]int64 `json:"decisions,omitempty"`
	Conflicts int64            `json:"conflicts"` // duplicates that differed from the record that they repeat

	Partitions []Partition `json:"partitions,omitempty"` // of the source
	Shards     []Hop       `json:"shards,omitempty"`     // of the updates topic, which rank reads
	Parts      []Hop       `json:"parts,omitempty"`      // of the rankings topic, which leaderboard reads

	Breaker   string           `json:"breaker,omitempty"`  // of the leaderboards' store: closed (it writes), half-open, open
	Redis     map[string]int64 `json:"redis,omitempty"`    // what was written to it
	History   map[string]int64 `json:"history,omitempty"`  // what was written to ClickHouse
	Refills   int64            `json:"refills,omitempty"`  // how often a partition's lists were filled in anew
	LateWrong int64            `json:"late_foreign_total"` // records of the dead-letter topic that the late handler could not read
}

// Handler is how a handler is.
type Handler struct {
	Name  string `json:"name"`
	State string `json:"state"` // starting, replaying, running, waiting (for its store), paused (too many bad records), stopped
	Error string `json:"error,omitempty"`
}

// Partition is how far a source partition is, in the process that owns it.
type Partition struct {
	Topic            string     `json:"topic"`
	Partition        int        `json:"partition"`
	Offset           int64      `json:"offset"`  // of the last record counted
	LogEnd           int64      `json:"log_end"` // -1: not known
	Watermark        Time       `json:"watermark"`
	LowWater         int64      `json:"low_water"`
	ProcessedThrough int64      `json:"processed_through"`
	Replaying        bool       `json:"replaying"`
	ReplayThrough    int64      `json:"replay_through,omitempty"`
	PendingCells     int        `json:"pending_cells"`
	PausedUntil      *time.Time `json:"paused_until,omitempty"` // too many records were bad: limits.dead_letter_share
	Idle             bool       `json:"idle"`
	IdleForMS        int64      `json:"idle_for_ms"`
}

// Hop is how far a partition of updates or rankings is, in the process that owns it.
type Hop struct {
	Topic            string `json:"topic"`
	Partition        int    `json:"partition"`
	Offset           int64  `json:"offset"`  // of the last record taken
	LogEnd           int64  `json:"log_end"` // -1: not known
	LowWater         int64  `json:"low_water"`
	PublishedThrough int64  `json:"published_through"`
	ClosedThrough    Time   `json:"closed_through"`
	Replaying        bool   `json:"replaying"`
	PendingLists     int    `json:"pending_lists"`
	Foreign          int64  `json:"foreign"`     // records that nobody of ours has written
	AfterFinal       int64  `json:"after_final"` // what came for a window that had been dropped

	Items     int   `json:"items,omitempty"` // rank: cells held
	Room      int   `json:"room,omitempty"`  // rank: how many may be; 0: any number
	Evicted   int64 `json:"evicted,omitempty"`
	Refilling bool  `json:"refilling,omitempty"` // leaderboard: what the store has lost is being filled in
}

// Intake takes in how an intake is.
func (p *Process) Intake(in *handlers.Intake) {
	decided, conflicts := in.Decided()
	p.Conflicts, p.Decisions = conflicts, map[string]int64{}
	for d, n := range decided {
		p.Decisions[event.Decision(d).String()] = n
	}
	for _, s := range in.Status() {
		one := Partition{
			Topic: s.Topic, Partition: s.Partition, Offset: s.Offset, LogEnd: s.LogEnd, Watermark: Time(s.Watermark),
			LowWater: s.LowWater, ProcessedThrough: s.ProcessedThrough, Replaying: s.Replaying, ReplayThrough: s.ReplayThrough,
			PendingCells: s.PendingCells, Idle: s.Idle, IdleForMS: s.IdleFor.Milliseconds(),
		}
		if !s.PausedUntil.IsZero() {
			one.PausedUntil = &s.PausedUntil
		}
		p.Partitions = append(p.Partitions, one)
	}
}

// Rank takes in how a rank is.
func (p *Process) Rank(r *handlers.Rank) {
	for _, s := range r.Status() {
		one := hop(s.HopStatus)
		one.Items, one.Room, one.Evicted = s.Items, s.Room, s.Evicted
		p.Shards = append(p.Shards, one)
	}
}

// Leaderboard takes in how a leaderboard is.
func (p *Process) Leaderboard(l *handlers.Leaderboard) {
	parts, breaker := l.Status()
	p.Breaker, p.Refills = breaker, l.Refills()
	for _, s := range parts {
		one := hop(s.HopStatus)
		one.Refilling = s.Refilling
		p.Parts = append(p.Parts, one)
	}
}

func hop(s handlers.HopStatus) Hop {
	return Hop{
		Topic: s.Topic, Partition: s.Partition, Offset: s.Offset, LogEnd: s.LogEnd, LowWater: s.LowWater, PublishedThrough: s.PublishedThrough,
		ClosedThrough: Time(s.ClosedThrough), Replaying: s.Replaying, PendingLists: s.PendingLists, Foreign: s.Foreign, AfterFinal: s.AfterFinal,
	}
}

// Sink takes in what was written to Redis.
func (p *Process) Sink(s redis.Stats) {
	p.Redis = map[string]int64{
		"pipelines": s.Pipelines, "commands": s.Commands, "bytes": s.Bytes, "lists": s.Lists, "whole": s.Whole, "deltas": s.Deltas,
		"repeats": s.Repeats, "older": s.Older, "resent": s.Resent, "lost": s.Lost, "forgotten": s.Forgotten, "late": s.Late, "late_old": s.LateOld,
		"moved": s.Moved, "misplaced": s.Misplaced,
	}
	maps.DeleteFunc(p.Redis, func(_ string, n int64) bool { return n == 0 })
}

// Historian takes in what was written to ClickHouse.
func (p *Process) Historian(s clickhouse.Stats) {
	p.History = map[string]int64{
		"inserts": s.Inserts, "failed": s.Failed, "narrowed": s.Narrowed, "bytes": s.Bytes, "cells": s.Cells, "lists": s.Lists, "letters": s.Letters, "refused": s.Refused,
	}
	maps.DeleteFunc(p.History, func(_ string, n int64) bool { return n == 0 })
}
