package sim

import (
	"math/rand/v2"
	"strconv"

	"github.com/millrank/millrank/event"
)

// Generate returns the logs of the source partitions. The same seed and options give
// the same logs. An event ID never comes in two partitions.
func Generate(seed uint64, o Options) [][]Record {
	logs := make([][]Record, 0, o.Partitions)
	for p := range o.Partitions {
		logs = append(logs, newProducer(seed, p, o).produce())
	}
	return logs
}

// producer makes the log of one partition.
type producer struct {
	o     Options
	rng   *rand.Rand
	items *rand.Zipf
	id    string // begins all IDs of this partition
	ids   int    // how many were made

	log    []Record
	offset int64
	now    int64 // the clock that stamps the records
	w      int64 // the watermark so far; aims the records, decides nothing
	burst  int   // so many more records in this millisecond

	planned []Record // come next, before anything is drawn
	chains  []chain
	history []Record // events that can come again
}

func newProducer(seed uint64, partition int, o Options) *producer {
	rng := rand.New(rand.NewPCG(seed, uint64(partition)))
	return &producer{
		o:     o,
		rng:   rng,
		items: rand.NewZipf(rng, o.ItemSkew, 1, uint64(o.Items-1)),
		id:    "p" + strconv.Itoa(partition) + "-",
		now:   o.Start,
		w:     event.NoTime,
	}
}

func (p *producer) produce() []Record {
	for len(p.log) < p.o.Records {
		p.tick()
		if r, due := p.dueChain(); due {
			p.add(r)
			continue
		}
		if len(p.planned) == 0 {
			p.planned = p.draw()
		}
		next := p.planned[0]
		p.planned = p.planned[1:]
		p.add(next)
	}
	return p.log
}

// tick moves the clock and the offset on to the next record.
func (p *producer) tick() {
	switch {
	case p.burst > 0:
		p.burst--
	case p.chance(p.o.Bursts):
		p.burst = p.rng.IntN(p.o.BurstMax)
	case p.chance(p.o.Gaps):
		p.now += p.rng.Int64N(p.o.GapMax.Milliseconds() + 1)
	default:
		p.now += p.exponential(p.o.Step.Milliseconds())
	}
	if p.chance(p.o.OffsetGaps) {
		p.offset += 1 + p.rng.Int64N(8)
	}
}

// add stamps the record and appends it to the log.
func (p *producer) add(r Record) {
	r.Offset = p.offset
	p.offset++
	if r.Time != NoTimestamp {
		r.Time = p.now
	}
	p.log = append(p.log, r)
	if r.Kind == Malformed || r.Time == NoTimestamp || r.At > r.Time+p.o.Settings.MaxAhead.Milliseconds() {
		return
	}
	if r.Kind == Punctuation {
		p.w = max(p.w, r.At)
		return
	}
	p.w = max(p.w, r.At-p.o.Settings.OutOfOrderness.Milliseconds())
	p.history = append(p.history, r)
}

// draw returns the next record, or a few that belong together.
func (p *producer) draw() []Record {
	x := p.rng.Float64()
	for _, choice := range []struct {
		share float64
		draw  func() []Record
	}{
		{p.o.Duplicates, p.duplicate},
		{p.o.Chains, p.beginChain},
		{p.o.Late, p.late},
		{p.o.Edges, p.latenessEdge},
		{p.o.PaneEdges, p.paneEdge},
		{p.o.Future, p.future},
		{p.o.Ahead, p.ahead},
		{p.o.Malformed, p.malformed},
		{p.o.Punctuations, p.punctuation},
	} {
		if x -= choice.share; x < 0 {
			return choice.draw()
		}
	}
	return []Record{p.fresh(p.recent())}
}

func (p *producer) chance(share float64) bool { return p.rng.Float64() < share }

// exponential draws from the exponential distribution with this mean, rounded down.
func (p *producer) exponential(mean int64) int64 { return int64(p.rng.ExpFloat64() * float64(mean)) }

// recent draws the time of an event that comes with the usual delay.
func (p *producer) recent() int64 { return p.now - p.exponential(p.o.Disorder.Milliseconds()) }
