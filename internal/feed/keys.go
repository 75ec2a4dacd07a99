package feed

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrank/millrank/event"
)

// keys makes records' keys and chooses their partitions as Kafka's default partitioner does.
type keys struct {
	parts   []string
	rewrite *rewriter
	choose  kgo.TopicPartitioner
	count   int
}

func newKeys(parts []string, rewrite *rewriter, partitions int) *keys {
	if len(parts) == 0 {
		parts = []string{KeyItem}
	}
	return &keys{parts: parts, rewrite: rewrite, choose: kgo.StickyKeyPartitioner(nil).ForTopic(""), count: partitions}
}

// of returns an event's key, which is the caller's, and its partition.
func (k *keys) of(value []byte, e *event.Event) ([]byte, int32) {
	if slices.Equal(k.parts, []string{KeyNone}) {
		return nil, k.ofBytes(k.rewrite.id(value))
	}
	key := make([]byte, 0, 32) // never nil: no key stands for any partition
	for i, part := range k.parts {
		if i > 0 {
			key = append(key, ',')
		}
		switch part {
		case KeyItem:
			key = append(key, e.Item...)
		case KeyRegion:
			region, _, _ := event.CutGroup(e.Group)
			key = append(key, region...)
		case KeyUser:
			key = append(key, e.User...)
		case KeyEventID:
			key = append(key, k.rewrite.id(value)...)
		}
	}
	return key, k.ofBytes(key)
}

// ofBytes returns the partition of a key.
func (k *keys) ofBytes(key []byte) int32 {
	if key == nil {
		key = []byte{}
	}
	return int32(k.choose.Partition(&kgo.Record{Key: key}, k.count))
}
