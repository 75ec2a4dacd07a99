package handlers

import "github.com/millrank/millrank/operators"

// ParseCheckpoint reads the state that the intake has committed with an offset, for those who look on from outside (microbatch.ParseCommit gets it out
// of the metadata). The error says what is wrong with it.
func ParseCheckpoint(offset int64, state string) (operators.Checkpoint, error) {
	return parseCheckpoint(offset, state)
}

// ParseResume reads the state that rank or leaderboard has committed with an offset, as ParseCheckpoint does the intake's.
func ParseResume(offset int64, state string) (operators.Resume, error) {
	return parseResume(offset, state)
}
