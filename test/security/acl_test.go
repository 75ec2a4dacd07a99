//go:build e2e

package security_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrank/millrank/pipeline/settings"
)

// right is a line of deployments/acl/kafka.txt.
type right struct{ principal, operation, resource, name string }

func (r right) String() string {
	return fmt.Sprintf("%s %s %s %s", r.principal, r.operation, r.resource, r.name)
}

// rights returns the lines for a stream, in sections: those that are always needed, first, and what the comment above others calls them.
func rights(t *testing.T, s settings.Settings) (needed, first, optional []right) {
	t.Helper()
	text, err := os.ReadFile("../../deployments/acl/kafka.txt")
	if err != nil {
		t.Fatal(err)
	}
	names := strings.NewReplacer("NAME", s.Name, "GENERATION", strconv.Itoa(int(s.Generation)), "SOURCE", s.Source.Topic, "DEAD_LETTERS", s.DeadLettersTopic())
	into := &needed
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "# The very first process"):
			into = &first
		case strings.HasPrefix(line, "# Not needed:"):
			into = &optional
		case strings.HasPrefix(line, "#"):
			into = &needed
		case line != "":
			f := strings.Fields(line)
			if len(f) != 5 || f[3] != "literal" {
				t.Fatalf("deployments/acl/kafka.txt: what is %q?", line)
			}
			*into = append(*into, right{f[0], f[1], f[2], names.Replace(f[4])})
		}
	}
	return needed, first, optional
}

func of(rights []right, principal string) []right {
	return slices.DeleteFunc(slices.Clone(rights), func(r right) bool { return r.principal != principal })
}

func without(rights []right, one right) []right {
	return slices.DeleteFunc(slices.Clone(rights), func(r right) bool { return r == one })
}

// allow gives a principal just these rights, and waits until the broker goes by them.
func allow(t *testing.T, admin *kadm.Client, principal string, rights []right) {
	t.Helper()
	all := kadm.NewACLs().Allow("User:" + principal).AllowHosts("*").Deny().DenyHosts().AnyResource().Operations().ResourcePatternType(kmsg.ACLResourcePatternTypeAny)
	if _, err := admin.DeleteACLs(t.Context(), all); err != nil {
		t.Fatal(err)
	}
	for _, r := range rights {
		var operation kmsg.ACLOperation
		if err := operation.UnmarshalText([]byte(r.operation)); err != nil {
			t.Fatal(err)
		}
		acl := kadm.NewACLs().Allow("User:" + principal).AllowHosts("*").ResourcePatternType(kmsg.ACLResourcePatternTypeLiteral).Operations(operation)
		if r.resource == "group" {
			acl = acl.Groups(r.name)
		} else {
			acl = acl.Topics(r.name)
		}
		if results, err := admin.CreateACLs(t.Context(), acl); err != nil || results[0].Err != nil {
			t.Fatal(err, results)
		}
	}
	eventually(t, "the broker goes by the rights", func() bool {
		found, err := admin.DescribeACLs(t.Context(), all)
		n := 0
		for _, f := range found {
			n += len(f.Described)
		}
		return err == nil && n == len(rights)
	})
}

// denied returns what a log says of a missing right.
func denied(text string) string {
	for line := range strings.Lines(text) {
		for _, sign := range []string{"AUTHORIZATION_FAILED", "not authorized", "Not authorized"} {
			if strings.Contains(line, sign) {
				return line
			}
		}
	}
	return ""
}

