package sim

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"time"

	"github.com/millrank/millrank/data"
)

// Fact is one line of a data set's events.ndjson.gz.
type Fact struct {
	EventID   string    `json:"event_id"`
	Item      string    `json:"item_id"`
	Region    string    `json:"region"`
	Timestamp time.Time `json:"timestamp"`
	User      string    `json:"user_id"` // empty where the line has none
	Value     int64     `json:"value"`   // 1 where the line has none
}

// ExpectedList is one ranking of a data set as its expected-*.json.gz gives it.
type ExpectedList struct {
	Start  time.Time          `json:"start"`
	End    time.Time          `json:"end"`
	Region *string            `json:"region"` // nil: all regions together
	Top    []ExpectedTopEntry `json:"top"`
}

// ExpectedTopEntry is one line of an ExpectedList.
type ExpectedTopEntry struct {
	Item  string
	Score int64
}

// UnmarshalJSON reads ["item", score].
func (e *ExpectedTopEntry) UnmarshalJSON(b []byte) error {
	return json.Unmarshal(b, &[]any{&e.Item, &e.Score})
}

// Facts reads the events of a data set, in the order of their times. The name is that of
// a folder of package data.
func Facts(name string) ([]Fact, error) {
	var facts []Fact
	err := readData(name, "events.ndjson.gz", func(r io.Reader) error {
		lines := bufio.NewScanner(r)
		for lines.Scan() {
			fact := Fact{Value: 1}
			if err := json.Unmarshal(lines.Bytes(), &fact); err != nil {
				return fmt.Errorf("line %d: %w", len(facts)+1, err)
			}
			facts = append(facts, fact)
		}
		return lines.Err()
	})
	return facts, err
}

// Expected reads the exact rankings (K = 10, top, per region and global) of a data set,
// for the measure "count" or "sum" and tumbling windows of "1h" or "1d". The lists come
// from the data set's own batch script, which shares nothing with this package.
func Expected(name, measure, window string) ([]ExpectedList, error) {
	var file struct {
		Windows []ExpectedList `json:"windows"`
	}
	err := readData(name, "expected-"+measure+"-"+window+".json.gz", func(r io.Reader) error {
		return json.NewDecoder(r).Decode(&file)
	})
	return file.Windows, err
}

// readData hands the unzipped file of a data set to read.
func readData(name, file string, read func(io.Reader) error) (err error) {
	at := path.Join(name, file)
	zipped, err := data.Files.Open(at)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, zipped.Close()) }()
	unzipped, err := gzip.NewReader(zipped)
	if err != nil {
		return fmt.Errorf("%s: %w", at, err)
	}
	if err := read(unzipped); err != nil {
		return fmt.Errorf("%s: %w", at, err)
	}
	return nil
}
