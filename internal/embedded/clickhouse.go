package embedded

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/millrank/millrank/internal/embedded/chdb"
)

// ClickHouseOptions says which ClickHouse to start. The zero value listens on a free port of the loopback interface, takes
// user default without a password, has the database millrank, and keeps nothing.
type ClickHouseOptions struct {
	// Path is the folder of its data; "" means a temporary one, which Close removes.
	Path string
	// Address is where it listens, as host:port; "" means a free port of the loopback interface.
	Address string
	// Database is created at the start, with the engine Atomic; "" means millrank. A client that names no database gets
	// default, as on a real server.
	Database string
	// Password is what the user default must give; "" means none.
	Password string
	// Threads is how many threads one statement may use; 0 means 2.
	Threads int
	// MemoryMax is how many bytes all statements together may use; 0 means 2 GiB. One that needs more fails with code 241.
	MemoryMax int64
	// StatementsMax is how many statements may run at once; 0 means 8. Others wait, up to a hundred; any more fail with code 202.
	StatementsMax int
	// BodyMax is how many bytes a statement may have, with its data, unpacked; 0 means 256 MiB.
	BodyMax int64
	// Log is where failed statements are written, one a line; nil means nowhere.
	Log io.Writer
}

// waitingMax is how many statements may wait for others to end.
const waitingMax = 100

// ClickHouse is a running server: ClickHouse's own engine in this process, behind an HTTP server of ours. There is at most one in a
// process. What it does like a real one, and what not, is in this package's tests, TestClickHouse...; in short:
//
//   - SQL, types, table engines, views, background merges, files on disk: the real engine. No replicated tables, no
//     clusters (ON CLUSTER fails), no users but default, no system tables that log (query_log and so on).
//   - The HTTP interface only: statements in the body, or in query= with data in the body; settings, param_ and database= in the URL; Native as
//     clickhouse-go wants it, and all other formats; errors with their codes. Each request is a session of its own; session_id= and external tables are refused.
//   - SELECTs in Native and formats by the row are streamed; answers in other formats (JSON, Pretty, ...) are held in memory.
//   - A SELECT or INSERT ends when its client goes away, where a real server may go on.
//   - SQL can read and write this user's files (file(...)), where a real server has a folder for that. So it refuses
//     what pages of other sites send by a browser, and on a loopback address any Host that is a name but localhost.
//
// It is safe for concurrent use.
type ClickHouse struct {
	options   ClickHouseOptions
	engine    *chdb.Engine
	listener  net.Listener
	server    *http.Server
	temporary string // the folder that Close removes; "" if none
	stop      context.CancelFunc
	served    chan struct{}     // closed when the server has ended
	running   chan struct{}     // has an element for each statement that runs
	waiting   chan struct{}     // and for each that runs or waits
	hello     map[string]string // headers of each answer
	origins   *http.CrossOriginProtection

	mu     sync.Mutex // guards Log and the end
	closed bool
}

// ClickHouseAvailable returns nil if StartClickHouse can work on this machine, perhaps after InstallClickHouse, and
// otherwise an error that wraps chdb.ErrMissing and says what to do.
func ClickHouseAvailable() error { return chdb.Available() }

// InstallClickHouse fetches the engine, if it isn't there: 160 MB over the network, 559 MB in the user's cache folder, once.
// progress may be nil.
func InstallClickHouse(ctx context.Context, progress func(chdb.Progress)) error {
	_, err := chdb.Ensure(ctx, progress)
	return err
}

