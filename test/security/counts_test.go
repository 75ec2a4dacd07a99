package security_test

import "testing"

// TestCounts: the whole pipeline counts exactly through an Apache Kafka that it logs in to, by SCRAM and by a certificate, both encrypted, and a Redis that wants
// a certificate, a user and a password.
func TestCounts(t *testing.T) {
	k := kafka.Get(t)
	for name, how := range map[string][]string{"SASL_SSL, SCRAM-SHA-512": scram(k, "millrank"), "SSL, a certificate": mutual(t, k)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, redis := guardedRedis(t, k)
			s := newStream(t, append(how, redis...)...)
			r := run(t, s.settings())
			eventually(t, "it is ready", r.ready)
			s.counts(server, s.produce(300))
			if err := r.end(); err != nil {
				t.Error(err)
			}
		})
	}
}
