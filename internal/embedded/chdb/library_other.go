//go:build !linux || !amd64 || nochdb

package chdb

import (
	"context"
	"errors"
	"os"
	"runtime"
)

func supported() error {
	if runtime.GOOS == "linux" && runtime.GOARCH == "amd64" {
		return missing("this program was built without it (build tag nochdb)")
	}
	return missing("it is there for linux/amd64 only, and this is %s/%s", runtime.GOOS, runtime.GOARCH)
}

func load(string) (*library, error) { return nil, supported() }

type signals struct{}

func signalActions() signals { return signals{} }

func (*signals) restore() error { return nil }

func tryLock(string) (*os.File, error) { return nil, errors.ErrUnsupported }

func lockFile(context.Context, string) (*os.File, error) { return nil, errors.ErrUnsupported }

func dataFile([]byte) (*os.File, string, error) { return nil, "", errors.ErrUnsupported }
