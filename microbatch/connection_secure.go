package microbatch

import (
	"context"
	"crypto/tls"
	"fmt"
	"time"

	"github.com/IBM/sarama"
	"github.com/xdg-go/scram"

	"github.com/millrank/millrank/internal/clienttls"
)

// tls returns the settings of encryption; it reads the files.
func (c Connection) tls() (*tls.Config, error) {
	return clienttls.Files{Authority: c.CAFile, Certificate: c.CertificateFile, Key: c.KeyFile, Names: clienttls.Names{
		Authority: "ssl.ca.location", Certificate: "ssl.certificate.location", Key: "ssl.key.location",
	}}.Config()
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
