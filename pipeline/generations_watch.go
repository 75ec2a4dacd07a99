package pipeline

import (
	"context"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill"

	"github.com/millrank/millrank/pipeline/settings"
)

// generations is what this process knows of which generation is active.
type generations struct {
	settings settings.Settings
	logger   watermill.LoggerAdapter
	learned  func(context.Context, Activation) // is told of one that is new

	mu     sync.Mutex
	active Activation
}

// generationsEvery is how often the topic is read anew. Redis itself tells writers at once; this is for a Redis that was emptied, and for clusters.
const generationsEvery = 5 * time.Second

// watch keeps the knowledge fresh until ctx is done.
func (g *generations) watch(ctx context.Context) {
	ticker := time.NewTicker(generationsEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		active, err := ActiveGeneration(ctx, g.settings)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			g.logger.Error("can't read which generation is active; going on with what was known", err, nil)
		default:
			if g.learn(active) && g.learned != nil {
				g.learned(ctx, active)
			}
		}
	}
}

// learn reports whether it was new.
func (g *generations) learn(active Activation) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if active.Epoch <= g.active.Epoch {
		return false
	}
	g.active = active
	g.logger.Info("a generation was activated", watermill.LogFields{"generation": active.Generation, "epoch": active.Epoch, "ours": g.settings.Generation})
	return true
}

// now returns what is known.
func (g *generations) now() Activation {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.active
}

// redis returns it in the form that the Redis sink asks for.
func (g *generations) redis() (generation uint32, epoch int64) {
	a := g.now()
	return a.Generation, a.Epoch
}
