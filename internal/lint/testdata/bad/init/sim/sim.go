// Package sim registers itself.
package sim

func init() {} // want "func init: build it in a constructor"
