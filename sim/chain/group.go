package chain

import (
	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/operators"
)

// group is a consumer group: who owns which partition, and what is committed.
type group struct {
	stage  Place
	claims []claim
}

// claim is a partition of the topic that a group reads.
type claim struct {
	generation int // grows when ownership changes; a commit of an older one is refused
	owner      *instance
	zombies    []*instance // thought to be gone, and not gone
	committed  *commit
}

// commit is a committed offset, with the state that goes with it.
type commit struct {
	low  int64
	fold operators.Checkpoint // of intake
	hop  operators.Resume     // of rank, board and history
}

// instance is what a process keeps of a claim: a machine, and what goes out of it.
type instance struct {
	world       *world
	group       *group
	partition   int
	generation  int
	process     int
	incarnation uint64
	machine     machine
	lanes       []*send // under way, by lane; nil where the lane is free
	leftover    []*send // by lane: what of a failed flush may arrive still, until the lane is given the next one
	told        *commit // and not committed yet
}

// machine is a stage's state machine with what handlers keep around it (handlers/stage.go).
type machine interface {
	// take handles a batch of up to so many records; false where there is nothing to handle, or reading has stopped.
	take(count int) bool
	// flush begins a flush; false where there is nothing to say.
	flush() bool
	acked(lane int)
	failed(lane int)
	// commit returns what may be committed now, and hasn't been told.
	commit() (commit, bool)
	// pending returns how many entries wait to be given or acknowledged.
	pending() int
	// at is the last offset that was handled.
	at() int64
}

// send is a flush on its way to a lane: parts that arrive in their order, or not at all.
type send struct {
	parts   []func() // that have not arrived
	arrived int      // how many have
	ordered bool     // after a failure, what is left can't overtake or follow the next flush to this lane (an idempotent producer)
}

// start gives a claim to a new owner, who begins at the commit.
func (w *world) start(stage Place, partition, process int) {
	g := w.groups[stage]
	c := &g.claims[partition]
	if c.owner != nil {
		c.zombies = append(c.zombies, c.owner)
		w.cover.note(Zombie)
	}
	c.generation++
	if !w.has(OneIncarnation) {
		w.runs++
	}
	committed := c.committed
	if committed != nil && w.has(StateForgotten) {
		committed = &commit{low: committed.low, fold: operators.CheckpointAt(committed.low), hop: operators.ResumeAt(committed.low)}
	}
	in := &instance{world: w, group: g, partition: partition, generation: c.generation, process: process, incarnation: w.runs}
	c.owner = in
	lanes := 1
	switch stage {
	case Intake:
		lanes, in.machine = len(w.updates), newFold(in, committed)
	case Rank:
		lanes, in.machine = len(w.rankings), newShard(in, committed)
	case Board, History:
		in.machine = newPart(in, committed)
	default:
		in.machine = newArchive(in, committed)
	}
	in.lanes, in.leftover = make([]*send, lanes), make([]*send, lanes)
	if c.committed != nil {
		w.cover.note(Resumed)
		low := map[Place]func() int64{
			Intake: func() int64 { return w.source[partition].start }, Rank: func() int64 { return w.updates[partition].start },
			Archive: func() int64 { return w.updates[partition].start }, Board: func() int64 { return w.rankings[partition].start },
			History: func() int64 { return w.rankings[partition].start },
		}[stage]()
		if c.committed.low < low {
			w.failf("M", "%v/%d resumes at %d, but retention has removed what is below %d", stage, partition, c.committed.low, low)
		}
	}
}

// who returns the owner (0) or a zombie of a claim, or nil.
func (w *world) who(stage Place, partition, who int) *instance {
	if stage >= stages || partition >= len(w.groups[stage].claims) {
		return nil
	}
	c := &w.groups[stage].claims[partition]
	switch {
	case who == 0:
		return c.owner
	case who <= len(c.zombies):
		return c.zombies[who-1]
	}
	return nil
}

// die removes an instance. What it has sent may still arrive.
func (in *instance) die() {
	w := in.world
	for _, sends := range [][]*send{in.lanes, in.leftover} {
		for _, s := range sends {
			if s != nil && len(s.parts) > 0 {
				w.limbo = append(w.limbo, s)
			}
		}
	}
	in.gone()
}

// gone removes an instance from its claim.
func (in *instance) gone() {
	c := &in.group.claims[in.partition]
	if c.owner == in {
		c.owner = nil
		return
	}
	for i, zombie := range c.zombies {
		if zombie == in {
			c.zombies = append(c.zombies[:i:i], c.zombies[i+1:]...)
			return
		}
	}
}

// give puts a flush on its way to a lane.
func (in *instance) give(lane int, ordered bool, parts []func()) {
	in.lanes[lane], in.leftover[lane] = &send{parts: parts, ordered: ordered}, nil
}

