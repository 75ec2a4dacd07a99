// Package redisserver starts real Redis servers on this machine, alone, as replicas and as a cluster, for tests,
// benchmarks and faults that only a real one has. make deps installs the program.
package redisserver

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/millrank/millrank/internal/embedded"
)

// Options says which server to start. The zero value listens on a free port of the loopback interface, and writes nothing to disk.
type Options struct {
	// ReplicaOf is the address of the server that it is to copy, as host:port; "" means none.
	ReplicaOf string
	// AppendOnly makes it write each command to disk before it answers, so that a Restart finds what it had. Off unless it is set.
	AppendOnly bool
	// Settings are further lines of redis.conf, by name, such as maxmemory; they win over the defaults.
	Settings map[string]string
	// TLS is the certificate of an encrypted port beside the other one (AddrTLS), for a single server; nil means that there is none.
	TLS *embedded.Certificate
	// ClientAuthority, in PEM, has issued the certificates that clients must show there: mTLS. Nil: they need none.
	ClientAuthority []byte
}

// Server is a Redis server in a process of its own, which ends with this one. Its methods are safe for concurrent use.
type Server struct {
	options Options
	folder  string
	port    int
	cluster int // the port on which the nodes of a cluster talk to each other; 0 for a single server
	secure  int // the encrypted port; 0 where there is none

	mu      sync.Mutex
	process *process // nil while it is down
}

// readyTimeout is how long a start may take on a busy machine.
const readyTimeout = 30 * time.Second

// Start starts an empty server in a temporary folder, and returns when it answers. Any number may run at once. The
// caller closes it. An error's text ends with the end of the server's log.
func Start(ctx context.Context, options Options) (*Server, error) { return start(ctx, options, false) }

func start(ctx context.Context, options Options, cluster bool) (*Server, error) {
	if _, err := Find(); err != nil {
		return nil, err
	}
	// A port that was free may be taken until the server gets to it: then try others.
	const attempts = 3
	for attempt := 1; ; attempt++ {
		s, err := startFresh(ctx, options, cluster)
		if err == nil || attempt == attempts || !strings.Contains(err.Error(), "Address already in use") {
			return s, err
		}
	}
}

func startFresh(ctx context.Context, options Options, cluster bool) (*Server, error) {
	folder, err := os.MkdirTemp("", "millrank-redis-")
	if err != nil {
		return nil, fmt.Errorf("Redis: %w", err)
	}
	ports, err := freePorts(2)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("Redis: %w", err), os.RemoveAll(folder))
	}
	s := &Server{options: options, folder: folder, port: ports[0]}
	switch {
	case cluster:
		s.cluster = ports[1]
	case options.TLS != nil:
		s.secure = ports[1]
	}
	if err := s.Restart(ctx, Keep); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Addr returns where it listens, as host:port. It stays the same over a Restart.
func (s *Server) Addr() string { return address(s.port) }

// AddrTLS returns where it listens with encryption. It panics where it doesn't, since Options.TLS is nil.
func (s *Server) AddrTLS() string {
	if s.secure == 0 {
		panic("redisserver: no encrypted port: set Options.TLS")
	}
	return address(s.secure)
}

// Data says what a Restart does with a server's data.
type Data bool

// What a Restart can do with them.
const (
	Keep  Data = false // what it has on disk: everything with Options.AppendOnly, else nothing
	Erase Data = true  // removed; a node of a cluster keeps its place in that
)

// Restart starts the server again, on the same port, after Stop or Kill, or after stopping it. It returns when it
// answers commands, having loaded its data.
func (s *Server) Restart(ctx context.Context, data Data) error {
	s.Stop()
	if data == Erase {
		for _, pattern := range []string{"*.rdb", "appendonlydir"} {
			files, err := filepath.Glob(filepath.Join(s.folder, pattern))
			for _, file := range files {
				err = errors.Join(err, os.RemoveAll(file))
			}
			if err != nil {
				return fmt.Errorf("Redis: %w", err)
			}
		}
	}
	p, err := s.launch()
	if err != nil {
		return fmt.Errorf("Redis: %w", err)
	}
	s.mu.Lock()
	s.process = p
	s.mu.Unlock()
	if err := s.ready(ctx, p); err != nil {
		return fmt.Errorf("Redis does not answer: %w\n%s", err, s.LogTail())
	}
	return nil
}

// launch starts the process.
func (s *Server) launch() (*process, error) {
	path, err := Find()
	if err != nil {
		return nil, err
	}
	settings := s.settings()
	if err := s.certificates(settings); err != nil {
		return nil, err
	}
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		fmt.Fprintf(&text, "%s %s\n", name, settings[name])
	}
	file := filepath.Join(s.folder, "redis.conf")
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		return nil, err
	}
	log, err := os.OpenFile(s.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	//nolint:noctx // the process outlives the call that starts it; Stop, Kill and Close end it
	command := exec.Command(path, file)
	command.Dir = s.folder
	command.Stdout, command.Stderr = log, log
	p, err := startProcess(command)
	if closeErr := log.Close(); err == nil && closeErr != nil { // the process has its own
		p.end(syscall.SIGKILL)
		return nil, closeErr
	}
	return p, err
}

