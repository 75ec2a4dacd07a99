// Command fetch installs the embedded ClickHouse's library for the tests, as make deps does.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"github.com/millrank/millrank/internal/embedded/chdb"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	path, err := chdb.Ensure(ctx, nil)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(path)
}
