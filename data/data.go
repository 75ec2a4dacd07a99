// Package data holds two real data sets, and their exact answers, for the demo and the tests. Where they come from is in the
// SOURCE.txt of each; NOTICE has their licences.
package data

import "embed"

// Files are the data sets, a folder each: events.ndjson.gz, and expected-<measure>-<window>.json.gz.
//
//go:embed */*.gz
var Files embed.FS
