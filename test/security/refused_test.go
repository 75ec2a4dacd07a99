package security_test

import (
	"crypto/tls"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/millrank/millrank/internal/embedded"
)

// TestKafkaRefuses: each way in which Kafka and we can fail to trust each other is said soon, with the setting to mend: by commands, which end with it, and
// by the engine, which ends where trying again won't help and says it in its log where it may.
func TestKafkaRefuses(t *testing.T) {
	k := kafka.Get(t)
	foreign, err := embedded.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	foreignCA := file(t, t.TempDir(), "ca.pem", foreign.CertificatePEM)
	foreignCertificate, foreignKey := pem(t, issueBy(t, foreign, "millrank", time.Now().Add(time.Hour)))
	oldCertificate, oldKey := pem(t, issueBy(t, k.authority, "millrank", time.Now().Add(-time.Hour)))
	login, certified := scram(k, "millrank"), mutual(t, k)
	elsewhere := func(how []string, address string) []string {
		return append(slices.Clone(how), "kafka.bootstrap_servers="+address)
	}
	with := func(how []string, set ...string) []string { return append(slices.Clone(how), set...) }
	for _, test := range []struct {
		name  string
		set   []string
		says  string // a part of the error
		mends string // the setting that it names
		goes  bool   // the engine goes on trying, since a broker that starts can look like that
	}{
		{"wrong password", with(login, "kafka.sasl_password=canary-wrong-7Hq"), "invalid credentials", "kafka.sasl_password", false},
		{"unknown user", with(login, "kafka.sasl_username=nobody"), "invalid credentials", "kafka.sasl_username", false},
		{"no credentials for the mechanism", with(login, "kafka.sasl_mechanism=SCRAM-SHA-256"), "invalid credentials", "kafka.sasl_mechanism", false},
		{"an authority that isn't trusted", with(login, "kafka.ssl_ca_location="+foreignCA), "unknown authority", "kafka.ssl_ca_location", false},
		{"the system's authorities", with(login, "kafka.ssl_ca_location="), "unknown authority", "kafka.ssl_ca_location", false},
		{"a certificate for another name", elsewhere(login, strings.Replace(k.BrokersSASLTLS()[0], "127.0.0.1", "localhost", 1)), "localhost", "use an address that it names", false},
		{"a certificate that has expired", elsewhere(login, expired(t, k)), "expired", "renew it at the server", false},
		{"no client certificate", with(certified, "kafka.ssl_certificate_location=", "kafka.ssl_key_location="), "certificate", "kafka.ssl_certificate_location", false},
		{"a client certificate of another authority", with(certified, "kafka.ssl_certificate_location="+foreignCertificate, "kafka.ssl_key_location="+foreignKey), "certificate", "kafka.ssl_key_location", false},
		{"a client certificate that has expired", with(certified, "kafka.ssl_certificate_location="+oldCertificate, "kafka.ssl_key_location="+oldKey), "certificate", "kafka.ssl_certificate_location", false},
		{"plain text at an encrypted port", []string{"kafka.bootstrap_servers=" + k.BrokersTLS()[0]}, "", "kafka.security_protocol", true},
		{"no login where one is wanted", []string{"kafka.bootstrap_servers=" + k.BrokersSASL()[0]}, "", "kafka.security_protocol", true},
		{"encryption at a port without", elsewhere(certified, k.Brokers()[0]), "", "kafka.security_protocol", true},
		{"a login where none is taken", []string{
			"kafka.bootstrap_servers=" + k.Brokers()[0], "kafka.security_protocol=SASL_PLAINTEXT", "kafka.sasl_mechanism=PLAIN", "kafka.sasl_username=millrank", "kafka.sasl_password=" + kafkaPassword,
		}, "", "kafka.security_protocol", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := &stream{t: t, set: append([]string{"source.topic=views", "boards=[{name: likes, window: 1h, k: 10}]", "http.address="}, test.set...)}
			check := func(who, text string) {
				t.Helper()
				if !strings.Contains(text, test.says) || !strings.Contains(text, test.mends) {
					t.Errorf("%s says %s\nwithout %q, %q", who, text, test.says, test.mends)
				}
			}
			for _, args := range [][]string{{"topics", "--dry-run"}, {"status"}, {"dead-letters", "list"}} {
				out, code, took := s.command(nil, args...)
				check(strings.Join(args, " "), out)
				if code != 1 || took > toldWithin*busy {
					t.Errorf("%v ends with %d after %v", args, code, took)
				}
			}
			r := run(t, s.settings())
			if test.goes {
				within(t, toldWithin*busy, "the log says what to mend", func() bool { return strings.Contains(r.log.String(), test.mends) })
				check("the log", r.log.String())
				return
			}
			select {
			case err := <-r.ended:
				check("run", err.Error())
			case <-time.After(toldWithin * busy):
				t.Errorf("run doesn't end: %s", r.log)
			}
		})
	}
}

