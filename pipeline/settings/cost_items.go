package settings

import "math"

// popularity is how events fall on items: by Zipf's law, the i-th of the items in proportion to i^-skew; each item's events fall on its regions alike.
type popularity struct {
	items, spread float64 // different items; regions in which each is seen
	skew          float64 // 0: not known
	ranks         []rankRange
}

// rankRange is some ranks that are alike: how many, and the share of all events that one of them has.
type rankRange struct{ n, share float64 }

const (
	ranksSingle = 1000 // so many of the best stand alone
	ranksStep   = 1.02 // from there on, a range is so much further
)

func newPopularity(t Traffic) popularity {
	p := popularity{items: float64(max(1, t.Items)), spread: float64(max(1, t.ItemRegions)), skew: t.Skew}
	if p.skew <= 0 {
		return p
	}
	total := 0.0
	for at := 1.0; at <= p.items; {
		next, weight := at+1, math.Pow(at, -p.skew)
		if at > ranksSingle {
			next = min(math.Ceil(at*ranksStep), p.items+1)
			weight = p.weight(at-0.5, next-0.5) / (next - at)
		}
		n := next - at
		p.ranks = append(p.ranks, rankRange{n, weight})
		total += n * weight
		at = next
	}
	for i := range p.ranks {
		p.ranks[i].share /= total
	}
	return p
}

// weight is the integral of x^-skew: near enough to the sum.
func (p popularity) weight(from, to float64) float64 {
	if math.Abs(p.skew-1) < 1e-9 {
		return math.Log(to / from)
	}
	return (math.Pow(to, 1-p.skew) - math.Pow(from, 1-p.skew)) / (1 - p.skew)
}

// seen returns how many different items so many events have.
func (p popularity) seen(events float64) float64 { return p.different(events, 1) }

// cells returns how many different pairs of item and region they have.
func (p popularity) cells(events float64) float64 { return p.different(events, p.spread) }

func (p popularity) different(events, spread float64) float64 {
	if p.skew <= 0 { // at the most
		return min(p.items*spread, events)
	}
	n := 0.0
	for _, r := range p.ranks {
		n += r.n * spread * -math.Expm1(-events*r.share/spread)
	}
	return n
}

// best returns the share of all events that the best k items have.
func (p popularity) best(k float64) float64 {
	if p.skew <= 0 {
		return 1 // at the most
	}
	share := 0.0
	for _, r := range p.ranks {
		n := min(r.n, k)
		share, k = share+n*r.share, k-n
		if k <= 0 {
			break
		}
	}
	return min(1, share)
}
