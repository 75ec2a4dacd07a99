package util

func init() { println("the go tool doesn't look into testdata") }
