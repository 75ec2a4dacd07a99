// Package deadletters makes messages of the records that are not counted, for the dead-letter
// topic, and reads them back.
//
// A dead letter is the record as it came, byte for byte: its value is the message's payload, its key the
// Kafka key. What became of it, and where it was, is in headers (Names), as are the key again and its
// own headers, since programs that pass messages on keep headers and may lose a key.
package deadletters

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strconv"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/millrank/millrank/event"
)

// Names of the headers. Those of which nothing is known are left out. Times are RFC 3339 in UTC with
// milliseconds, or, beyond the years 0 to 9999, milliseconds since 1970 in decimal.
const (
	HeaderReason     = "dead-letter.reason"      // malformed, future or late
	HeaderError      = "dead-letter.error"       // what is wrong, for people
	HeaderTopic      = "dead-letter.topic"       // where the record was
	HeaderPartition  = "dead-letter.partition"   // in decimal
	HeaderOffset     = "dead-letter.offset"      // in decimal
	HeaderTimestamp  = "dead-letter.timestamp"   // the record's
	HeaderEventTime  = "dead-letter.event-time"  // a time
	HeaderWatermark  = "dead-letter.watermark"   // of its partition, a time
	HeaderPane       = "dead-letter.pane"        // where its pane begins, a time
	HeaderLateness   = "dead-letter.lateness-ms" // in decimal
	HeaderGeneration = "dead-letter.generation"  // the run over the source that says so, in decimal; left out if it is 0
	HeaderKey        = "dead-letter.key"         // the record's key, as it is; left out if that is null
	HeaderValue      = "dead-letter.value"       // "null" if the record has no value; left out if it has one

	// HeaderHeader begins the names of the record's own headers: after it come the header's number, from 0000 on,
	// a dot and its name. That keeps their order, and apart those that have the same name.
	HeaderHeader = "dead-letter.header."
	// HeaderNullHeader does the same for those whose value is null.
	HeaderNullHeader = "dead-letter.header-null."
)

// metadataKey is microbatch.MetadataKey, which this package may not import: it makes messages, for whatever
// publisher.
const metadataKey = "kafka.key"

// noTimestamp is the timestamp of a record that has none.
const noTimestamp = -1

// null is the value of HeaderValue.
const null = "null"

// Header is a header of a record.
type Header struct {
	Key   string
	Value []byte // nil is null
}

// Letter is a record that is not counted, and why. It holds the record's own bytes, which are not to be changed.
type Letter struct {
	Reason event.Decision // Malformed, Future or Late
	Error  string         // what is wrong, for people; may be empty

	Topic     string // where it was
	Partition int32
	Offset    int64
	Timestamp int64    // the record's, Unix milliseconds; -1 if it has none
	Key       []byte   // nil is null
	Value     []byte   // nil is null
	Headers   []Header // in their order; a key may come again
	Cut       string   // what of these is not as it was in the record, since it would not have fit the topic (HeaderCut); "" where all is

	Generation uint32 // the run over the source that says so; 0 where it is not known. It is no part of the message's UUID

	EventTime int64 // Unix milliseconds, or event.NoTime where it is not known
	Watermark int64 // of its partition, after it; Unix milliseconds, or event.NoTime
	Pane      int64 // where its pane begins, Unix milliseconds, or event.NoTime
	Lateness  int64 // how far the watermark is past its pane, milliseconds, of a late record; 0 otherwise
}

// Message returns the letter as a message. Its payload is Value itself, its UUID a function of topic, partition and
// offset: the same record has the same, however often it is sent.
func (l *Letter) Message() *message.Message {
	msg := message.NewMessage(l.id(), l.Value)
	m := msg.Metadata
	m.Set(HeaderReason, l.Reason.String())
	m.Set(HeaderTopic, l.Topic)
	m.Set(HeaderPartition, strconv.FormatInt(int64(l.Partition), 10))
	m.Set(HeaderOffset, strconv.FormatInt(l.Offset, 10))
	set := func(name, value string, known bool) {
		if known {
			m.Set(name, value)
		}
	}
	set(HeaderError, l.Error, l.Error != "")
	set(HeaderTimestamp, formatTime(l.Timestamp), l.Timestamp != noTimestamp)
	set(HeaderEventTime, formatTime(l.EventTime), l.EventTime != event.NoTime)
	set(HeaderWatermark, formatTime(l.Watermark), l.Watermark != event.NoTime)
	set(HeaderPane, formatTime(l.Pane), l.Pane != event.NoTime)
	set(HeaderLateness, strconv.FormatInt(l.Lateness, 10), l.Lateness != 0)
	set(HeaderGeneration, strconv.FormatUint(uint64(l.Generation), 10), l.Generation != 0)
	set(metadataKey, string(l.Key), l.Key != nil)
	set(HeaderKey, string(l.Key), l.Key != nil)
	set(HeaderValue, null, l.Value == nil)
	set(HeaderCut, l.Cut, l.Cut != "")
	for i, h := range l.Headers {
		prefix := HeaderHeader
		if h.Value == nil {
			prefix = HeaderNullHeader
		}
		m.Set(fmt.Sprintf("%s%04d.%s", prefix, i, h.Key), string(h.Value))
	}
	return msg
}

// id returns a UUID of version 8: the beginning of a SHA-256.
func (l *Letter) id() string {
	text := append([]byte("dead letter\x00"), l.Topic...)
	text = append(text, 0)
	text = binary.BigEndian.AppendUint32(text, uint32(l.Partition))
	text = binary.BigEndian.AppendUint64(text, uint64(l.Offset))
	id := sha256.Sum256(text)
	id[6] = id[6]&0x0f | 0x80
	id[8] = id[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:16])
}

const timeFormat = "2006-01-02T15:04:05.000Z07:00"

func formatTime(ms int64) string {
	if t := time.UnixMilli(ms).UTC(); t.Year() >= 0 && t.Year() <= 9999 {
		return t.Format(timeFormat)
	}
	return strconv.FormatInt(ms, 10)
}
