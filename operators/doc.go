// Package operators decides: it drops duplicates, counts events in panes of event
// time, ranks items in windows of panes, and says from where each of those can be
// resumed. It is a set of state machines that are stepped: the same state and the
// same input give the same output. No goroutines, no clocks, no I/O, no locks; each
// machine serves one goroutine.
//
// The machines, in the order in which an event meets them:
//
//	Dedup      has this event ID been seen within the horizon?      dedup.go
//	Panes      adds the event to its (pane, group, item) cell       pane.go
//	Partition  both: the fold over one source partition             partition.go
//	Sender     what changed since a shard last acknowledged         exchange_send.go
//	Receiver   takes flushes in whole, and closes time              exchange_receive.go
//	Window     tumbling and sliding windows as unions of panes      window.go
//	Board      what is ranked: measure, window, K, order, groups    board.go
//	Rank       one shard's exact rankings                           rank.go
//	Merge      the shards' lists as one list                        merge.go
//
// Rules 1–4, which they keep, are stated in ARCHITECTURE.md.
package operators
