package microbatch

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// A frame is the payload of a message from Subscriber: a head, then records, all of one
// partition, in the order of their offsets. Numbers in the head are little endian.
//
//	bytes 0–3    "MRB1"
//	bytes 4–7    number of records
//	bytes 8–15   base offset: of the first record; without records, the one that will come next at the earliest
//	bytes 16–23  base time: the timestamp of the first record, Unix milliseconds
//	bytes 24–31  log end, or -1 where it isn't known
//	byte  32     flags
//
// A record is written as Kafka's message format v2 has it, with varints, but for its
// length and attributes: the offset less the base offset; the timestamp less the base
// time (zigzag); the key, the value, the number of headers, and each header's name and
// value. Bytes come after their length plus 1, 0 being null.
const (
	frameMagic  = "MRB1"
	frameHead   = 33
	frameCount  = 4
	frameBase   = 8
	frameTime   = 16
	frameLogEnd = 24
	frameFlags  = 32
)

// Flags of a frame.
const (
	flagQuiet   = 1 << iota // asked, and nothing waits to be delivered
	flagUnsure              // asked, without an answer
	flagLeaving             // the last one of its claim
)

// NoTimestamp is the timestamp of a Kafka record that has none.
const NoTimestamp int64 = -1

// ErrFrame says that a message's payload isn't a frame, or is damaged. Something between
// Subscriber and its handler has changed it.
var ErrFrame = errors.New("not a frame of records")

// Record is one Kafka record. Its slices are views into the message's payload: they hold as
// long as that is not changed.
type Record struct {
	Offset  int64
	Time    int64  // the record's timestamp, Unix milliseconds, or NoTimestamp
	Key     []byte // nil where it is null
	Value   []byte // nil where it is null
	Headers []Header
}

// Header is one header of a record. Names may repeat.
type Header struct {
	Name  []byte
	Value []byte // nil where it is null
}

// Batch reads the records of one message. Make it with Open; go through it with Next. A
// Batch without records is a heartbeat: it comes when a partition is silent, so that a
// handler can do what is due, and tells what is known of the log's end. A Batch serves one goroutine.
type Batch struct {
	Count    int   // number of records
	Position int64 // offset of the first record, or of the next one at the earliest
	LogEnd   int64 // the next offset that a producer will be given, or -1 where it isn't known
	Quiet    bool  // the broker was asked after the last record was delivered, and nothing waits to be
	Unsure   bool  // the broker was asked, and could not be reached
	Leaving  bool  // the last of its claim: the partition goes to another member, or this one is closing

	rest     []byte
	baseTime int64
	left     int
	err      error
}

// Open opens a message's payload for reading. The error is ErrFrame.
func Open(payload []byte) (Batch, error) {
	if len(payload) < frameHead || string(payload[:len(frameMagic)]) != frameMagic {
		return Batch{}, fmt.Errorf("%w: it doesn't begin with %s", ErrFrame, frameMagic)
	}
	flags := payload[frameFlags]
	b := Batch{
		Count:    int(binary.LittleEndian.Uint32(payload[frameCount:])),
		Position: int64(binary.LittleEndian.Uint64(payload[frameBase:])),
		LogEnd:   int64(binary.LittleEndian.Uint64(payload[frameLogEnd:])),
		Quiet:    flags&flagQuiet != 0,
		Unsure:   flags&flagUnsure != 0,
		Leaving:  flags&flagLeaving != 0,
		baseTime: int64(binary.LittleEndian.Uint64(payload[frameTime:])),
		rest:     payload[frameHead:],
	}
	if b.Count > len(b.rest) {
		return Batch{}, fmt.Errorf("%w: %d records can't be in %d bytes", ErrFrame, b.Count, len(b.rest))
	}
	if b.Count == 0 && len(b.rest) > 0 {
		return Batch{}, fmt.Errorf("%w: there is something behind its last record", ErrFrame)
	}
	b.left = b.Count
	return b, nil
}

