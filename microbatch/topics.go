package microbatch

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/IBM/sarama"
)

// Unlimited as a retention keeps records for ever (retention.ms -1).
const Unlimited time.Duration = -1

// Values of Topic.TimestampType.
const (
	CreateTime    = "CreateTime"
	LogAppendTime = "LogAppendTime"
)

// Topic says what a topic must be like. The comments give Kafka's names; what is zero doesn't matter.
type Topic struct {
	Name              string
	Existing          bool              // it is not to be created, since others decide how
	Partitions        int               // exactly so many
	PartitionsIfNew   bool              // Partitions are for creating it; who has it already may have another number
	ReplicationFactor int               // replication.factor at least; a topic without is created with the brokers' default
	Retention         time.Duration     // retention.ms when it is created; a topic without gets RetentionMin, or else the brokers' default
	RetentionMin      time.Duration     // retention.ms at least
	CleanupPolicy     string            // cleanup.policy: "delete" stands for no compaction, which loses records that are needed
	TimestampType     string            // message.timestamp.type: CreateTime or LogAppendTime
	TimestampAfterMax time.Duration     // message.timestamp.after.max.ms at most, where the timestamps are the producers' (a warning)
	MaxMessageBytes   int               // max.message.bytes at least
	Settings          map[string]string // further settings when it is created
}

// validate reports what makes no sense.
func (t Topic) validate() error {
	var errs []error
	wrong := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf("topic "+strconv.Quote(t.Name)+": "+format, args...))
		}
	}
	wrong(t.Name == "", "it has no name")
	wrong(t.Partitions < 0 || !t.Existing && t.Partitions == 0, "partitions: %d is not above 0", t.Partitions)
	wrong(t.ReplicationFactor < 0, "replication.factor: %d is below 0", t.ReplicationFactor)
	wrong(t.Retention < Unlimited, "retention.ms: %v is below 0", t.Retention)
	wrong(t.RetentionMin < Unlimited, "the least retention.ms: %v is below 0", t.RetentionMin)
	wrong(t.Retention != 0 && !keeps(t.Retention, t.RetentionMin), "retention.ms: %s is less than the %s that are needed", milliseconds(t.Retention), milliseconds(t.RetentionMin))
	wrong(t.CleanupPolicy != "" && t.CleanupPolicy != "delete", "cleanup.policy: %q is not delete", t.CleanupPolicy)
	wrong(t.TimestampType != "" && t.TimestampType != CreateTime && t.TimestampType != LogAppendTime, "message.timestamp.type: %q is not CreateTime or LogAppendTime", t.TimestampType)
	wrong(t.TimestampAfterMax < 0, "message.timestamp.after.max.ms: %v is below 0", t.TimestampAfterMax)
	wrong(t.MaxMessageBytes < 0, "max.message.bytes: %d is below 0", t.MaxMessageBytes)
	return errors.Join(errs...)
}

// keeps reports whether a retention is as long as another.
func keeps(retention, least time.Duration) bool {
	return retention == Unlimited || least != Unlimited && retention >= least
}

// milliseconds returns a duration as Kafka's settings have it.
func milliseconds(d time.Duration) string {
	if d == Unlimited {
		return "-1"
	}
	return strconv.FormatInt(d.Milliseconds(), 10)
}

// settings returns what the topic is created with, by Kafka's names.
func (t Topic) settings() map[string]string {
	s := map[string]string{}
	set := func(name, value string, given bool) {
		if given {
			s[name] = value
		}
	}
	retention := t.Retention
	if retention == 0 {
		retention = t.RetentionMin
	}
	set("retention.ms", milliseconds(retention), retention != 0)
	set("cleanup.policy", t.CleanupPolicy, t.CleanupPolicy != "")
	set("message.timestamp.type", t.TimestampType, t.TimestampType != "")
	set(afterMax, milliseconds(t.TimestampAfterMax), t.TimestampAfterMax != 0)
	set("max.message.bytes", strconv.Itoa(t.MaxMessageBytes), t.MaxMessageBytes != 0)
	maps.Copy(s, t.Settings)
	return s
}

// Warning is something about a topic that works, but should be known.
type Warning struct {
	Topic   string
	Setting string // by Kafka's name
	Found   string
	Text    string // what can happen
	Mend    string // a command
}

