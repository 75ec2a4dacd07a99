package settings

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// secrets reads the files that hold secrets.
func (c *checker) secrets() {
	s := c.settings
	for _, f := range []struct {
		path, name string
		secret     *Secret
	}{
		{"kafka.sasl_password", s.Kafka.SASLPasswordFile, &s.Kafka.SASLPassword},
		{"redis.password", s.Redis.PasswordFile, &s.Redis.Password},
		{"clickhouse.password", s.ClickHouse.PasswordFile, &s.ClickHouse.Password},
		{"redis.sentinel_password", s.Redis.SentinelPasswordFile, &s.Redis.SentinelPassword},
	} {
		if f.name == "" {
			continue
		}
		file := f.path + "_file"
		c.wrong(*f.secret != "", file, "one of the two", "is given, and so is %s%s", f.path, c.at(f.path))
		text, err := os.ReadFile(f.name)
		if err != nil { // the tags' rule has found it, too
			continue
		}
		secret := strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r")
		c.wrong(secret == "", file, "a file that holds the password", "%q is empty", f.name)
		if *f.secret == "" {
			*f.secret = Secret(secret)
		}
	}
}

// at says where a setting stands, in brackets.
func (c *checker) at(path string) string {
	if p, ok := c.places[path]; ok {
		return " (" + p.String() + ")"
	}
	return ""
}

// kafka checks what goes with security_protocol, and the certificates. microbatch names settings as Kafka does, before a colon.
func (c *checker) kafka() {
	k := c.settings.Kafka
	const password = "kafka.sasl_password" //nolint:gosec // a setting's name
	sasl := strings.HasPrefix(k.SecurityProtocol, "SASL_")
	is := "kafka.security_protocol is " + k.SecurityProtocol
	c.wrong(k.SASLPasswordFile != "" && !sasl, password+"_file", "none, or kafka.security_protocol SASL_SSL or SASL_PLAINTEXT", "is given, but %s", is)
	mechanism := section("kafka")[indexOf(section("kafka"), "sasl_mechanism")]
	c.wrong(sasl && k.SASLMechanism == "", "kafka.sasl_mechanism", mechanism.allowed(), "is missing; %s", is)
	c.wrong(sasl && k.SASLUsername == "", "kafka.sasl_username", "who logs in", "is missing; %s", is)
	c.wrong(sasl && k.SASLPassword == "" && !c.under(password), password, "kafka.sasl_password_file, or the password in "+envOf(password), "is missing; %s", is)
	for _, text := range each(c.settings.Connection().Validate()) {
		names, what, _ := strings.Cut(text, ": ")
		name, _, _ := strings.Cut(names, ",")
		name, _, _ = strings.Cut(name, " ")
		path := "kafka." + strings.ReplaceAll(name, ".", "_")
		if indexOf(section("kafka"), strings.TrimPrefix(path, "kafka.")) < 0 {
			path, what = "kafka", text
		}
		c.wrong(!c.under(path), path, "", "%s", kafkaNames(what))
	}
}

// under reports whether there is a problem already of settings that begin so: it was said better.
func (c *checker) under(path string) bool {
	return slices.ContainsFunc(c.problems, func(p Problem) bool { return strings.HasPrefix(p.Key, path) })
}

// kafkaNames puts our names of settings for Kafka's.
func kafkaNames(text string) string {
	for _, k := range section("kafka") {
		if theirs := strings.ReplaceAll(k.name, "_", "."); theirs != k.name {
			text = strings.ReplaceAll(text, theirs, "kafka."+k.name)
		}
	}
	return text
}

// section returns a section's keys.
func section(name string) []key {
	keys := allKeys()
	return keys[indexOf(keys, name)].keys
}

func (c *checker) redis() {
	s := c.settings
	r := s.Redis
	c.wrong(r.DefaultBoard != "" && !hasBoard(s.Boards, r.DefaultBoard), "redis.default_board", "a board's name: "+boardNames(s.Boards), "there is no board %q", r.DefaultBoard)
	need := Duration(s.changes())
	c.wrong(r.TTL != 0 && r.TTL < max(need, Duration(1e9)), "redis.ttl", fmt.Sprintf("0, or at least %v: longest window + time.allowed_lateness + time.revise_for", need),
		"%v is too short: a list can change for longer", r.TTL)
	sentinel := []struct {
		path  string
		given bool
	}{{"redis.sentinel_username", r.SentinelUsername != ""}, {"redis.sentinel_password_file", r.SentinelPasswordFile != ""}, {"redis.sentinel_password", r.SentinelPassword != ""}}
	for _, g := range sentinel {
		c.wrong(g.given && r.MasterName == "", g.path, "none, or redis.master_name, too", "is given, but redis.master_name is not: there are no Sentinels")
	}
	c.wrong(r.MasterName != "" && len(r.Addresses) == 0, "redis.addresses", "the Sentinels, host:port each", "is missing; redis.master_name is given")
	c.wrong(r.DB != 0 && r.MasterName == "" && len(r.Addresses) > 1, "redis.db", "0: a cluster has no other database", "%d is of no use with the nodes of a cluster", r.DB)
	c.tls("redis.tls", r.TLS)
}

func (c *checker) clickhouse() {
	h := c.settings.ClickHouse
	c.wrong(h.ColdAfter > 0 && h.StoragePolicy == "", "clickhouse.cold_after", "0, or clickhouse.storage_policy, too", "is given, but there is no policy with a volume 'cold' to move to")
	for path, d := range map[string]Duration{"clickhouse.ttl": h.TTL, "clickhouse.cold_after": h.ColdAfter} {
		c.wrong(d.Std()%time.Second != 0, path, "whole seconds", "%v is not", d)
	}
	c.tls("clickhouse.tls", h.TLS)
}

// tls checks how a connection is encrypted.
func (c *checker) tls(path string, t TLS) {
	for _, part := range []struct{ name, value string }{
		{".ca_file", t.CAFile}, {".certificate_file", t.CertificateFile}, {".key_file", t.KeyFile}, {".server_name", t.ServerName},
	} {
		c.wrong(part.value != "" && !t.Enabled, path+part.name, "none, or "+path+".enabled: true", "is given, but %s.enabled is not true", path)
	}
	c.wrong(t.KeyFile == "" && t.CertificateFile != "", path+".key_file", "both, or none", "is missing; certificate_file is given")
	c.wrong(t.KeyFile != "" && t.CertificateFile == "", path+".certificate_file", "both, or none", "is missing; key_file is given")
	if t.Enabled && !c.under(path) {
		_, err := t.config()
		for _, text := range each(err) {
			name, what, _ := strings.Cut(text, ": ")
			name, _, _ = strings.Cut(name, " ")
			c.wrong(true, path+"."+name, "PEM files", "%s", what)
		}
	}
}

func hasBoard(boards []Board, name string) bool {
	for _, b := range boards {
		if b.Name == name {
			return true
		}
	}
	return false
}

func boardNames(boards []Board) string {
	names := make([]string, 0, len(boards))
	for _, b := range boards {
		names = append(names, b.Name)
	}
	return strings.Join(names, ", ")
}

// each takes joined errors apart.
func each(err error) []string {
	if err == nil {
		return nil
	}
	var joined interface{ Unwrap() []error }
	if errors.As(err, &joined) {
		var all []string
		for _, e := range joined.Unwrap() {
			all = append(all, each(e)...)
		}
		return all
	}
	return []string{err.Error()}
}
