package microbatch

import (
	"errors"
	"io"
	"net"

	"github.com/IBM/sarama"

	"github.com/millrank/millrank/internal/clienttls"
)

// Unreachable reports whether an error says that Kafka could not be reached, or was not ready: the same may work later. It is false where
// Kafka was reached and has refused, such as with a wrong password, or where one side doesn't trust the other's certificate.
func Unreachable(err error) bool {
	if clienttls.ReasonOf(err) != clienttls.None {
		return false
	}
	for _, refused := range []error{sarama.ErrSASLAuthenticationFailed, sarama.ErrUnsupportedSASLMechanism, sarama.ErrIllegalSASLState, sarama.ErrTopicAuthorizationFailed, sarama.ErrClusterAuthorizationFailed} {
		if errors.Is(err, refused) {
			return false
		}
	}
	for _, passing := range []error{
		sarama.ErrOutOfBrokers, sarama.ErrBrokerNotAvailable, sarama.ErrLeaderNotAvailable, sarama.ErrNotController, sarama.ErrRequestTimedOut, sarama.ErrNetworkException,
		sarama.ErrNotLeaderForPartition, sarama.ErrConsumerCoordinatorNotAvailable, sarama.ErrNotCoordinatorForConsumer, sarama.ErrOffsetsLoadInProgress, sarama.ErrNotConnected, ErrDeliveryTimeout, io.EOF, io.ErrUnexpectedEOF,
	} {
		if errors.Is(err, passing) {
			return true
		}
	}
	var dialing *net.OpError // not net.Error, which a missing file's error is, too
	var naming *net.DNSError
	return errors.As(err, &dialing) || errors.As(err, &naming)
}
