package chain

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/operators"
	"github.com/millrank/millrank/sim"
)

// The lines of a script that are not steps. All times are milliseconds.
const (
	foldLine   = "fold pane=%d bound=%d lateness=%d ahead=%d segment=%d segments=%d records=%d record-segments=%d"
	chainLine  = "chain dimensions=%d shards=%d lanes=%d revise=%d scale=%d idle=%d pending=%d part=%d partitions=%d"
	boardLine  = "board name=%s size=%d slide=%d offset=%d measure=%d min-count=%d order=%d k=%d by=%q"
	recordLine = "record partition=%d offset=%d time=%d kind=%d id=%q item=%q dimensions=%q at=%d value=%d"
)

// Script writes a scenario as text, one line for each setting, record and step.
func (s *Scenario) Script() string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	k, f := &s.Knobs, &s.Knobs.Fold
	line(foldLine, f.Pane.Milliseconds(), f.OutOfOrderness.Milliseconds(), f.AllowedLateness.Milliseconds(), f.MaxAhead.Milliseconds(),
		f.DedupSegment.Milliseconds(), f.DedupSegments, f.DedupRecords, f.DedupRecordSegments)
	line(chainLine, k.Dimensions, k.Shards, k.Lanes, k.ReviseFor, k.Scale, k.IdleAfter, k.PendingMax, k.PartMax, len(s.Records))
	for i := range k.Boards {
		board := &k.Boards[i]
		by := make([]string, 0, len(board.By))
		for _, dims := range board.By {
			by = append(by, strings.Join(dims, ","))
		}
		at := spanOf(board.Window)
		line(boardLine, board.Name, at.size, at.slide, at.offset, board.Measure, board.MinCount, board.Order, board.K, strings.Join(by, "|"))
	}
	for p, log := range s.Records {
		for _, r := range log {
			line(recordLine, p, r.Offset, r.Time, r.Kind, r.EventID, r.Item, strings.Join(r.Dims, ","), r.At, r.Value)
		}
	}
	if s.Bug != NoBug {
		line("bug %v", s.Bug)
	}
	for _, step := range s.Steps {
		line("%v", step)
	}
	return b.String()
}

// Parse reads what Script wrote. Empty lines, and those that begin with #, are left out.
func Parse(text string) (*Scenario, error) {
	s := new(Scenario)
	var errs []error
	for n, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if err := s.parse(line); err != nil {
			errs = append(errs, fmt.Errorf("line %d: %w", n+1, err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	k := &s.Knobs
	if err := errors.Join(k.Fold.Validate(), k.boards().Validate()); err != nil {
		return nil, err
	}
	if k.Shards < 1 || k.Lanes < 1 || k.PendingMax < 1 || k.PartMax < 1 || len(s.Records) == 0 {
		return nil, errors.New("the line chain must have shards, lanes, pending, part and partitions above 0")
	}
	return s, nil
}

func (s *Scenario) parse(line string) error {
	word, rest, _ := strings.Cut(line, " ")
	switch word {
	case "fold":
		return s.parseFold(line)
	case "chain":
		k, partitions := &s.Knobs, 0
		_, err := fmt.Sscanf(line, chainLine, &k.Dimensions, &k.Shards, &k.Lanes, &k.ReviseFor, &k.Scale, &k.IdleAfter, &k.PendingMax, &k.PartMax, &partitions)
		if err == nil && (partitions < 1 || k.Dimensions < 1 || k.Dimensions > 2) {
			err = errors.New("partitions must be above 0, dimensions 1 or 2")
		}
		s.Records = make([][]sim.Record, max(partitions, 0))
		return err
	case "board":
		return s.parseBoard(line)
	case "record":
		return s.parseRecord(line)
	}
	if i := slices.Index(bugNames[:], rest); word == "bug" && i > 0 {
		s.Bug = Bug(i)
		return nil
	}
	step, err := parseStep(line)
	s.Steps = append(s.Steps, step)
	return err
}

func (s *Scenario) parseFold(line string) error {
	f := &s.Knobs.Fold
	var pane, bound, lateness, ahead, segment int64
	_, err := fmt.Sscanf(line, foldLine, &pane, &bound, &lateness, &ahead, &segment, &f.DedupSegments, &f.DedupRecords, &f.DedupRecordSegments)
	f.Pane, f.OutOfOrderness, f.AllowedLateness = milliseconds(pane), milliseconds(bound), milliseconds(lateness)
	f.MaxAhead, f.DedupSegment = milliseconds(ahead), milliseconds(segment)
	return err
}

func milliseconds(n int64) time.Duration { return time.Duration(n) * time.Millisecond }

func (s *Scenario) parseBoard(line string) error {
	var b operators.Board
	var size, slide, offset int64
	var by string
	_, err := fmt.Sscanf(line, boardLine, &b.Name, &size, &slide, &offset, &b.Measure, &b.MinCount, &b.Order, &b.K, &by)
	if err != nil {
		return err
	}
	b.Window = operators.Window{Size: milliseconds(size), Slide: milliseconds(slide), Offset: milliseconds(offset)}
	for dims := range strings.SplitSeq(by, "|") {
		b.By = append(b.By, splitNames(dims))
	}
	if b.Measure > operators.Average || b.Order > event.Bottom {
		return errors.New("measure must be 0 to 2, order 0 or 1")
	}
	s.Knobs.Boards = append(s.Knobs.Boards, b)
	return nil
}

func (s *Scenario) parseRecord(line string) error {
	var r sim.Record
	var partition int
	var dims string
	if _, err := fmt.Sscanf(line, recordLine, &partition, &r.Offset, &r.Time, &r.Kind, &r.EventID, &r.Item, &dims, &r.At, &r.Value); err != nil {
		return err
	}
	r.Dims = splitNames(dims)
	if partition < 0 || partition >= len(s.Records) {
		return errors.New("there is no partition " + strconv.Itoa(partition))
	}
	if log := s.Records[partition]; len(log) > 0 && r.Offset <= log[len(log)-1].Offset || r.Offset < 0 {
		return errors.New("offsets must rise")
	}
	s.Records[partition] = append(s.Records[partition], r)
	return nil
}

// splitNames returns the names between commas; none of "".
func splitNames(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(text, ",")
}
