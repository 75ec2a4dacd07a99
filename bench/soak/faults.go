package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// fault is something that happens, as it was drawn: by the seed alone, whatever time it is.
type fault struct {
	Kind   string        `json:"kind"`
	Slot   int           `json:"slot"` // of the process that it happens to, if it does to one
	Length time.Duration `json:"length_ns"`
}

// String returns what happens, to whom and for how long.
func (f fault) String() string {
	text := f.Kind
	if f.Slot > 0 {
		text += " " + slotName(f.Slot)
	}
	if f.Length > 0 {
		text += fmt.Sprintf(" %.1fs", f.Length.Seconds())
	}
	return text
}

// faultKind is a sort of faults.
type faultKind struct {
	name string
	// Process says that it happens to a process of Millrank: never to the first one, which lives as long as the run does.
	process     bool
	from, until time.Duration // how long it lasts; both 0: that isn't said
	do          func(*rig, fault) error
}

// faultKinds are all of them.
func faultKinds() []faultKind {
	const s = time.Second
	return []faultKind{
		{"kill", true, 0, 5 * s, (*rig).kill},
		{"terminate", true, 0, 5 * s, (*rig).terminate},
		{"freeze", true, sessionTimeout + s, sessionTimeout + 6*s, (*rig).freeze},
		{"join", false, 8 * s, 16 * s, (*rig).join},
		{"redis-freeze", false, s, 10 * s, (*rig).freezeRedis},
		{"redis-kill", false, 0, 5 * s, (*rig).killRedis},
		{"redis-empty", false, 0, 5 * s, (*rig).emptyRedis},
		{"redis-flushall", false, 0, 0, (*rig).flushRedis},
		{"redis-script-flush", false, 0, 0, (*rig).flushScripts},
		{"clickhouse-freeze", false, s, 10 * s, (*rig).freezeClickHouse},
		{"clickhouse-stop", false, 0, 8 * s, (*rig).stopClickHouse},
		{"clickhouse-kill", false, 0, 8 * s, (*rig).killClickHouse},
		{"broker-freeze", false, s, 8 * s, (*rig).freezeBroker},
		{"cut-kafka", false, 0, 0, (*rig).cutKafka},
		{"cut-redis", false, 0, 0, (*rig).cutRedis},
		{"cut-clickhouse", false, 0, 0, (*rig).cutClickHouse},
	}
}

func faultNames() []string {
	var names []string
	for _, k := range faultKinds() {
		names = append(names, k.name)
	}
	return names
}

// plan draws faults, one after the other. Each kind comes once before one comes again, so that a short run has many of them.
type plan struct {
	random *rand.Rand
	kinds  []faultKind
	slots  int
	left   []faultKind
}

func newPlan(c config) *plan {
	p := &plan{random: rand.New(rand.NewPCG(c.Seed, 0x6661756c74)), slots: c.Processes}
	for _, k := range faultKinds() {
		if len(c.Only) == 0 || slices.Contains(c.Only, k.name) {
			p.kinds = append(p.kinds, k)
		}
	}
	return p
}

func (p *plan) next() (fault, faultKind) {
	if len(p.left) == 0 {
		p.left = slices.Clone(p.kinds)
		p.random.Shuffle(len(p.left), func(i, j int) { p.left[i], p.left[j] = p.left[j], p.left[i] })
	}
	k := p.left[0]
	p.left = p.left[1:]
	f := fault{Kind: k.name}
	slot, share := 1+p.random.IntN(p.slots-1), p.random.Float64() // drawn also where they aren't needed
	if k.process {
		f.Slot = slot
	}
	f.Length = k.from + time.Duration(share*float64(k.until-k.from)).Truncate(100*time.Millisecond)
	return f, k
}
