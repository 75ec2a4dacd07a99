package embedded

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/ClickHouse/ch-go/compress"
	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"

	"github.com/millrank/millrank/internal/embedded/chdb"
)

// ClickHouse's numbers of the errors that the server itself gives.
const (
	codeNotImplemented = 48
	codeSyntaxError    = 62
	codeUnknownSetting = 115
	codeTooManyQueries = 202
	codeTooLarge       = 307 // TOO_MANY_BYTES
	codeBadData        = 33  // CANNOT_READ_ALL_DATA
	codeNoData         = 108
	codeAuthentication = 516
	codeQueryWasKilled = 394
)

// refusal is an error as the engine would give it.
func refusal(code int, name, format string, args ...any) *chdb.Error {
	return &chdb.Error{Code: code, Text: fmt.Sprintf("Code: %d. DB::Exception: %s. (%s)", code, fmt.Sprintf(format, args...), name)}
}

// request is a statement that a client wants to be run.
type request struct {
	statement
	text     []byte // with the data of an INSERT behind it
	id       string
	database string
	format   string // of the answer
	revision uint64 // of Native, in the answer; 0 means the engine's own
	compress bool   // the answer, ClickHouse's own way
	readonly bool
	settings []chdb.Param
	params   []chdb.Param
}

// settingName is what a setting may be called.
var settingName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)

// notSettings are what the URL may say besides settings.
func notSettings() []string {
	return []string{
		"query", "query_id", "database", "default_format", "user", "password", "quota_key", "client_protocol_version",
		"compress", "decompress", "stacktrace", "buffer_size", "wait_end_of_query", "role",
		"enable_http_compression", "http_zlib_compression_level", "close_session", "session_timeout", "session_check",
	}
}

// readRequest reads what a request asks for. Its error is a *chdb.Error, or of the connection.
func (c *ClickHouse) readRequest(w http.ResponseWriter, r *http.Request) (*request, error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, refusal(codeSyntaxError, "SYNTAX_ERROR", "The URL: %v", err)
	}
	q := &request{
		id:       values.Get("query_id"),
		database: firstOf(values.Get("database"), r.Header.Get("X-ClickHouse-Database"), "default"),
		compress: values.Get("compress") == "1",
		readonly: r.Method == http.MethodGet || r.Method == http.MethodHead, // links must change nothing
	}
	if q.id == "" {
		q.id = rand.Text()
	}
	if values.Get("session_id") != "" {
		return nil, refusal(codeNotImplemented, "NOT_IMPLEMENTED", "The embedded ClickHouse has no sessions: leave session_id out, or use a server")
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err == nil && kind == "multipart/form-data" {
		return nil, refusal(codeNotImplemented, "NOT_IMPLEMENTED", "The embedded ClickHouse takes no external tables: write the values into the statement, or use a server")
	}
	if text := values.Get("client_protocol_version"); text != "" {
		if q.revision, err = strconv.ParseUint(text, 10, 32); err != nil {
			return nil, refusal(codeSyntaxError, "SYNTAX_ERROR", "client_protocol_version: %v", err)
		}
	}
	if err := q.readSettings(values); err != nil {
		return nil, err
	}
	if q.text, err = c.readText(w, r, values); err != nil {
		return nil, err
	}
	q.statement = readStatement(q.text)
	if q.second {
		return nil, refusal(codeSyntaxError, "SYNTAX_ERROR", "Syntax error (Multi-statements are not allowed): send one statement at a time")
	}
	q.format = firstOf(q.statement.format, values.Get("default_format"), r.Header.Get("X-ClickHouse-Format"), defaultFormat(r))
	return q, nil
}

func (q *request) readSettings(values url.Values) error {
	for name, all := range values {
		value := all[len(all)-1]
		switch param, isParam := strings.CutPrefix(name, "param_"); {
		case isParam:
			q.params = append(q.params, chdb.Param{Name: param, Value: value})
		case slices.Contains(notSettings(), name):
		case !settingName.MatchString(name):
			return refusal(codeUnknownSetting, "UNKNOWN_SETTING", "Unknown setting '%s'", name)
		default:
			q.settings = append(q.settings, chdb.Param{Name: name, Value: value})
		}
	}
	byName := func(a, b chdb.Param) int { return strings.Compare(a.Name, b.Name) }
	slices.SortFunc(q.settings, byName)
	slices.SortFunc(q.params, byName)
	return nil
}

