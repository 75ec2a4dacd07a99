package chain

// Bug is a mistake of what stands around the machines: of handlers, of a store, of Kafka, or of what they are told. A scenario can be given one, to
// see that it is noticed, and that Shrink makes it small. Mistakes of the machines themselves are in internal/mutants.
type Bug uint8

// The bugs.
const (
	NoBug           Bug = iota
	HalfIsWhole         // a flush of which a part has arrived is acknowledged
	LettersUnsafe       // dead letters that could not be published are taken for safe
	LettersSkipped      // a batch whose dead letters could not be published does not come again
	CommitUnheard       // what was only sent is committed
	ZombieCommits       // a zombie's commit is taken
	ReadsOnly           // a restart reads on where it had come to, not from the low-water
	StateForgotten      // a commit is an offset only: the state that goes with it is lost
	RetentionHasty      // retention removes what was published, though a restart needs it
	OneIncarnation      // all runs call themselves the same
	Overtaking          // what is left of a failed flush arrives among the parts of the next one
	PartTwice           // a part that was sent again is there twice
	OlderList           // Redis takes an older revision
	OlderRowStays       // ClickHouse keeps the row that came last
	ArchiveAhead        // cells are committed when they are read, not when they are written
	BatchLost           // a batch that was given up is followed by the next one
	FailedIsNotTold     // a flush that failed is not sent again
	bugs
)

var bugNames = [bugs]string{
	"none", "half-is-whole", "letters-unsafe", "letters-skipped", "commit-unheard", "zombie-commits", "reads-only", "state-forgotten", "retention-hasty", "one-incarnation",
	"overtaking", "part-twice", "older-list", "older-row-stays", "archive-ahead", "batch-lost", "failed-is-not-told",
}

func (b Bug) String() string { return bugNames[b] }

// has reports whether the run has a bug.
func (w *world) has(b Bug) bool { return w.scenario.Bug == b }
