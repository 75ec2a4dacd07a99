package apachekafka

import (
	"crypto/rand"
	_ "embed" // log4j2.xml
	"encoding/base64"
	"fmt"
	"maps"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/millrank/millrank/internal/embedded"
)

//go:embed log4j2.xml
var log4j2 []byte

const plain = embedded.Plain

// ports is where a broker listens.
type ports struct {
	controller, plain, tls, sasl, saslTLS int
}

// freePorts finds ports that nobody listens on, below those that the system gives to
// outgoing connections: a client that dials such a port again and again while the broker
// is down would one day get it as its own, and talk to itself.
func freePorts() (ports, error) {
	const from, below = 10_000, 32_000
	var found []int
	for tries := 0; len(found) < 5; tries++ {
		if tries == 1000 {
			return ports{}, fmt.Errorf("no free ports between %d and %d", from, below)
		}
		n, err := rand.Int(rand.Reader, big.NewInt(below-from))
		if err != nil {
			return ports{}, fmt.Errorf("a port by chance: %w", err)
		}
		port := from + int(n.Int64())
		//nolint:noctx // returns at once
		listener, err := net.Listen("tcp", address(port))
		if err != nil || slices.Contains(found, port) {
			continue
		}
		if err := listener.Close(); err != nil {
			return ports{}, fmt.Errorf("port %d: %w", port, err)
		}
		found = append(found, port)
	}
	return ports{found[0], found[1], found[2], found[3], found[4]}, nil
}

func address(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// randomID returns an ID in the form that Kafka gives to clusters.
func randomID() string {
	var id [16]byte
	_, _ = rand.Read(id[:]) // it never fails
	id[0] = 'k'             // no dash in front, which would read as a flag
	return base64.RawURLEncoding.EncodeToString(id[:])
}

func (b *Broker) settingsFile() string { return filepath.Join(b.folder, "server.properties") }

// writeSettings writes server.properties and the other files that the programs read.
func (b *Broker) writeSettings() error {
	properties := b.properties()
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		fmt.Fprintf(&text, "%s=%s\n", name, properties[name])
	}
	files := map[string][]byte{
		b.settingsFile():                      []byte(text.String()),
		filepath.Join(b.folder, "log4j2.xml"): log4j2,
	}
	if b.options.TLS != nil {
		files[b.keyStoreFile()] = slices.Concat(b.options.TLS.KeyPEM, b.options.TLS.CertificatePEM)
	}
	if b.options.ClientAuthority != nil {
		files[b.trustStoreFile()] = b.options.ClientAuthority
	}
	for name, content := range files {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

func (b *Broker) keyStoreFile() string { return filepath.Join(b.folder, "keystore.pem") }

func (b *Broker) trustStoreFile() string { return filepath.Join(b.folder, "truststore.pem") }

// properties returns the settings of the node.
func (b *Broker) properties() map[string]string {
	listeners := []string{"PLAINTEXT://" + address(b.ports.plain)}
	protocols := []string{"CONTROLLER:PLAINTEXT", "PLAINTEXT:PLAINTEXT"}
	listen := func(protocol string, port int) {
		listeners = append(listeners, protocol+"://"+address(port))
		protocols = append(protocols, protocol+":"+protocol)
	}
	p := map[string]string{
		"process.roles":              "broker,controller",
		"node.id":                    "1",
		"controller.quorum.voters":   "1@" + address(b.ports.controller),
		"controller.listener.names":  "CONTROLLER",
		"inter.broker.listener.name": "PLAINTEXT",
		"log.dirs":                   filepath.Join(b.folder, "data"),
		"num.network.threads":        "2",
		"num.io.threads":             "2",
		// One node holds everything; few internal partitions make it start and stop sooner.
		"offsets.topic.replication.factor":                 "1",
		"offsets.topic.num.partitions":                     strconv.Itoa(offsetsPartitions),
		"transaction.state.log.replication.factor":         "1",
		"transaction.state.log.min.isr":                    "1",
		"transaction.state.log.num.partitions":             "4",
		"share.coordinator.state.topic.replication.factor": "1",
		"share.coordinator.state.topic.min.isr":            "1",
		// Tests don't wait for more members, and may lose one soon (defaults: 3 s, 6 s).
		"group.initial.rebalance.delay.ms": "0",
		"group.min.session.timeout.ms":     "100",
		// After a Kill the controller lets the node back in when its session has timed out
		// (default: 9 s); with much less, a busy machine would lose its only broker.
		"broker.session.timeout.ms":    "2000",
		"broker.heartbeat.interval.ms": "500",
		// Event times of any year, and nothing deleted unless a test asks for it.
		"log.retention.ms":                    "-1",
		"log.message.timestamp.before.max.ms": "9223372036854775807",
		"log.message.timestamp.after.max.ms":  "9223372036854775807",
		"auto.create.topics.enable":           "false",
	}
	if b.options.TLS != nil {
		listen("SSL", b.ports.tls)
		p["ssl.keystore.type"] = "PEM"
		p["ssl.keystore.location"] = b.keyStoreFile()
	}
	if b.options.ClientAuthority != nil {
		p["listener.name.ssl.ssl.client.auth"] = "required"
		p["listener.name.ssl.ssl.truststore.type"] = "PEM"
		p["listener.name.ssl.ssl.truststore.location"] = b.trustStoreFile()
		p["ssl.principal.mapping.rules"] = "RULE:^CN=([^,]+).*$/$1/"
	}
	if b.options.Authorize {
		p["authorizer.class.name"] = "org.apache.kafka.metadata.authorizer.StandardAuthorizer"
		p["super.users"] = "User:ANONYMOUS"
	}
	if len(b.options.Users) > 0 {
		listen("SASL_PLAINTEXT", b.ports.sasl)
		if b.options.TLS != nil {
			listen("SASL_SSL", b.ports.saslTLS)
		}
		b.logins(p)
	}
	p["listeners"] = strings.Join(append(listeners, "CONTROLLER://"+address(b.ports.controller)), ",")
	p["advertised.listeners"] = strings.Join(listeners, ",")
	p["listener.security.protocol.map"] = strings.Join(protocols, ",")
	maps.Copy(p, b.options.Properties)
	return p
}

// logins adds what the listeners with authentication need. PLAIN's users stand in the
// settings; SCRAM's were stored by format.
func (b *Broker) logins(p map[string]string) {
	var users strings.Builder
	for _, user := range b.options.Users {
		if user.Mechanism == plain {
			fmt.Fprintf(&users, " user_%s=%q", user.Name, user.Password)
		}
	}
	p["sasl.enabled.mechanisms"] = strings.Join([]string{embedded.Plain, embedded.ScramSHA256, embedded.ScramSHA512}, ",")
	for _, listener := range []string{"sasl_plaintext", "sasl_ssl"} {
		prefix := "listener.name." + listener + "."
		p[prefix+"plain.sasl.jaas.config"] = "org.apache.kafka.common.security.plain.PlainLoginModule required" + users.String() + ";"
		for _, mechanism := range []string{embedded.ScramSHA256, embedded.ScramSHA512} {
			p[prefix+strings.ToLower(mechanism)+".sasl.jaas.config"] = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
		}
	}
}
