package chain

import (
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/operators"
	"github.com/millrank/millrank/sim"
)

// Draw makes a scenario of a seed, and runs it on the way, since what can happen next depends on what has. Its result is that of Run.
func Draw(seed uint64, cover *Coverage) (*Scenario, Result) { return draw(seed, NoBug, cover) }

// draw is Draw, with a bug.
func draw(seed uint64, bug Bug, cover *Coverage) (s *Scenario, result Result) {
	if cover == nil {
		cover = new(Coverage)
	}
	rng := rand.New(rand.NewPCG(seed, 8))
	s = &Scenario{Knobs: drawKnobs(rng), Bug: bug}
	s.Records = drawRecords(rng, &s.Knobs)
	d := &drawn{rng: rng, world: newWorld(s, cover), odds: drawOdds(rng)}
	defer func() { result.Hash = uint64(d.world.trace) }()
	defer func() { result.Err = caught(recover()) }()
	records := 0
	for _, log := range s.Records {
		records += len(log)
	}
	for tries := 40 * (records + 20); tries > 0 && result.Steps < 6*records+60; tries-- {
		step := d.draw()
		s.Steps = append(s.Steps, step) // before it is done, since it may be the one that throws
		if d.world.do(step) {
			result.Steps++
			d.last = step
		} else {
			s.Steps = s.Steps[:len(s.Steps)-1]
		}
	}
	d.world.drain()
	return s, result
}

func pick[T any](rng *rand.Rand, of ...T) T { return of[rng.IntN(len(of))] }

func drawKnobs(rng *rand.Rand) Knobs {
	k := Knobs{
		Fold: sim.SmallSettings(rng), Dimensions: pick(rng, 1, 1, 2), Scale: pick(rng, 0, 0, 2),
		Shards: pick(rng, 1, 1, 2, 2, 3), Lanes: pick(rng, 1, 1, 1, 2, 3),
		ReviseFor: pick[int64](rng, 0, 5, 20, 60, 1_000_000, 1_000_000, 1_000_000, 1_000_000), IdleAfter: pick[int64](rng, 1, 1, 5, 20, 60),
		PendingMax: pick(rng, 1, 4, 20, 1000, 1000), PartMax: pick(rng, 1, 1, 1, 2, 2, 100),
	}
	groupings := [][][]string{{nil}, {{"region"}}, {nil, {"region"}}}
	if k.Dimensions == 2 {
		groupings = append(groupings, [][]string{{"region", "category"}}, [][]string{{"category"}, nil})
	}
	for i := range pick(rng, 1, 1, 2, 3) {
		size := pick(rng, 1, 1, 2, 3, 4)
		slide := size
		if rng.IntN(3) == 0 {
			slide = 1 + rng.IntN(size)
		}
		b := operators.Board{
			Name: "b" + strconv.Itoa(i), Measure: pick(rng, operators.Count, operators.Count, operators.Sum, operators.Sum, operators.Average),
			MinCount: pick[int64](rng, 0, 0, 0, 2), Order: pick(rng, event.Top, event.Top, event.Bottom), K: pick(rng, 1, 2, 3, 10),
			By: pick(rng, groupings...),
			Window: operators.Window{
				Size: time.Duration(size) * k.Fold.Pane, Slide: time.Duration(slide) * k.Fold.Pane, Offset: time.Duration(rng.IntN(2*slide-1)-slide+1) * k.Fold.Pane,
			},
		}
		k.Boards = append(k.Boards, b)
	}
	return k
}

// drawRecords draws short logs: of the plain generator, whose times begin at the epoch, or of the one that aims at every edge.
func drawRecords(rng *rand.Rand, k *Knobs) [][]sim.Record {
	partitions, n := pick(rng, 1, 1, 1, 2, 2, 3), pick(rng, 3, 10, 20, 30, 45)
	if rng.IntN(25) == 0 {
		n = 150
	}
	if k.Dimensions == 1 && rng.IntN(2) == 0 {
		logs := make([][]sim.Record, 0, partitions)
		for range partitions {
			logs = append(logs, sim.SmallLog(rng, rng.IntN(n+1)))
		}
		return logs
	}
	o := sim.SharpOptions(rng)
	if rng.IntN(12) == 0 {
		o = sim.OverflowOptions(rng)
	}
	o.Settings, o.Partitions, o.Records = k.Fold, partitions, n
	o.Categories = 3 * (k.Dimensions - 1)
	o.Items = pick(rng, 2, 4, 12)
	logs := sim.Generate(rng.Uint64(), o)
	for p := range logs {
		logs[p] = logs[p][:min(len(logs[p]), rng.IntN(n+1))]
	}
	return logs
}

// drawn chooses steps.
type drawn struct {
	rng   *rand.Rand
	world *world
	odds  odds
	total int
	last  Step // that could be done
}

// odds are how often each sort of step is tried, and how often requests fail, in percent.
type odds struct {
	weights  [verbs]int
	failing  int
	batchMax int
	slow     Place // a stage that is seldom stepped; stages: none
	far      int   // a source partition into which little comes; -1: none
	zombies  int   // how often it is a zombie that does something, in percent
	process  int   // how many processes
}

