package settings

import (
	"os"
	"slices"
)

// windowLong is from where on a window is too long for memory to be the right place for it.
const windowLong = day

// Warnings returns what is allowed, but should be known: one text each, that begins with the setting.
func (s Settings) Warnings() []string {
	var warnings []string
	for _, b := range s.Boards {
		if b.Window.Std() > windowLong {
			warnings = append(warnings, "boards: "+b.Name+": a window of "+b.Window.String()+" keeps all its cells in memory, and a restart of rank reads them all: windows as long as that are better asked of the history in ClickHouse")
		}
	}
	if s.Kafka.SecurityProtocol == "SASL_PLAINTEXT" && s.Kafka.SASLMechanism == "PLAIN" {
		warnings = append(warnings, "kafka.security_protocol: SASL_PLAINTEXT with PLAIN sends the password for all to read; use SASL_SSL")
	}
	if s.Redis.Password != "" && !s.Redis.TLS.Enabled && !slices.ContainsFunc(s.Redis.Addresses, local) {
		warnings = append(warnings, "redis.tls.enabled: the password goes to Redis unencrypted")
	}
	return append(warnings, s.openFiles()...)
}

// openFiles warns of files with secrets that everyone on this machine can read.
func (s Settings) openFiles() []string {
	var warnings []string
	for _, f := range []struct{ path, name string }{
		{"kafka.sasl_password_file", s.Kafka.SASLPasswordFile}, {"kafka.ssl_key_location", s.Kafka.SSLKeyLocation},
		{"redis.password_file", s.Redis.PasswordFile}, {"redis.sentinel_password_file", s.Redis.SentinelPasswordFile}, {"redis.tls.key_file", s.Redis.TLS.KeyFile},
		{"clickhouse.password_file", s.ClickHouse.PasswordFile}, {"clickhouse.tls.key_file", s.ClickHouse.TLS.KeyFile},
		{"http.tls.key_file", s.HTTP.TLS.KeyFile},
	} {
		if f.name == "" {
			continue
		}
		if about, err := os.Stat(f.name); err == nil && about.Mode().Perm()&0o004 != 0 {
			warnings = append(warnings, f.path+": everyone on this machine can read "+f.name+"; to mend it: chmod o= "+f.name)
		}
	}
	return warnings
}

// local reports whether an address is of this machine.
func local(address string) bool {
	return slices.ContainsFunc([]string{"localhost:", "127.0.0.1:", "[::1]:"}, func(p string) bool { return len(address) > len(p) && address[:len(p)] == p })
}
