package apachekafka

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// ErrMissing is in what Available returns when the machine lacks something.
var ErrMissing = errors.New("Apache Kafka can't be started here")

// Available returns nil if this machine has what Start needs, and otherwise an error that
// wraps ErrMissing and says what is missing and how to mend it.
func Available() error {
	if _, err := exec.LookPath("java"); err != nil {
		return fmt.Errorf("%w: no java on PATH: `make deps` installs it", ErrMissing)
	}
	_, err := libFolder()
	return err
}

// libFolder returns the folder of jars that make deps has filled, in the module's root.
func libFolder() (string, error) {
	at, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrMissing, err)
	}
	for {
		if _, err := os.Stat(filepath.Join(at, "go.mod")); err == nil {
			break
		}
		above := filepath.Dir(at)
		if above == at {
			return "", fmt.Errorf("%w: run it inside the repository, where `make deps` puts .tools/kafka/lib", ErrMissing)
		}
		at = above
	}
	lib := filepath.Join(at, ".tools", "kafka", "lib")
	if jars, err := filepath.Glob(filepath.Join(lib, "kafka_*.jar")); err != nil || len(jars) == 0 {
		return "", fmt.Errorf("%w: no jars in %s: `make deps` gathers them", ErrMissing, lib)
	}
	return lib, nil
}
