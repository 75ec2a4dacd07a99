package chain_test

import (
	"time"

	"github.com/millrank/millrank/test/world"

	"github.com/millrank/millrank/operators"
)

// boardsWorld is a world with leaderboards, and what its members do with them.
type boardsWorld struct {
	*world.Boards
	options boardsOptions
}

// boardsOn adds boards to a world, and a Redis: one address for a server, more for a cluster. Everything happens soon.
func boardsOn(w *world.World, list operators.Boards, lanes int, addresses ...string) *boardsWorld {
	w.T.Helper()
	return &boardsWorld{w.WithBoards(list, lanes, addresses...), boardsOptions{FlushEvery: 20 * time.Millisecond, RefillMin: 50 * time.Millisecond}}
}

// member returns settings for a member that does everything.
func (w *boardsWorld) member() memberConfig {
	c := member(w.World)
	c.Boards = &memberBoards{w.Config, w.options}
	return c
}
