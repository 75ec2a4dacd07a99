package feed

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
)

// Formats of a Source.
const (
	NDJSON = "ndjson" // one JSON object in a line; empty lines are left out
	// CSV has a header with the names of the columns. A row becomes a JSON object with a field for each cell that isn't empty: a string, or
	// a number where the mapping wants one (the value; the time, unless it is rfc3339) and the cell is one.
	CSV = "csv"
	TSV = "tsv" // the same with tabs
)

// Source is where events come from. What is compressed by gzip is recognized by its first bytes.
type Source struct {
	Name   string // for messages
	Format string // NDJSON, CSV or TSV
	Comma  rune   // CSV: what separates cells; 0: a comma
	Bytes  int64  // how large it is, as far as known: for progress
	Open   func() (io.ReadCloser, error)
}

// File returns a file as a source. An empty format means: by the file's name, .csv, .tsv, or else NDJSON.
func File(path, format string) (Source, error) {
	info, err := os.Stat(path)
	if err != nil {
		return Source{}, err
	}
	if info.IsDir() {
		return Source{}, fmt.Errorf("%s is a folder; name its files", path)
	}
	if format == "" {
		format = NDJSON
		if ext := strings.ToLower(filepath.Ext(strings.TrimSuffix(path, ".gz"))); ext == ".csv" || ext == ".tsv" {
			format = ext[1:]
		}
	}
	return Source{Name: path, Format: format, Bytes: info.Size(), Open: func() (io.ReadCloser, error) { return os.Open(path) }}, nil
}

// Reader returns a reader as a source.
func Reader(name string, r io.Reader, format string) Source {
	return Source{Name: name, Format: format, Open: func() (io.ReadCloser, error) { return io.NopCloser(r), nil }}
}

// line is an input line.
type line struct {
	value  []byte
	number int64 // from 1 on, over all sources; blank ones count
	source string
	blank  bool
}

const (
	batchLines   = 512       // lines are handed on so many together
	lineBytesMax = 256 << 20 // no topic takes larger ones
)

// input reads sources, ahead of who sends.
type input struct {
	numeric map[string]bool // columns whose cells are numbers
	skip    int64
	bytes   atomic.Int64 // read so far, as stored

	out    chan []line
	quit   <-chan struct{}
	batch  []line
	number int64
}

// errQuit ends reading: nobody wants more.
var errQuit = errors.New("quit")

// run reads all sources and closes out. A line's bytes belong to who gets it.
func (in *input) run(sources []Source) error {
	defer close(in.out)
	for _, s := range sources {
		if err := in.read(s); err != nil {
			if errors.Is(err, errQuit) {
				return nil
			}
			_ = in.flush() // what was read is sent
			return fmt.Errorf("%s: %w", s.Name, err)
		}
	}
	_ = in.flush()
	return nil
}

func (in *input) read(s Source) (err error) {
	file, err := s.Open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	r, err := plainText(&tap{r: file, in: in})
	if err != nil {
		return err
	}
	switch s.Format {
	case CSV:
		comma := s.Comma
		if comma == 0 {
			comma = ','
		}
		return in.readCSV(s.Name, r, comma)
	case TSV:
		return in.readCSV(s.Name, r, '\t')
	case NDJSON:
		return in.readLines(s.Name, r)
	}
	return fmt.Errorf("format %q is not ndjson, csv or tsv", s.Format)
}

// plainText takes off what lies around the text: gzip, and the mark that some programs begin UTF-8 with.
func plainText(r io.Reader) (*bufio.Reader, error) {
	text := bufio.NewReaderSize(r, 256<<10)
	if magic, _ := text.Peek(2); bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		unzipped, err := gzip.NewReader(text)
		if err != nil {
			return nil, err
		}
		text = bufio.NewReaderSize(unzipped, 256<<10)
	}
	if mark, _ := text.Peek(3); bytes.Equal(mark, []byte("\xef\xbb\xbf")) {
		_, _ = text.Discard(3) // it is there
	}
	return text, nil
}

func (in *input) readLines(name string, r *bufio.Reader) error {
	var room []byte // lines are cut from it, so that one allocation serves many
	for {
		start := len(room)
		var err error
		for {
			var piece []byte
			piece, err = r.ReadSlice('\n')
			if cap(room)-len(room) < len(piece) { // the line moves; the others stay where they are
				moved := make([]byte, len(room)-start, max(128<<10, 2*(len(room)-start+len(piece))))
				copy(moved, room[start:])
				room, start = moved, 0
			}
			room = append(room, piece...)
			if len(room)-start > lineBytesMax {
				return fmt.Errorf("line %d is longer than %d MiB; is that one JSON object in each line?", in.number+1, lineBytesMax>>20)
			}
			if !errors.Is(err, bufio.ErrBufferFull) {
				break
			}
		}
		if text := room[start:len(room):len(room)]; len(text) > 0 {
			text = bytes.TrimSuffix(bytes.TrimSuffix(text, []byte("\n")), []byte("\r"))
			if addErr := in.add(name, text, len(bytes.TrimSpace(text)) == 0); addErr != nil {
				return addErr
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}

func (in *input) add(source string, value []byte, blank bool) error {
	in.number++
	if in.number <= in.skip {
		return nil
	}
	in.batch = append(in.batch, line{value, in.number, source, blank})
	if len(in.batch) < batchLines {
		return nil
	}
	return in.flush()
}

func (in *input) flush() error {
	if len(in.batch) == 0 {
		return nil
	}
	select {
	case in.out <- in.batch:
		in.batch = make([]line, 0, batchLines)
		return nil
	case <-in.quit:
		return errQuit
	}
}

// tap counts what is read, and hands on what there is before it waits for more: a pipe may take its time.
type tap struct {
	r  io.Reader
	in *input
}

func (t *tap) Read(p []byte) (int, error) {
	if err := t.in.flush(); err != nil {
		return 0, err
	}
	n, err := t.r.Read(p)
	t.in.bytes.Add(int64(n))
	return n, err
}
