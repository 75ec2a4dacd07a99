package chain_test

import (
	"os"
	"path/filepath"
	"sync"
)

// built is the program, built once for all tests.
type built struct {
	once sync.Once
	path string
	err  error
}

func (b *built) remove() error {
	if b.path == "" {
		return nil
	}
	return os.RemoveAll(filepath.Dir(b.path))
}

var program built