// arrive has parts of what was sent to a lane arrive, all but the last one at most: whatever else comes now stands between them and the rest. Of a
// flush that has failed, and is not followed by another one yet, one more part arrives.
func (in *instance) arrive(lane, count int) bool {
	if lane >= len(in.lanes) {
		return false
	}
	s, old := in.lanes[lane], in.leftover[lane]
	if s == nil && old != nil && len(old.parts) > 0 {
		old.parts[0]()
		old.parts = old.parts[1:]
		in.world.cover.note(LateArrival)
		return true
	}
	if s == nil || len(s.parts) < 2 {
		return false
	}
	count = min(max(count, 1), len(s.parts)-1)
	for _, part := range s.parts[:count] {
		part()
	}
	if s.arrived == 0 && s.ordered && in.world.has(PartTwice) {
		s.parts[0]()
	}
	s.parts, s.arrived = s.parts[count:], s.arrived+count
	return true
}

// land has parts of what was sent to a lane arrive, and tells the machine.
func (in *instance) land(lane, count int, fate Fate) bool {
	if lane >= len(in.lanes) || in.lanes[lane] == nil {
		return false
	}
	w, s := in.world, in.lanes[lane]
	in.lanes[lane] = nil
	if fate != Lost {
		count = len(s.parts)
	}
	count = min(count, len(s.parts))
	for _, part := range s.parts[:count] {
		part()
	}
	if s.arrived += count; count == len(s.parts) && s.arrived > count {
		w.cover.note(ArrivedMixed)
	}
	s.parts = s.parts[count:]
	if fate == OK || s.arrived > 0 && w.has(HalfIsWhole) {
		in.machine.acked(lane)
		in.tell()
		return true
	}
	w.cover.landed(s.arrived, len(s.parts), fate)
	if s.ordered && !w.has(Overtaking) {
		in.leftover[lane] = s
	} else if len(s.parts) > 0 {
		w.limbo = append(w.limbo, s)
	}
	if w.has(FailedIsNotTold) {
		in.machine.acked(lane)
		return true
	}
	in.machine.failed(lane)
	return true
}

// late has the next part of a delayed message arrive.
func (w *world) late(i int) bool {
	if i >= len(w.limbo) {
		return false
	}
	s := w.limbo[i]
	s.parts[0]()
	w.cover.note(LateArrival)
	if s.parts = s.parts[1:]; len(s.parts) == 0 {
		w.limbo = append(w.limbo[:i:i], w.limbo[i+1:]...)
	}
	return true
}

// tell notes what may be committed. It must be durable by now, whoever says so.
func (in *instance) tell() {
	c, ok := in.machine.commit()
	if !ok {
		return
	}
	in.world.durable(in, c)
	in.told = &c
}

// submit sends what was told to the group's coordinator, which refuses it from a zombie.
func (in *instance) submit(fate Fate) bool {
	if in.told == nil {
		return false
	}
	w, c := in.world, &in.group.claims[in.partition]
	switch {
	case fate == Lost:
		w.cover.note(CommitLost)
		return true
	case (in.generation != c.generation || c.owner != in) && !w.has(ZombieCommits):
		w.cover.note(CommitRefused)
		in.told = nil
		return true
	}
	if old := c.committed; old != nil && (in.told.low < old.low || in.told.fold.ProcessedThrough < old.fold.ProcessedThrough || in.told.hop.PublishedThrough < old.hop.PublishedThrough) {
		w.failf("M", "%v/%d commits %+v after %+v: it goes back", in.group.stage, in.partition, *in.told, *old)
	}
	c.committed = in.told
	w.trace.numbers(int64(in.group.stage), int64(in.partition), c.committed.low, c.committed.fold.ProcessedThrough, c.committed.hop.PublishedThrough)
	if fate == Responded {
		w.cover.note(CommitAnswerLost) // it is sent again
		return true
	}
	in.told = nil
	return true
}

// leave is how a claim is given back in good order: everything under way arrives, then what is left is flushed and arrives.
func (in *instance) leave() {
	for range 2 {
		for lane := range in.lanes {
			in.land(lane, 0, OK)
		}
		in.machine.flush()
	}
	for lane := range in.lanes {
		in.land(lane, 0, OK)
	}
	in.submit(OK)
	in.gone()
}

// copied returns cells that share no memory with the sender's.
func copied(cells []event.Cell) []event.Cell {
	own := make([]event.Cell, len(cells))
	for i := range cells {
		own[i] = cells[i]
		own[i].Group, own[i].Item = []byte(string(cells[i].Group)), []byte(string(cells[i].Item))
	}
	return own
}
