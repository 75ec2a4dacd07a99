// Package util is in a module of its own.
package util