// Next reads the next record into r, reusing r's Headers, and reports whether there was one.
func (b *Batch) Next(r *Record) bool {
	if b.left == 0 || b.err != nil {
		return false
	}
	b.left--
	r.Offset = b.Position + int64(b.number())
	r.Time = b.baseTime + zigzag(b.number())
	r.Key = b.bytes()
	r.Value = b.bytes()
	headers := b.number()
	r.Headers = r.Headers[:0]
	for ; headers > 0 && b.err == nil; headers-- {
		r.Headers = append(r.Headers, Header{Name: b.bytes(), Value: b.bytes()})
	}
	if b.left == 0 && len(b.rest) > 0 {
		b.damaged()
	}
	return b.err == nil
}

// Err returns what ended Next early, or nil.
func (b *Batch) Err() error { return b.err }

func (b *Batch) number() uint64 {
	if len(b.rest) > 0 && b.rest[0] < 0x80 {
		n := uint64(b.rest[0])
		b.rest = b.rest[1:]
		return n
	}
	n, size := binary.Uvarint(b.rest)
	if size <= 0 {
		b.damaged()
		return 0
	}
	b.rest = b.rest[size:]
	return n
}

func (b *Batch) bytes() []byte {
	n := b.number()
	if n == 0 {
		return nil
	}
	n--
	if n > uint64(len(b.rest)) {
		b.damaged()
		return nil
	}
	view := b.rest[:n:n]
	b.rest = b.rest[n:]
	return view
}

func (b *Batch) damaged() {
	if b.err == nil {
		b.err = fmt.Errorf("%w: it is cut off or damaged in record %d of %d", ErrFrame, b.Count-b.left, b.Count)
	}
	b.rest = nil
}

// frame writes one.
type frame struct {
	bytes    []byte
	count    int
	baseTime int64
	base     int64
	next     int64 // offset after the last record
}

// begin makes an empty frame, in the memory that f has, where that has room for a number of bytes.
func (f *frame) begin(position int64, room int) {
	if cap(f.bytes) < frameHead+room {
		f.bytes = make([]byte, frameHead, frameHead+room)
	}
	f.bytes = f.bytes[:frameHead]
	copy(f.bytes, frameMagic)
	f.count, f.base, f.next = 0, position, position
}

// startRecord writes a record's numbers; key, value and headers must follow.
func (f *frame) startRecord(offset, time int64) {
	if f.count == 0 {
		f.base, f.baseTime = offset, time
	}
	f.count++
	f.next = offset + 1
	f.bytes = binary.AppendUvarint(f.bytes, uint64(offset-f.base))
	f.bytes = binary.AppendVarint(f.bytes, time-f.baseTime)
}

func (f *frame) addNumber(n int) { f.bytes = binary.AppendUvarint(f.bytes, uint64(n)) }

func (f *frame) addBytes(b []byte) {
	if b == nil {
		f.bytes = append(f.bytes, 0)
		return
	}
	f.bytes = append(binary.AppendUvarint(f.bytes, uint64(len(b))+1), b...)
}

func (f *frame) addText(s string) {
	f.bytes = append(binary.AppendUvarint(f.bytes, uint64(len(s))+1), s...)
}

// end completes the head and returns the payload.
func (f *frame) end(logEnd int64, flags byte) []byte {
	binary.LittleEndian.PutUint32(f.bytes[frameCount:], uint32(f.count))
	binary.LittleEndian.PutUint64(f.bytes[frameBase:], uint64(f.base))
	binary.LittleEndian.PutUint64(f.bytes[frameTime:], uint64(f.baseTime))
	binary.LittleEndian.PutUint64(f.bytes[frameLogEnd:], uint64(logEnd))
	f.bytes[frameFlags] = flags
	return f.bytes
}

func zigzag(n uint64) int64 { return int64(n>>1) ^ -int64(n&1) }

// Encode returns a frame of these records, which are in the order of their offsets: what a
// message from Subscriber holds. It serves tests, and whoever feeds its handlers from elsewhere.
func Encode(records ...Record) []byte {
	var f frame
	f.begin(0, 0)
	if len(records) > 0 {
		f.base = records[0].Offset
	}
	for _, r := range records {
		f.startRecord(r.Offset, r.Time)
		f.addBytes(r.Key)
		f.addBytes(r.Value)
		f.addNumber(len(r.Headers))
		for _, h := range r.Headers {
			f.addBytes(h.Name)
			f.addBytes(h.Value)
		}
	}
	return f.end(-1, 0)
}
