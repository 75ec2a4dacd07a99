//go:build e2e

package e2e_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/millrank/millrank/internal/apachekafka"
	"github.com/millrank/millrank/internal/redisserver"
	"github.com/millrank/millrank/internal/testserver"
)

// kafka is the Apache Kafka that tests share.
var kafka = apachekafka.NewShared(apachekafka.Options{})

// sharedRedis is the Redis that tests share which do nothing to it.
var sharedRedis = testserver.NewShared(func() error {
	_, err := redisserver.Find()
	return err
}, func(ctx context.Context) (*redisserver.Server, error) {
	return redisserver.Start(ctx, redisserver.Options{})
})

// built is a program of a folder of its own.
type built struct{ path string }

// Close removes it.
func (b *built) Close() error { return os.RemoveAll(filepath.Dir(b.path)) }

// program is Millrank, built once for all tests.
var program = testserver.NewShared(func() error { return nil }, func(ctx context.Context) (*built, error) { return build(ctx, "../..") })

// build builds the program from a folder of sources.
func build(ctx context.Context, sources string, flags ...string) (*built, error) {
	folder, err := os.MkdirTemp("", "millrank-built-")
	if err != nil {
		return nil, err
	}
	b := &built{filepath.Join(folder, "millrank")}
	cmd := exec.CommandContext(ctx, "go", append(append([]string{"build"}, flags...), "-o", b.path, "./cmd/millrank")...)
	cmd.Dir = sources
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building the program: %w\n%s", err, out)
	}
	return b, nil
}

func TestMain(m *testing.M) { os.Exit(program.Main(sharedRedis.Main(kafka.Main(m))).Run()) }
