#!/usr/bin/env python3
"""Test vectors of rank.py, as NDJSON: settings, updates log, and after each message what stands.

  rank_traces.py [--seeds A-B]
"""
import argparse, json, random
import rank

def trace(seed):
    r = random.Random(seed)      # the same draws, in the same order, as rank.trial
    c = {"sources": r.choice([1, 2, 3]), "pane": r.choice([2, 5]), "bound": r.choice([0, 2]), "lateness": r.choice([0, 3]), "revise_for": r.choice([2, 10, 1000])}
    log, _ = rank.updates(r, c)
    f, after = rank.Rank(c), []
    for x, m in enumerate(log):
        f.step(x, m)
        s = f.state()
        after.append({"lists": [[k, sorted(t.items()), final] for k, (t, final) in sorted(s["lists"].items())],
                      "closing": s["closing"], "dropped": s["dropped"], "as_of": sorted(s["as_of"].items()),
                      "after_final": f.after_final, "checkpoint": f.checkpoint(x)})
    for m in log: m["inc"] = m["inc"][1]
    return {"seed": seed, "settings": c, "log": log, "after": after, "published": [[k, sorted(v.items())] for k, v in sorted(f.published.items())]}

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--seeds", default="1-300")
    lo, hi = map(int, p.parse_args().seeds.split("-"))
    for seed in range(lo, hi + 1): print(json.dumps(trace(seed), separators=(",", ":")))

if __name__ == "__main__": main()
