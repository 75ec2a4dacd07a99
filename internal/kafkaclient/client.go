// Package kafkaclient reaches Kafka for what the command line does beside the pipeline: administration, and
// producing events. It goes by the same connection as the pipeline does, so that one file of settings serves both.
package kafkaclient

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/oauth"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/millrank/millrank/microbatch"
)

// New returns a client for a connection, or all that is wrong with the connection (microbatch.Connection.Validate).
// It connects when it is first used: Reach tells whether that works. Options come after the
// connection's own and override them. The caller closes it.
func New(c microbatch.Connection, opts ...kgo.Opt) (*kgo.Client, error) {
	own, err := Options(c)
	if err != nil {
		return nil, err
	}
	client, err := kgo.NewClient(append(own, opts...)...)
	if err != nil {
		return nil, fmt.Errorf("a client for %v: %w", c, err)
	}
	return client, nil
}

// NewAdmin returns a client for administration. The caller closes it.
func NewAdmin(c microbatch.Connection, opts ...kgo.Opt) (*kadm.Client, error) {
	client, err := New(c, opts...)
	if err != nil {
		return nil, err
	}
	admin := kadm.NewClient(client)
	// A broker gives up on a request of an administrator as late as on any other.
	admin.SetTimeoutMillis(int32(cmp.Or(c.RequestTimeout, requestTimeout).Milliseconds()))
	return admin, nil
}

// Reach asks the brokers for an answer, so that what can't be reached is said at once and not after all retries of
// the first request. It waits for the connection's own timeouts at most.
func Reach(ctx context.Context, client *kgo.Client, c microbatch.Connection) error {
	wait := cmp.Or(c.ConnectTimeout, connectTimeout) + cmp.Or(c.RequestTimeout, requestTimeout)
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	if err := client.Ping(ctx); err != nil {
		return fmt.Errorf("%v can't be reached: %w; check kafka.bootstrap_servers, and the security settings beside it", c, err)
	}
	return nil
}

// The connection's defaults: microbatch.Connection says so.
const (
	clientID       = "millrank"
	connectTimeout = 10 * time.Second
	requestTimeout = 30 * time.Second
	metadataMaxAge = 5 * time.Minute
)

// Options returns a connection as a client's options, or all that is wrong with it. It reads the PEM files.
func Options(c microbatch.Connection) ([]kgo.Opt, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	dialer := net.Dialer{Timeout: cmp.Or(c.ConnectTimeout, connectTimeout)}
	opts := []kgo.Opt{
		kgo.SeedBrokers(c.BootstrapServers...),
		kgo.ClientID(cmp.Or(c.ClientID, clientID)),
		kgo.RequestTimeoutOverhead(max(time.Second, cmp.Or(c.RequestTimeout, requestTimeout))), // kgo refuses less
		kgo.MetadataMaxAge(cmp.Or(c.MetadataMaxAge, metadataMaxAge)),
		kgo.MetadataMinAge(min(250*time.Millisecond, cmp.Or(c.MetadataMaxAge, metadataMaxAge))),
	}
	if c.ClientRack != "" {
		opts = append(opts, kgo.Rack(c.ClientRack))
	}
	if c.SecurityProtocol == microbatch.SSL || c.SecurityProtocol == microbatch.SASLSSL {
		config, err := tlsConfig(c)
		if err != nil {
			return nil, err
		}
		secure := tls.Dialer{NetDialer: &dialer, Config: config}
		opts = append(opts, kgo.Dialer(secure.DialContext))
	} else {
		opts = append(opts, kgo.Dialer(dialer.DialContext))
	}
	if c.SecurityProtocol == microbatch.SASLPlaintext || c.SecurityProtocol == microbatch.SASLSSL {
		opts = append(opts, kgo.SASL(mechanism(c)))
	}
	return opts, nil
}

// tlsConfig reads the PEM files, which Validate has found good.
func tlsConfig(c microbatch.Connection) (*tls.Config, error) {
	t := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("ssl.ca.location: %w", err)
		}
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("ssl.ca.location: %s holds no certificate in PEM format", c.CAFile)
		}
	}
	if c.CertificateFile != "" {
		pair, err := tls.LoadX509KeyPair(c.CertificateFile, c.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("ssl.certificate.location %s, ssl.key.location %s: %w", c.CertificateFile, c.KeyFile, err)
		}
		t.Certificates = []tls.Certificate{pair}
	}
	return t, nil
}

func mechanism(c microbatch.Connection) sasl.Mechanism {
	login := scram.Auth{User: c.Username, Pass: c.Password}
	switch c.SASLMechanism {
	case microbatch.SASLPlain:
		return plain.Auth{User: c.Username, Pass: c.Password}.AsMechanism()
	case microbatch.SASLSCRAM256:
		return login.AsSha256Mechanism()
	case microbatch.SASLSCRAM512:
		return login.AsSha512Mechanism()
	}
	return oauth.Oauth(func(ctx context.Context) (oauth.Auth, error) { // Validate lets no other through
		token, err := c.Token(ctx)
		if err != nil {
			return oauth.Auth{}, fmt.Errorf("the token of OAUTHBEARER: %w", err)
		}
		if token.Value == "" {
			return oauth.Auth{}, errors.New("the token of OAUTHBEARER: it is empty")
		}
		return oauth.Auth{Token: token.Value, Extensions: token.Extensions}, nil
	})
}
