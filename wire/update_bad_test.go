package wire

import (
	"bytes"
	"errors"
	"math"
	"runtime"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/millrank/millrank/event"
)

// goodMessage is an update of two cells.
func goodMessage() *Update {
	return &Update{
		Source: "eu/events", Partition: 5, SourcePartitions: 12, ShardPartitions: 4, Shard: 1, AsOf: 7, Last: true,
		PaneStarts: []int64{60000, 120000}, Groups: []byte("g"), GroupLengths: []uint32{0, 1}, Items: []byte("abc"), ItemLengths: []uint32{1, 2},
		CellPanes: []uint32{0, 1}, CellGroups: []uint32{1, 0}, CellItems: []uint32{0, 1}, Counts: []int64{3, 4},
		Sums: []int64{-3, 5}, Minima: []int64{-1, 0}, Maxima: []int64{2, 2}, Duplicates: []int64{0, 9},
	}
}

// badUpdates are ways to make goodMessage wrong, by what the error says.
func badUpdates() map[string]func(m *Update) {
	return map[string]func(m *Update){
		`partition 12 of 12`:                                    func(m *Update) { m.Partition = 12 },
		`0 source partitions`:                                   func(m *Update) { m.SourcePartitions = 0 },
		`4294967295 source partitions`:                          func(m *Update) { m.SourcePartitions = math.MaxUint32 },
		`0 shard partitions`:                                    func(m *Update) { m.ShardPartitions = 0 },
		`shard 4 of 4`:                                          func(m *Update) { m.Shard = 4 },
		`part number 2147483648`:                                func(m *Update) { m.Number = math.MaxInt32 + 1 },
		`column cell_panes has 1 entries, and counts has 2`:     func(m *Update) { m.CellPanes = m.GetCellPanes()[:1] },
		`column cell_groups has 0 entries, and counts has 2`:    func(m *Update) { m.CellGroups = nil },
		`column cell_items has 2 entries, and counts has 0`:     func(m *Update) { m.Counts, m.CellPanes, m.CellGroups = nil, nil, nil },
		`column sums has 1 entries, and counts has 2`:           func(m *Update) { m.Sums = m.GetSums()[:1] },
		`column minima has 3 entries, and counts has 2`:         func(m *Update) { m.Minima = append(m.Minima, 1) },
		`column maxima has 1 entries, and counts has 2`:         func(m *Update) { m.Maxima = m.GetMaxima()[:1] },
		`column duplicates has 1 entries, and counts has 2`:     func(m *Update) { m.Duplicates = m.GetDuplicates()[:1] },
		`cell 1 is of pane 2 of 2, group 0 of 2, item 1 of 2`:   func(m *Update) { m.CellPanes[1] = 2 },
		`cell 0 is of pane 0 of 2, group 2 of 2, item 0 of 2`:   func(m *Update) { m.CellGroups[0] = 2 },
		`item 4294967295 of 2`:                                  func(m *Update) { m.CellItems[1] = math.MaxUint32 },
		`pane 0 of 0`:                                           func(m *Update) { m.PaneStarts = nil },
		`group 1 of 2 has 2 bytes, but only 1 are left`:         func(m *Update) { m.GroupLengths[1] = 2 },
		`2 groups have 0 bytes together, but there are 1`:       func(m *Update) { m.GroupLengths[1] = 0 },
		`item 0 of 2 has 4294967295 bytes, but only 3 are left`: func(m *Update) { m.ItemLengths[0] = math.MaxUint32 },
		`item 1 of 2 has 4294967295 bytes, but only 2 are left`: func(m *Update) { m.ItemLengths[1] = math.MaxUint32 },
		`0 items have 0 bytes together, but there are 3`:        func(m *Update) { m.ItemLengths = nil },
		`2 items have 3 bytes together, but there are 4`:        func(m *Update) { m.Items = append(m.Items, 'd') },
	}
}

