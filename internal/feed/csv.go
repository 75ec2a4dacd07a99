package feed

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/millrank/millrank/event"
)

// readCSV turns rows into JSON. A row that is none, or has another number of cells than the header, is handed on as
// it stands: it will be a dead letter, and say so.
func (in *input) readCSV(name string, text *bufio.Reader, comma rune) error {
	var raw bytes.Buffer // what the reader has read and we have not passed yet
	r := csv.NewReader(io.TeeReader(text, &raw))
	r.Comma, r.ReuseRecord, r.FieldsPerRecord = comma, true, -1
	passed := int64(0)
	row := func() []byte {
		n := r.InputOffset() - passed
		passed += n
		return raw.Next(int(n))
	}

	header, err := r.Read()
	if err != nil {
		if errors.Is(err, io.EOF) {
			return nil
		}
		return fmt.Errorf("the header: %w", err)
	}
	columns, err := in.columns(header)
	if err != nil {
		return err
	}
	row()
	for {
		cells, err := r.Read()
		var syntax *csv.ParseError
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil && !errors.As(err, &syntax):
			return err
		}
		text := row()
		var value []byte
		if err == nil && len(cells) == len(columns) {
			value = object(columns, cells)
		} else {
			value = bytes.Clone(bytes.Trim(text, "\r\n"))
		}
		if err := in.add(name, value, len(value) == 0); err != nil {
			return err
		}
	}
}

// column is a column of a CSV file.
type column struct {
	key     string // its name, as JSON, with the colon
	numeric bool
}

func (in *input) columns(header []string) ([]column, error) {
	seen := make(map[string]bool)
	columns := make([]column, 0, len(header))
	for i, name := range header {
		if name == "" || seen[name] {
			return nil, fmt.Errorf("the header: column %d is called %q; each needs a name of its own", i+1, name)
		}
		seen[name] = true
		columns = append(columns, column{string(quote(nil, name)) + ":", in.numeric[name]})
	}
	return columns, nil
}

// numericColumns returns those that the mapping wants numbers of.
func numericColumns(m event.Mapping) map[string]bool {
	numeric := make(map[string]bool)
	if names := splitPath(m.Value); len(names) == 1 {
		numeric[names[0]] = true
	}
	if names := splitPath(m.Time); len(names) == 1 && m.TimeFormat != event.RFC3339 {
		numeric[names[0]] = true
	}
	return numeric
}

func object(columns []column, cells []string) []byte {
	b := []byte{'{'}
	for i, cell := range cells {
		if cell == "" {
			continue
		}
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = append(b, columns[i].key...)
		if columns[i].numeric && (cell[0] == '-' || cell[0] >= '0' && cell[0] <= '9') && json.Valid([]byte(cell)) {
			b = append(b, cell...)
		} else {
			b = quote(b, cell)
		}
	}
	return append(b, '}')
}

// quote appends a text as a JSON string. What isn't UTF-8 stays as it is: it is for the pipeline to refuse it.
func quote(b []byte, text string) []byte {
	b = append(b, '"')
	for i := range len(text) {
		switch c := text[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < ' ':
			b = fmt.Appendf(b, "\\u%04x", c)
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}
