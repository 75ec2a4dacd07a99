// Package chain simulates the whole chain in virtual time, on one goroutine: source log, fold, updates log, rank, rankings
// log, merge, stores, dead letters, commits. The machines are the engine's own (operators); what stands around them, package handlers,
// Kafka and the stores, is modelled: small, with the same names, and with the same order of effects.
//
// A Scenario is settings, records, and steps: what is delivered, flushed, lost, committed, killed, and when. Draw makes one of a seed; Run
// runs it, then ends all faults, drains the chain, and holds everything against package sim's oracle and against plain models of what a
// receiver must make of a log. What is checked at every step is named by its invariant:
//
//	O  what is published, and what the stores hold in the end, equals the oracle's
//	D  each record's decision equals that of a run without faults
//	M  nothing is committed that isn't durable downstream, or that a restart would still need
//	R  revisions never go back, and the same revision means the same bytes
//	B  what machines hold, and how far back a restart must begin, is bounded
//	L  once the faults have ended, all is done within a few rounds
//
// A scenario that fails is made smaller by Shrink, and written as a script; those in testdata run as tests.
package chain
