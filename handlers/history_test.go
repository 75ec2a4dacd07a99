package handlers_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// TestHistory: through crashes at random moments, writes that fail before or after they are applied, members that come and go, a zombie of each
// handler, and old updates and dead letters that come again, what is committed is always in the tables, and in the end they hold what the oracle says.
func TestHistory(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	rng := newRand(t, seed)
	h := newHistory(t, 2)
	newFailures := func() *failures { return &failures{rng: rand.New(rand.NewPCG(rng.Uint64(), 0)), share: .3} }
	zombie := newFailures()
	h.record("zombie", zombie) // of other groups: it writes what the others have written before, and after
	all := []*failures{newFailures(), newFailures()}
	members := []*recorder{h.record("history", all[0]), h.record("history", all[1])}
	crashes := 0
	h.produceInSteps(liveLogs(rng.Uint64(), 2, 3000), 12, func(int) {
		<-time.After(time.Duration(rng.IntN(60)) * time.Millisecond) // a random moment of what goes on by itself
		h.again(rng)
		i := rng.IntN(len(members))
		switch rng.IntN(3) {
		case 0:
			all[i].die()
			crashes++
			fallthrough
		case 1:
			members[i].stop()
			h.checkDurable("history")
			f := newFailures()
			members[i], all = h.record("history", f), append(all, f)
			all[i], all[len(all)-1] = all[len(all)-1], all[i]
		}
		h.checkDurable("history")
	})
	h.awaitWritten("history")
	h.checkDurable("history")
	h.checkFinal()
	lost, denied := 0, 0
	for _, f := range append(all, zombie) {
		lost, denied = lost+f.lost, denied+f.denied
	}
	t.Logf("%d crashes; %d writes failed after they were applied, %d before", crashes, lost, denied)
}

// again has some old updates and dead letters come again, as a zombie of the intake sends them, and what is no message of ours.
func (h *history) again(rng *rand.Rand) {
	h.t.Helper()
	var records []*kgo.Record
	for topic, partitions := range map[string]int{"updates": historyShards, "dead-letters": letterPartitions} {
		for p, log := range h.read()[topic][:partitions] {
			for _, r := range pick(rng, log, 10) {
				records = append(records, &kgo.Record{Topic: topic, Partition: int32(p), Key: r.Key, Value: r.Value, Headers: r.Headers})
			}
			records = append(records, &kgo.Record{Topic: topic, Partition: int32(p), Value: []byte("not ours")})
		}
	}
	if err := h.client.ProduceSync(h.t.Context(), records...).FirstErr(); err != nil {
		h.t.Fatal(err)
	}
}

// pick returns some of a log's records, in their order.
func pick(rng *rand.Rand, log []*kgo.Record, n int) (some []*kgo.Record) {
	for i, r := range log {
		if rng.IntN(len(log)-i) < n-len(some) {
			some = append(some, r)
		}
	}
	return some
}