// TestUpdateBad: each lie is found, and named.
func TestUpdateBad(t *testing.T) {
	marshal := func(m *Update) []byte {
		b, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	good := marshal(goodMessage())
	if _, _, u := decode(t, good); len(u.Cells) != 2 || u.Cells[1].Sum != 5 || string(u.Cells[1].Item) != "bc" || u.Cells[1].Pane != 120000 {
		t.Fatalf("the good message is %+v", u)
	}
	bad := map[string][]byte{
		"0 source partitions":                nil,
		`source "eu/event\xff" is not UTF-8`: bytes.Replace(good, []byte("eu/events"), []byte("eu/event\xff"), 1),
		"unexpected EOF":                     good[:len(good)-1],
		"wrong wireType = 2 for field Shard": append(bytes.Clone(good), protowire.AppendBytes(protowire.AppendTag(nil, 6, protowire.BytesType), nil)...),
	}
	for want, change := range badUpdates() {
		m := goodMessage()
		change(m)
		bad[want] = marshal(m)
	}
	for want, b := range bad {
		s, shard, u, err := DecodeUpdate(b)
		if !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
		if s != (Sender{}) || shard != 0 || u.Cells != nil {
			t.Errorf("%q: an error, and %+v", want, u)
		}
	}
}

// TestUpdateForeign: what other encoders may do is read: unknown fields, columns in
// pieces and not packed, a string of a dictionary given twice, or used by no cell.
func TestUpdateForeign(t *testing.T) {
	m := goodMessage()
	m.PaneStarts = append(m.PaneStarts, 60000)
	m.CellPanes[0] = 2
	m.CellPanes = m.GetCellPanes()[:1]
	m.ItemLengths = append(m.ItemLengths, 0)
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	b = protowire.AppendVarint(protowire.AppendTag(b, 30, protowire.VarintType), 1) // cell 1's pane
	b = protowire.AppendBytes(protowire.AppendTag(b, 1000, protowire.BytesType), []byte("from the future"))
	_, _, u := decode(t, b)
	want := event.Update{
		Part: event.Part{Source: 5, AsOf: 7, Last: true, ClosedThrough: event.NoTime, DroppedThrough: event.NoTime},
		Cells: []event.Cell{
			{Pane: 60000, Group: []byte("g"), Item: []byte("a"), Count: 3, Sum: -3, Min: -1, Max: 2},
			{Pane: 120000, Item: []byte("bc"), Count: 4, Sum: 5, Min: 0, Max: 2, Duplicates: 9},
		},
	}
	if d := different(u, want); d != "" {
		t.Error(d)
	}
}

// TestUpdateMemory: messages that are as small as they can be for what they hold don't
// take more than DecodeUpdate says.
func TestUpdateMemory(t *testing.T) {
	const n = 100000
	head := Update{SourcePartitions: 1, ShardPartitions: 1}
	zeros := make([]uint32, n)
	for name, b := range map[string][]byte{
		"cells":              marshalWith(t, &head, &Update{PaneStarts: []int64{0}, GroupLengths: []uint32{0}, ItemLengths: []uint32{0}, CellPanes: zeros, CellGroups: zeros, CellItems: zeros, Counts: make([]int64, n)}),
		"panes":              marshalWith(t, &head, &Update{PaneStarts: make([]int64, n)}),
		"items":              marshalWith(t, &head, &Update{ItemLengths: zeros}),
		"counts, not packed": bytes.Repeat(protowire.AppendVarint(protowire.AppendTag(nil, 33, protowire.VarintType), 0), n),
		"lengths that lie":   protowire.AppendVarint(protowire.AppendTag(nil, 33, protowire.BytesType), math.MaxInt32),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, _, u, err := DecodeUpdate(b)
		runtime.ReadMemStats(&after)
		took := after.TotalAlloc - before.TotalAlloc
		t.Logf("%s: %d bytes for %d, %d cells, error: %v", name, took, len(b), len(u.Cells), err)
		if took > 32*uint64(len(b))+10000 {
			t.Errorf("%s: %d bytes for %d", name, took, len(b))
		}
	}
}

func marshalWith(t *testing.T, head, more *Update) []byte {
	t.Helper()
	m := proto.CloneOf(head)
	proto.Merge(m, more)
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
