//go:build e2e

package plan_test

import (
	"encoding/binary"
	"encoding/hex"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrank/millrank/pipeline/settings"
)

const (
	itemBytes = 10
	lateShare = 0.002 // of the events, which are a minute late
	tick      = 10 * time.Millisecond
)

// load makes events that fall on items by Zipf's law.
type load struct {
	traffic    settings.Traffic
	random     *rand.Rand
	cumulative []float64
}

func newLoad(t *testing.T, traffic settings.Traffic) *load {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	l := &load{traffic: traffic, random: rand.New(rand.NewPCG(seed, 1)), cumulative: make([]float64, traffic.Items)}
	total := 0.0
	for i := range l.cumulative {
		total += math.Pow(float64(i+1), -traffic.Skew)
		l.cumulative[i] = total
	}
	return l
}

// next returns an event's key, the item, and its value. Items of all popularities are spread over partitions, shards and regions.
func (l *load) next(now time.Time) (key, value []byte) {
	rank, _ := slices.BinarySearch(l.cumulative, l.random.Float64()*l.cumulative[len(l.cumulative)-1])
	hash := (uint64(rank) + 1) * 0x9e3779b97f4a7c15
	hash ^= hash >> 31
	item := hex.AppendEncode(nil, binary.BigEndian.AppendUint64(nil, hash))[:itemBytes]
	region := (hash%uint64(l.traffic.Regions) + l.random.Uint64N(uint64(l.traffic.ItemRegions))) % uint64(l.traffic.Regions)
	at := now.UnixMilli()
	if l.random.Float64() < lateShare {
		at -= 60_000
	}
	var id [12]byte
	binary.BigEndian.PutUint64(id[:], l.random.Uint64())
	binary.BigEndian.PutUint32(id[8:], l.random.Uint32())
	value = append(make([]byte, 0, 136), `{"event_id":"`...)
	value = append(hex.AppendEncode(value, id[:]), `","item_id":"`...)
	value = append(append(value, item...), `","region":"region-`...)
	value = append(strconv.AppendUint(value, region, 10), `","timestamp":`...)
	return item, append(strconv.AppendInt(value, at, 10), `,"value":1}`...)
}

// produce sends events at their rate, each at the time when it happens, and returns how many, and how long that took.
func (l *load) produce(t *testing.T, client *kgo.Client, topic string, seconds int) (events int, took time.Duration) {
	t.Helper()
	began := time.Now()
	clock := time.NewTicker(tick)
	defer clock.Stop()
	total := int(l.traffic.EventsPerSecond) * seconds
	for events < total {
		now := <-clock.C
		for due := min(total, int(now.Sub(began).Seconds()*l.traffic.EventsPerSecond)); events < due; events++ {
			key, value := l.next(now)
			client.Produce(t.Context(), &kgo.Record{Topic: topic, Key: key, Value: value}, func(_ *kgo.Record, err error) {
				if err != nil {
					t.Error(err)
				}
			})
		}
	}
	if err := client.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	return events, time.Since(began)
}
