package redis

import (
	"context"
	"crypto/sha1" //nolint:gosec // EVALSHA names scripts by it
	_ "embed"     // the scripts
	"encoding/hex"
	"fmt"
	"strconv"

	goredis "github.com/redis/go-redis/v9"
)

//go:embed list.lua
var listSource string

//go:embed guard.lua
var guardSource string

//go:embed late.lua
var lateSource string

//go:embed move.lua
var moveSource string

//go:embed activate.lua
var activateSource string

//go:embed show.lua
var showSource string

//go:embed point.lua
var pointSource string

//go:embed drop.lua
var dropSource string

// script is a Lua script, and what EVALSHA calls it.
type script struct{ source, sha string }

func newScript(source string) script {
	sum := sha1.Sum([]byte(source)) //nolint:gosec // EVALSHA names scripts by it
	return script{source, hex.EncodeToString(sum[:])}
}

var (
	listScript  = newScript(listSource)
	guardScript = newScript(guardSource)
	lateScript  = newScript(lateSource)

	activateScript = newScript(moveSource + activateSource)
	showScript     = newScript(moveSource + showSource)
	pointScript    = newScript(pointSource)
	dropScript     = newScript(dropSource)
)

// call is one run of a script, and what came of it.
type call struct {
	script script
	keys   []string
	args   []any
	answer int64
	id     string // of a sentinel, as guard.lua returns it
	seq    int64  // of a sentinel
	err    error  // nil once it has answered
}

// take takes an answer in.
func (c *call) take(reply any, err error) {
	c.err = err
	if err != nil {
		return
	}
	ok := false
	switch reply := reply.(type) {
	case int64:
		c.answer, ok = reply, true
	case []any:
		if len(reply) == 3 {
			c.answer, ok = reply[0].(int64)
			id, isID := reply[1].(string)
			seq, isSeq := reply[2].(int64)
			c.id, c.seq, ok = id, seq, ok && isID && isSeq
		}
	}
	if !ok {
		c.err = fmt.Errorf("a script answered %v, which it never does", reply)
	}
}

// What one pipeline holds at most: a server answers as it reads, and a client that writes for long without reading
// makes it keep the answers.
const (
	pipelineCalls = 1000
	pipelineBytes = 4 << 20
)

// run runs scripts, pipelined, and returns the first error. Each key is in one call only: their
// order is kept on one server, unless it doesn't know the script, but not between a cluster's servers.
// After an error the calls from that pipeline on may have run or not, save those without an error of their own.
func (s *Sink) run(ctx context.Context, calls []*call) error {
	for len(calls) > 0 {
		n, bytes := 0, 0
		for n < len(calls) && n < pipelineCalls && (n == 0 || bytes < pipelineBytes) {
			bytes += calls[n].bytes()
			n++
		}
		for i := range calls[:n] {
			calls[i].err = errNotSent
		}
		if err := s.pipeline(ctx, calls[:n]); err != nil {
			for _, c := range calls[n:] {
				c.err = errNotSent
			}
			return err
		}
		calls = calls[n:]
	}
	return nil
}

// How a script is named to a server that may not know it: by its hash, by its hash again after all servers
// have been told the script, and by the script itself.
const (
	byHash = iota
	byHashLoaded
	bySource
	waysToCall
)

// pipeline runs one pipeline, and again what met a server without the script: one that was restarted, failed over to, or
// had its scripts flushed.
func (s *Sink) pipeline(ctx context.Context, calls []*call) error {
	for way := range waysToCall {
		if way == byHashLoaded {
			// A server that isn't told, such as one the client doesn't know yet, gets the script with the call.
			once, cancel := context.WithTimeout(ctx, s.config.Timeout)
			err := s.config.Client.ScriptLoad(once, calls[0].script.source).Err()
			cancel()
			if err != nil {
				s.config.Logger.Debug("Redis: a script could not be loaded everywhere", map[string]any{"error": err.Error()})
			}
			s.counts.commands.Add(1)
		}
		s.exec(ctx, calls, way)
		unknown, first := calls[:0:0], error(nil)
		for _, c := range calls {
			switch {
			case c.err == nil:
			case goredis.HasErrorPrefix(c.err, "NOSCRIPT"):
				unknown = append(unknown, c)
			case first == nil:
				first = fmt.Errorf("%s: %w", c.keys[0], c.err)
			}
		}
		if first != nil {
			return Explain(first)
		}
		if calls = unknown; len(calls) == 0 {
			return nil
		}
	}
	return Explain(fmt.Errorf("%s: %w", calls[0].keys[0], calls[0].err))
}

// exec sends calls and takes their answers in.
func (s *Sink) exec(ctx context.Context, calls []*call, way int) {
	ctx, cancel := context.WithTimeout(ctx, s.config.Timeout)
	defer cancel()
	pipe := s.config.Client.Pipeline()
	answers := make([]*goredis.Cmd, len(calls))
	bytes := 0
	for i, c := range calls {
		if way == bySource {
			answers[i] = pipe.Eval(ctx, c.script.source, c.keys, c.args...)
			bytes += len(c.script.source) - len(c.script.sha)
		} else {
			answers[i] = pipe.EvalSha(ctx, c.script.sha, c.keys, c.args...)
		}
		bytes += c.bytes()
	}
	s.counts.pipelines.Add(1)
	s.counts.commands.Add(int64(len(calls)))
	s.counts.bytes.Add(int64(bytes))
	_, failed := pipe.Exec(ctx)
	for i, c := range calls {
		reply, err := answers[i].Result()
		if reply == nil && err == nil { // a connection whose greeting is refused, such as by an ACL, leaves calls without an answer
			err = failed
		}
		c.take(reply, err)
	}
}

// bytes returns how long the command is as it is sent.
func (c *call) bytes() int {
	n := bulk(len("EVALSHA")) + bulk(len(c.script.sha)) + bulk(1) + len("*000\r\n")
	for _, key := range c.keys {
		n += bulk(len(key))
	}
	for _, arg := range c.args {
		if s, ok := arg.(string); ok {
			n += bulk(len(s))
		}
	}
	return n
}

// bulk returns how many bytes the protocol takes for an argument of so many.
func bulk(n int) int {
	var digits [20]byte
	return len("$\r\n\r\n") + len(strconv.AppendInt(digits[:0], int64(n), 10)) + n
}
