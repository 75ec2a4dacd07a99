package pipeline

import (
	"context"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/millrank/millrank/microbatch"
	"github.com/millrank/millrank/sinks/deadletters"
)

// letterPublisher publishes dead letters, without what makes one too large for the topic.
type letterPublisher struct{ *microbatch.Publisher }

// Publish is PublishContext without a context.
func (p letterPublisher) Publish(topic string, letters ...*message.Message) error {
	return p.PublishContext(context.Background(), topic, letters...)
}

// PublishContext publishes what Fit leaves of each.
func (p letterPublisher) PublishContext(ctx context.Context, topic string, letters ...*message.Message) error {
	fitting := make([]*message.Message, len(letters))
	for i, l := range letters {
		fitting[i] = deadletters.Fit(l, p.MessageBytesMax())
	}
	return p.Publisher.PublishContext(ctx, topic, fitting...)
}
