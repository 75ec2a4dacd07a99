package mutants

import (
	"fmt"
	"slices"
	"strings"
)

// thousandSeeds simulates the whole chain under faults.
const thousandSeeds = "TestThousandSeeds"

// chainMutants takes from all mutants those that concern the way through the whole chain: the simulator must notice them, too, within
// a thousand seeds. (What stands around the machines is broken by the simulator's own TestBugs.)
func chainMutants(all []Mutant) []Mutant {
	names := []string{
		"replay/no-count-from", "replay/fresh-w", "replay/open-now", "replay/checkpoint-of-now", "replay/publishes", "replay/flushes-late", "replay/ends-a-record-early",
		"fold/lateness-at-the-limit", "fold/letter-not-repeated", "dedup/no-refresh", "dedup/late-not-seen",
		"send/before-acknowledged", "send/failed-cells-lost", "send/failed-not-marked",
		"commit/without-dead-letters", "commit/flush-begun", "commit/slow-lane-ignored", "commit/rank-as-of-now", "commit/merge-as-of-now",
		"receive/per-part", "receive/one-buffer", "receive/no-as-of", "receive/same-as-of-is-void",
		"resume/no-closing", "resume/no-dropped", "resume/low-panes", "resume/gathering-ignored", "resume/void-flushes-kept", "resume/merge-replay-flushes",
		"time/all-idle-jumps", "time/closing-goes-back", "time/dropped-ignores-idle",
	}
	var chain []Mutant
	for _, name := range names {
		i := slices.IndexFunc(all, func(m Mutant) bool { return m.Name == name })
		if i < 0 {
			panic(fmt.Sprintf("mutants: there is no %s for the simulator", name))
		}
		m := all[i]
		m.Name, m.CaughtBy, m.In = "chain/"+strings.ReplaceAll(name, "/", "-"), []string{thousandSeeds}, "sim/chain"
		chain = append(chain, m)
	}
	return chain
}
