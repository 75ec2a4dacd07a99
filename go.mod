module github.com/millrank/millrank

go 1.26

require (
	github.com/google/go-cmp v0.7.0 // indirect
	github.com/klauspost/cpuid/v2 v2.2.10 // indirect
	github.com/zeebo/xxh3 v1.1.0
	golang.org/x/sys v0.30.0 // indirect
)