// String returns it in a line.
func (w Warning) String() string {
	return fmt.Sprintf("topic %s: %s is %s: %s. To mend it: %s", w.Topic, w.Setting, w.Found, w.Text, w.Mend)
}

// Difference is what keeps a topic from being used.
type Difference struct {
	Topic   string
	Setting string // by Kafka's name
	Found   string
	Wanted  string
	Mend    string // a command, or what else to do
}

// String returns it in a line.
func (d Difference) String() string {
	return fmt.Sprintf("topic %s: %s is %s, but must be %s. To mend it: %s", d.Topic, d.Setting, d.Found, d.Wanted, d.Mend)
}

// TopicsError is the error of topics that are not what they must be.
type TopicsError struct {
	Differences []Difference // in the order of the topics
}

// Error returns the differences, a line each.
func (e *TopicsError) Error() string {
	lines := make([]string, len(e.Differences))
	for i, d := range e.Differences {
		lines[i] = d.String()
	}
	return strings.Join(lines, "\n")
}

// EnsureTopics creates the topics that are missing and checks the others. Nothing that exists is changed. It may run in
// several processes at the same time.
//
// The error is a *TopicsError if topics are not what they must be; it holds all differences. The warnings are there either way.
func EnsureTopics(ctx context.Context, c Connection, topics ...Topic) ([]Warning, error) {
	errs := []error{c.Validate()}
	names := make([]string, len(topics))
	for i, t := range topics {
		names[i] = t.Name
		errs = append(errs, t.validate())
		if slices.Contains(names[:i], t.Name) {
			errs = append(errs, fmt.Errorf("topic %q: given twice", t.Name))
		}
	}
	if err := errors.Join(errs...); err != nil || len(topics) == 0 {
		return nil, err
	}
	return withAdmin(ctx, c, names, func(a admin) ([]Warning, error) { return a.ensure(topics) })
}

func (a admin) ensure(topics []Topic) ([]Warning, error) {
	names := make([]string, len(topics))
	for i, t := range topics {
		names[i] = t.Name
	}
	found, err := a.describe(names)
	if err != nil {
		return nil, err
	}
	var differences []Difference
	var errs []error
	var created []string
	for _, t := range topics {
		switch _, exists := found[t.Name]; {
		case exists:
		case t.Existing:
			differences = append(differences, Difference{t.Name, "it", "missing", "there", a.tools.create(t)})
		default:
			if err := a.create(t); err != nil {
				errs = append(errs, fmt.Errorf("topic %s: creating it: %w; or have it created: %s", t.Name, err, a.tools.create(t)))
				continue
			}
			created = append(created, t.Name)
		}
	}
	if len(created) > 0 {
		if found, err = a.await(names, created); err != nil {
			return nil, errors.Join(append(errs, err)...)
		}
	}
	var warnings []Warning
	for _, t := range topics {
		if info, exists := found[t.Name]; exists {
			d, w := a.tools.compare(t, info)
			differences, warnings = append(differences, d...), append(warnings, w...)
		}
	}
	if len(differences) > 0 {
		slices.SortStableFunc(differences, func(x, y Difference) int { return slices.Index(names, x.Topic) - slices.Index(names, y.Topic) })
		errs = append(errs, &TopicsError{differences})
	}
	return warnings, errors.Join(errs...)
}

// create creates a topic. That another process does it first is fine.
func (a admin) create(t Topic) error {
	detail := &sarama.TopicDetail{NumPartitions: int32(t.Partitions), ReplicationFactor: -1, ConfigEntries: map[string]*string{}}
	if t.ReplicationFactor > 0 {
		detail.ReplicationFactor = int16(t.ReplicationFactor)
	}
	for name, value := range t.settings() {
		detail.ConfigEntries[name] = &value
	}
	err := a.CreateTopic(t.Name, detail, false)
	if errors.Is(err, sarama.ErrInvalidConfig) && detail.ConfigEntries[afterMax] != nil {
		delete(detail.ConfigEntries, afterMax) // it is of Kafka 3.6; compare warns
		err = a.CreateTopic(t.Name, detail, false)
	}
	switch {
	case errors.Is(err, sarama.ErrTopicAlreadyExists):
		return nil
	case errors.Is(err, sarama.ErrInvalidReplicationFactor):
		return fmt.Errorf("replication.factor %d: %w", t.ReplicationFactor, err)
	}
	return err
}
