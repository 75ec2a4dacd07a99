package chain

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Place is a stage, or a topic.
type Place uint8

// The stages: each is a consumer group, with one claim for each partition of the topic that it reads.
const (
	Intake  Place = iota // source → updates, dead letters
	Rank                 // updates → rankings
	Board                // rankings → Redis
	History              // rankings → ClickHouse's rankings
	Archive              // updates → ClickHouse's cells
	stages
)

// The topics.
const (
	Source Place = stages + iota
	Updates
	Rankings
	places
)

var placeNames = [places]string{"intake", "rank", "board", "history", "archive", "source", "updates", "rankings"}

func (p Place) String() string { return placeNames[p] }

// Verb is what happens in a step.
type Verb uint8

// The verbs, and what a step's numbers are to them.
const (
	Append  Verb = iota // Count more records come into a source partition
	Tick                // Count milliseconds pass
	Retain              // retention removes what no group needs any more from a topic's partition
	Start               // the claim gets a new owner, of process Count; the old one, if any, becomes a zombie
	Leave               // the owner gives its claim back in good order
	Kill                // a process, number Count, dies, with all it owns
	Die                 // one owner or zombie dies
	Take                // a batch of up to Count records is handled
	GiveUp              // a batch is handled by half, and comes again (intake)
	Letters             // the batch's dead letters are published, with a Fate (intake)
	Quiet               // a fetch brings nothing, though it was asked (intake)
	Unsure              // a fetch fails (intake)
	Flush               // a flush begins
	Arrive              // Count parts of what was sent to a lane arrive, and the rest stays under way
	Land                // what was sent to a lane arrives: Count more parts of it, or all where the fate is not that it fails
	Commit              // what was told is committed, with a Fate
	Late                // the next part of delayed message Count, which a crash or a failure left behind, arrives after all
	verbs
)

var verbNames = [verbs]string{
	"append", "tick", "retain", "start", "leave", "kill", "die", "take", "give-up", "letters", "quiet", "unsure", "flush", "arrive", "land", "commit", "late",
}

func (v Verb) String() string { return verbNames[v] }

// Fate is what becomes of a request.
type Fate uint8

// The fates.
const (
	OK        Fate = iota // it is done, and answered
	Lost                  // it is not done, or by half, and fails
	Responded             // it is done, but the answer is lost: it fails
	fates
)

var fateNames = [fates]string{"ok", "fails", "answer-lost"}

func (f Fate) String() string { return fateNames[f] }

// Step is one decision of the scheduler. A step that can't be done as things stand does nothing, so that any steps can be left out of a scenario.
type Step struct {
	Verb  Verb
	Place Place
	Part  int // partition
	Who   int // 0: the owner; else which zombie
	Lane  int
	Count int
	Fate  Fate
}

// String returns the step as a line of a script: what is 0 is left out.
func (s Step) String() string {
	words := []string{s.Verb.String()}
	if s.Verb != Tick && s.Verb != Kill && s.Verb != Late {
		words = append(words, s.Place.String()+"/"+strconv.Itoa(s.Part))
	}
	number := func(name string, n int) {
		if n != 0 {
			words = append(words, name+"="+strconv.Itoa(n))
		}
	}
	number("zombie", s.Who)
	number("lane", s.Lane)
	number("count", s.Count)
	if s.Fate != OK {
		words = append(words, s.Fate.String())
	}
	return strings.Join(words, " ")
}

// parseStep reads what String wrote.
func parseStep(line string) (Step, error) {
	words := strings.Fields(line)
	verb := slices.Index(verbNames[:], words[0])
	if verb < 0 {
		return Step{}, fmt.Errorf("%q: there is no step %q; there are %v", line, words[0], verbNames)
	}
	s := Step{Verb: Verb(verb)}
	for _, word := range words[1:] {
		if err := s.set(word); err != nil {
			return Step{}, fmt.Errorf("%q: %w", line, err)
		}
	}
	return s, nil
}

func (s *Step) set(word string) error {
	if fate := slices.Index(fateNames[:], word); fate >= 0 {
		s.Fate = Fate(fate)
		return nil
	}
	name, number, cut := strings.Cut(word, "/")
	if place := slices.Index(placeNames[:], name); cut && place >= 0 {
		s.Place = Place(place)
		return setNumber(&s.Part, number)
	}
	name, number, _ = strings.Cut(word, "=")
	to := map[string]*int{"zombie": &s.Who, "lane": &s.Lane, "count": &s.Count}[name]
	if to == nil {
		return fmt.Errorf("%q is neither place/partition, nor zombie=, lane= or count=, nor one of %v", word, fateNames)
	}
	return setNumber(to, number)
}

func setNumber(to *int, text string) error {
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return fmt.Errorf("%q is not a number from 0", text)
	}
	*to = n
	return nil
}
