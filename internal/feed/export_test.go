package feed

import (
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrank/millrank/event"
)

// TargetOf returns a topic that is not looked up.
func TargetOf(client *kgo.Client, topic string, partitions int) *Target {
	return &Target{client: client, topic: topic, partitions: partitions, aheadMax: ageless}
}

// ShiftTime moves an event's time; Rename changes its ID.
func ShiftTime(m event.Mapping, value []byte, seconds int64) ([]byte, bool) {
	return newRewriter(m).shift(value, seconds)
}

// Rename changes an event's ID.
func Rename(m event.Mapping, value []byte, suffix string) []byte {
	return newRewriter(m).rename(value, suffix)
}
