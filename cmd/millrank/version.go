package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// build is what is known of the binary.
type build struct {
	Version string `json:"version"`
	Commit  string `json:"commit,omitempty"`
	Time    string `json:"time,omitempty"`
	Dirty   bool   `json:"dirty,omitempty"`
	Go      string `json:"go"`
	System  string `json:"system"`
}

func (a *app) versionCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "version", Short: "Say which version this is", Args: noArgs, GroupID: "look",
		RunE: func(*cobra.Command, []string) error {
			b := thisBuild()
			if a.json {
				return json.NewEncoder(a.out).Encode(b)
			}
			_, err := fmt.Fprintf(a.out, "millrank %s\ncommit %s, %s\n%s, %s\n", b.Version, b.Commit, b.Time, b.Go, b.System)
			return err
		},
	}
	a.jsonFlag(c)
	return c
}

// What the linker sets in releases and images, which may be built from a tree without git (-ldflags '-X main.linkedVersion=v1.2.3').
var linkedVersion, linkedCommit, linkedTime string

func thisBuild() build {
	b := build{Version: "unknown", Go: runtime.Version(), System: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	b.Version = info.Main.Version
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Commit = s.Value
		case "vcs.time":
			b.Time = s.Value
		case "vcs.modified":
			b.Dirty = s.Value == "true"
		}
	}
	b.Version, b.Commit, b.Time = cmp.Or(linkedVersion, b.Version), cmp.Or(linkedCommit, b.Commit), cmp.Or(linkedTime, b.Time)
	return b
}
