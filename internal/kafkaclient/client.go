// Package kafkaclient reaches Kafka for what the command line does beside the pipeline: administration, and
// producing events. It goes by the same connection as the pipeline does, so that one file of settings serves both.
package kafkaclient

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrank/millrank/microbatch"
)

// The connection's defaults: microbatch.Connection says so.
const (
	connectTimeout = 10 * time.Second
	requestTimeout = 30 * time.Second
)

// New returns a client for a connection, or all that is wrong with the connection (microbatch.Connection.Validate).
// It connects when it is first used: Reach tells whether that works. Options come after the
// connection's own and override them. The caller closes it.
func New(c microbatch.Connection, opts ...kgo.Opt) (*kgo.Client, error) {
	own, err := c.FranzOptions()
	if err != nil {
		return nil, err
	}
	client, err := kgo.NewClient(append(own, opts...)...)
	if err != nil {
		return nil, fmt.Errorf("a client for %v: %w", c, err)
	}
	return client, nil
}

// NewAdmin returns a client for administration. The caller closes it.
func NewAdmin(c microbatch.Connection, opts ...kgo.Opt) (*kadm.Client, error) {
	client, err := New(c, opts...)
	if err != nil {
		return nil, err
	}
	admin := kadm.NewClient(client)
	// A broker gives up on a request of an administrator as late as on any other.
	admin.SetTimeoutMillis(int32(cmp.Or(c.RequestTimeout, requestTimeout).Milliseconds()))
	return admin, nil
}

// Reach asks the brokers for an answer, so that what can't be reached is said at once and not after all retries of
// the first request. It waits for the connection's own timeouts at most.
func Reach(ctx context.Context, client *kgo.Client, c microbatch.Connection) error {
	wait := cmp.Or(c.ConnectTimeout, connectTimeout) + cmp.Or(c.RequestTimeout, requestTimeout)
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	if err := client.Ping(ctx); err != nil {
		return Explain(fmt.Errorf("%v can't be reached: %w", c, err))
	}
	return nil
}
