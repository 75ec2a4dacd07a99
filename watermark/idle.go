package watermark

// Idle says when a source partition counts as idle, and for how long it has been quiet: it was
// fetched from, nothing came, and its log end has not moved, for the timeout. (That
// the last offset + 1 is the log end is no test: transaction markers hide there.) A
// partition that never had a record becomes idle in the same way.
//
// Clock readings are milliseconds of one clock, best a monotonic one; a clock that
// goes back starts the wait again.
type Idle struct {
	timeout int64
	since   int64 // clock reading at which the partition was last known to be active
	now     int64 // the last clock reading
	logEnd  int64
}

// NewIdle returns an Idle for a partition that was assigned at clock reading now.
func NewIdle(timeout, now int64) Idle {
	return Idle{timeout: timeout, since: now, now: now, logEnd: -1}
}

// Active notes that records came, or that it can't be known whether some did: a fetch failed.
func (i *Idle) Active(now int64) { i.since, i.now = now, now }

// Quiet notes that a fetch succeeded and brought nothing, with the log end that it saw.
func (i *Idle) Quiet(now, logEnd int64) {
	if logEnd != i.logEnd || now < i.now {
		i.since = now
	}
	i.logEnd, i.now = logEnd, now
}

// For reports whether the partition is idle as of the last note, and for how many
// milliseconds it has been quiet (0 where it is not idle).
func (i *Idle) For() (quiet int64, idle bool) {
	if quiet = i.now - i.since; quiet < i.timeout {
		return 0, false
	}
	return quiet, true
}
