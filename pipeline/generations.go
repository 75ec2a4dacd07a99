package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/millrank/millrank/microbatch"
	"github.com/millrank/millrank/pipeline/settings"
)

// Activation says which generation readers see. It is a record of the topic <name>.generations; the one with the greatest epoch holds,
// and of two with the same the first.
type Activation struct {
	Generation uint32    `json:"generation"`
	Epoch      int64     `json:"epoch"` // grows by one with each activation
	At         time.Time `json:"at"`
}

// ErrNoGeneration is the error of a stream that has never been run.
var ErrNoGeneration = errors.New("no generation has been run yet")

// ActiveGeneration reads which generation is active. The error is ErrNoGeneration where none has been.
func ActiveGeneration(ctx context.Context, s settings.Settings) (Activation, error) {
	var active Activation
	err := microbatch.ReadPartition(ctx, s.Connection(), s.GenerationsTopic(), 0, func(r microbatch.Record) error {
		var a Activation
		if json.Unmarshal(r.Value, &a) == nil && a.Generation > 0 && a.Epoch > active.Epoch { // what else may stand there is none of ours
			active = a
		}
		return nil
	})
	if err == nil && active.Generation == 0 {
		err = fmt.Errorf("%w of %s: start it with 'millrank run'", ErrNoGeneration, s.Name)
	}
	return active, err
}

// begin returns the active generation, which is this one where there was none.
func (g *generations) begin(ctx context.Context) error {
	active, err := ActiveGeneration(ctx, g.settings)
	if errors.Is(err, ErrNoGeneration) {
		client, sink, err := openRedisOf(g.settings, &Activation{})
		if err != nil {
			return err
		}
		defer closeQuietly(client)
		if err := announce(g.settings, Activation{g.settings.Generation, 1 + max(0, epochIn(ctx, sink).Epoch), time.Now().UTC()}); err != nil {
			return err
		}
		active, err = ActiveGeneration(ctx, g.settings) // another one may have been first
		if err != nil {
			return err
		}
	} else if err != nil {
		return err
	}
	if active.Generation != g.settings.Generation {
		g.logger.Info("warning: readers see another generation than this one; 'millrank activate' switches", watermill.LogFields{"generation": g.settings.Generation, "active": active.Generation})
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.active = active
	return nil
}

// announce writes an activation.
func announce(s settings.Settings, a Activation) (err error) {
	publisher, err := microbatch.NewPublisher(microbatch.DefaultPublisherConfig(s.Connection()), nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, publisher.Close()) }()
	value, err := json.Marshal(a)
	if err != nil {
		return fmt.Errorf("activation: %w", err)
	}
	m := message.NewMessage(watermill.NewUUID(), value)
	m.Metadata.Set(microbatch.MetadataPartition, "0")
	return publisher.Publish(s.GenerationsTopic(), m)
}
