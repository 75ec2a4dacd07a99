// Package apachekafka starts a real Apache Kafka on this machine: one KRaft node, broker
// and controller in one process, for tests, benchmarks and faults that only a real one
// has. make deps gathers the program (scripts/kafka/pom.xml says which version).
package apachekafka

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/millrank/millrank/internal/embedded"
)

// Options says which broker to start. The zero value speaks plain text, creates no topics
// by itself, never deletes records, and accepts every timestamp.
type Options struct {
	// HeapMiB is the Java heap in MiB, fixed from the start; 0 means 512.
	HeapMiB int
	// Properties are further lines of server.properties, by name; they win over the defaults.
	Properties map[string]string
	// Users are who may log in at the listeners for that, by SCRAM or PLAIN. The
	// listener without authentication is there all the same.
	Users []embedded.KafkaUser
	// TLS is the certificate of the encrypted listeners; nil means that there are none.
	TLS *embedded.Certificate
	// ClientAuthority, in PEM, has issued the certificates that clients must show at the encrypted listener without
	// authentication: mTLS. A client's principal is the common name of its certificate. Nil: they need none.
	ClientAuthority []byte
	// Authorize has the broker ask its ACLs, which are empty at first, what a principal may do. Whoever comes by
	// the listener without encryption and authentication may do everything.
	Authorize bool
}

// Broker is an Apache Kafka in a process of its own, which ends with this one. Its methods
// are safe for concurrent use.
type Broker struct {
	options Options
	folder  string
	ports   ports

	mu      sync.Mutex
	process *process // nil while it is down
}

// Start starts a broker with an empty log in a temporary folder, on free ports, and
// returns when it answers, consumer groups included: after about 3 s on a quiet machine.
// Any number may run at once. The caller closes it. An error's text ends with the end of
// the broker's log.
func Start(ctx context.Context, options Options) (*Broker, error) {
	if err := Available(); err != nil {
		return nil, err
	}
	// A port that was free may be taken until the broker gets to it: then try others.
	const attempts = 3
	for attempt := 1; ; attempt++ {
		b, err := startFresh(ctx, options)
		if err == nil || attempt == attempts || !strings.Contains(err.Error(), "Address already in use") {
			return b, err
		}
	}
}

func startFresh(ctx context.Context, options Options) (*Broker, error) {
	folder, err := os.MkdirTemp("", "millrank-kafka-")
	if err != nil {
		return nil, fmt.Errorf("Apache Kafka: %w", err)
	}
	b := &Broker{options: options, folder: folder}
	if err := b.prepare(ctx); err != nil {
		return nil, errors.Join(err, os.RemoveAll(folder))
	}
	if err := b.Restart(ctx); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return b, nil
}

// prepare writes the settings and formats the log's folder.
func (b *Broker) prepare(ctx context.Context) error {
	var err error
	if b.ports, err = freePorts(); err != nil {
		return fmt.Errorf("Apache Kafka: %w", err)
	}
	if err := b.writeSettings(); err != nil {
		return fmt.Errorf("Apache Kafka: %w", err)
	}
	return b.format(ctx)
}

// Brokers returns the address without encryption and authentication, as host:port. All
// addresses stay the same over a Restart.
func (b *Broker) Brokers() []string { return []string{address(b.ports.plain)} }

// BrokersTLS returns the encrypted address without authentication. It panics where there
// is none, since Options.TLS is nil.
func (b *Broker) BrokersTLS() []string {
	b.wantTLS()
	return []string{address(b.ports.tls)}
}

// BrokersSASL returns the unencrypted address for those of Options.Users. It panics where
// there are none.
func (b *Broker) BrokersSASL() []string {
	b.wantUsers()
	return []string{address(b.ports.sasl)}
}

// BrokersSASLTLS returns the encrypted address for those of Options.Users. It panics where
// there are none, or no Options.TLS.
func (b *Broker) BrokersSASLTLS() []string {
	b.wantUsers()
	b.wantTLS()
	return []string{address(b.ports.saslTLS)}
}

func (b *Broker) wantTLS() {
	if b.options.TLS == nil {
		panic("apachekafka: no encrypted listener: set Options.TLS")
	}
}

func (b *Broker) wantUsers() {
	if len(b.options.Users) == 0 {
		panic("apachekafka: no listener with authentication: set Options.Users")
	}
}

// Restart starts a broker that was stopped or killed again, on the same data and ports,
// and returns when it answers. After a Kill it recovers its log first.
func (b *Broker) Restart(ctx context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.process != nil && !b.process.ended() {
		return errors.New("Apache Kafka: it is running: Stop or Kill it before Restart")
	}
	p, err := b.launch()
	if err != nil {
		return fmt.Errorf("Apache Kafka: %w", err)
	}
	if err := b.ready(ctx, p); err != nil {
		p.kill()
		return fmt.Errorf("Apache Kafka did not get ready: %w\n%s", err, b.LogTail())
	}
	b.process = p
	return nil
}

// Stop ends the broker in order (SIGTERM), as an operator would, and returns when it has
// ended. Its data stay. Where ctx ends first, the broker is killed, and that is an error.
func (b *Broker) Stop(ctx context.Context) error {
	p := b.takeProcess()
	if p == nil {
		return nil
	}
	p.signal(syscall.SIGTERM)
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
		p.kill()
		return fmt.Errorf("Apache Kafka did not stop: %w\n%s", context.Cause(ctx), b.LogTail())
	}
}

// Kill ends the broker at once (SIGKILL), as a crash would, and returns when it has ended.
// Its data stay, as far as they were written.
func (b *Broker) Kill() {
	if p := b.takeProcess(); p != nil {
		p.kill()
	}
}

// Pause halts the process (SIGSTOP), as a long garbage collection or an overloaded host
// would: connections stay open, and nothing answers until Resume.
func (b *Broker) Pause() { b.signal(syscall.SIGSTOP) }

// Resume lets a paused broker go on.
func (b *Broker) Resume() { b.signal(syscall.SIGCONT) }

func (b *Broker) signal(s syscall.Signal) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.process != nil {
		b.process.signal(s)
	}
}

// Close kills the broker and removes its data.
func (b *Broker) Close() error {
	b.Kill()
	if err := os.RemoveAll(b.folder); err != nil {
		return fmt.Errorf("Apache Kafka's data: %w", err)
	}
	return nil
}

// takeProcess returns the running process, if any, which is then the caller's to end.
func (b *Broker) takeProcess() *process {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.process
	b.process = nil
	return p
}

// LogTail returns the last lines of what the broker has logged, with a line that says so.
func (b *Broker) LogTail() string {
	const lines = 40
	text, err := os.ReadFile(b.logFile())
	if err != nil {
		return fmt.Sprintf("(no log of Apache Kafka: %v)", err)
	}
	all := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	return "the end of Apache Kafka's log:\n  " + strings.Join(all[max(0, len(all)-lines):], "\n  ")
}

func (b *Broker) logFile() string { return filepath.Join(b.folder, "kafka.log") }

// readyTimeout is how long a start may take on a busy machine.
const readyTimeout = 90 * time.Second
