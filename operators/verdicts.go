package operators

// verdicts is a queue of verdicts, in order of offsets. Its memory is used again, as soon as it is empty or half of it was taken.
type verdicts struct {
	all  []Verdict
	gone int // of all, from its beginning
}

// waiting returns those that were not taken, a view.
func (q *verdicts) waiting() []Verdict { return q.all[q.gone:] }

func (q *verdicts) add(v Verdict) {
	if len(q.all) == cap(q.all) && 2*q.gone > len(q.all) {
		q.all, q.gone = q.all[:copy(q.all, q.all[q.gone:])], 0
	}
	q.all = append(q.all, v)
}

// taken takes the first one.
func (q *verdicts) taken() {
	if q.gone++; q.gone == len(q.all) {
		q.all, q.gone = q.all[:0], 0
	}
}
