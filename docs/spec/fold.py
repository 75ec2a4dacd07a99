#!/usr/bin/env python3
"""Rules 1 and 3 of ARCHITECTURE.md as an executable specification: slow, plain, one source partition.

  fold.py check  [--seeds A-B] [--variant NAME]   restart at every offset, and chains of restarts, against the uninterrupted run
  fold.py traces [--seeds A-B]                    NDJSON test vectors: settings, log, and after each record the decision, W,
                                                  closed panes and the checkpoint as of that record

Times are integers in one unit; offsets are 0, 1, 2, ... here (a real log has gaps: only their order and floor(o/m) matter).
A record is [event_id, item, region, event_time, value, record_time]; null stands for a malformed one; {"advance": t, "record_time": r}
is a punctuation: a producer's word that nothing older than t will come.
Variants, each a plausible mistake that `check` must catch: no-count-from, counted-moves-w, no-refresh, late-not-seen,
open-now (no replay-from), fresh-w (watermark not stored).
"""
import argparse, json, random, sys

class Fold:
    def __init__(self, cfg, variant=None, restore=None):
        self.c, self.v = cfg, variant
        self.W = None                 # watermark
        self.segments = []            # oldest first: {"key": (floor(W/g), floor(o/m)), "first": offset, "w_before": W, "ids": set}
        self.panes = {}               # start -> {"cells": {(region, item): [count, sum, min, max, duplicates]}, "open": offset, "replay_from": offset}
        self.count_from = 0
        if restore:
            self.W = None if variant == "fresh-w" else restore["w"]
            self.count_from = 0 if variant == "no-count-from" else restore["count_from"]

    def step(self, o, rec):
        """Folds the record at offset o. Returns (decision, [(pane start, cells) closed by it])."""
        c = self.c
        if rec is None: return "malformed", []
        if isinstance(rec, dict):
            if rec["advance"] > rec["record_time"] + c["max_ahead"]: return "future", []
            self.W = rec["advance"] if self.W is None else max(self.W, rec["advance"])
            return "punctuation", self._close()
        event_id, item, region, t, value, record_time = rec
        if t > record_time + c["max_ahead"]: return "future", []
        w_before, moved = self.W, t - c["bound"]
        if self.v != "counted-moves-w" or self.W is None: self.W = moved if self.W is None else max(self.W, moved)
        closed = self._close()
        key = (self.W // c["g"], o // c["m"])
        self.segments = [s for s in self.segments if s["key"][0] >= key[0] - c["N"] and s["key"][1] >= key[1] - c["R"]]
        duplicate = any(event_id in s["ids"] for s in self.segments)
        start = t - t % c["pane"]
        late = start + c["pane"] + c["lateness"] <= self.W
        if not (duplicate and self.v == "no-refresh") and not (late and self.v == "late-not-seen"):
            if not self.segments or self.segments[-1]["key"] != key:
                self.segments.append({"key": key, "first": o, "w_before": w_before, "ids": set()})
            self.segments[-1]["ids"].add(event_id)
        if duplicate:
            cell = self.panes.get(start, {"cells": {}})["cells"].get((region, item))
            if cell: cell[4] += 1
            return "duplicate", closed
        if late: return "late", closed
        if self.v == "counted-moves-w":
            self.W = max(self.W, moved); closed += self._close()
        if o >= self.count_from and start + c["pane"] + c["lateness"] > self.W:
            pane = self.panes.setdefault(start, {"cells": {}, "open": o, "replay_from": o if self.v == "open-now" else self.segments[0]["first"]})
            cell = pane["cells"].setdefault((region, item), [0, 0, value, value, 0])
            cell[0] += 1; cell[1] += value; cell[2] = min(cell[2], value); cell[3] = max(cell[3], value)
        return "counted", closed

    def _close(self):
        c = self.c
        done = sorted(s for s in self.panes if s + c["pane"] + c["lateness"] <= self.W)
        return [(s, self.panes.pop(s)["cells"]) for s in done]

    def checkpoint(self, f):
        """The commit as of processed-through f, when everything up to f is published and acknowledged."""
        low, w = f + 1, self.W
        if self.segments: low, w = self.segments[0]["first"], self.segments[0]["w_before"]
        for p in self.panes.values():
            if p["replay_from"] < low: low, w = p["replay_from"], None
        if w is None and low <= f: w = self.w_at.get(low)      # the watermark before a segment's first record
        return {"low_water": low, "w": w, "count_from": min([p["open"] for p in self.panes.values()], default=f + 1), "processed_through": f}

    def run(self, log, a, b):
        """Folds log[a:b]; remembers W before each record (an implementation keeps it for segment starts only)."""
        if not hasattr(self, "w_at"): self.w_at = {}
        for o in range(a, b):
            self.w_at[o] = self.W
            d, closed = self.step(o, log[o])
            yield o, d, closed

def settings(r):
    return {"pane": r.choice([2, 5, 10]), "bound": r.choice([0, 1, 3]), "lateness": r.choice([0, 4, 15]), "g": r.choice([1, 3, 5]), "N": r.choice([1, 2, 4, 8]),
            "m": r.choice([3, 8, 1000]), "R": r.choice([1, 2]), "max_ahead": r.choice([3, 8])}

def log(r, n):
    """Bursts, gaps, disorder, duplicates near and far with the same or another time and payload, future and malformed records."""
    out, now, seen = [], 0, []
    for k in range(n):
        now += r.choice([0, 0, 0, 1, 1, 2, 3, r.randint(0, 12)])
        x = r.random()
        if x < .03: out.append(None); continue
        if x < .06: out.append({"advance": max(0, now + r.randint(-8, 12)), "record_time": now}); continue
        if seen and x < .42:
            rec = list(r.choice(seen[-r.choice([2, 4, 10, 40]):]))
            if r.random() < .6: rec[3] = max(0, now + r.randint(-14, 3))
            if r.random() < .2: rec[4] = r.randint(-3, 9)
        else:
            rec = ["e%d" % k, r.choice("abcd"), r.choice(["eu", "na"]), max(0, now + r.randint(-12, 2)), r.choice([1, 1, 1, 2, -1]), 0]
        if r.random() < .05: rec[3] = now + r.randint(4, 40)
        rec[5] = now
        out.append(rec); seen.append(rec)
    return out

def cells(c): return sorted([list(k) + v for k, v in c.items()])

def trace(cfg, lg, variant=None):
    f, rows = Fold(cfg, variant), []
    for o, d, closed in f.run(lg, 0, len(lg)):
        rows.append({"offset": o, "decision": d, "w": f.W, "closed": [[s, cells(c)] for s, c in closed],
                     "open": [[s, cells(p["cells"])] for s, p in sorted(f.panes.items())], "checkpoint": f.checkpoint(o)})
    return rows

def trial(seed, variant, n=40):
    r = random.Random(seed); cfg, lg = settings(r), log(r, n); ref = trace(cfg, lg, variant)
    for stop in range(n):
        at, ck = stop, ref[stop]["checkpoint"]
        while True:                                  # restart as of `at`, perhaps again later
            f = Fold(cfg, variant, restore=ck); again = r.choice([None, None, r.randint(at, n - 1)])
            for o, d, closed in f.run(lg, ck["low_water"], n):
                if o == at:
                    got = [[s, cells(p["cells"])] for s, p in sorted(f.panes.items())]
                    if got != ref[o]["open"] or f.W != ref[o]["w"]: return "state after replay", stop, o, cfg, lg
                if o > at:
                    got = {"decision": d, "w": f.W, "closed": [[s, cells(c)] for s, c in closed], "checkpoint": f.checkpoint(o)}
                    for k in got:
                        if got[k] != ref[o][k]: return k, stop, o, cfg, lg, got[k], ref[o][k]
                if again is not None and o == again and o > at: ck2 = f.checkpoint(o); break
            else: break
            at, ck = again, ck2
    # the duplicate rule, straight from its definition
    w = [x["w"] for x in ref]
    if variant != "counted-moves-w":
        for o, rec in enumerate(lg):
            if ref[o]["decision"] in ("malformed", "future", "punctuation"): continue
            dup = any(isinstance(lg[q], list) and lg[q][0] == rec[0] and ref[q]["decision"] != "future"
                      and w[q] // cfg["g"] >= w[o] // cfg["g"] - cfg["N"] and q // cfg["m"] >= o // cfg["m"] - cfg["R"] for q in range(o))
            if dup != (ref[o]["decision"] == "duplicate"): return "definition", o, cfg, lg
    return None

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("what", choices=["check", "traces"]); p.add_argument("--seeds", default="1-500"); p.add_argument("--variant"); a = p.parse_args()
    lo, hi = map(int, a.seeds.split("-"))
    if a.what == "traces":
        for s in range(lo, hi + 1):
            r = random.Random(s); cfg, lg = settings(r), log(r, 40)
            print(json.dumps({"seed": s, "settings": cfg, "log": lg, "after": trace(cfg, lg)}, separators=(",", ":")))
        return 0
    bad = 0
    for s in range(lo, hi + 1):
        x = trial(s, a.variant)
        if x:
            bad += 1
            if bad == 1: print("seed", s, *x, file=sys.stderr)
    print(f"{hi - lo + 1} logs, restart at every offset: {bad} differ"); return bad > 0

if __name__ == "__main__": sys.exit(main())
