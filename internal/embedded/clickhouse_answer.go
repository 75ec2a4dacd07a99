package embedded

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/ClickHouse/ch-go/compress"
	chproto "github.com/ClickHouse/ch-go/proto"
	"github.com/ClickHouse/clickhouse-go/v2/lib/proto"

	"github.com/millrank/millrank/internal/embedded/chdb"
)

// answer writes what a statement gives to its client.
type answer struct {
	w     http.ResponseWriter
	q     *request
	begun bool
	tag   string // of an error that comes when the answer has begun
	block *compress.Writer
}

// stream runs a SELECT, and writes its answer as it comes.
func (a *answer) stream(conn *chdb.Conn) error {
	stream, err := conn.Stream(a.q.text, a.q.format, a.q.params)
	if err != nil {
		return err
	}
	defer stream.Close()
	for {
		chunk, err := stream.Next()
		if err != nil {
			return err
		}
		if chunk == nil {
			a.begin(nil)
			return nil
		}
		a.begin(nil)
		err = a.write(chunk.Data)
		chunk.Close()
		if err != nil {
			return err
		}
	}
}

// whole runs any statement, and writes its answer when it has it.
func (a *answer) whole(conn *chdb.Conn) error {
	run := func() (*chdb.Result, error) { return conn.Query(a.q.text, a.q.format, a.q.params) }
	if a.q.insert {
		run = func() (*chdb.Result, error) {
			return conn.Insert(a.q.text[:a.q.source], a.q.text[a.q.source:a.q.data], a.q.statement.format, a.q.text[a.q.data:], a.q.params)
		}
	}
	result, err := run()
	var failure *chdb.Error
	if errors.As(err, &failure) && failure.Code == codeNoData && a.q.verb == "INSERT" {
		a.begin(nil) // a server takes an INSERT of no rows
		return nil
	}
	if err != nil {
		return err
	}
	defer result.Close()
	counts := result.Counts()
	a.begin(&counts)
	return a.write(result.Data)
}

// begin writes the head of an answer, once.
func (a *answer) begin(counts *chdb.Counts) {
	if a.begun {
		return
	}
	a.begun, a.tag = true, rand.Text()[:16]
	header := a.w.Header()
	header.Set("X-ClickHouse-Format", a.q.format)
	header.Set("X-ClickHouse-Exception-Tag", a.tag)
	header.Set("Content-Type", contentType(a.q.format))
	if counts != nil {
		summary, err := json.Marshal(map[string]string{
			"read_rows": strconv.FormatUint(counts.RowsRead, 10), "read_bytes": strconv.FormatUint(counts.BytesRead, 10),
			"written_rows": strconv.FormatUint(counts.RowsWritten, 10), "written_bytes": strconv.FormatUint(counts.BytesWritten, 10),
		})
		if err == nil {
			header.Set("X-ClickHouse-Summary", string(summary))
		}
	}
}

// write writes a part of an answer, as its client wants it.
func (a *answer) write(data []byte) error {
	if strings.EqualFold(a.q.format, "Native") && a.q.revision > 0 {
		var err error
		if data, err = reencode(data, a.q.revision); err != nil {
			return err
		}
	}
	if !a.q.compress {
		_, err := a.w.Write(data)
		return err
	}
	if a.block == nil {
		a.block = compress.NewWriter(compress.LevelZero, compress.LZ4)
	}
	for len(data) > 0 {
		n := min(len(data), 1<<20)
		if err := a.block.Compress(data[:n]); err != nil {
			return err
		}
		if _, err := a.w.Write(a.block.Data); err != nil {
			return err
		}
		data = data[n:]
	}
	return nil
}

// end tells the client of an error, where the answer has begun already: in a frame that clients look for.
func (a *answer) end(err error) error {
	if err == nil || !a.begun {
		return err
	}
	const mark = "\r\n__exception__\r\n"
	text := err.Error()
	_, _ = fmt.Fprintf(a.w, "%s%s\r\n%s\n%d %s%s", mark, a.tag, text, len(text)+1, a.tag, mark) // the client may have gone
	return nil
}

// reencode writes blocks of Native, which the engine gives as to a client that says no revision, as to one that says this
// one.
func reencode(data []byte, revision uint64) ([]byte, error) {
	reader := chproto.NewReader(bytes.NewReader(data))
	var out chproto.Buffer
	for {
		block := proto.NewBlock()
		err := block.Decode(reader, 0)
		switch {
		case errors.Is(err, io.EOF) && block.Columns == nil:
			return out.Buf, nil
		case err != nil:
			return nil, fmt.Errorf("the answer in Native: %w", err)
		case block.Rows() == 0:
			emptyBlock(&out, block, revision)
		default:
			if err := block.Encode(&out, revision); err != nil {
				return nil, fmt.Errorf("the answer in Native: %w", err)
			}
		}
	}
}

// emptyBlock writes a block without rows. Encode would begin columns that Decode takes to be left out.
func emptyBlock(out *chproto.Buffer, block *proto.Block, revision uint64) {
	out.PutUVarInt(1)
	out.PutBool(false) // no overflow
	out.PutUVarInt(2)
	out.PutInt32(-1) // no bucket
	out.PutUVarInt(0)
	out.PutUVarInt(uint64(len(block.Columns)))
	out.PutUVarInt(0)
	for _, column := range block.Columns {
		out.PutString(column.Name())
		out.PutString(string(column.Type()))
		if revision >= proto.DBMS_MIN_REVISION_WITH_CUSTOM_SERIALIZATION {
			out.PutBool(false)
		}
	}
}

func contentType(format string) string {
	switch f := strings.ToUpper(format); {
	case f == "JSON", f == "JSONCOMPACT", f == "JSONSTRINGS":
		return "application/json; charset=UTF-8"
	case strings.HasPrefix(f, "JSON"), f == "NDJSON":
		return "application/x-ndjson; charset=UTF-8"
	case strings.HasPrefix(f, "TABSEPARATED"), strings.HasPrefix(f, "TSV"):
		return "text/tab-separated-values; charset=UTF-8"
	case strings.HasPrefix(f, "CSV"):
		return "text/csv; charset=UTF-8; header=absent"
	case f == "NATIVE", f == "ROWBINARY", f == "PARQUET", f == "ARROW", f == "ARROWSTREAM":
		return "application/octet-stream"
	}
	return "text/plain; charset=UTF-8"
}
