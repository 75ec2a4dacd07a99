package microbatch

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// afterMax is how far a producer's timestamp may be ahead of the broker's clock.
const afterMax = "message.timestamp.after.max.ms"

// tools writes commands of Kafka's own tools.
type tools struct{ options string }

func newTools(c Connection) tools {
	c = c.withDefaults()
	options := "--bootstrap-server " + c.BootstrapServers[0]
	if c.SecurityProtocol != Plaintext {
		options += " --command-config client.properties"
	}
	return tools{options}
}

// create returns the command that creates a topic as it must be.
func (k tools) create(t Topic) string {
	words := []string{"kafka-topics.sh", k.options, "--create", "--topic", t.Name}
	if t.Partitions > 0 {
		words = append(words, "--partitions", strconv.Itoa(t.Partitions))
	}
	if t.ReplicationFactor > 0 {
		words = append(words, "--replication-factor", strconv.Itoa(t.ReplicationFactor))
	}
	settings := t.settings()
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		words = append(words, "--config", name+"="+settings[name])
	}
	return strings.Join(words, " ")
}

// set returns the command that changes a setting of a topic.
func (k tools) set(topic, name, value string) string {
	return fmt.Sprintf("kafka-configs.sh %s --alter --entity-type topics --entity-name %s --add-config %s=%s", k.options, topic, name, value)
}

// comparison is of one topic.
type comparison struct {
	tools
	topic       Topic
	found       TopicInfo
	differences []Difference
	warnings    []Warning
}

// compare returns what is wrong with a topic, and what should be known of it.
func (k tools) compare(t Topic, found TopicInfo) ([]Difference, []Warning) {
	c := comparison{tools: k, topic: t, found: found}
	c.partitions()
	if need := t.RetentionMin; need != 0 {
		c.atLeast("retention.ms", milliseconds(need), func(ms int64) bool {
			return ms == -1 || need != Unlimited && ms >= need.Milliseconds()
		})
		if bytes, ok := c.number("retention.bytes"); ok && bytes != -1 {
			c.warn("retention.bytes", fmt.Sprintf("records that are needed, for %v, can be deleted before retention.ms has passed, by their size", need), "-1")
		}
	}
	if policy, ok := c.setting("cleanup.policy"); ok && t.CleanupPolicy != "" && slices.Contains(strings.Split(policy, ","), "compact") {
		c.differ("cleanup.policy", policy, t.CleanupPolicy, k.set(t.Name, "cleanup.policy", t.CleanupPolicy))
	}
	if need := int64(t.MaxMessageBytes); need > 0 {
		c.atLeast("max.message.bytes", strconv.FormatInt(need, 10), func(bytes int64) bool { return bytes >= need })
	}
	c.timestamps()
	if n, ok := c.number("min.insync.replicas"); ok && n < 2 && t.ReplicationFactor > 1 {
		c.warn("min.insync.replicas", "a record that was acknowledged is lost with one broker, if that was the only one in sync", "2")
	}
	if unclean, ok := c.found.Configs["unclean.leader.election.enable"]; ok && unclean == "true" {
		c.warn("unclean.leader.election.enable", "records that were acknowledged can be lost, and their offsets given to others", "false")
	}
	return c.differences, c.warnings
}

func (c *comparison) partitions() {
	t := c.topic
	if want, is := t.Partitions, c.found.Partitions; want > 0 && is != want && !t.PartitionsIfNew {
		mend := "another name for the topic, or the number that it has in the settings: partitions can't be taken away"
		if is < want {
			mend = fmt.Sprintf("kafka-topics.sh %s --alter --topic %s --partitions %d while it is empty; else another name, or the number that it has in the settings: records would be in the wrong partition", c.options, t.Name, want)
		}
		c.differ("the number of partitions", strconv.Itoa(is), strconv.Itoa(want), mend)
	}
	if want, is := t.ReplicationFactor, c.found.ReplicationFactor; is < want {
		c.differ("replication.factor", strconv.Itoa(is), strconv.Itoa(want)+" or more",
			fmt.Sprintf("kafka-reassign-partitions.sh %s --execute --reassignment-json-file FILE, where FILE lists %d brokers for each partition", c.options, want))
	}
}

func (c *comparison) timestamps() {
	t := c.topic
	if t.TimestampType == "" && t.TimestampAfterMax == 0 {
		return
	}
	is, ok := c.setting("message.timestamp.type")
	if !ok {
		return
	}
	if t.TimestampType != "" && is != t.TimestampType {
		c.differ("message.timestamp.type", is, t.TimestampType, c.set(t.Name, "message.timestamp.type", t.TimestampType))
	}
	if t.TimestampAfterMax == 0 || is != CreateTime {
		return
	}
	text := fmt.Sprintf("a producer whose clock is more than %v ahead is believed, and with it its event times", t.TimestampAfterMax)
	switch ms, err := strconv.ParseInt(c.found.Configs[afterMax], 10, 64); {
	case err != nil:
		c.warnings = append(c.warnings, Warning{t.Name, afterMax, "not known to the broker", text, c.set(t.Name, "message.timestamp.type", LogAppendTime)})
	case ms > t.TimestampAfterMax.Milliseconds():
		c.warn(afterMax, text, milliseconds(t.TimestampAfterMax))
	}
}

// atLeast compares a number.
func (c *comparison) atLeast(name, want string, enough func(int64) bool) {
	if n, ok := c.number(name); ok && !enough(n) {
		wanted := want + " or more"
		if want == "-1" {
			wanted = want
		}
		c.differ(name, strconv.FormatInt(n, 10), wanted, c.set(c.topic.Name, name, want))
	}
}

func (c *comparison) number(name string) (int64, bool) {
	text, ok := c.setting(name)
	n, err := strconv.ParseInt(text, 10, 64)
	return n, ok && err == nil
}

// setting returns a setting as found, and warns if the broker doesn't tell it.
func (c *comparison) setting(name string) (string, bool) {
	value, ok := c.found.Configs[name]
	if !ok {
		c.warnings = append(c.warnings, Warning{c.topic.Name, name, "not told by the broker", "it can't be checked", "see to it that the user has the right of DescribeConfigs"})
	}
	return value, ok
}

func (c *comparison) differ(name, found, wanted, mend string) {
	c.differences = append(c.differences, Difference{c.topic.Name, name, found, wanted, mend})
}

func (c *comparison) warn(name, text, mend string) {
	found := c.found.Configs[name]
	if ms, err := strconv.ParseInt(found, 10, 64); err == nil && strings.HasSuffix(name, ".ms") && ms > 0 && ms < math.MaxInt64/int64(time.Millisecond) {
		found += " (" + (time.Duration(ms) * time.Millisecond).String() + ")"
	}
	c.warnings = append(c.warnings, Warning{c.topic.Name, name, found, text, c.set(c.topic.Name, name, mend)})
}
