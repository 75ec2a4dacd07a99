package clickhouse_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/millrank/millrank/sinks/clickhouse"
)

// proxy stands between a sink and the server. Before and after what passes it, it does what it is told to.
type proxy struct {
	*httptest.Server
	after atomic.Pointer[func(r *http.Response) error]
}

func newProxy(t *testing.T) *proxy {
	t.Helper()
	target, err := url.Parse(server.Server(t).URL())
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{}
	transport := &http.Transport{}
	reverse := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target); r.Out.Host = target.Host },
		ModifyResponse: func(r *http.Response) error {
			after := p.after.Load() //nolint:bodyclose // the proxy closes it
			if after == nil {
				return nil
			}
			return (*after)(r)
		},
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) }, // the connection breaks
		ErrorLog:     nil,
		Transport:    transport,
	}
	p.Server = httptest.NewServer(reverse)
	p.Config.ErrorLog = nil
	t.Cleanup(func() { p.Close(); transport.CloseIdleConnections() })
	return p
}

// inserts reports whether an answer is one to an insert.
func inserts(r *http.Response) bool {
	return strings.HasPrefix(r.Request.URL.Query().Get("query"), "INSERT")
}

// TestAppliedButFailed: inserts that the server has carried out, and whose answer is lost, comes too late, or is an error, are written again,
// and count once.
func TestAppliedButFailed(t *testing.T) {
	random := seeded(t) // the proxy's
	p := newProxy(t)
	c := config(t, "failing")
	c.URL, c.BatchRows, c.Timeout = p.URL, 100, 2*time.Second
	sink, conn := open(t, c)
	if err := sink.SetActive(t.Context(), 1, 1); err != nil {
		t.Fatal(err)
	}
	cells := someCells(1000)
	kinds := map[string]error{}
	fail := func(r *http.Response) error {
		if !inserts(r) || random.IntN(4) != 0 {
			return nil
		}
		switch random.IntN(3) {
		case 0:
			return errors.New("lost")
		case 1:
			r.StatusCode = http.StatusInternalServerError
			r.Header.Set("X-ClickHouse-Exception-Code", "252")
			r.Body = io.NopCloser(strings.NewReader("Code: 252. DB::Exception: Too many parts. (TOO_MANY_PARTS)"))
			r.Header.Del("Content-Length")
			r.ContentLength = -1
			return nil
		default:
			r.StatusCode = http.StatusBadGateway
			return nil
		}
	}
	p.after.Store(&fail)
	failures := 0
	for failures <= 5 || len(kinds) < 2 {
		err := sink.WriteCells(t.Context(), cells)
		if err == nil {
			continue
		}
		if failures++; failures > 1000 {
			t.Fatal(err)
		}
		for _, kind := range []error{clickhouse.ErrBusy, clickhouse.ErrAway} {
			if errors.Is(err, kind) {
				kinds[kind.Error()] = kind
			}
		}
	}
	p.after.Store(nil)
	if err := sink.WriteCells(t.Context(), cells); err != nil {
		t.Fatal(err)
	}
	if sink.Stats().Refused != 0 {
		t.Errorf("%d failures, %+v", failures, sink.Stats())
	}
	if n := scan[int64](t, conn, "SELECT sum(events) FROM failing.item_counts"); n != int64(len(cells)) {
		t.Errorf("%d events, want %d", n, len(cells))
	}
	t.Logf("%d failures of kinds %v", failures, len(kinds))
}

// TestTimeout: a server that is silent is given up after Timeout, and one that isn't there at once.
func TestTimeout(t *testing.T) {
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := config(t, "silent")
	c.URL, c.Timeout = "http://"+listener.Addr().String(), 200*time.Millisecond
	sink, err := clickhouse.New(c)
	if err != nil {
		t.Fatal(err)
	}
	defer sink.Close()
	began := time.Now()
	if err := sink.WriteCells(t.Context(), someCells(10)); !errors.Is(err, clickhouse.ErrTimeout) || time.Since(began) > 5*time.Second {
		t.Errorf("silent: %v after %v", err, time.Since(began))
	}
	listener.Close()
	if err := sink.WriteCells(t.Context(), someCells(10)); !errors.Is(err, clickhouse.ErrAway) {
		t.Errorf("not there: %v", err)
	}
	if err := sink.Ping(t.Context()); !errors.Is(err, clickhouse.ErrAway) {
		t.Errorf("not there: %v", err)
	}
	c = config(t, "not_migrated")
	if sink, err = clickhouse.New(c); err != nil {
		t.Fatal(err)
	}
	defer sink.Close()
	if err := sink.WriteCells(t.Context(), someCells(10)); !errors.Is(err, clickhouse.ErrSchema) {
		t.Errorf("no tables: %v", err)
	}
}

// TestCancelled: a write that is cut off in the middle, at any moment, and begun again, loses nothing and counts nothing twice.
func TestCancelled(t *testing.T) {
	random := seeded(t)
	c := config(t, "cancelled")
	c.BatchRows = 2000
	sink, conn := open(t, c)
	if err := sink.SetActive(t.Context(), 1, 1); err != nil {
		t.Fatal(err)
	}
	mustExec(t, conn, "SYSTEM STOP MERGES cancelled.cells")
	cells := someCells(20_000)
	cut := 0
	for range 15 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(random.Int64N(int64(100*time.Millisecond))))
		err := sink.WriteCells(ctx, cells)
		cancel()
		if err != nil {
			if cut++; !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
		}
		random.Shuffle(len(cells), func(i, j int) { cells[i], cells[j] = cells[j], cells[i] })
	}
	if err := sink.WriteCells(t.Context(), cells); err != nil {
		t.Fatal(err)
	}
	if n := scan[int64](t, conn, "SELECT sum(events) FROM cancelled.item_counts"); n != int64(len(cells)) || cut == 0 {
		t.Errorf("%d events, want %d; %d writes were cut off", n, len(cells), cut)
	}
	if stats := sink.Stats(); stats.Refused != 0 {
		t.Errorf("%+v", stats)
	}
}
