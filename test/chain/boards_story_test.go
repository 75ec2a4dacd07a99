package chain_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/millrank/millrank/test/world"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/internal/redisserver"
	"github.com/millrank/millrank/operators"
	"github.com/millrank/millrank/sim"
)

// TestBoardsStory: scores that fall, ties, and a window that slides, step by step, as a reader of Redis sees them by plain ZREVRANGE.
func TestBoardsStory(t *testing.T) {
	onRedis(t, redisserver.Options{}, func(t *testing.T, w *boardsWorld, _ *redisserver.Server, _ *rand.Rand) {
		w.Config.Boards = world.BoardsOver(world.LiveSettings(),
			operators.Board{Name: "likes", Window: operators.Window{Size: 10 * time.Second}, Measure: operators.Sum, K: 2, By: [][]string{{}, {"region"}}},
			operators.Board{Name: "trend", Window: operators.Window{Size: 10 * time.Second, Slide: 5 * time.Second}, Measure: operators.Sum, K: 2, By: [][]string{{}}},
		)
		w.Watch()
		startMember(t, w.member(), wrap{})
		const start = 1_709_043_540_000
		n := 0
		happens := func(second int64, what string) { // "item+value", in partition 0
			log := [][]sim.Record{nil, nil, nil, nil}
			for word := range strings.FieldsSeq(what) {
				at := strings.IndexAny(word, "+-")
				var value int64
				if _, err := fmt.Sscan(word[at:], &value); err != nil {
					t.Fatal(err)
				}
				n++
				ms := start + 1000*second
				log[0] = append(log[0], sim.Record{EventID: fmt.Sprint(n), Item: word[:at], Dims: []string{"eu"}, At: ms, Time: ms, Value: value})
			}
			w.Produce(log)
		}
		shows := func(key, want string) {
			t.Helper()
			var got string
			w.EventuallyOr(key+" shows "+want, func() bool {
				list, err := w.Read(t.Context(), w.Config.Prefix+key, event.Top)
				words := make([]string, len(list.Entries))
				for i, e := range list.Entries {
					words[i] = fmt.Sprint(e.Item, " ", e.Score)
				}
				got = strings.Join(words, ", ")
				return err == nil && got == want
			}, func() string { return "it shows " + got })
		}

		happens(0, "ann+5 bob+3 cat+1")
		shows("global:top_k:likes", "ann 5, bob 3")
		shows("region:eu:top_k:likes", "ann 5, bob 3")
		happens(1, "ann-6") // ann falls out, which brings cat back
		shows("region:eu:top_k:likes", "bob 3, cat 1")
		happens(1, "ann+7") // and comes back
		shows("region:eu:top_k:likes", "ann 6, bob 3")
		happens(2, "cat+2") // a tie at the last place: the greater ID is first
		shows("region:eu:top_k:likes", "ann 6, cat 3")
		happens(2, "dan+3")
		shows("region:eu:top_k:likes", "ann 6, dan 3")
		happens(2, "dan-4 cat-4 bob-4 ann-7") // all below zero: they stay listed
		shows("region:eu:top_k:likes", "dan -1, cat -1")

		happens(3, "eve+10")
		happens(6, "fay+4")
		shows("global:top_k:trend:20240227T141900Z", "eve 10, fay 4")
		happens(11, "gus+1") // the window that begins at 5 s has eve no more
		shows("global:top_k:trend:20240227T141905Z", "fay 4, gus 1")
		shows("global:top_k:trend", "fay 4, gus 1")
		happens(16, "hal+2") // nor does the next one have fay
		shows("global:top_k:trend", "hal 2, gus 1")
		shows("global:top_k:trend:20240227T141900Z", "eve 10, fay 4")
		w.Close()
		w.CheckLists(w.Expected())
	})
}
