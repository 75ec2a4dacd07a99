// Package handlers holds Millrank's Watermill handlers. They translate between messages
// and the state machines of package operators; what is decided, is decided there.
//
//	Intake         deduplicate and windower: events to updates            intake.go
//	  Deduplicate  reads a batch, finds duplicates                        deduplicate.go
//	  Window       counts it; publishes updates and dead letters          windower.go, flush.go
//	Link           joins two handlers: an ack of the first covers both    link.go
//	Rank           updates to a shard's rankings                          rank.go
//	Leaderboard    rankings of all shards to a store, such as Redis       leaderboard.go, refill.go
//	LateCounts     dead letters to late counts in that store              late.go
//	Cells          updates to rows of a history, such as ClickHouse's     history.go, history_cells.go
//	Letters        dead letters to rows of it                             history_letters.go
//
// A message of microbatch.Subscriber holds many records of one partition, and its
// context the claim that they come from; with it the handlers resume exactly where the group left
// off. Only an Intake takes anything else: to it, a message of any other Subscriber is taken as one record (plain.go): it is counted just so,
// but what was counted before a restart is forgotten, since there is no log to read it from again.
//
// Watermill's middleware does with a batch what it does with a message: Recoverer, Retry, CircuitBreaker, Timeout, metrics and
// the like serve. InstantAck is refused, since it acknowledges what has not been handled yet. What swallows errors (PoisonQueue,
// IgnoreErrors) has a partition begin again at its commit, where that would lose something else.
package handlers
