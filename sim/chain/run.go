package chain

import "fmt"

// Result is what came of a run.
type Result struct {
	Err   error  // the invariant that doesn't hold, or nil
	Hash  uint64 // of all that happened
	Steps int    // that could be done
}

// Run runs a scenario, ends all faults, drains the chain and checks everything. What happened is added to cover, which may be nil.
func Run(s *Scenario, cover *Coverage) (result Result) {
	if cover == nil {
		cover = new(Coverage)
	}
	w := newWorld(s, cover)
	defer func() { result.Hash = uint64(w.trace) }()
	defer func() { result.Err = caught(recover()) }()
	for _, step := range s.Steps {
		if w.do(step) {
			result.Steps++
		}
	}
	w.drain()
	return result
}

// caught makes an error of what recover returns: a violation, or a panic of the machines.
func caught(thrown any) error {
	switch thrown := thrown.(type) {
	case nil:
		return nil
	case violation:
		return thrown
	default:
		return violation{"panic", fmt.Sprint(thrown)}
	}
}

// do does a step; false where it can't be done as things stand.
func (w *world) do(s Step) bool {
	switch s.Verb {
	case Append:
		return w.append(s.Part, s.Count)
	case Tick:
		w.now += int64(s.Count)
		return s.Count > 0
	case Retain:
		return w.retain(s.Place, s.Part)
	case Start:
		if s.Place >= stages || s.Part >= len(w.groups[s.Place].claims) {
			return false
		}
		w.start(s.Place, s.Part, s.Count)
		return true
	case Kill:
		return w.kill(s.Count)
	case Late:
		return w.late(s.Count)
	default:
		in := w.who(s.Place, s.Part, s.Who)
		return in != nil && in.do(s)
	}
}

// do does a step of one instance.
func (in *instance) do(s Step) bool {
	f, intake := in.machine.(*fold)
	switch s.Verb {
	case Take:
		return in.machine.take(max(s.Count, 1))
	case GiveUp:
		return intake && f.giveUp(max(s.Count, 1))
	case Letters:
		return intake && f.publish(s.Fate)
	case Quiet, Unsure:
		return intake && f.quiet(s.Verb == Quiet)
	case Flush:
		return in.machine.flush()
	case Arrive:
		return in.arrive(s.Lane, s.Count)
	case Land:
		return in.land(s.Lane, s.Count, s.Fate)
	case Commit:
		return in.submit(s.Fate)
	case Leave:
		if s.Who != 0 {
			return false
		}
		in.world.cover.note(Left)
		in.leave()
		return true
	case Die:
		in.world.cover.note(Died)
		in.die()
		return true
	default:
		return false
	}
}

func (w *world) append(partition, count int) bool {
	if partition >= len(w.source) {
		return false
	}
	l := w.source[partition]
	count = min(count, len(l.records)-l.appended)
	l.appended += count
	return count > 0
}

// kill ends a process, with all that it owns or thinks it owns.
func (w *world) kill(process int) bool {
	var all []*instance
	for _, g := range w.groups {
		for i := range g.claims {
			c := &g.claims[i]
			for _, in := range append([]*instance{c.owner}, c.zombies...) {
				if in != nil && in.process == process {
					all = append(all, in)
				}
			}
		}
	}
	for _, in := range all {
		in.die()
	}
	if len(all) > 1 {
		w.cover.note(Killed)
	}
	return len(all) > 0
}

// rounds is how many times the chain is gone through until all must be done: once for what there is, once for idle sources to close
// all windows, and once more for the low-waters to follow.
const rounds = 3

// drain ends all faults, and checks what must hold then.
func (w *world) drain() {
	w.limbo = nil
	for _, g := range w.groups {
		for i := range g.claims {
			g.claims[i].zombies = nil
		}
	}
	for p := range w.source {
		w.append(p, len(w.source[p].records))
	}
	for round := range rounds {
		for stage := range stages {
			for partition := range w.groups[stage].claims {
				if w.groups[stage].claims[partition].owner == nil {
					w.start(stage, partition, 0)
				}
				w.groups[stage].claims[partition].owner.settle()
			}
		}
		if round == 0 {
			w.interim()
		}
		w.now += drainTick
	}
	w.finished()
	w.exact()
}

// drainTick is long enough for idle sources to close all windows.
const drainTick = 100_000

// settle handles all that there is, without faults. A lane that was held up needs a flush more than the others.
func (in *instance) settle() {
	f, intake := in.machine.(*fold)
	for range 2 {
		for idle := 0; idle < 3; idle++ { // where reading had stopped, a flush and its arrival let it go on
			for lane := range in.lanes {
				in.land(lane, 0, OK)
			}
			if in.machine.take(64) || intake && f.publish(OK) {
				idle = 0
			}
			if in.machine.pending() > 0 {
				in.machine.flush()
			}
		}
		if intake {
			f.quiet(true)
		}
		in.machine.flush()
		for lane := range in.lanes {
			in.land(lane, 0, OK)
		}
		in.submit(OK)
	}
}
