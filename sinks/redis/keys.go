package redis

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/operators"
)

// Words of keys.
const (
	global = "global"
	topK   = "top_k"
	final  = "final"
)

const (
	windowLayout = "20060102T150405Z"
	timeLayout   = "2006-01-02T15:04:05.000Z"
)

// Keys are the keys of one board's lists of one group.
type Keys struct {
	group string // ...:top_k
	board string // ...:top_k:<board>
}

// Keys returns the keys of a board's lists of one group: by is the names of the dimensions, joined by
// commas, that group holds values of, as in event.ListKey.
func (s *Sink) Keys(board, by string, group event.Group) Keys {
	var b strings.Builder
	b.WriteString(s.config.Prefix)
	if by == "" {
		b.WriteString(global + ":")
	} else {
		values := group.Values()
		for i, name := range strings.Split(by, ",") {
			value := ""
			if i < len(values) {
				value = values[i]
			}
			b.WriteString(encode(name) + ":" + encode(value) + ":")
		}
	}
	b.WriteString(topK)
	return Keys{group: b.String(), board: b.String() + ":" + board}
}

// Window returns the key of the list of the window that starts at this time, Unix milliseconds.
func (k Keys) Window(start int64) string {
	return k.board + ":" + time.UnixMilli(start).UTC().Format(windowLayout)
}

// Newest returns the key of the list of the newest window.
func (k Keys) Newest() string { return k.board }

// Final returns the key of the list of the newest final window.
func (k Keys) Final() string { return k.board + ":" + final }

// Default returns the key of the list of the default board's newest window, whatever the board.
func (k Keys) Default() string { return k.group }

// Meta returns the key of the HASH that describes the list at this key, which may be one of Shadow's.
func Meta(key string) string {
	if strings.HasPrefix(key, "{") {
		return key + ":meta"
	}
	return "{" + key + "}:meta"
}

// Shadow returns where a generation's list of a key is while another generation is active: the key itself is the active one's.
func Shadow(key string, generation uint32) string {
	return "{" + key + "}:g" + strconv.FormatUint(uint64(generation), 10)
}

// encode percent-encodes what has a meaning in keys: % and : here, { and } in a cluster.
func encode(s string) string {
	if !strings.ContainsAny(s, "%:{}") {
		return s
	}
	return strings.NewReplacer("%", "%25", ":", "%3A", "{", "%7B", "}", "%7D").Replace(s)
}

// formatTime writes Unix milliseconds as they stand in meta; event.NoTime is empty.
func formatTime(ms int64) string {
	if ms == event.NoTime {
		return ""
	}
	return time.UnixMilli(ms).UTC().Format(timeLayout)
}

// checkYear refuses times that RFC 3339 can't write, whose strings would not compare as the times do.
func checkYear(what string, ms int64) error {
	if year := time.UnixMilli(ms).UTC().Year(); year < 1 || year > 9999 {
		return fmt.Errorf("its %s, %d ms, is not in the years 1 to 9999", what, ms)
	}
	return nil
}

// slideOf returns how far apart windows start.
func slideOf(w operators.Window) time.Duration {
	if w.Slide == 0 {
		return w.Size
	}
	return w.Slide
}
