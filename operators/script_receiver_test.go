package operators

import (
	"math"
	"slices"
	"strings"

	"github.com/millrank/millrank/event"
)

// scriptReceiver is the receiving side of a hop by itself. What a part holds is words.
type scriptReceiver struct {
	receiver  *Receiver[[]string]
	sources   int
	reviseFor int64
	log       []scriptPart
	kept      int64 // least first offset of what was taken in
}

type scriptPart struct {
	head  event.Part
	words []string
}

func (w *scriptWorld) doReceiver(a *arguments) {
	if a.command == "receiver" { // sources=1 revise-for=10m: a new one, with an empty log
		w.receiver = &scriptReceiver{sources: int(a.number("sources", 1)), reviseFor: a.duration("revise-for", 0).Milliseconds()}
		w.receiver.restore(ResumeAt(0))
		return
	}
	r := w.receiver
	if r == nil {
		mistakenf("there is no receiver")
	}
	switch {
	case a.command == "part": // the next message of the log: [source=0] run=1 as-of=5 number=0 [last] [w=] [idle-for=] words
		p := a.part()
		r.log = append(r.log, p)
		w.takePart(p)
	case a.flag("kept"): // resume kept: restart from a checkpoint of now, with all that was taken in still kept
		w.resumeReceiver(r.kept)
	default: // resume: the same, with nothing of it kept
		w.resumeReceiver(math.MaxInt64)
	}
}

func (r *scriptReceiver) restore(from Resume) {
	r.receiver = NewReceiver[[]string](r.sources, r.reviseFor, from)
	r.kept = math.MaxInt64
}

func (a *arguments) part() scriptPart {
	idleFor := a.duration("idle-for", 0)
	at := a.time("w", event.NoTime)
	head := event.Part{
		Source: int(a.number("source", 0)), Incarnation: uint64(a.number("run", 1)), AsOf: a.number("as-of", 0),
		Number: int(a.number("number", 0)), Last: a.flag("last"),
		ClosedThrough: at, DroppedThrough: at, Idle: idleFor > 0, IdleFor: idleFor.Milliseconds(),
	}
	words := a.words
	a.words = nil
	return scriptPart{head, words}
}

// takePart gives the receiver its next message, and prints what came of it.
func (w *scriptWorld) takePart(p scriptPart) {
	r := w.receiver
	at := r.receiver.At() + 1
	flush, took, err := r.receiver.Take(at, p.head, p.words)
	if err != nil {
		mistakenf("%v", err)
	}
	moved := r.receiver.Advance()
	line := "closed through " + clock(r.receiver.ClosedThrough())
	if !moved {
		line = "time stands"
	}
	switch {
	case took == Fresh:
		r.kept = min(r.kept, flush.First)
		w.printf("%d takes in whole, from %d on: %s; %s", at, flush.First, strings.Join(slices.Concat(flush.Parts...), " "), line)
	case took == Same:
		w.printf("%d has that as-of already; %s", at, line)
	case r.gathers(p.head):
		w.printf("%d gathers", at)
	default:
		w.printf("%d is void", at)
	}
}

// gathers reports whether a part is kept until its flush is whole.
func (r *scriptReceiver) gathers(head event.Part) bool {
	for _, g := range r.receiver.sources[head.Source].flying {
		if g.incarnation == head.Incarnation && g.asOf == head.AsOf && len(g.parts) == head.Number+1 {
			return true
		}
	}
	return false
}

// resumeReceiver restarts the receiver, and lets it take its log again from the low-water on.
func (w *scriptWorld) resumeReceiver(kept int64) {
	r := w.receiver
	from := r.receiver.Resume(kept)
	w.printResume(from)
	r.restore(from)
	for _, p := range r.log[from.LowWater:] {
		w.takePart(p)
	}
}
