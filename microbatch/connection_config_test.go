package microbatch

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
)

// kfake doesn't know OAUTHBEARER.
func TestOAuthBearer(t *testing.T) {
	c := Connection{BootstrapServers: []string{"a:1"}, SecurityProtocol: SASLPlaintext, SASLMechanism: SASLOAuthBearer, RequestTimeout: time.Minute}
	c.Token = func(ctx context.Context) (Token, error) {
		if until, ok := ctx.Deadline(); !ok || time.Until(until) > time.Minute {
			return Token{}, errors.New("no deadline")
		}
		return Token{Value: "v", Extensions: map[string]string{"a": "b"}}, nil
	}
	s, err := c.sarama()
	if err != nil {
		t.Fatal(err)
	}
	token, err := s.Net.SASL.TokenProvider.Token()
	if err != nil || token.Token != "v" || token.Extensions["a"] != "b" || s.Net.SASL.Mechanism != sarama.SASLTypeOAuth {
		t.Errorf("%v %v, of %s", token, err, s.Net.SASL.Mechanism)
	}
	c.Token = func(context.Context) (Token, error) { return Token{}, errors.New("expired") }
	if s, err = c.sarama(); err != nil {
		t.Fatal(err)
	}
	if _, err = s.Net.SASL.TokenProvider.Token(); err == nil || !strings.Contains(err.Error(), "OAUTHBEARER: expired") {
		t.Error(err)
	}
}

// A password that SASLprep refuses is not in the error.
func TestSCRAMPassword(t *testing.T) {
	for _, mechanism := range []string{SASLSCRAM256, SASLSCRAM512} {
		err := scramClients(mechanism)().Begin("me", "secret\u0007", "")
		if err == nil || strings.Contains(err.Error(), "secret") || !strings.Contains(err.Error(), "sasl.password") {
			t.Errorf("%s: %v", mechanism, err)
		}
	}
}

// sarama's own checks let pass what Validate lets pass.
func TestConnectionDefaults(t *testing.T) {
	s, err := Connection{BootstrapServers: []string{"a:1"}, ClientRack: "r"}.sarama()
	if err != nil {
		t.Fatal(err)
	}
	if s.ClientID != "millrank" || s.RackID != "r" || s.Net.DialTimeout != 10*time.Second || s.Net.ReadTimeout != 30*time.Second || s.Metadata.RefreshFrequency != 5*time.Minute || s.Metadata.Full || s.Metadata.AllowAutoTopicCreation {
		t.Errorf("%+v", s)
	}
}
