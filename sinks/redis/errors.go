package redis

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"

	goredis "github.com/redis/go-redis/v9"

	"github.com/millrank/millrank/internal/clienttls"
)

// Errors that Redis answers with, for errors.Is. All pass by themselves once what they say is mended; what was to be
// written must then be written again.
var (
	ErrFull        = errors.New("Redis is full: raise its maxmemory, or lower TTL, K or the number of groups")
	ErrReadOnly    = errors.New("Redis is a replica: it has been failed over, or Client must be pointed at the master")
	ErrLoading     = errors.New("Redis has restarted and is loading its data")
	ErrClusterDown = errors.New("the Redis cluster is down: a master without a replica is gone, or slots have no master")
	ErrRefused     = errors.New("Redis refuses Client: check its user, its password (redis.username, redis.password_file), and that the user may do on the keys what docs/redis.md lists (ACL)")
	ErrTimeout     = errors.New("Redis did not answer in time: it is overloaded or cut off, or Timeout is too short, or its port isn't the encrypted one and Client encrypts (redis.tls)")
	ErrHungUp      = errors.New("Redis hangs up: its port may be the encrypted one, and Client doesn't encrypt (redis.tls)")
	ErrTLS         = errors.New("no encrypted connection to Redis")
)

// Errors of generations.
var (
	ErrActive     = errors.New("this generation is the active one: activate another one first")
	ErrSuperseded = errors.New("Redis has been told of a later activation, or of another one with this epoch")
)

// errSwitching is the error of a write that activations have kept from its place.
var errSwitching = errors.New("generations are being activated; it will do when that is over")

// errUnknown is the error of a write of which nobody knows where it belongs.
var errUnknown = errors.New("which generation is active is not known yet, neither to Redis nor to Config.Active")

// errNotSent is the error of a call that a failure of an earlier one left out.
var errNotSent = errors.New("not sent")

// Explain says what to do about an error that a client of Redis has given.
func Explain(err error) error {
	var kind error
	var timeout net.Error
	switch {
	case goredis.IsOOMError(err):
		kind = ErrFull
	case goredis.IsReadOnlyError(err), goredis.IsNoReplicasError(err):
		kind = ErrReadOnly
	case goredis.IsLoadingError(err), goredis.IsMasterDownError(err):
		kind = ErrLoading
	case goredis.IsClusterDownError(err), goredis.IsTryAgainError(err):
		kind = ErrClusterDown
	case goredis.IsAuthError(err), goredis.IsPermissionError(err):
		kind = ErrRefused
	case clienttls.ReasonOf(err) != clienttls.None:
		return fmt.Errorf("%w: %w; %s", ErrTLS, err, clienttls.ReasonOf(err).Describe(clienttls.Names{
			Authority: "redis.tls.ca_file", Certificate: "redis.tls.certificate_file", Key: "redis.tls.key_file",
		}, "redis.tls.enabled"))
	case errors.Is(err, io.EOF):
		kind = ErrHungUp
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		kind = ErrTimeout
	default:
		return fmt.Errorf("Redis: %w", err)
	}
	return fmt.Errorf("%w: %w", kind, err)
}
