package chdb

import (
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"unsafe"
)

// library is the library's functions, by what they do. Pointers are the library's: to connections (whose target is
// the handle that statements take) and to results.
type library struct {
	connect   func(argc int32, argv **byte) unsafe.Pointer
	closeConn func(conn unsafe.Pointer)
	query     func(conn unsafe.Pointer, text *byte, textBytes uintptr, format *byte, formatBytes uintptr,
		names **byte, nameBytes *uintptr, values **byte, valueBytes *uintptr, params uintptr) unsafe.Pointer
	stream func(conn unsafe.Pointer, text *byte, textBytes uintptr, format *byte, formatBytes uintptr,
		names **byte, nameBytes *uintptr, values **byte, valueBytes *uintptr, params uintptr) unsafe.Pointer
	fetch   func(conn, stream unsafe.Pointer) unsafe.Pointer
	cancel  func(conn, stream unsafe.Pointer)
	destroy func(result unsafe.Pointer)

	buffer                                         func(result unsafe.Pointer) unsafe.Pointer
	length                                         func(result unsafe.Pointer) uintptr
	failure                                        func(result unsafe.Pointer) string
	rowsRead, bytesRead, rowsWritten, bytesWritten func(result unsafe.Pointer) uint64
}

// Conn is a session. It is for one goroutine at a time.
type Conn struct {
	engine *Engine
	handle unsafe.Pointer
}

// Close ends the session.
func (c *Conn) Close() {
	c.engine.library.closeConn(c.handle)
	c.engine.conns.Done()
}

// Query runs a statement to its end. Its answer is in the format, unless the statement names one. Data go by Insert.
// The error of a statement that fails is an *Error. The caller closes the result.
func (c *Conn) Query(text []byte, format string, params []Param) (*Result, error) {
	return c.take(c.call(c.engine.library.query, text, format, params))
}

// Insert runs an INSERT with data. before is its text up to where FROM INFILE may stand, and after the rest of it, which
// names the format of the data, or is VALUES. (Behind the text of a statement, data would end at the first
// empty line, and what is there would be the next statement.)
func (c *Conn) Insert(before, after []byte, format string, data []byte, params []Param) (*Result, error) {
	if len(data) == 0 {
		return nil, &Error{Code: 108, Text: "Code: 108. DB::Exception: No data to insert. (NO_DATA_TO_INSERT)"}
	}
	file, path, err := dataFile(data)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // it is gone with that
	var text []byte
	text = append(text, before...)
	text = append(text, " FROM INFILE '"+path+"' COMPRESSION 'none' "...)
	if rest := strings.TrimSpace(string(after)); strings.HasSuffix(strings.ToUpper(rest), "VALUES") {
		text = append(text, rest[:len(rest)-len("VALUES")]+" FORMAT "+format...)
	} else {
		text = append(text, rest...)
	}
	return c.Query(text, "Null", params)
}

// Stream begins a SELECT whose answer comes in chunks, each as if it were a whole answer. It returns
// an error that is NotStreamed for other statements. The caller closes it.
func (c *Conn) Stream(text []byte, format string, params []Param) (*Stream, error) {
	stream := c.call(c.engine.library.stream, text, format, params)
	if failure := c.engine.library.failure(stream); failure != "" {
		c.engine.library.destroy(stream)
		return nil, toError(failure)
	}
	return &Stream{conn: c, handle: stream}, nil
}

// NotStreamed reports whether an error says that a statement can't be streamed, and hasn't run.
func NotStreamed(err error) bool {
	return err != nil && strings.Contains(err.Error(), "Streaming query is not supported for query")
}

type statement = func(conn unsafe.Pointer, text *byte, textBytes uintptr, format *byte, formatBytes uintptr,
	names **byte, nameBytes *uintptr, values **byte, valueBytes *uintptr, params uintptr) unsafe.Pointer

func (c *Conn) call(function statement, text []byte, format string, params []Param) unsafe.Pointer {
	var pinned runtime.Pinner
	defer pinned.Unpin()
	n := len(params)
	texts := make([][]byte, 0, 2*n)
	pointers, lengths := make([]*byte, 2*n+1), make([]uintptr, 2*n+1)
	put := func(at int, s string) {
		b := append([]byte(s), 0) // so that there is a first byte
		texts = append(texts, b)
		pointers[at], lengths[at] = &b[0], uintptr(len(s))
		pinned.Pin(&b[0])
	}
	for i, p := range params {
		put(i, p.Name)
		put(n+i, p.Value)
	}
	text, form := append(text, 0), append([]byte(format), 0)
	handle := *(*unsafe.Pointer)(c.handle)
	result := function(handle, &text[0], uintptr(len(text)-1), &form[0], uintptr(len(form)-1),
		&pointers[0], &lengths[0], &pointers[n], &lengths[n], uintptr(n))
	runtime.KeepAlive(texts)
	return result
}

func (c *Conn) take(handle unsafe.Pointer) (*Result, error) {
	l := c.engine.library
	if failure := l.failure(handle); failure != "" {
		l.destroy(handle)
		return nil, toError(failure)
	}
	r := &Result{library: l, handle: handle}
	if n := l.length(handle); n > 0 {
		r.Data = unsafe.Slice((*byte)(l.buffer(handle)), n) //nolint:gosec // what the library says of its own memory
	}
	return r, nil
}

// Result is an answer, or a chunk of one.
type Result struct {
	// Data is the answer, in its format. It is the library's, and gone with Close.
	Data    []byte
	library *library
	handle  unsafe.Pointer
}

// Counts is how much a statement has read and written.
type Counts struct{ RowsRead, BytesRead, RowsWritten, BytesWritten uint64 }

// Counts returns how much the statement has read and written, views that an INSERT feeds included.
func (r *Result) Counts() Counts {
	l := r.library
	return Counts{l.rowsRead(r.handle), l.bytesRead(r.handle), l.rowsWritten(r.handle), l.bytesWritten(r.handle)}
}

// Close frees it.
func (r *Result) Close() {
	r.Data = nil
	r.library.destroy(r.handle)
}

// Stream is a SELECT that runs as its answer is fetched.
type Stream struct {
	conn   *Conn
	handle unsafe.Pointer
	ended  bool
}

// Next returns the next chunk, which the caller closes, and nil at the end.
func (s *Stream) Next() (*Result, error) {
	if s.ended {
		return nil, nil //nolint:nilnil // the end of the answer
	}
	result, err := s.conn.take(s.conn.engine.library.fetch(*(*unsafe.Pointer)(s.conn.handle), s.handle))
	if err != nil {
		s.ended = true
		return nil, err
	}
	if len(result.Data) == 0 {
		s.ended = true
		result.Close()
		return nil, nil //nolint:nilnil // the end of the answer
	}
	return result, nil
}

// Close ends the statement, whether all was fetched or not.
func (s *Stream) Close() {
	if !s.ended {
		s.conn.engine.library.cancel(*(*unsafe.Pointer)(s.conn.handle), s.handle)
	}
	s.conn.engine.library.destroy(s.handle)
}

var codePattern = regexp.MustCompile(`^(?:Error: )?Code: (\d+)\.`)

func toError(text string) *Error {
	e := &Error{Text: strings.TrimSpace(text)}
	if match := codePattern.FindStringSubmatch(e.Text); match != nil {
		if code, err := strconv.Atoi(match[1]); err == nil {
			e.Code = code
		}
	}
	return e
}
