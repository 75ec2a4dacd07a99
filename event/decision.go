package event

// Decision is what became of one record. It is a function of the record's partition up to
// and including the record, and of nothing else.
type Decision uint8

// The decisions, in the order in which they are tried.
const (
	// Repeated: the offset was folded before and needs nothing more; its effects stand.
	Repeated Decision = iota
	// Replayed: at or below the processed-through that the fold was restored at.
	// It rebuilt state in silence; its effects were published before.
	Replayed
	// Malformed: it can't be read. Dead letter.
	Malformed
	// Future: its event time is too far ahead of its record's time. Dead letter.
	Future
	// Punctuation: a producer's word that nothing older will come. It moved the watermark.
	Punctuation
	// Duplicate: a record with the same event ID came before, within the horizon.
	Duplicate
	// Late: its pane has closed. Dead letter.
	Late
	// Counted: it was added to its cell.
	Counted

	// Decisions is how many there are, for tables indexed by Decision.
	Decisions = int(Counted) + 1
)

var decisionNames = [Decisions]string{"repeated", "replayed", "malformed", "future", "punctuation", "duplicate", "late", "counted"}

// String returns the decision's name, as metrics, dead letters and scripts spell it.
func (d Decision) String() string { return decisionNames[d] }

// DeadLetter reports whether a record so decided goes to the dead-letter topic.
func (d Decision) DeadLetter() bool { return d == Malformed || d == Future || d == Late }
