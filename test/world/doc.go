// Package world is what tests of the whole chain have in common: a Kafka with the topics of one run, what was produced into them, leaderboards in a Redis, and
// the oracle (package sim) that all of what comes out is compared with. Who does the work, members in the test's process, in others, or the built program, is the
// tests' business (test/chain, test/e2e).
package world
