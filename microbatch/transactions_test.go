package microbatch_test

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

// transactional is a producer whose records belong to transactions.
type transactional struct{ *kgo.Client }

func (k *kafka) transactional(t *testing.T, id string) *transactional {
	t.Helper()
	return &transactional{k.connect(t, kgo.TransactionalID(k.group+id))}
}

// write writes n records to partition 0 in a transaction that stays open.
func (p *transactional) write(t *testing.T, first, n int) {
	t.Helper()
	if err := p.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	produceWith(t, p.Client, 0, first, n)
}

func (p *transactional) end(t *testing.T, how kgo.TransactionEndTry) {
	t.Helper()
	if err := p.EndTransaction(t.Context(), how); err != nil {
		t.Fatal(err)
	}
}

// TestTransactions: records of aborted transactions never come, and neither they nor the markers at
// the ends of transactions, which look as if something were left, keep a partition from being quiet;
// nor does a transaction that is open.
func TestTransactions(t *testing.T) {
	eachKafka(t, 1, func(t *testing.T, k *kafka) {
		p, other := k.transactional(t, "a"), k.transactional(t, "b")
		p.write(t, 0, 10) // offsets 0–9, and the marker 10
		p.end(t, kgo.TryCommit)
		m := join(t, k, k.settings("sticky"), ack)
		m.untilAll(t, 10)
		m.untilQuiet(t, 0, 10, 11)

		p.write(t, 100, 10) // 11–20, 21
		p.end(t, kgo.TryAbort)
		m.untilQuiet(t, 0, 10, 22)

		other.write(t, 200, 5) // 22–26
		p.write(t, 10, 5)      // 27–31, 32
		p.end(t, kgo.TryCommit)
		m.untilQuiet(t, 0, 10, 33) // they wait for the one that is open
		other.end(t, kgo.TryAbort) // 33
		m.untilAll(t, 15)
		m.untilQuiet(t, 0, 32, 34)

		for range 20 { // many that leave nothing
			p.write(t, 300, 1)
			p.end(t, kgo.TryAbort)
		}
		m.untilQuiet(t, 0, 32, 74)
		p.write(t, 15, 5)
		p.end(t, kgo.TryCommit)
		m.untilAll(t, 20)
		m.untilQuiet(t, 0, 79, 80)
		p.write(t, 20, 5)
		m.untilQuiet(t, 0, 79, 85)
		m.read(func() {
			if err := same(m.values(0), values(0, 0, 20)); err != nil {
				t.Error(err)
			}
		})
		p.end(t, kgo.TryCommit)
		m.untilAll(t, 25)

		// Where uncommitted records are asked for, all come.
		config := k.settings("sticky")
		config.GroupID += "-uncommitted"
		config.IsolationLevel = "read_uncommitted"
		all := join(t, k, config, ack)
		all.untilAll(t, 10+10+5+5+20+5+5)
		all.untilQuiet(t, 0, 85, 86)
	})
}