// readText returns the statement with its data: what the URL has of it, and the body.
func (c *ClickHouse) readText(w http.ResponseWriter, r *http.Request, values url.Values) ([]byte, error) {
	body, err := unpacked(r, http.MaxBytesReader(w, r.Body, c.options.BodyMax), values.Get("decompress") == "1")
	if err != nil {
		return nil, refusal(codeBadData, "CANNOT_READ_ALL_DATA", "The body: %v", err)
	}
	var text bytes.Buffer
	if query := values.Get("query"); query != "" {
		text.WriteString(query)
		text.WriteByte('\n')
	}
	if r.ContentLength > 0 {
		text.Grow(int(min(r.ContentLength, 16<<20)) + 1)
	}
	n, err := text.ReadFrom(io.LimitReader(body, c.options.BodyMax+1))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge) || n > c.options.BodyMax:
		return nil, refusal(codeTooLarge, "TOO_MANY_BYTES", "The body has more than %d bytes, which is the most that the embedded ClickHouse takes: send smaller batches", c.options.BodyMax)
	case err != nil:
		return nil, refusal(codeBadData, "CANNOT_READ_ALL_DATA", "The body: %v", err)
	}
	return text.Bytes(), nil
}

// unpacked returns the body as it was before the client compressed it: by HTTP's means, and by ClickHouse's own.
func unpacked(r *http.Request, body io.Reader, own bool) (_ io.Reader, err error) {
	switch encoding := r.Header.Get("Content-Encoding"); encoding {
	case "", "identity":
	case "gzip":
		body, err = gzip.NewReader(body)
	case "deflate":
		body, err = zlib.NewReader(body)
	case "br":
		body = brotli.NewReader(body)
	case "zstd":
		var decoder *zstd.Decoder
		if decoder, err = zstd.NewReader(body, zstd.WithDecoderConcurrency(1)); err == nil {
			body = decoder.IOReadCloser()
		}
	default:
		err = fmt.Errorf("Content-Encoding %q is not known: use gzip, deflate, br or zstd", encoding)
	}
	if own {
		body = endOfBlocks{compress.NewReader(body)}
	}
	return body, err
}

// endOfBlocks makes the end of compressed blocks the end of the data: their reader wraps io.EOF.
type endOfBlocks struct{ blocks io.Reader }

// Read reads what the blocks hold.
func (e endOfBlocks) Read(p []byte) (int, error) {
	n, err := e.blocks.Read(p)
	if errors.Is(err, io.EOF) {
		err = io.EOF
	}
	return n, err
}

// authenticate returns an error if the client isn't who it must be.
func (c *ClickHouse) authenticate(r *http.Request) *chdb.Error {
	user, password, basic := r.BasicAuth()
	if !basic {
		values := r.URL.Query()
		user = firstOf(r.Header.Get("X-ClickHouse-User"), values.Get("user"), "default")
		password = firstOf(r.Header.Get("X-ClickHouse-Key"), values.Get("password"))
	}
	if firstOf(user, "default") != "default" || subtle.ConstantTimeCompare([]byte(password), []byte(c.options.Password)) != 1 {
		return refusal(codeAuthentication, "AUTHENTICATION_FAILED", "%s: Authentication failed: password is incorrect, or there is no user with such name", user)
	}
	return nil
}

// defaultFormat is the format where the client names none: tables for people, else what a server would send.
func defaultFormat(r *http.Request) string {
	if strings.Contains(r.Header.Get("Accept"), "text/html") {
		return "PrettyCompactMonoBlock"
	}
	return "TabSeparated"
}

// firstOf returns the first text that isn't empty.
func firstOf(texts ...string) string {
	for _, text := range texts {
		if text != "" {
			return text
		}
	}
	return ""
}
