package chain_test

import (
	"testing"

	"github.com/millrank/millrank/internal/embedded"
	"github.com/millrank/millrank/internal/redisserver"
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
			s, err := embedded.StartRedis(embedded.RedisOptions{Clock: true})
			if err != nil {
				r.t.Fatal(err)
			}
			r.t.Cleanup(s.Close)
			r.found[kind] = []string{s.Addr()}
		}
	}
	return r.found[kind]
}
