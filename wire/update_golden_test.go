package wire

import (
	"encoding/hex"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/millrank/millrank/event"
)

// goldenUpdate is a message byte by byte. Topics hold such bytes for as long as a
// generation lasts, and readers in other languages rely on them: a change of them is a
// new format.
const goldenUpdate = `
	0a 09 65752f6576656e7473      source: eu/events
	10 03                         generation
	18 05                         partition
	20 0c                         source_partitions
	28 04                         shard_partitions
	30 02                         shard
	39 efcdab8967452301           incarnation, fixed
	40 e807                       as_of 1000
	48 01                         number
	50 01                         last
	58 92f6e181a034               closed_through 1795300031250
	68 01                         idle
	70 901c                       idle_for_ms 3600
	a201 0c a09ee181a034 80f3e481a034   pane_starts 1795300020000, 1795300080000
	aa01 06 027573 026575         groups: (us), (eu), ()
	b201 03 03 03 00              group_lengths
	ba01 05 6162 ff00 63          items: ab, two bytes that are no text, c
	c201 03 02 02 01              item_lengths
	f201 04 00 01 00 00           cell_panes
	fa01 04 00 01 00 02           cell_groups
	8202 04 00 01 01 02           cell_items
	8a02 05 01 ac02 02 07         counts 1, 300, 2, 7
	9202 0e 01 d704 feffffffffffffffff01 0d   sums -1, -300, the greatest, -7
	9a02 04 01 01 00 01           minima -1, -1, 0, -1
	aa02 04 00 00 05 00           duplicates
`

func goldenBytes(t *testing.T) []byte {
	t.Helper()
	var digits strings.Builder
	for line := range strings.Lines(goldenUpdate) {
		for word := range strings.FieldsSeq(line) {
			if _, err := hex.DecodeString(word); err != nil {
				break // the comment
			}
			digits.WriteString(word)
		}
	}
	b, err := hex.DecodeString(digits.String())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestUpdateGolden: the format is what it was, for the encoder, the decoder and the plain library.
func TestUpdateGolden(t *testing.T) {
	us, eu := []byte(event.NewGroup("us")), []byte(event.NewGroup("eu"))
	s := testSender()
	u := event.Update{
		Part: event.Part{
			Source: 5, Incarnation: 0x0123456789abcdef, AsOf: 1000, Number: 1, Last: true,
			ClosedThrough: 1795300031250, DroppedThrough: event.NoTime, Idle: true, IdleFor: 3600,
		},
		Cells: []event.Cell{
			{Pane: 1795300020000, Group: us, Item: []byte("ab"), Count: 1, Sum: -1, Min: -1, Max: 1},
			{Pane: 1795300080000, Group: eu, Item: []byte("\xff\x00"), Count: 300, Sum: -300, Min: -1, Max: 1},
			{Pane: 1795300020000, Group: us, Item: []byte("\xff\x00"), Count: 2, Sum: 1<<63 - 1, Min: 0, Max: 1, Duplicates: 5},
			{Pane: 1795300020000, Item: []byte("c"), Count: 7, Sum: -7, Min: -1, Max: 1},
		},
	}
	want := goldenBytes(t)
	if got := encode(t, newEncoder(t, s), 2, u); hex.EncodeToString(got) != hex.EncodeToString(want) {
		t.Errorf("encoded\n%x, want\n%x", got, want)
	}
	gotSender, shard, got, err := DecodeUpdate(want)
	if d := different(got, u); err != nil || gotSender != s || shard != 2 || d != "" {
		t.Errorf("decoded from %+v to shard %d: %s, %v", gotSender, shard, d, err)
	}
	var m Update
	if err := proto.Unmarshal(want, &m); err != nil {
		t.Fatal(err)
	}
	if len(m.ProtoReflect().GetUnknown()) > 0 || m.DroppedThrough != nil || m.GetClosedThrough() != 1795300031250 || m.GetSums()[2] != 1<<63-1 || string(m.GetItems()) != "ab\xff\x00c" {
		t.Errorf("the plain library reads %v", &m)
	}
	if b, err := (proto.MarshalOptions{Deterministic: true}).Marshal(&m); err != nil || hex.EncodeToString(b) != hex.EncodeToString(want) {
		t.Errorf("the plain library writes\n%x, want\n%x (%v)", b, want, err)
	}
}