// StartClickHouse starts a server, which answers when it returns, in 0.1 to 0.2 s. The engine must be installed. The caller closes it. The error wraps
// chdb.ErrBusy where this process has one already.
func StartClickHouse(options ClickHouseOptions) (*ClickHouse, error) {
	if options.Address == "" {
		options.Address = "127.0.0.1:0"
	}
	if options.Database == "" {
		options.Database = "millrank"
	}
	if options.StatementsMax == 0 {
		options.StatementsMax = 8
	}
	if options.BodyMax == 0 {
		options.BodyMax = 256 << 20
	}
	c := &ClickHouse{
		options: options,
		served:  make(chan struct{}),
		running: make(chan struct{}, options.StatementsMax),
		waiting: make(chan struct{}, options.StatementsMax+waitingMax),
		origins: http.NewCrossOriginProtection(),
	}
	//nolint:noctx // returns at once
	listener, err := net.Listen("tcp", options.Address)
	if err != nil {
		return nil, fmt.Errorf("embedded ClickHouse: %w", err)
	}
	c.listener = listener
	if err := c.open(); err != nil {
		return nil, errors.Join(err, listener.Close(), c.removeTemporary())
	}
	var base context.Context
	base, c.stop = context.WithCancel(context.Background())
	c.server = &http.Server{
		Handler:           c,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		BaseContext:       func(net.Listener) context.Context { return base },
		ErrorLog:          nil,
	}
	go func() {
		defer close(c.served)
		_ = c.server.Serve(listener) // it ends by Close
	}()
	return c, nil
}

// open opens the engine, and makes the database.
func (c *ClickHouse) open() (err error) {
	path := c.options.Path
	if path == "" {
		if path, err = os.MkdirTemp("", "millrank-clickhouse-"); err != nil {
			return fmt.Errorf("embedded ClickHouse: %w", err)
		}
		c.temporary = path
	}
	if c.engine, err = chdb.Open(chdb.Options{Path: path, Threads: c.options.Threads, MemoryMax: c.options.MemoryMax}); err != nil {
		return err
	}
	conn, err := c.engine.Connect()
	if err == nil {
		err = c.greet(conn)
		conn.Close()
	}
	if err != nil {
		err = errors.Join(fmt.Errorf("embedded ClickHouse: %w", err), c.engine.Close())
	}
	return err
}

func (c *ClickHouse) greet(conn *chdb.Conn) error {
	create := "CREATE DATABASE IF NOT EXISTS `" + strings.ReplaceAll(c.options.Database, "`", "``") + "` ENGINE = Atomic"
	result, err := conn.Query([]byte(create), "Null", nil)
	if err != nil {
		return err
	}
	result.Close()
	result, err = conn.Query([]byte("SELECT displayName(), timezone()"), "TabSeparatedRaw", nil)
	if err != nil {
		return err
	}
	name, zone, _ := strings.Cut(strings.TrimSpace(string(result.Data)), "\t")
	result.Close()
	c.hello = map[string]string{"X-Clickhouse-Server-Display-Name": name, "X-Clickhouse-Timezone": zone}
	return nil
}

// Addr returns where it listens, as host:port.
func (c *ClickHouse) Addr() string { return c.listener.Addr().String() }

// URL returns its address for curl and browsers.
func (c *ClickHouse) URL() string { return "http://" + c.Addr() + "/" }

// Database returns the name of the database that was made at the start.
func (c *ClickHouse) Database() string { return c.options.Database }

// Path returns the folder of its data.
func (c *ClickHouse) Path() string {
	if c.temporary != "" {
		return c.temporary
	}
	path, err := filepath.Abs(c.options.Path)
	if err != nil {
		return c.options.Path
	}
	return path
}

// Close ends what runs, which takes at most some tenths of a second, and the server. What was acknowledged stays in
// Path, unless that is temporary. It may be called more than once.
func (c *ClickHouse) Close() error {
	c.mu.Lock()
	closed := c.closed
	c.closed = true
	c.mu.Unlock()
	if closed {
		return nil
	}
	c.stop() // statements see it, and end
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	err := c.server.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, c.server.Close())
	}
	<-c.served
	return errors.Join(err, c.engine.Close(), c.removeTemporary())
}

func (c *ClickHouse) removeTemporary() error {
	if c.temporary == "" {
		return nil
	}
	return os.RemoveAll(c.temporary)
}

func (c *ClickHouse) logf(format string, args ...any) {
	if c.options.Log == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	fmt.Fprintf(c.options.Log, format+"\n", args...)
}
