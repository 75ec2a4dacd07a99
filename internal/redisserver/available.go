package redisserver

import (
	"errors"
	"fmt"
	"os/exec"
)

// ErrMissing is in what Find returns when the machine has no Redis server.
var ErrMissing = errors.New("a Redis server can't be started here")

// program is the server's name on PATH. (Valkey's packages link it by this name, too.)
const program = "redis-server"

// Find returns the path of the server's program, or an error that wraps ErrMissing and says how to mend it.
func Find() (string, error) {
	path, err := exec.LookPath(program)
	if err != nil {
		return "", fmt.Errorf("%w: no %s on PATH: `make deps` installs it", ErrMissing, program)
	}
	return path, nil
}
