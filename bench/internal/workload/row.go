package workload

import (
	"encoding/json"
	"fmt"
	"strconv"
)

// AppendRow appends a table as engines that write JSON publish it: {"w":start,"r":region,"n":events,"top":[[item,count],...]}.
func AppendRow(b []byte, window int64, region string, events int64, lines []Line) []byte {
	b = strconv.AppendInt(append(b, `{"w":`...), window, 10)
	b = append(append(b, `,"r":"`...), region...)
	b = strconv.AppendInt(append(b, `","n":`...), events, 10)
	b = append(b, `,"top":[`...)
	for i, l := range lines {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(append(b, `["`...), l.Item...)
		b = strconv.AppendInt(append(b, `",`...), l.Count, 10)
		b = append(b, ']')
	}
	return append(b, `]}`...)
}

// ParseRow reads such a row.
func ParseRow(b []byte) (Key, Table, error) {
	var row struct {
		Window int64                `json:"w"`
		Region string               `json:"r"`
		Events int64                `json:"n"`
		Top    [][2]json.RawMessage `json:"top"`
	}
	if err := json.Unmarshal(b, &row); err != nil {
		return Key{}, Table{}, fmt.Errorf("a row of a table: %w", err)
	}
	t := Table{Events: row.Events, Lines: make([]Line, len(row.Top))}
	for i, pair := range row.Top {
		if err := json.Unmarshal(pair[0], &t.Lines[i].Item); err != nil {
			return Key{}, Table{}, fmt.Errorf("line %d of a table: the item: %w", i, err)
		}
		if err := json.Unmarshal(pair[1], &t.Lines[i].Count); err != nil {
			return Key{}, Table{}, fmt.Errorf("line %d of a table: the count: %w", i, err)
		}
	}
	return Key{row.Window, row.Region}, t, nil
}