// TestRedisRefuses: the same of Redis. The engine goes on without it, and says why again and again, since lists are kept until Redis is back.
func TestRedisRefuses(t *testing.T) {
	k := kafka.Get(t)
	server, redis := guardedRedis(t, k)
	foreign, err := embedded.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	foreignCA := file(t, t.TempDir(), "ca.pem", foreign.CertificatePEM)
	foreignCertificate, foreignKey := pem(t, issueBy(t, foreign, "millrank", time.Now().Add(time.Hour)))
	for _, test := range []struct {
		name        string
		set         []string
		says, mends string
	}{
		{"wrong password", []string{"redis.password=canary-wrong-7Hq"}, "WRONGPASS", "its password"},
		{"an authority that isn't trusted", []string{"redis.tls.ca_file=" + foreignCA}, "unknown authority", "redis.tls.ca_file"},
		{"a certificate for another name", []string{"redis.tls.server_name=other"}, "other", "use an address that it names"},
		{"a certificate that has expired", []string{"redis.addresses=" + expired(t, k)}, "expired", "renew it at the server"},
		{"no client certificate", []string{"redis.tls.certificate_file=", "redis.tls.key_file="}, "certificate required", "redis.tls.certificate_file"},
		{"a client certificate of another authority", []string{"redis.tls.certificate_file=" + foreignCertificate, "redis.tls.key_file=" + foreignKey}, "remote error", "redis.tls.key_file"},
		{"plain text at an encrypted port", []string{"redis.tls.enabled=false", "redis.tls.ca_file=", "redis.tls.certificate_file=", "redis.tls.key_file="}, "EOF", "redis.tls"},
		{"encryption at a port without", []string{"redis.addresses=" + server.Addr()}, "", "redis.tls"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newStream(t, append(append(scram(k, "millrank"), redis...), test.set...)...)
			out, code, took := s.command(nil, "top")
			if code != 1 || took > toldWithin*busy || !strings.Contains(out, test.says) || !strings.Contains(out, test.mends) {
				t.Errorf("top ends with %d after %v and says %s\nwithout %q, %q", code, took, out, test.says, test.mends)
			}
			r := run(t, s.settings())
			within(t, (toldWithin+10*time.Second)*busy, "the log says what to mend", func() bool {
				log := r.log.String()
				return strings.Contains(log, test.says) && strings.Contains(log, test.mends)
			})
			if err := r.end(); err != nil {
				t.Error(err)
			}
		})
	}
}

// expired starts a server that shows a certificate which has expired, and returns its address.
func expired(t *testing.T, k *guarded) string {
	t.Helper()
	config, err := issueBy(t, k.authority, "old", time.Now().Add(-time.Hour), "127.0.0.1").Server()
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				if secure, ok := conn.(*tls.Conn); ok {
					_ = secure.Handshake() // the client breaks it off
				}
				_ = conn.Close()
			}()
		}
	}()
	return l.Addr().String()
}
