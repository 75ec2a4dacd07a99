package chain_test

import (
	"testing"

	"github.com/millrank/millrank/internal/redisserver"
	"github.com/millrank/millrank/test/world"
)

// redises are the Redis servers that tests share.
type redises struct {
	t     *testing.T
	found map[string][]string
}

func newRedises(t *testing.T) *redises {
	t.Helper()
	return &redises{t, map[string][]string{}}
}

// addresses returns the addresses of a server, a cluster or the embedded one, and starts it for the first to ask.
func (r *redises) addresses(kind string) []string {
	r.t.Helper()
	if r.found[kind] == nil {
		switch kind {
		case "server":
			r.found[kind] = []string{redisserver.StartTest(r.t, redisserver.Options{}).Addr()}
		case "cluster":
			r.found[kind] = redisserver.StartClusterTest(r.t, 3, redisserver.Options{}).Addrs()
		default:
			r.found[kind] = []string{world.MiniRedis(r.t)}
		}
	}
	return r.found[kind]
}
