package handlers

import (
	"fmt"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/microbatch"
	"github.com/millrank/millrank/sinks/deadletters"
)

// letterOf reads a record of the dead-letter topic; false where it is another generation's. What the letter holds is the record's.
func letterOf(r *microbatch.Record, generation uint32) (letter deadletters.Letter, own bool, err error) {
	m := message.NewMessage("", r.Value)
	for _, h := range r.Headers {
		m.Metadata.Set(string(h.Name), string(h.Value))
	}
	letter, err = deadletters.Parse(m)
	return letter, err == nil && letter.Generation == generation, err
}

// eventOf decodes the event that a dead letter is of. It is the decoder's, and the letter's.
func eventOf(l *deadletters.Letter, decoder event.Decoder) (e event.Event, err error) {
	if err := decoder.Decode(l.Value, &e); err != nil {
		return e, fmt.Errorf("the dead letter of a %s event can't be read: %w", l.Reason, err)
	}
	return e, nil
}
