package microbatch

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/IBM/sarama"
	"github.com/xdg-go/scram"
)

// tls returns the settings of encryption; it reads the files.
func (c Connection) tls() (*tls.Config, error) {
	t := &tls.Config{MinVersion: tls.VersionTLS12}
	var errs []error
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		t.RootCAs = x509.NewCertPool()
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("ssl.ca.location: %w", err))
		case !t.RootCAs.AppendCertsFromPEM(pem):
			errs = append(errs, fmt.Errorf("ssl.ca.location: %s holds no certificate in PEM format", c.CAFile))
		}
	}
	switch {
	case c.CertificateFile == "" && c.KeyFile == "":
	case c.CertificateFile == "":
		errs = append(errs, errors.New("ssl.certificate.location: missing; ssl.key.location is given"))
	case c.KeyFile == "":
		errs = append(errs, errors.New("ssl.key.location: missing; ssl.certificate.location is given"))
	default:
		pair, err := tls.LoadX509KeyPair(c.CertificateFile, c.KeyFile)
		if err != nil {
			errs = append(errs, fmt.Errorf("ssl.certificate.location %s, ssl.key.location %s: %w; both are PEM, the key is not encrypted", c.CertificateFile, c.KeyFile, err))
		}
		t.Certificates = []tls.Certificate{pair}
	}
	return t, errors.Join(errs...)
}

// scramClients returns what makes a SCRAM conversation, or nil where the mechanism is another.
func scramClients(mechanism string) func() sarama.SCRAMClient {
	switch mechanism {
	case SASLSCRAM256:
		return func() sarama.SCRAMClient { return &scramClient{hash: scram.SHA256} }
	case SASLSCRAM512:
		return func() sarama.SCRAMClient { return &scramClient{hash: scram.SHA512} }
	}
	return nil
}

// scramClient is one conversation.
type scramClient struct {
	hash scram.HashGeneratorFcn
	*scram.ClientConversation
}

// Begin starts it. Its error doesn't repeat the password.
func (s *scramClient) Begin(username, password, identity string) error {
	client, err := s.hash.NewClient(username, password, identity)
	if err != nil {
		return fmt.Errorf("sasl.username, sasl.password: %w", err)
	}
	s.ClientConversation = client.NewConversation()
	return nil
}

// tokens is Connection.Token, as sarama wants it.
type tokens struct {
	get     func(context.Context) (Token, error)
	timeout time.Duration
}

// Token gets one.
func (t tokens) Token() (*sarama.AccessToken, error) {
	ctx, cancel := context.WithTimeout(context.Background(), t.timeout)
	defer cancel()
	token, err := t.get(ctx)
	if err != nil {
		return nil, fmt.Errorf("the token of OAUTHBEARER: %w", err)
	}
	return &sarama.AccessToken{Token: token.Value, Extensions: token.Extensions}, nil
}
