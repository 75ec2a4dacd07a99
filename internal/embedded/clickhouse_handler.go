package embedded

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/millrank/millrank/internal/embedded/chdb"
)

// ServeHTTP answers a request as ClickHouse's HTTP interface does.
func (c *ClickHouse) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	for name, value := range c.hello {
		w.Header().Set(name, value)
	}
	if refused := c.trusted(r); refused != nil {
		http.Error(w, refused.Error(), http.StatusForbidden)
		return
	}
	switch r.URL.Path {
	case "/ping", "/replicas_status":
		c.sayOK(w)
		return
	case "/", "":
	default:
		http.Error(w, "There is no handle "+r.URL.Path+"\nUse / or /ping for health checks.\nSend queries from your program with POST method or GET /?query=...", http.StatusNotFound)
		return
	}
	if err := c.authenticate(r); err != nil {
		c.fail(w, &request{}, err)
		return
	}
	q, err := c.readRequest(w, r)
	if err != nil {
		c.fail(w, &request{}, err)
		return
	}
	w.Header().Set("X-ClickHouse-Query-Id", q.id)
	if q.verb == "" && len(skipBlanks(q.text)) == 0 {
		if q.readonly {
			c.sayOK(w)
		} else {
			c.fail(w, q, refusal(codeSyntaxError, "SYNTAX_ERROR", "Empty query"))
		}
		return
	}
	if err := c.run(w, r, q); err != nil {
		c.fail(w, q, err)
	}
}

func (c *ClickHouse) sayOK(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/html; charset=UTF-8")
	_, _ = w.Write([]byte("Ok.\n")) // the client may have gone
}

// trusted refuses what other people's web pages may send: statements from another origin, and, where only this machine can reach us, requests for a
// name that somebody has pointed at it.
func (c *ClickHouse) trusted(r *http.Request) error {
	if err := c.origins.Check(r); err != nil {
		return err
	}
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		host = r.Host
	}
	address, ok := c.listener.Addr().(*net.TCPAddr)
	private := ok && address.IP.IsLoopback()
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err != nil && private && host != "" && !strings.EqualFold(host, "localhost") {
		return fmt.Errorf("the Host %q is neither an address nor localhost", host)
	}
	return nil
}

// run runs a statement when its turn has come, and writes its answer. Once it has begun to write, it returns nil.
func (c *ClickHouse) run(w http.ResponseWriter, r *http.Request, q *request) error {
	ctx := r.Context()
	select {
	case c.waiting <- struct{}{}:
		defer func() { <-c.waiting }()
	default:
		return refusal(codeTooManyQueries, "TOO_MANY_SIMULTANEOUS_QUERIES", "Too many simultaneous queries: %d run and %d wait", c.options.StatementsMax, waitingMax)
	}
	select {
	case c.running <- struct{}{}:
		defer func() { <-c.running }()
	case <-ctx.Done():
		return refusal(codeQueryWasKilled, "QUERY_WAS_CANCELLED", "Query was cancelled while it waited for others")
	}
	conn, err := c.engine.Connect()
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := q.prepare(conn); err != nil {
		return err
	}
	stop := c.killWhenDone(ctx, q.id)
	defer stop()
	a := &answer{w: w, q: q}
	if streamed(q.statement, q.format) {
		err = a.stream(conn)
		if !chdb.NotStreamed(err) {
			return a.end(err)
		}
	}
	return a.end(a.whole(conn))
}

// prepare makes the session what the request wants it to be.
func (q *request) prepare(conn *chdb.Conn) error {
	var text strings.Builder
	fmt.Fprintf(&text, "USE %s; SET implicit_select = 0, log_comment = %s", quote(q.database, '`'), quote(q.id, '\''))
	if strings.HasPrefix(q.format, "Pretty") {
		text.WriteString(", output_format_pretty_color = 0")
	}
	for _, s := range q.settings {
		fmt.Fprintf(&text, ", %s = %s", s.Name, quote(s.Value, '\''))
	}
	if q.readonly {
		text.WriteString("; SET readonly = 2")
	}
	result, err := conn.Query([]byte(text.String()), "Null", nil)
	if err != nil {
		return err
	}
	result.Close()
	return nil
}

// quote writes a text as a string, or a name.
func quote(text string, quote byte) string {
	q := string(quote)
	return q + strings.NewReplacer(`\`, `\\`, q, `\`+q, "\x00", `\0`).Replace(text) + q
}

// killWhenDone has a statement end when its client has gone, or the server ends. The returned function ends the watch.
func (c *ClickHouse) killWhenDone(ctx context.Context, id string) func() {
	ended, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		select {
		case <-ended:
			return
		case <-ctx.Done():
		}
		ticker := time.NewTicker(50 * time.Millisecond) // it may only be about to begin
		defer ticker.Stop()
		for {
			if err := c.engine.Kill(context.WithoutCancel(ctx), id); err != nil {
				c.logf("killing %s: %v", id, err)
			}
			select {
			case <-ended:
				return
			case <-ticker.C:
			}
		}
	}()
	return func() {
		close(ended)
		<-watched
	}
}

// fail answers with an error.
func (c *ClickHouse) fail(w http.ResponseWriter, q *request, err error) {
	code, status := 0, http.StatusInternalServerError
	if failure, ok := errors.AsType[*chdb.Error](err); ok {
		code = failure.Code
	}
	switch code {
	case codeSyntaxError, codeUnknownSetting, codeBadData:
		status = http.StatusBadRequest
	case 46, 47, 60, 81: // functions, names, tables, databases that are not known
		status = http.StatusNotFound
	case codeAuthentication:
		status = http.StatusForbidden
	case codeTooLarge:
		status = http.StatusRequestEntityTooLarge
	case codeNotImplemented:
		status = http.StatusNotImplemented
	}
	text := err.Error()
	c.logf("%s %q: %.1000s", q.id, q.text[:min(len(q.text), 300)], text)
	if code != 0 {
		w.Header().Set("X-ClickHouse-Exception-Code", fmt.Sprint(code))
	}
	w.Header().Set("Content-Type", "text/plain; charset=UTF-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text + "\n")) // the client may have gone
}
