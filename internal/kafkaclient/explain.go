package kafkaclient

import (
	"errors"
	"io"
	"strings"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrank/millrank/internal/clienttls"
)

// explained is an error with what to mend.
type explained struct {
	error
	mend string
}

// Error returns both.
func (e explained) Error() string { return e.error.Error() + "; " + e.mend }

// Unwrap returns the error without what to mend.
func (e explained) Unwrap() error { return e.error }

// Explain adds to an error by which Kafka, through either of its clients, keeps us out, which settings to mend. Another error stays as it is, and so
// does one that has been explained.
func Explain(err error) error {
	if _, already := errors.AsType[explained](err); already || err == nil {
		return err
	}
	if mend := mending(err); mend != "" {
		return explained{err, mend}
	}
	return err
}

func mending(err error) string {
	is := func(kinds ...error) bool {
		for _, kind := range kinds {
			if errors.Is(err, kind) {
				return true
			}
		}
		return false
	}
	first, hungUp := errors.AsType[*kgo.ErrFirstReadEOF](err)
	outOfBrokers := is(sarama.ErrOutOfBrokers)
	kafkas := strings.Contains(err.Error(), "Kafka at ") // what reached it says so
	reason := clienttls.ReasonOf(err)
	switch {
	case is(sarama.ErrSASLAuthenticationFailed, kerr.SaslAuthenticationFailed):
		return "check kafka.sasl_username, the password (kafka.sasl_password_file, or the environment), and that the user has credentials for kafka.sasl_mechanism"
	case is(sarama.ErrUnsupportedSASLMechanism, kerr.UnsupportedSaslMechanism):
		return "the brokers don't take this kafka.sasl_mechanism: choose another one, or enable it there (sasl.enabled.mechanisms)"
	case is(sarama.ErrIllegalSASLState, kerr.IllegalSaslState):
		return "this listener takes no logins: change the port in kafka.bootstrap_servers, or kafka.security_protocol to one without SASL"
	case is(sarama.ErrTopicAuthorizationFailed, kerr.TopicAuthorizationFailed, sarama.ErrGroupAuthorizationFailed, kerr.GroupAuthorizationFailed, sarama.ErrClusterAuthorizationFailed, kerr.ClusterAuthorizationFailed):
		return "the user lacks a right: deployments/acl/kafka.txt lists those of each handler and command, and deployments/acl/kafka.sh gives them; the broker's log of its authorizer names what it denied"
	case is(sarama.ErrInvalidSessionTimeout, kerr.InvalidSessionTimeout):
		return "kafka.session_timeout is outside of what the brokers allow: between their group.min.session.timeout.ms (6s, unless changed) and group.max.session.timeout.ms (30m)"
	case reason != clienttls.None && (outOfBrokers || kafkas):
		return reason.Describe(clienttls.Names{Authority: "kafka.ssl_ca_location", Certificate: "kafka.ssl_certificate_location", Key: "kafka.ssl_key_location"}, "kafka.security_protocol")
	case strings.Contains(err.Error(), "plaintext connection speaking to a tls endpoint"):
		return "this listener is encrypted: set kafka.security_protocol to SSL or SASL_SSL, or change the port in kafka.bootstrap_servers"
	case hungUp, (outOfBrokers || kafkas) && is(io.EOF, io.ErrUnexpectedEOF):
		return "the broker hangs up: it is starting, or kafka.security_protocol isn't what the listener at kafka.bootstrap_servers speaks (" + guess(first) + ")"
	case outOfBrokers, kafkas && strings.Contains(err.Error(), "unable to dial"):
		return "check kafka.bootstrap_servers, and that kafka.security_protocol is what those listeners speak"
	}
	return ""
}

// guess says what a broker may want that hangs up.
func guess(first *kgo.ErrFirstReadEOF) string {
	if first == nil {
		return "encryption or a login, SSL or SASL, is wanted or is too much"
	}
	_, text, _ := strings.Cut(first.Error(), ": ")
	return strings.TrimSuffix(text, "?")
}
