package microbatch

import (
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"
)

// Identity is what a committed state belongs to. A state that was written under another
// one is refused, since an offset would stand for something else.
type Identity struct {
	Generation uint32 // of the run over the source; raise it to start anew beside the old one
	Settings   string // fingerprint of the settings that decide results; ASCII text without spaces of at most 128 bytes, may be empty
	Outputs    int    // partitions of the topic that is written to, 0 where it doesn't matter
}

// Reasons why a partition can't be resumed. A RefusedError wraps one of them.
var (
	// ErrDamaged: the commit's metadata is not what Claim.Commit wrote.
	ErrDamaged = errors.New("the metadata of the committed offset is damaged or not Millrank's")
	// ErrFormat: the metadata is of a newer version than this program knows.
	ErrFormat = errors.New("the metadata of the committed offset is of a format that this version doesn't know")
	// ErrBelowStart: retention has deleted records that must be read again.
	ErrBelowStart = errors.New("the committed offset is below the start of the log")
	// ErrPastEnd: the log ends before the committed offset.
	ErrPastEnd = errors.New("the committed offset is past the end of the log")
	// ErrTopic: the topic was deleted and made anew.
	ErrTopic = errors.New("the topic is not the one that was read before")
	// ErrPartitions: the topic's number of partitions has changed.
	ErrPartitions = errors.New("the topic's number of partitions has changed")
	// ErrOutputs: the number of partitions of the topic that is written to has changed.
	ErrOutputs = errors.New("the number of partitions that are written to has changed")
	// ErrSettings: settings that decide results have changed.
	ErrSettings = errors.New("settings that decide results have changed")
	// ErrGeneration: the commit is of another generation.
	ErrGeneration = errors.New("the commit is of another generation")
)

// RefusedError says that a partition can't be resumed: going on would lose events or
// count some twice. errors.Is finds the reason.
type RefusedError struct {
	Group     string
	Topic     string
	Partition int32 // -1: the topic as a whole
	Reason    error
	Found     string
	Wanted    string
	Mend      string // what to do
}

// Error says what was found, what is needed, and what to do.
func (e *RefusedError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "group %s can't go on with topic %s", e.Group, e.Topic)
	if e.Partition >= 0 {
		fmt.Fprintf(&b, " partition %d", e.Partition)
	}
	fmt.Fprintf(&b, ": %v", e.Reason)
	if e.Found != "" || e.Wanted != "" {
		fmt.Fprintf(&b, " (found %s, needed %s)", e.Found, e.Wanted)
	}
	if e.Mend != "" {
		fmt.Fprintf(&b, ". To mend it: %s", e.Mend)
	}
	return b.String()
}

// Unwrap returns the reason.
func (e *RefusedError) Unwrap() error { return e.Reason }

// What to do about refusals; the default is newGeneration.
const (
	newGeneration = "run a new generation, which reads the topic from its start into topics of its own"
	newGroup      = newGeneration + "; or, to give up the old results, delete the group (kafka-consumer-groups.sh --delete --group NAME) and start again from the oldest record"
)

// metadataLimit is what Kafka's brokers keep with an offset by default (offset.metadata.max.bytes).
const metadataLimit = 4096

// Limits of what goes into the metadata; the rest takes less than 200 bytes.
const (
	stateLimit    = 3500
	settingsLimit = 128
)

// plain reports whether a text survives all that handles metadata: ours, which goes by spaces, and that of brokers
// and tools, which replace what isn't UTF-8.
func plain(text string) bool {
	for i := range len(text) {
		if text[i] <= ' ' || text[i] > '~' {
			return false
		}
	}
	return true
}

// metadataFormat begins the metadata: a name, and the version of what follows.
const metadataFormat = "millrank/1"

// metadata is what is committed with an offset. It is text, so that Kafka's own tools show
// it: "millrank/1 generation=1 topic=… partitions=12 outputs=8 settings=… state=… crc32c=…". Names that
// aren't known are left alone, so a newer version can add some.
type metadata struct {
	Identity
	topicID    [16]byte
	partitions int
	state      string
}

func (m metadata) encode() string {
	text := fmt.Sprintf("%s generation=%d topic=%x partitions=%d outputs=%d settings=%s state=%s",
		metadataFormat, m.Generation, m.topicID, m.partitions, m.Outputs, m.Settings, m.state)
	return fmt.Sprintf("%s crc32c=%08x", text, checksum(text))
}

