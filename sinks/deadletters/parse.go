package deadletters

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/millrank/millrank/event"
)

// Parse reads a letter back from a message that Message has made, or that has its payload and headers. What else is in the
// metadata is ignored. The letter's Value is the message's payload itself. The error says which headers are wrong.
func Parse(msg *message.Message) (Letter, error) {
	p := parser{metadata: msg.Metadata}
	l := Letter{
		Reason:    p.reason(),
		Error:     msg.Metadata.Get(HeaderError),
		Topic:     p.required(HeaderTopic),
		Partition: int32(p.number(HeaderPartition, 32)),
		Offset:    p.number(HeaderOffset, 64),
		Timestamp: p.time(HeaderTimestamp, noTimestamp),
		Value:     msg.Payload,
		EventTime: p.time(HeaderEventTime, event.NoTime),
		Watermark: p.time(HeaderWatermark, event.NoTime),
		Pane:      p.time(HeaderPane, event.NoTime),
		Headers:   p.headers(),
		Cut:       msg.Metadata.Get(HeaderCut),
	}
	if _, ok := msg.Metadata[HeaderLateness]; ok {
		l.Lateness = p.number(HeaderLateness, 64)
	}
	if _, ok := msg.Metadata[HeaderGeneration]; ok {
		n := p.number(HeaderGeneration, 64)
		p.wrong(n < 0 || n > math.MaxUint32, HeaderGeneration, "not a generation")
		l.Generation = uint32(n)
	}
	if key, ok := msg.Metadata[HeaderKey]; ok {
		l.Key = []byte(key)
	}
	switch value, ok := msg.Metadata[HeaderValue]; {
	case ok && value == null:
		l.Value = nil
		p.wrong(len(msg.Payload) > 0, HeaderValue, "null, but the message has a payload")
	case ok:
		p.wrong(true, HeaderValue, strconv.Quote(value)+" is not null")
	case l.Value == nil:
		l.Value = []byte{} // it was empty; some have only one of the two
	}
	if err := errors.Join(p.errs...); err != nil {
		return Letter{}, fmt.Errorf("message %s is not a dead letter: %w", msg.UUID, err)
	}
	return l, nil
}

// parser reads headers and gathers what is wrong.
type parser struct {
	metadata message.Metadata
	errs     []error
}

func (p *parser) wrong(is bool, name, what string) {
	if is {
		p.errs = append(p.errs, fmt.Errorf("header %s: %s", name, what))
	}
}

func (p *parser) required(name string) string {
	value, ok := p.metadata[name]
	p.wrong(!ok, name, "missing")
	return value
}

func (p *parser) reason() event.Decision {
	name := p.required(HeaderReason)
	for d := range event.Decision(event.Decisions) {
		if d.DeadLetter() && d.String() == name {
			return d
		}
	}
	_, ok := p.metadata[HeaderReason]
	p.wrong(ok, HeaderReason, strconv.Quote(name)+" is not malformed, future or late")
	return 0
}

func (p *parser) number(name string, bits int) int64 {
	text := p.required(name)
	n, err := strconv.ParseInt(text, 10, bits)
	_, ok := p.metadata[name]
	p.wrong(ok && err != nil, name, strconv.Quote(text)+" is not a number")
	return n
}

func (p *parser) time(name string, unknown int64) int64 {
	text, ok := p.metadata[name]
	if !ok {
		return unknown
	}
	if ms, err := strconv.ParseInt(text, 10, 64); err == nil {
		return ms
	}
	t, err := time.Parse(time.RFC3339, text)
	p.wrong(err != nil, name, strconv.Quote(text)+" is not a time")
	return t.UnixMilli()
}

// headers returns the record's own, in their order.
func (p *parser) headers() []Header {
	byNumber := map[int]Header{}
	for name, value := range p.metadata {
		rest, ok := strings.CutPrefix(name, HeaderHeader)
		isNull := false
		if !ok {
			if rest, isNull = strings.CutPrefix(name, HeaderNullHeader); !isNull {
				continue
			}
		}
		number, key, dot := strings.Cut(rest, ".")
		n, err := strconv.ParseUint(number, 10, 31)
		p.wrong(err != nil || !dot, name, "no number of a header in its name")
		h := Header{Key: key}
		if !isNull {
			h.Value = []byte(value)
		}
		if _, twice := byNumber[int(n)]; twice {
			p.wrong(err == nil, name, "another header has the same number")
		}
		byNumber[int(n)] = h
	}
	var headers []Header
	for i, n := range slices.Sorted(maps.Keys(byNumber)) {
		if i != n {
			p.wrong(true, HeaderHeader+fmt.Sprintf("%04d", i), "missing, but there is one of a higher number")
			break
		}
		headers = append(headers, byNumber[n])
	}
	return headers
}
