package microbatch

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/oauth"
	saslplain "github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// FranzOptions returns the options of a franz-go client that reaches Kafka in the same way, or all that is wrong with the
// connection (Validate). It reads the PEM files.
func (c Connection) FranzOptions() ([]kgo.Opt, error) {
	dialer := net.Dialer{Timeout: c.withDefaults().ConnectTimeout}
	return c.franz(dialer.DialContext)
}

// franz is FranzOptions, with what dials.
func (c Connection) franz(dial dialer) ([]kgo.Opt, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	c = c.withDefaults()
	if c.SecurityProtocol == SSL || c.SecurityProtocol == SASLSSL {
		config, err := c.tls()
		if err != nil {
			return nil, err
		}
		dial = dial.secure(config)
	}
	opts := []kgo.Opt{
		kgo.SeedBrokers(c.BootstrapServers...),
		kgo.ClientID(c.ClientID),
		kgo.RequestTimeoutOverhead(max(time.Second, c.RequestTimeout)), // kgo refuses less
		kgo.MetadataMaxAge(c.MetadataMaxAge),
		kgo.MetadataMinAge(min(250*time.Millisecond, c.MetadataMaxAge)),
		kgo.Dialer(dial),
	}
	if c.ClientRack != "" {
		opts = append(opts, kgo.Rack(c.ClientRack))
	}
	if c.SecurityProtocol == SASLPlaintext || c.SecurityProtocol == SASLSSL {
		opts = append(opts, kgo.SASL(c.mechanism()))
	}
	return opts, nil
}

// dialer connects.
type dialer func(ctx context.Context, network, address string) (net.Conn, error)

// secure returns a dialer that encrypts.
func (d dialer) secure(config *tls.Config) dialer {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return nil, fmt.Errorf("dial %s: %w", address, err)
		}
		conn, err := d(ctx, network, address)
		if err != nil {
			return nil, err
		}
		own := config.Clone()
		own.ServerName = host
		encrypted := tls.Client(conn, own)
		if err := encrypted.HandshakeContext(ctx); err != nil {
			return nil, errors.Join(fmt.Errorf("dial %s: %w", address, err), conn.Close())
		}
		return encrypted, nil
	}
}

// mechanism returns how to log in. Validate lets no other through.
func (c Connection) mechanism() sasl.Mechanism {
	login := scram.Auth{User: c.Username, Pass: c.Password}
	switch c.SASLMechanism {
	case SASLPlain:
		return saslplain.Auth{User: c.Username, Pass: c.Password}.AsMechanism()
	case SASLSCRAM256:
		return login.AsSha256Mechanism()
	case SASLSCRAM512:
		return login.AsSha512Mechanism()
	}
	return oauth.Oauth(func(ctx context.Context) (oauth.Auth, error) {
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
