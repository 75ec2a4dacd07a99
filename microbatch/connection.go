package microbatch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/IBM/sarama"
)

// Values of Connection.SecurityProtocol.
const (
	Plaintext     = "PLAINTEXT"
	SSL           = "SSL"
	SASLPlaintext = "SASL_PLAINTEXT"
	SASLSSL       = "SASL_SSL"
)

// Values of Connection.SASLMechanism.
const (
	SASLPlain       = sarama.SASLTypePlaintext
	SASLSCRAM256    = sarama.SASLTypeSCRAMSHA256
	SASLSCRAM512    = sarama.SASLTypeSCRAMSHA512
	SASLOAuthBearer = sarama.SASLTypeOAuth
)

// Connection says how to reach Kafka. The comments give the names of the settings in Kafka's
// own clients (librdkafka's, where Java's want a file of another format); errors use them, too.
// Only the bootstrap servers are required: what else is zero has the default that is given.
//
// Printing or logging a Connection leaves the password out.
type Connection struct {
	BootstrapServers []string // bootstrap.servers: host:port each
	ClientID         string   // client.id; default millrank
	ClientRack       string   // client.rack: fetches go to a replica there; default none
	SecurityProtocol string   // security.protocol: PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL; default PLAINTEXT

	CAFile          string // ssl.ca.location: PEM file of whom to trust; default the system's
	CertificateFile string // ssl.certificate.location: PEM file of our certificate and those between it and the CA; default none
	KeyFile         string // ssl.key.location: PEM file of its key, not encrypted

	SASLMechanism string // sasl.mechanism: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER
	Username      string // sasl.username
	Password      string `json:"-"` // sasl.password
	// Token gets the token of OAUTHBEARER (sasl.login.callback.handler.class). It is called for
	// each connection and from many goroutines: it should keep a token while it is good.
	Token func(context.Context) (Token, error) `json:"-"`

	ConnectTimeout time.Duration // socket.connection.setup.timeout.ms; default 10 s
	RequestTimeout time.Duration // request.timeout.ms: how long a broker may take to answer; default 30 s
	MetadataMaxAge time.Duration // metadata.max.age.ms: how often topics are looked up anew; default 5 min
}

// Token is what OAUTHBEARER authenticates by.
type Token struct {
	Value      string
	Extensions map[string]string // SASL extensions (KIP-342); nil: none
}

// kafkaVersion is the newest version of the protocol to speak. Each request is sent in the
// newest version of its own that the broker knows, so older brokers are fine, from 2.4 on.
func kafkaVersion() sarama.KafkaVersion { return sarama.V4_0_0_0 }

// Validate reports all that is wrong, at once, by Kafka's names. It reads the PEM files.
func (c Connection) Validate() error {
	_, err := c.sarama()
	return err
}

// sarama returns the settings that all clients of this connection share. The caller owns them.
func (c Connection) sarama() (*sarama.Config, error) {
	c = c.withDefaults()
	secure, sasl := c.SecurityProtocol == SSL || c.SecurityProtocol == SASLSSL, c.SecurityProtocol == SASLPlaintext || c.SecurityProtocol == SASLSSL
	errs := c.wrong()

	s := sarama.NewConfig()
	s.Version = kafkaVersion()
	s.ClientID = c.ClientID
	s.RackID = c.ClientRack
	s.Net.DialTimeout = c.ConnectTimeout
	s.Net.ReadTimeout = c.RequestTimeout
	s.Net.WriteTimeout = c.RequestTimeout
	s.Admin.Timeout = c.RequestTimeout
	s.Metadata.Full = false // only of the topics in use: a cluster may hold thousands
	s.Metadata.AllowAutoTopicCreation = false
	s.Metadata.RefreshFrequency = c.MetadataMaxAge
	if secure {
		tls, err := c.tls()
		errs = append(errs, err)
		s.Net.TLS.Enable = true
		s.Net.TLS.Config = tls
	}
	if sasl {
		s.Net.SASL.Enable = true
		s.Net.SASL.Mechanism = sarama.SASLMechanism(c.SASLMechanism)
		s.Net.SASL.User = c.Username
		s.Net.SASL.Password = c.Password
		s.Net.SASL.SCRAMClientGeneratorFunc = scramClients(c.SASLMechanism)
		s.Net.SASL.TokenProvider = tokens{get: c.Token, timeout: c.RequestTimeout}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if err := s.Validate(); err != nil {
		return nil, err
	}
	return s, nil
}

func (c Connection) withDefaults() Connection {
	if c.ClientID == "" {
		c.ClientID = "millrank"
	}
	if c.SecurityProtocol == "" {
		c.SecurityProtocol = Plaintext
	}
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = 10 * time.Second
	}
	if c.RequestTimeout == 0 {
		c.RequestTimeout = 30 * time.Second
	}
	if c.MetadataMaxAge == 0 {
		c.MetadataMaxAge = 5 * time.Minute
	}
	return c
}