// settings returns the lines of redis.conf.
func (s *Server) settings() map[string]string {
	lines := map[string]string{
		"bind":       "127.0.0.1",
		"port":       strconv.Itoa(s.port),
		"dir":        s.folder,
		"save":       `""`,
		"appendonly": "no",
		// A replica is in step soon after it has started.
		"repl-diskless-sync-delay": "0",
	}
	if s.options.AppendOnly {
		lines["appendonly"], lines["appendfsync"] = "yes", "always"
	}
	if s.options.ReplicaOf != "" {
		lines["replicaof"] = strings.Replace(s.options.ReplicaOf, ":", " ", 1)
	}
	if s.cluster != 0 {
		lines["cluster-enabled"] = "yes"
		lines["cluster-port"] = strconv.Itoa(s.cluster)
		lines["cluster-config-file"] = "nodes.conf"
		lines["cluster-node-timeout"] = "2000"
	}
	maps.Copy(lines, s.options.Settings)
	return lines
}

// certificates writes the files of the encrypted port, and the lines about them.
func (s *Server) certificates(lines map[string]string) error {
	if s.secure == 0 {
		return nil
	}
	lines["tls-port"], lines["tls-auth-clients"] = strconv.Itoa(s.secure), "no"
	files := map[string][]byte{"tls-cert-file": s.options.TLS.CertificatePEM, "tls-key-file": s.options.TLS.KeyPEM}
	if s.options.ClientAuthority != nil {
		files["tls-ca-cert-file"] = s.options.ClientAuthority
		lines["tls-auth-clients"] = "yes"
	}
	for name, content := range files {
		lines[name] = filepath.Join(s.folder, name+".pem")
		if err := os.WriteFile(lines[name], content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// client returns a client for one look at the server. The caller closes it.
func (s *Server) client() *goredis.Client {
	return goredis.NewClient(&goredis.Options{Addr: s.Addr(), Password: s.options.Settings["requirepass"], MaxRetries: -1, ContextTimeoutEnabled: true})
}

// ready returns when the server answers, its data being loaded.
func (s *Server) ready(ctx context.Context, p *process) error {
	client := s.client()
	err := await(ctx, p.done, func(ctx context.Context) error { return client.Ping(ctx).Err() })
	return errors.Join(err, client.Close())
}

// await returns when there is no error any more. It gives up after readyTimeout, and when done is closed.
func await(ctx context.Context, done <-chan struct{}, try func(context.Context) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, readyTimeout, fmt.Errorf("not ready within %v", readyTimeout))
	defer cancel()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		once, cancel := context.WithTimeout(ctx, 2*time.Second)
		err := try(once)
		cancel()
		if err == nil {
			return nil
		}
		select {
		case <-done:
			return errors.New("the process has ended")
		case <-ctx.Done():
			return fmt.Errorf("%w; the last try: %w", context.Cause(ctx), err)
		case <-ticker.C:
		}
	}
}

// Stop ends the server in good order (SIGTERM), and returns when it has ended.
func (s *Server) Stop() { s.end(syscall.SIGTERM) }

// Kill ends it at once (SIGKILL), as a crash would.
func (s *Server) Kill() { s.end(syscall.SIGKILL) }

func (s *Server) end(how syscall.Signal) {
	s.mu.Lock()
	p := s.process
	s.process = nil
	s.mu.Unlock()
	if p == nil {
		return
	}
	p.signal(syscall.SIGCONT) // one that is paused would not hear a SIGTERM
	p.end(how)
}

// Pause halts the process (SIGSTOP), as an overloaded host would: connections stay open, and nothing answers until Continue.
func (s *Server) Pause() { s.signal(syscall.SIGSTOP) }

// Continue lets a paused server go on.
func (s *Server) Continue() { s.signal(syscall.SIGCONT) }

func (s *Server) signal(which syscall.Signal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process != nil {
		s.process.signal(which)
	}
}

// Close kills the server and removes its data.
func (s *Server) Close() error {
	s.Kill()
	if err := os.RemoveAll(s.folder); err != nil {
		return fmt.Errorf("Redis's data: %w", err)
	}
	return nil
}

// LogTail returns the last lines of what the server has logged, with a line that says so.
func (s *Server) LogTail() string {
	const lines = 40
	text, err := os.ReadFile(s.logFile())
	if err != nil {
		return fmt.Sprintf("(no log of Redis: %v)", err)
	}
	all := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	return fmt.Sprintf("the end of the log of Redis at %s:\n  %s", s.Addr(), strings.Join(all[max(0, len(all)-lines):], "\n  "))
}

func (s *Server) logFile() string { return filepath.Join(s.folder, "redis.log") }

func address(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