func checksum(text string) uint32 {
	return crc32.Checksum([]byte(text), crc32.MakeTable(crc32.Castagnoli))
}

// parseMetadata reads what encode wrote. The error is ErrDamaged or ErrFormat.
func parseMetadata(text string) (metadata, error) {
	var m metadata
	format, _, _ := strings.Cut(text, " ")
	if name, version, ok := strings.Cut(format, "/"); ok && name == "millrank" && format != metadataFormat {
		if _, err := strconv.ParseUint(version, 10, 16); err == nil {
			return m, ErrFormat
		}
	}
	at := strings.LastIndex(text, " crc32c=")
	if format != metadataFormat || at < 0 || text[at:] != fmt.Sprintf(" crc32c=%08x", checksum(text[:at])) {
		return m, ErrDamaged
	}
	for field := range strings.FieldsSeq(text[len(format):at]) {
		name, value, _ := strings.Cut(field, "=")
		if err := m.set(name, value); err != nil {
			return m, fmt.Errorf("%w: %s: %w", ErrDamaged, name, err)
		}
	}
	return m, nil
}

func (m *metadata) set(name, value string) (err error) {
	switch name {
	case "generation":
		var n uint64
		n, err = strconv.ParseUint(value, 10, 32)
		m.Generation = uint32(n)
	case "topic":
		var id []byte
		if id, err = hex.DecodeString(value); err == nil && len(id) != len(m.topicID) {
			err = errors.New("not 16 bytes")
		}
		copy(m.topicID[:], id)
	case "partitions":
		m.partitions, err = strconv.Atoi(value)
	case "outputs":
		m.Outputs, err = strconv.Atoi(value)
	case "settings":
		m.Settings = value
	case "state":
		m.state = value
	}
	return err
}

// committed is what the group has committed for one partition.
type committed struct {
	offset   int64 // -1: nothing
	metadata string
}

// topicFacts is what is known of the topic that is read.
type topicFacts struct {
	id         [16]byte
	partitions int
}

// check decides whether a partition can be resumed. It returns the state that goes with
// the committed offset; the empty one where there is no commit.
func (id Identity) check(group, topic string, partition int32, now topicFacts, c committed, logStart, logEnd int64) (string, error) {
	if c.offset < 0 {
		return "", nil
	}
	refuse := func(reason error, found, wanted any, mend string) (string, error) {
		return "", &RefusedError{group, topic, partition, reason, fmt.Sprint(found), fmt.Sprint(wanted), mend}
	}
	m, err := parseMetadata(c.metadata)
	switch {
	case errors.Is(err, ErrFormat):
		return refuse(err, strconv.Quote(c.metadata), metadataFormat, "run the newer version that wrote it, or "+newGeneration)
	case err != nil:
		return refuse(err, fmt.Sprintf("offset %d with %q", c.offset, c.metadata), "what this group commits itself",
			"if somebody reset the group's offsets, that can't be resumed: "+newGroup)
	case m.Generation != id.Generation:
		return refuse(ErrGeneration, m.Generation, id.Generation, "give each generation a group of its own")
	case m.topicID != now.id:
		return refuse(ErrTopic, fmt.Sprintf("topic ID %x", now.id), fmt.Sprintf("%x", m.topicID), newGeneration)
	case m.partitions != now.partitions:
		return refuse(ErrPartitions, now.partitions, m.partitions, newGeneration)
	case m.Outputs != id.Outputs:
		return refuse(ErrOutputs, id.Outputs, m.Outputs, "set it back, or "+newGeneration)
	case m.Settings != id.Settings:
		return refuse(ErrSettings, id.Settings, m.Settings, "set them back, or "+newGeneration)
	case c.offset < logStart:
		return refuse(ErrBelowStart, fmt.Sprintf("offset %d, log start %d", c.offset, logStart), "a log that still holds it",
			"raise the topic's retention.ms above the time that replays go back; this time, "+newGroup)
	case c.offset > logEnd:
		return refuse(ErrPastEnd, fmt.Sprintf("offset %d, log end %d", c.offset, logEnd), "a log that reaches it",
			"records were lost on the broker (unclean leader election, or a restored copy): "+newGroup)
	}
	return m.state, nil
}
