// Package wire is the messages of Millrank's internal topics, in Protobuf: what they look
// like is update.proto, which is written for readers in any language, and what is
// generated from it (make generate) lies beside it.
//
// The codec is written by hand: an Encoder makes messages of cells, DecodeUpdate makes
// cells of a message. It guards what the rest of the program takes for granted, such as
// that indices are in range; the generated type does not.
package wire

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"unicode/utf8"

	"github.com/millrank/millrank/event"
)

// ErrMalformed is wrapped by all errors of DecodeUpdate: the bytes are not an update.
// Trying again is of no use.
var ErrMalformed = errors.New("malformed update")

// Sender says who speaks: one source partition, and how the source and its items are
// divided. It can be compared with ==.
type Sender struct {
	Source           string // name of the source, "cluster/topic"; UTF-8
	Generation       uint32 // updates of different generations must not be mixed
	Partition        int    // the source partition, less than SourcePartitions
	SourcePartitions int    // how many the source has, at least 1
	ShardPartitions  int    // how many shards its items are spread over, at least 1
}

// HeadSize returns an upper bound on the bytes that an update of this sender takes
// besides its cells: 256, and the source's name. An update has at most HeadSize
// bytes and what CellSize says of each of its cells.
func (s Sender) HeadSize() int { return headSizeMax + len(s.Source) }

// headSizeMax is more than 14 fields of at most 11 bytes with their keys, and 13
// columns' keys and lengths of at most 7 bytes.
const headSizeMax = 256

// CellSize returns an upper bound on the bytes that a cell adds to an update, as if
// nothing of it were shared: it serves operators.Split. In the company of others, a
// cell mostly comes to a quarter to a third of that.
func CellSize(c *event.Cell) int {
	return positions + varintSize(uint64(c.Pane)) + len(c.Group) + varintSize(uint64(len(c.Group))) + len(c.Item) + varintSize(uint64(len(c.Item))) +
		varintSize(uint64(c.Count)) + varintSize(uint64(c.Duplicates)) +
		zigzagSize(c.Sum) + zigzagSize(c.Min) + zigzagSize(c.Max)
}

// positions is the bytes of the positions of a pane, a group and an item: 4 each in up to
// 2²⁸ cells. The CellSizes of more than that add up to more than a message can have anyway.
const positions = 3 * 4

func varintSize(v uint64) int { return (bits.Len64(v|1) + 6) / 7 }

func zigzagSize(v int64) int { return varintSize(uint64(v<<1) ^ uint64(v>>63)) }

// check says what is wrong with a sender and the shard that it speaks to.
func (s Sender) check(shard int) error {
	switch {
	case !utf8.ValidString(s.Source):
		return fmt.Errorf("source %q is not UTF-8", s.Source)
	case s.SourcePartitions < 1 || s.SourcePartitions > math.MaxInt32:
		return fmt.Errorf("%d source partitions, must be 1 to %d", s.SourcePartitions, math.MaxInt32)
	case s.Partition < 0 || s.Partition >= s.SourcePartitions:
		return fmt.Errorf("partition %d of %d source partitions", s.Partition, s.SourcePartitions)
	case s.ShardPartitions < 1 || s.ShardPartitions > math.MaxInt32:
		return fmt.Errorf("%d shard partitions, must be 1 to %d", s.ShardPartitions, math.MaxInt32)
	case shard < 0 || shard >= s.ShardPartitions:
		return fmt.Errorf("shard %d of %d shard partitions", shard, s.ShardPartitions)
	}
	return nil
}
