package deadletters

import (
	"maps"
	"strings"

	"github.com/ThreeDotsLabs/watermill/message"
)

// HeaderCut is the header of a letter that would be too large for its topic: it names what isn't there as it was in the record, "headers", "key" and
// "value", joined by commas. The record itself, where the letter says that it was, has it all.
const HeaderCut = "dead-letter.cut"

// What Cut names, in the order in which it is left out.
const (
	cutHeaders = "headers" // all of the record's own are left out
	cutKey     = "key"     // left out
	cutValue   = "value"   // cut off at its end
)

// Fit returns a letter's message as it is, if it has at most so many bytes, and else one of the same ID from which the least is left out that makes it
// fit: first the record's own headers, then its key, then the end of its value. For a letter that can't be published would stop its partition. An event that was
// decoded keeps its value, as long as the topic takes what the decoder does, and a kilobyte for what the letter says.
func Fit(msg *message.Message, bytesMax int) *message.Message {
	if size(msg) <= bytesMax {
		return msg
	}
	fitted := message.NewMessage(msg.UUID, msg.Payload)
	fitted.Metadata = maps.Clone(msg.Metadata)
	fitted.SetContext(msg.Context())
	cut := func(what string) {
		if before := fitted.Metadata[HeaderCut]; before != "" {
			what = before + "," + what
		}
		fitted.Metadata.Set(HeaderCut, what)
	}
	cut(cutHeaders)
	maps.DeleteFunc(fitted.Metadata, func(name, _ string) bool {
		return strings.HasPrefix(name, HeaderHeader) || strings.HasPrefix(name, HeaderNullHeader)
	})
	if size(fitted) > bytesMax {
		cut(cutKey)
		delete(fitted.Metadata, metadataKey)
		delete(fitted.Metadata, HeaderKey)
	}
	if size(fitted) > bytesMax {
		cut(cutValue)
		fitted.Payload = fitted.Payload[:max(0, len(fitted.Payload)-(size(fitted)-bytesMax))]
	}
	return fitted
}

// size is how many bytes a message takes in Kafka, at most.
func size(msg *message.Message) int {
	const record, header = 64 + len("_watermill_message_uuid"), 10 // their lengths, as varints, and the like
	n := record + len(msg.UUID) + header + len(msg.Payload)
	for name, value := range msg.Metadata {
		n += len(name) + len(value) + header
	}
	return n
}
