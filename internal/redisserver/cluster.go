package redisserver

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
)

// Cluster is a Redis cluster: masters without replicas, which share the slots evenly, in ranges. Its methods are safe
// for concurrent use.
type Cluster struct{ nodes []*Server }

// StartCluster starts a cluster of so many masters, and returns when each of them says that all is well. The caller closes it.
func StartCluster(ctx context.Context, masters int, options Options) (*Cluster, error) {
	c := &Cluster{nodes: make([]*Server, masters)}
	errs := make([]error, masters)
	var starting sync.WaitGroup
	for i := range masters {
		starting.Go(func() { c.nodes[i], errs[i] = start(ctx, options, true) })
	}
	starting.Wait()
	err := errors.Join(errs...)
	for i := 0; i < masters && err == nil; i++ {
		err = c.join(ctx, i)
	}
	if err == nil {
		err = c.Await(ctx)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("Redis cluster: %w", err), c.Close())
	}
	return c, nil
}

// join gives a node its slots, and tells it of the first node.
func (c *Cluster) join(ctx context.Context, i int) error {
	const slots = 16384
	client := c.nodes[i].client()
	first := c.nodes[0]
	err := client.ClusterAddSlotsRange(ctx, i*slots/len(c.nodes), (i+1)*slots/len(c.nodes)-1).Err()
	if err == nil {
		err = client.Do(ctx, "CLUSTER", "SET-CONFIG-EPOCH", i+1).Err()
	}
	if err == nil && i > 0 {
		err = client.Do(ctx, "CLUSTER", "MEET", "127.0.0.1", first.port, first.cluster).Err()
	}
	return errors.Join(err, client.Close())
}

// Await returns when each node says that all slots have a master that answers, as after the Restart of a node.
func (c *Cluster) Await(ctx context.Context) error {
	for _, s := range c.nodes {
		client := s.client()
		err := await(ctx, nil, func(ctx context.Context) error {
			info, err := client.ClusterInfo(ctx).Result()
			if err == nil && (!strings.Contains(info, "cluster_state:ok") || !strings.Contains(info, "cluster_known_nodes:"+strconv.Itoa(len(c.nodes)))) {
				err = fmt.Errorf("not in order yet: %s", strings.ReplaceAll(info, "\r\n", " "))
			}
			return err
		})
		if err = errors.Join(err, client.Close()); err != nil {
			return fmt.Errorf("%w\n%s", err, s.LogTail())
		}
	}
	return nil
}

// Nodes returns the masters, in the order of their slots. The slice is the cluster's.
func (c *Cluster) Nodes() []*Server { return c.nodes }

// Addrs returns the masters' addresses, as host:port.
func (c *Cluster) Addrs() []string {
	addrs := make([]string, len(c.nodes))
	for i, s := range c.nodes {
		addrs[i] = s.Addr()
	}
	return addrs
}

// Close kills all nodes and removes their data.
func (c *Cluster) Close() error {
	var errs []error
	for _, s := range c.nodes {
		if s != nil {
			errs = append(errs, s.Close())
		}
	}
	return errors.Join(errs...)
}
