package microbatch_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"
)

// noise returns bytes that can't be compressed.
func noise(n int) []byte {
	r := rand.NewChaCha8([32]byte{})
	b := make([]byte, n)
	_, _ = r.Read(b)
	return b
}

// scissors cut connections instead of answering.
type scissors struct{ cuts atomic.Int32 }

// listen is for kfake.ListenFn.
func (s *scissors) listen(network, address string) (net.Listener, error) {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), network, address)
	return cutListener{l, s}, err
}

type cutListener struct {
	net.Listener
	*scissors
}

func (l cutListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return cutConn{c, l.scissors}, err
}

type cutConn struct {
	net.Conn
	*scissors
}

func (c cutConn) Write(b []byte) (int, error) {
	if c.cuts.Add(-1) >= 0 {
		_ = c.Close()
		return 0, errors.New("cut")
	}
	return c.Conn.Write(b)
}

// load is what several publishers do at the same time: each calls again and again, with messages for all partitions. Nothing is
// sent again when a call fails.
type load struct {
	publishers, partitions int
	calls, failed          atomic.Int32

	mu    sync.Mutex
	acked map[string]bool // "<publisher>.<call>"
}

const loadEach = 20 // messages of a call to a partition

func newLoad(publishers, partitions int) *load {
	return &load{publishers: publishers, partitions: partitions, acked: map[string]bool{}}
}

// run calls while more says so.
func (l *load) run(more func(publisher int) bool, publish func(string, ...*message.Message) error) {
	var all sync.WaitGroup
	for who := range l.publishers {
		all.Go(func() {
			for call := 0; more(who); call++ {
				name := fmt.Sprintf("%d.%d", who, call)
				var msgs []*message.Message
				for partition := range l.partitions {
					msgs = append(msgs, series(partition, name, loadEach)...)
				}
				if err := publish("updates", msgs...); err != nil {
					l.failed.Add(1)
					continue
				}
				l.mu.Lock()
				l.acked[name] = true
				l.mu.Unlock()
			}
		})
	}
	all.Wait()
}

// check looks at what is written: all of the calls that didn't fail, nothing twice, and, of each publisher, in order, also what failed
// calls have left.
func (l *load) check(t *testing.T, written [][]string) {
	t.Helper()
	t.Logf("%d calls failed, %d didn't", l.failed.Load(), len(l.acked))
	if l.failed.Load() == 0 || len(l.acked) == 0 {
		t.Error("this tests little")
	}
	for partition, values := range written {
		last, there := make([][2]int, l.publishers), map[string]int{}
		for _, v := range values {
			var who, call, i int
			if _, err := fmt.Sscanf(v, "%d.%d/%d", &who, &call, &i); err != nil {
				t.Fatal(v, err)
			}
			is := [2]int{call, i + 1}
			if slices.Compare(is[:], last[who][:]) <= 0 {
				t.Errorf("partition %d: publisher %d: %v is after %v", partition, who, is, last[who])
			}
			last[who] = is
			there[fmt.Sprintf("%d.%d", who, call)]++
		}
		for name := range l.acked {
			if there[name] != loadEach {
				t.Errorf("partition %d: of call %s, %d messages are there, not %d", partition, name, there[name], loadEach)
			}
		}
	}
}
