package handlers

import (
	"context"
	"fmt"
	"strconv"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/operators"
	"github.com/millrank/millrank/wire"
)

// What a stage asks of a fold: its cells go out as updates.

// A closed pane is urgent, but not in a partition that catches up: there panes close all the time.
func (f *fold) pending() (cells int, urgent bool) {
	cells, paneClosed := f.part.Pending()
	return cells, paneClosed && !f.behind
}

func (f *fold) news() bool {
	pending, paneClosed := f.part.Pending()
	return pending > f.lanes.flying || paneClosed && !f.part.Replaying()
}

func (f *fold) begin(give func(lane, entries int, send func(context.Context) error)) {
	c := &f.intake.config
	quiet, idle := f.idle.For()
	f.part.Flush(f.source, f.incarnation, idle, quiet, func(shard int, head event.Part, cells []event.Cell) {
		messages, err := f.encode(shard, head, cells) // now: the cells are lent
		give(shard, len(cells), f.publishing(c.Updates, c.UpdatesTopic, messages, err))
	})
}

func (f *fold) acked(shard int)  { f.part.Acked(shard) }
func (f *fold) failed(shard int) { f.part.Failed(shard) }

// encode makes the messages of one shard's flush.
func (f *fold) encode(shard int, head event.Part, cells []event.Cell) (messages []*message.Message, err error) {
	operators.Split(head, cells, f.cellsMax, wire.CellSize, func(part event.Part, cells []event.Cell) {
		payload, e := f.encoder.Append(nil, shard, part, cells)
		if e != nil {
			err = e
			return
		}
		messages = append(messages, partMessage(f.topic, f.source, head.AsOf, shard, part.Number, payload))
	})
	return messages, err
}

// partMessage makes the message of one part of a flush, for a partition of the next topic.
func partMessage(topic string, partition int, asOf int64, lane, number int, payload []byte) *message.Message {
	m := message.NewMessage(fmt.Sprintf("%s/%d/%d/%d/%d", topic, partition, asOf, lane, number), payload)
	m.Metadata.Set("kafka.partition", strconv.Itoa(lane))
	return m
}
