package handlers_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/handlers"
	"github.com/millrank/millrank/microbatch"
	"github.com/millrank/millrank/operators"
)

func testBoards() operators.Boards {
	return operators.Boards{
		Pane: time.Minute, Dimensions: []string{"region"},
		Boards: []operators.Board{{Name: "likes", Window: operators.Window{Size: time.Hour}, K: 10, By: [][]string{{}}}},
	}
}

func rankConfig() handlers.RankConfig {
	c := handlers.DefaultRankConfig()
	c.Boards, c.Source, c.Sources, c.Shards, c.Lanes, c.Rankings, c.RankingsTopic = testBoards(), "s", 1, 1, 1, &outlet{}, "rankings"
	return c
}

type noStore struct{}

func (noStore) Write(context.Context, int64, int64, []event.Ranking) (bool, error) { return false, nil }
func (noStore) Filled()                                                            {}

func leaderboardConfig() handlers.LeaderboardConfig {
	c := handlers.DefaultLeaderboardConfig()
	c.Boards, c.Source, c.Shards, c.Lanes = testBoards(), "s", 1, 1
	c.Open, c.Fill = func(int, int64) handlers.ListWriter { return noStore{} }, func() handlers.ListWriter { return noStore{} }
	c.Read = func(context.Context, int32, func(microbatch.Record) error) error { return nil }
	return c
}

// TestBoardsConfig: all that is wrong is said at once, by name.
func TestBoardsConfig(t *testing.T) {
	if _, err := handlers.NewRank(rankConfig()); err != nil {
		t.Error(err)
	}
	if _, err := handlers.NewLeaderboard(leaderboardConfig()); err != nil {
		t.Error(err)
	}
	_, err := handlers.NewRank(handlers.RankConfig{Boards: operators.Boards{Boards: []operators.Board{{Name: "A"}}}, Shards: 1 << 20, RankingsBytesMax: 1})
	for _, name := range []string{"Pane", "source", "sources", "shards: 1048576", "lanes", "rankings: publisher", "rankings bytes", "flush interval", "pending lists", "now", "logger"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("rank: %q is not in %v", name, err)
		}
	}
	_, err = handlers.NewLeaderboard(handlers.LeaderboardConfig{RefillMin: -1, RefillGrace: -1, Fill: func() handlers.ListWriter { return noStore{} }})
	for _, name := range []string{"Pane", "source", "shards", "lanes", "open", "read", "flush interval", "pending lists", "refill grace", "refill min", "now", "logger"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("leaderboard: %q is not in %v", name, err)
		}
	}
	if _, err := handlers.NewLateCounts(handlers.LateConfig{}); err == nil {
		t.Error("late counts without a codec are taken")
	}
}

// TestBoardsIdentity: what decides results is part of what commits belong to; room isn't.
func TestBoardsIdentity(t *testing.T) {
	base := rankConfig()
	same := rankConfig()
	same.Boards.RankItems, same.FlushInterval, same.RankingsTopic = 5000, time.Minute, "others"
	if base.Identity() != same.Identity() {
		t.Error("room, flush interval or topic change the identity")
	}
	for name, change := range map[string]func(*handlers.RankConfig){
		"K": func(c *handlers.RankConfig) { c.Boards.Boards[0].K = 11 }, "sources": func(c *handlers.RankConfig) { c.Sources = 2 },
		"lanes": func(c *handlers.RankConfig) { c.Lanes = 2 }, "generation": func(c *handlers.RankConfig) { c.Generation = 1 },
		"lateness": func(c *handlers.RankConfig) { c.Boards.AllowedLateness = time.Second },
	} {
		c := rankConfig()
		if change(&c); c.Identity() == base.Identity() {
			t.Errorf("%s doesn't change the identity", name)
		}
	}
	other := leaderboardConfig()
	other.Shards = 2
	if other.Identity() == leaderboardConfig().Identity() {
		t.Error("shards don't change the leaderboard's identity")
	}
}

// TestNeedClaims: messages that don't come from our Subscriber are refused by the handlers that need Kafka's offsets.
func TestNeedClaims(t *testing.T) {
	rank, err := handlers.NewRank(rankConfig())
	if err != nil {
		t.Fatal(err)
	}
	board, err := handlers.NewLeaderboard(leaderboardConfig())
	if err != nil {
		t.Fatal(err)
	}
	for name, handle := range map[string]func(*message.Message) error{"rank": rank.Handle, "leaderboard": board.Handle} {
		if err := handle(message.NewMessage("", nil)); err == nil || !strings.Contains(err.Error(), "microbatch") {
			t.Errorf("%s: the error is %v", name, err)
		}
	}
}
