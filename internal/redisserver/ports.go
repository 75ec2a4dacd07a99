package redisserver

import (
	"crypto/rand"
	"fmt"
	"math/big"
	"net"
	"slices"
)

// freePorts finds ports that nobody listens on, below those that the system gives to outgoing connections: a client
// that dials such a port again and again while the server is down would one day get it as its own, and talk to itself.
func freePorts(n int) ([]int, error) {
	const from, below = 10_000, 32_000
	var found []int
	for tries := 0; len(found) < n; tries++ {
		if tries == 1000 {
			return nil, fmt.Errorf("no free ports between %d and %d", from, below)
		}
		random, err := rand.Int(rand.Reader, big.NewInt(below-from))
		if err != nil {
			return nil, fmt.Errorf("a port by chance: %w", err)
		}
		port := from + int(random.Int64())
		//nolint:noctx // returns at once
		listener, err := net.Listen("tcp", address(port))
		if err != nil || slices.Contains(found, port) {
			continue
		}
		if err := listener.Close(); err != nil {
			return nil, fmt.Errorf("port %d: %w", port, err)
		}
		found = append(found, port)
	}
	return found, nil
}