// TestKafkaRights: with the rights that deployments/acl/kafka.txt lists, each handler by itself, under a user of its own, works; and without any one of
// them it doesn't, and says what the broker has denied.
func TestKafkaRights(t *testing.T) {
	k := kafka.Get(t)
	server, redis := guardedRedis(t, k)
	s := newStream(t, append(redis, "clickhouse.addresses=127.0.0.1:1", "clickhouse.migrate=false")...)
	needed, first, optional := rights(t, s.settings(scram(k, "millrank")...))
	admin := kadm.NewClient(mustConnect(t, k.Brokers()))
	if out, code, _ := s.command(scram(k, "millrank"), "topics"); code != 0 {
		t.Fatal(out)
	}
	want := s.produce(200)
	for _, handler := range []string{"intake", "rank", "leaderboard", "late", "history"} {
		principal := "millrank-" + handler
		start := func() *running { return run(t, s.settings(append(scram(k, principal), "handlers="+handler)...)) }
		own := of(needed, principal)
		if handler == "intake" { // nobody has run yet
			allow(t, admin, principal, own)
			refuses(t, start(), of(first, principal)[0])
		}
		allow(t, admin, principal, append(slices.Clone(own), of(first, principal)...))
		r := start()
		switch handler {
		case "leaderboard":
			s.counts(server, want)
		case "history": // ClickHouse isn't there, so it never gets to commit
			eventually(t, "it is in its groups", func() bool {
				return joined(t, admin, s, "history-cells", "history-rankings", "history-dead-letters")
			})
		default:
			eventually(t, handler+" has committed", func() bool { return committed(t, admin, s, handler) })
		}
		if said := denied(r.log.String()); said != "" && !strings.Contains(said, "onfig") {
			t.Errorf("%s: a right is missing: %s", handler, said)
		}
		if err := r.end(); err != nil {
			t.Error(err)
		}
		for _, one := range own {
			allow(t, admin, principal, without(own, one))
			s.produceBroken(t)
			refuses(t, start(), one)
			if one.operation == "Describe" {
				continue
			}
			// Describe, which it implies, isn't enough.
			less := one
			less.operation = "Describe"
			allow(t, admin, principal, append(without(own, one), less))
			refuses(t, start(), one)
		}
		allow(t, admin, principal, append(slices.Clone(own), of(optional, principal)...))
		r = start()
		eventually(t, "it is ready", func() bool { return joined(t, admin, s, groups(handler)...) })
		if said := denied(r.log.String()); said != "" {
			t.Errorf("%s: with the rights to describe, too: %s", handler, said)
		}
		if err := r.end(); err != nil {
			t.Error(err)
		}
	}
}

func groups(handler string) []string {
	if handler == "history" {
		return []string{"history-cells", "history-rankings", "history-dead-letters"}
	}
	return []string{handler}
}

// refuses sees that a pipeline which lacks a right says so.
func refuses(t *testing.T, r *running, missing right) {
	t.Helper()
	limit := time.After(30 * time.Second)
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	defer r.stop()
	for {
		select {
		case err := <-r.ended:
			if err == nil || denied(err.Error()) == "" {
				t.Errorf("without %v it ends with %v", missing, err)
			}
			t.Logf("without %v: %v", missing, err)
			return
		case <-ticker.C:
			if said := denied(withoutConfigs(r.log.String())); said != "" {
				t.Logf("without %v: %s", missing, said)
				r.stop()
				<-r.ended
				return
			}
		case <-limit:
			t.Errorf("without %v nobody says that anything is missing: that line of deployments/acl/kafka.txt is one too many", missing)
			r.stop()
			<-r.ended
			return
		}
	}
}

// withoutConfigs leaves out the warnings that settings of topics can't be read: those rights aren't needed.
func withoutConfigs(log string) string {
	var b strings.Builder
	for line := range strings.Lines(log) {
		if !strings.Contains(line, "msg=\"warning: ") {
			b.WriteString(line)
		}
	}
	return b.String()
}

// committed reports whether a handler's group has committed something of each partition.
func committed(t *testing.T, admin *kadm.Client, s *stream, handler string) bool {
	t.Helper()
	offsets, err := admin.FetchOffsets(t.Context(), s.name+".g1."+handler)
	return err == nil && len(offsets) > 0
}

// joined reports whether groups have members.
func joined(t *testing.T, admin *kadm.Client, s *stream, handlers ...string) bool {
	t.Helper()
	for _, handler := range handlers {
		described, err := admin.DescribeGroups(t.Context(), s.name+".g1."+handler)
		if err != nil || len(described[s.name+".g1."+handler].Members) == 0 || described[s.name+".g1."+handler].State != "Stable" {
			return false
		}
	}
	return true
}

func mustConnect(t *testing.T, brokers []string, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	client, err := kgo.NewClient(append(opts, kgo.SeedBrokers(brokers...))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// produceBroken sends an event that can't be read, to each partition.
func (s *stream) produceBroken(t *testing.T) {
	t.Helper()
	client := mustConnect(t, kafka.Get(t).Brokers(), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	for p := range int32(2) {
		if err := client.ProduceSync(context.WithoutCancel(t.Context()), &kgo.Record{Topic: s.name, Partition: p, Value: []byte("broken")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}