// wrong returns what is wrong, besides the files. A setting that would not be used is wrong, too:
// who gives a password doesn't expect it to be ignored.
func (c Connection) wrong() []error {
	var errs []error
	wrong := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	wrong(len(c.BootstrapServers) == 0, "bootstrap.servers: missing")
	for _, server := range c.BootstrapServers {
		wrong(!hostPort(server), "bootstrap.servers: %q is not host:port", server)
	}
	wrong(c.ConnectTimeout < 0, "socket.connection.setup.timeout.ms: %v is below 0", c.ConnectTimeout)
	wrong(c.RequestTimeout < 0, "request.timeout.ms: %v is below 0", c.RequestTimeout)
	wrong(c.MetadataMaxAge < 0, "metadata.max.age.ms: %v is below 0", c.MetadataMaxAge)

	switch p := c.SecurityProtocol; p {
	case Plaintext, SSL, SASLPlaintext, SASLSSL:
		unencrypted, open := p == Plaintext || p == SASLPlaintext, p == Plaintext || p == SSL
		for _, set := range []struct {
			name  string
			given bool
			wrong bool
			need  string
		}{
			{"ssl.ca.location", c.CAFile != "", unencrypted, "SSL or SASL_SSL"},
			{"ssl.certificate.location", c.CertificateFile != "", unencrypted, "SSL or SASL_SSL"},
			{"ssl.key.location", c.KeyFile != "", unencrypted, "SSL or SASL_SSL"},
			{"sasl.mechanism", c.SASLMechanism != "", open, "SASL_PLAINTEXT or SASL_SSL"},
			{"sasl.username", c.Username != "", open, "SASL_PLAINTEXT or SASL_SSL"},
			{"sasl.password", c.Password != "", open, "SASL_PLAINTEXT or SASL_SSL"},
			{"the token function", c.Token != nil, open, "SASL_PLAINTEXT or SASL_SSL"},
		} {
			wrong(set.given && set.wrong, "%s: given, but security.protocol is %s; set that to %s", set.name, p, set.need)
		}
		if !open {
			errs = append(errs, c.wrongSASL()...)
		}
	default:
		wrong(true, "security.protocol: %q is not PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL", p)
	}
	return errs
}

func (c Connection) wrongSASL() []error {
	var errs []error
	wrong := func(bad bool, text string) {
		if bad {
			errs = append(errs, errors.New(text))
		}
	}
	switch m := c.SASLMechanism; m {
	case SASLPlain, SASLSCRAM256, SASLSCRAM512:
		wrong(c.Username == "", "sasl.username: missing; "+m+" needs it")
		wrong(c.Password == "", "sasl.password: missing; "+m+" needs it")
		wrong(c.Token != nil, "the token function: given, but sasl.mechanism is "+m+", not OAUTHBEARER")
	case SASLOAuthBearer:
		wrong(c.Token == nil, "the token function: missing; OAUTHBEARER needs it")
		wrong(c.Username != "" || c.Password != "", "sasl.username, sasl.password: given, but sasl.mechanism is OAUTHBEARER, which goes by a token")
	default:
		wrong(true, fmt.Sprintf("sasl.mechanism: %q is not PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER", m))
	}
	return errs
}

func hostPort(server string) bool {
	host, port, err := net.SplitHostPort(server)
	n, badPort := strconv.ParseUint(port, 10, 16)
	return err == nil && badPort == nil && n > 0 && host != "" && !strings.ContainsAny(host, " \t,/")
}

// String returns the connection without its secrets.
func (c Connection) String() string {
	c = c.withDefaults()
	text := fmt.Sprintf("Kafka at %s as %s, %s", strings.Join(c.BootstrapServers, ","), c.ClientID, c.SecurityProtocol)
	if c.SASLMechanism != "" {
		text += ", " + c.SASLMechanism
	}
	if c.Username != "" {
		text += " as " + strconv.Quote(c.Username)
	}
	return text
}

// GoString returns what String does, so that %#v shows no secrets either.
func (c Connection) GoString() string { return c.String() }

// LogValue returns what String does, for slog.
func (c Connection) LogValue() slog.Value { return slog.StringValue(c.String()) }
