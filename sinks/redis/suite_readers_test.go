package redis_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"

	"github.com/millrank/millrank/event"
)

// testReaders has readers poll while two writers write: nobody sees more than K members, half a list, or an
// older one after a newer one.
func testReaders(t *testing.T, w *world) {
	const revisions, readers, k = 400, 3, 5
	sink := w.sink(t, nil)
	key := w.prefix + "region:eu:top_k:views"
	of := func(revision int64) event.Ranking {
		r := rand.New(rand.NewPCG(1, uint64(revision)))
		return random(r, "views", "eu", base+revision/100*minute, revision)
	}
	written := map[string]bool{"[]": true}
	for revision := range int64(revisions) {
		written[fmt.Sprint(of(revision).Entries)] = true
	}
	ctx, cancel := context.WithCancel(t.Context())
	var writing, reading sync.WaitGroup
	for i := range 2 {
		writer := sink.Writer(0, -1)
		writing.Go(func() {
			for revision := range int64(revisions) {
				if revision%7 == int64(i) { // each has left some out
					continue
				}
				if behind, err := writer.Write(ctx, revision, base, []event.Ranking{of(revision)}); behind || err != nil {
					t.Errorf("behind: %v (%v)", behind, err)
				}
			}
		})
	}
	looks := [readers]int{}
	for i := range readers {
		reading.Go(func() {
			last := int64(-1)
			for ctx.Err() == nil {
				entries, meta, err := w.read(ctx, key, event.Top)
				if err != nil {
					if ctx.Err() == nil {
						t.Error(err)
					}
					return
				}
				plain, _ := w.client.ZRevRangeWithScores(ctx, key, 0, -1).Result()
				list := make([]event.Entry, 0, len(plain))
				for _, z := range plain {
					list = append(list, entry(fmt.Sprint(z.Member), z.Score))
				}
				if len(entries) > k || len(list) > k || !written[fmt.Sprint(list)] {
					t.Errorf("read %v and %v", entries, list)
				}
				if len(meta) == 0 {
					continue
				}
				revision, err := strconv.ParseInt(meta["revision"], 10, 64)
				if want := of(revision); err != nil || revision < last || fmt.Sprint(entries) != fmt.Sprint(want.Entries) || meta["start"] != rfc(want.Start) {
					t.Errorf("after revision %d: %v is described by %v (%v)", last, entries, meta, err)
				}
				last = revision
				looks[i]++
			}
		})
	}
	writing.Wait()
	cancel()
	reading.Wait()
	w.check(t, key, of(revisions-1))
	if looks[0] < 10 {
		t.Errorf("looked %v times only", looks)
	}
}
