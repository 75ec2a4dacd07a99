package handlers_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/handlers"
)

// table is a store of rows that keeps the greatest version of each, as ReplacingMergeTree does: inserts lie there as they came, and are
// merged when somebody looks.
type table[R comparable] struct {
	key     func(R) string
	version func(R) int64

	mu      sync.Mutex
	inserts [][]R
	tries   int
	before  func(try int, rows []R) (apply bool, err error) // what happens to an insert; nil: it is applied
}

func (s *table[R]) Write(_ context.Context, rows []R) error {
	s.mu.Lock()
	s.tries++
	try, before := s.tries, s.before
	s.mu.Unlock()
	apply, err := true, error(nil)
	if before != nil {
		apply, err = before(try, rows)
	}
	if apply {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.inserts = append(s.inserts, append([]R(nil), rows...))
	}
	return err
}

// do sets what happens to inserts.
func (s *table[R]) do(before func(try int, rows []R) (apply bool, err error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.before = before
}

// all returns the inserts.
func (s *table[R]) all() [][]R {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([][]R(nil), s.inserts...)
}

func (s *table[R]) count() (inserts, tries int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.inserts), s.tries
}

// final merges all inserts. Two rows of the same version must be the same: which of them stays is left open.
func (s *table[R]) final(t *testing.T) map[string]R {
	t.Helper()
	rows := map[string]R{}
	for _, insert := range s.all() {
		for _, r := range insert {
			key := s.key(r)
			known, ok := rows[key]
			if ok && s.version(known) == s.version(r) && known != r {
				t.Fatalf("two rows of the same version: %+v and %+v", known, r)
			}
			if !ok || s.version(r) > s.version(known) {
				rows[key] = r
			}
		}
	}
	return rows
}

func cellID(partition int32, pane int64, group event.Group, item string) string {
	return fmt.Sprintf("%d/%d/%q/%q", partition, pane, group, item)
}

func letterID(partition int32, offset int64) string { return fmt.Sprint(partition, "/", offset) }

func newCellTable() *table[handlers.CellRow] {
	return &table[handlers.CellRow]{
		key:     func(r handlers.CellRow) string { return cellID(r.Partition, r.Pane, r.Group, r.Item) },
		version: func(r handlers.CellRow) int64 { return r.AsOf },
	}
}

func newLetterTable() *table[handlers.LetterRow] {
	return &table[handlers.LetterRow]{
		key:     func(r handlers.LetterRow) string { return letterID(r.Partition, r.Offset) },
		version: func(handlers.LetterRow) int64 { return 0 },
	}
}

// failures make a member's writes fail.
type failures struct {
	mu           sync.Mutex
	rng          *rand.Rand
	share        float64 // how many fail
	dead         bool    // all fail, and nothing is applied
	lost, denied int     // how many were applied and said to have failed, and how many were not applied
}

// next decides what becomes of a write.
func (f *failures) next() (apply bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.dead:
		return false, errDown
	case f.rng.Float64() >= f.share:
		return true, nil
	case f.rng.IntN(2) == 0:
		f.lost++
		return true, errDown
	}
	f.denied++
	return false, errDown
}

// die ends it as a crash does: nothing is written any more, and so nothing committed.
func (f *failures) die() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dead = true
}

func writeOrFail[R comparable](ctx context.Context, to *table[R], rows []R, fail *failures) error {
	apply, err := fail.next()
	if apply {
		err = errors.Join(to.Write(ctx, rows), err)
	}
	return err
}