func drawOdds(rng *rand.Rand) odds {
	o := odds{
		weights: [verbs]int{
			Append: 10, Tick: 7, Retain: 2, Start: 1, Leave: 1, Kill: 1, Die: 1, Take: 30, GiveUp: 3, Letters: 12, Quiet: 12, Unsure: 1,
			Flush: 24, Arrive: 24, Land: 40, Commit: 14, Late: 5,
		},
		failing: pick(rng, 0, 5, 20, 50), batchMax: pick(rng, 1, 3, 8, 30), slow: stages, far: -1, zombies: pick(rng, 5, 20, 40), process: 1 + rng.IntN(3),
	}
	for _, fault := range []Verb{Start, Leave, Kill, Die} {
		o.weights[fault] = pick(rng, 0, 0, 1, 1, 2, 8)
	}
	for _, some := range []Verb{Tick, Retain, Quiet, Late, Commit, Arrive} {
		o.weights[some] *= pick(rng, 0, 1, 1, 2, 4)
	}
	o.weights[Flush] = pick(rng, 4, 12, 24, 60)
	if rng.IntN(3) == 0 {
		o.slow = Place(rng.IntN(int(stages)))
	}
	if rng.IntN(3) == 0 {
		o.far = rng.IntN(3)
	}
	return o
}

// draw draws a step, which may be one that can't be done.
func (d *drawn) draw() Step {
	if d.total == 0 {
		for _, weight := range d.odds.weights {
			d.total += weight
		}
	}
	if d.last.Verb == Arrive && len(d.world.limbo) > 0 && d.rng.IntN(2) == 0 { // among the parts of another flush is where it can do harm
		return Step{Verb: Late, Count: len(d.world.limbo) - 1 - d.rng.IntN(min(2, len(d.world.limbo)))}
	}
	x, verb := d.rng.IntN(d.total), Append
	for x >= d.odds.weights[verb] {
		x -= d.odds.weights[verb]
		verb++
	}
	s := Step{Verb: verb}
	switch verb {
	case Append:
		s.Place, s.Part, s.Count = Source, d.rng.IntN(len(d.world.source)), 1+d.rng.IntN(d.odds.batchMax)
		if s.Part == d.odds.far && d.rng.IntN(8) > 0 {
			s.Part = (s.Part + 1) % len(d.world.source)
		}
	case Tick:
		s.Count = pick(d.rng, 1, 3, 10, 50)
	case Retain:
		s.Place = pick(d.rng, Source, Updates, Rankings)
		s.Part = d.rng.IntN(map[Place]int{Source: len(d.world.source), Updates: len(d.world.updates), Rankings: len(d.world.rankings)}[s.Place])
	case Kill:
		s.Count = d.rng.IntN(d.odds.process)
	case Late:
		n := max(1, len(d.world.limbo))
		s.Count = max(n-1-d.rng.IntN(pick(d.rng, 2, n)), 0)
	default:
		d.claimed(&s)
	}
	return s
}

// claimed completes a step of a claim. A claim that nobody owns is started.
func (d *drawn) claimed(s *Step) {
	s.Place = Place(d.rng.IntN(int(stages)))
	if s.Place == d.odds.slow && d.rng.IntN(6) > 0 || s.Verb == Letters || s.Verb == Quiet || s.Verb == Unsure || s.Verb == GiveUp {
		s.Place = Intake
	}
	claims := d.world.groups[s.Place].claims
	s.Part = d.rng.IntN(len(claims))
	c := &claims[s.Part]
	if c.owner == nil || s.Verb == Start {
		s.Verb, s.Count = Start, d.rng.IntN(d.odds.process)
		return
	}
	if n := len(c.zombies); n > 0 && d.rng.IntN(100) < d.odds.zombies {
		s.Who = 1 + d.rng.IntN(n)
	}
	switch s.Verb {
	case Take, GiveUp:
		s.Count = 1 + d.rng.IntN(d.odds.batchMax)
	case Arrive, Land:
		d.landing(s)
	case Letters, Commit:
		s.Fate = d.fate()
	default:
	}
}

// landing chooses a lane that something is under way to, and what becomes of it.
func (d *drawn) landing(s *Step) {
	in := d.world.who(s.Place, s.Part, s.Who)
	from := d.rng.IntN(len(in.lanes))
	for i := range in.lanes {
		s.Lane = (from + i) % len(in.lanes)
		if in.lanes[s.Lane] != nil || s.Verb == Arrive && in.leftover[s.Lane] != nil {
			if s.Verb == Arrive {
				s.Count = 1 + d.rng.IntN(2)
			} else if s.Fate = d.fate(); s.Fate == Lost {
				s.Count = d.rng.IntN(max(1, len(in.lanes[s.Lane].parts)))
			}
			return
		}
	}
}

func (d *drawn) fate() Fate {
	if d.rng.IntN(100) >= d.odds.failing {
		return OK
	}
	return pick(d.rng, Lost, Responded)
}
