package redisserver_test

import (
	"crypto/tls"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/millrank/millrank/internal/embedded"
	"github.com/millrank/millrank/internal/redisserver"
)

// TestEncrypted: the encrypted port wants a certificate of its authority, and is there again after a restart; the other port wants none.
func TestEncrypted(t *testing.T) {
	authority, err := embedded.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	until := time.Now().Add(time.Hour)
	own, err := authority.Issue("redis", until, "localhost", "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	client, err := authority.Issue("millrank", until)
	if err != nil {
		t.Fatal(err)
	}
	server := redisserver.StartTest(t, redisserver.Options{TLS: &own, ClientAuthority: authority.CertificatePEM})
	trusting := embedded.Certificate{CertificatePEM: authority.CertificatePEM}.Client()
	certified, err := client.Server()
	if err != nil {
		t.Fatal(err)
	}
	certified.RootCAs = trusting.RootCAs
	ping := func(config *tls.Config) error {
		c := goredis.NewClient(&goredis.Options{Addr: server.AddrTLS(), TLSConfig: config, MaxRetries: -1})
		defer c.Close()
		return c.Ping(t.Context()).Err()
	}
	if err := ping(certified); err != nil {
		t.Error(err)
	}
	if err := ping(trusting); err == nil {
		t.Error("a client without a certificate gets in")
	}
	if err := server.Restart(t.Context(), redisserver.Keep); err != nil {
		t.Fatal(err)
	}
	if err := ping(certified); err != nil {
		t.Errorf("after a restart: %v", err)
	}
	if err := connect(t, server.Addr()).Ping(t.Context()).Err(); err != nil {
		t.Errorf("without encryption: %v", err)
	}
}
