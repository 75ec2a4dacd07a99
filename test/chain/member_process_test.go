package chain_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/millrank/millrank/test/world"
)

// startProcess starts a member in a process of its own, and kills it with the test at the latest.
func startProcess(w *world.World, c memberConfig) *world.Process {
	w.T.Helper()
	c.ClientID, c.Log = world.NewID("process"), filepath.Join(w.T.TempDir(), "member.log")
	text, err := json.Marshal(c)
	if err != nil {
		w.T.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), memberEnv+"="+string(text))
	return w.Launch(c.ClientID, c.Log, cmd)
}
