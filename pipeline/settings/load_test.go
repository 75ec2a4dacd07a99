package settings_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	gocmp "github.com/google/go-cmp/cmp"

	"github.com/millrank/millrank/pipeline/settings"
)

const least = `
kafka: {bootstrap_servers: [kafka-1:9092, "[::1]:9092"]}
source: {topic: events}
time: {pane: 10s}
boards:
  - {name: likes, window: 1h}
`

// TestLayers: later places win, setting by setting.
func TestLayers(t *testing.T) {
	t.Parallel()
	s := load(t, least+"limits: {batch_records: 10}\nlog:\n", settings.From{
		Environ: []string{
			"MILLRANK_TIME_PANE=5s", "MILLRANK_LIMITS_BATCH_RECORDS=20", "MILLRANK_KAFKA_SSL_CA_LOCATION=", "MILLRANK_TIME_IDLE_TIMEOUT=", "MILLRANK_REDIS_ADDRESSES=a:1, b:2",
			"MILLRANK_SOURCE_FIELDS_REGION_DEFAULT=none", "MILLRANK_PORT_8080_TCP=x", "PATH=/bin", "MILLRANK_SOURCE_TIME_MIN=2026-01-31T08:00:00+01:00",
		},
		Set: []string{"limits.batch_records=30", "boards[0].k=7", "boards[0].by=[\"region\"]", "source.record_bytes_max=512KiB", "flush.redis=0.5s"},
	})
	for what, ok := range map[string]bool{
		"the file's servers":      slices.Equal(s.Kafka.BootstrapServers, []string{"kafka-1:9092", "[::1]:9092"}),
		"the file's topic":        s.Source.Topic == "events",
		"the environment's pane":  s.Time.Pane.Std() == 5*time.Second,
		"--set's records":         s.Limits.BatchRecords == 30,
		"a default":               s.Time.AllowedLateness.Std() == 30*time.Second && s.Time.IdleTimeout.Std() == 10*time.Second,
		"the environment's list":  slices.Equal(s.Redis.Addresses, []string{"a:1", "b:2"}),
		"the environment's text":  s.Source.Fields.RegionDefault != nil && *s.Source.Fields.RegionDefault == "none",
		"the environment's time":  s.Source.TimeMin.Std().Equal(time.Date(2026, 1, 31, 7, 0, 0, 0, time.UTC)),
		"--set's board":           s.Boards[0].K == 7 && s.Boards[0].Name == "likes" && slices.Equal(s.Boards[0].By, []string{"region"}),
		"--set's bytes, duration": s.Source.RecordBytesMax == 512<<10 && s.Flush.Redis.Std() == 500*time.Millisecond,
	} {
		if !ok {
			t.Errorf("%s: not so in\n%v", what, s)
		}
	}
}

// TestNoFile: without a file, the environment is enough; a file that isn't there is an error that says how to make one.
func TestNoFile(t *testing.T) {
	t.Parallel()
	s, err := settings.Load(settings.From{Environ: []string{
		"MILLRANK_KAFKA_BOOTSTRAP_SERVERS=a:9092,b:9092", "MILLRANK_SOURCE_TOPIC=events",
		`MILLRANK_BOARDS=[{"name": "likes", "window": "1h"}, {"name": "views", "window": "1d", "by": ["global"]}]`,
	}})
	if err != nil || len(s.Kafka.BootstrapServers) != 2 || len(s.Boards) != 2 || s.Boards[1].Window.Std() != 24*time.Hour {
		t.Errorf("%v\n%v", err, s)
	}
	_, err = settings.Load(settings.From{File: "nowhere.yaml"})
	var problems settings.Problems
	if !errors.As(err, &problems) || !strings.Contains(err.Error(), "millrank validate --example > nowhere.yaml") {
		t.Errorf("error %v", err)
	}
}

// TestBoardDefaults: what a board doesn't say is DefaultBoard's, wherever the board comes from.
func TestBoardDefaults(t *testing.T) {
	t.Parallel()
	want := settings.DefaultBoard()
	want.Name, want.Window = "likes", settings.Duration(time.Hour)
	file := load(t, least)
	env := load(t, least, settings.From{Environ: []string{"MILLRANK_BOARDS=- {name: likes, window: 1h}"}})
	for _, s := range []settings.Settings{file, env} {
		if diff := gocmp.Diff([]settings.Board{want}, s.Boards); diff != "" {
			t.Error(diff)
		}
	}
}

// TestAnchors: a board can be written as another one with changes.
func TestAnchors(t *testing.T) {
	t.Parallel()
	s := load(t, strings.Replace(least, "- {name: likes, window: 1h}", "- &a {name: likes, window: 1h, k: 5}\n  - {<<: *a, name: views}", 1))
	if len(s.Boards) != 2 || s.Boards[1].Name != "views" || s.Boards[1].K != 5 {
		t.Errorf("boards %v", s.Boards)
	}
	_, err := settings.Load(settings.From{Environ: []string{"MILLRANK_BOARDS=[&a {<<: *a}]"}})
	if err == nil || !strings.Contains(err.Error(), "merged from itself") {
		t.Errorf("error %v", err)
	}
}

// TestUnknown: variables that are no settings are named, with what may be meant; Kubernetes' and the demo's are not.
func TestUnknown(t *testing.T) {
	t.Parallel()
	got := settings.Unknown([]string{
		"MILLRANK_TIME_PANE=1s", "MILLRANK_TIME_PANES=1s", "MILLRANK_XYZZY=1", "HOME=/", "MILLRANK_DEMO_EXIT=1",
		"MILLRANK_PORT=tcp://10.0.0.1:80", "MILLRANK_PORT_8080_TCP_ADDR=10.0.0.1", "MILLRANK_SERVICE_HOST=10.0.0.1",
	})
	if want := []string{"MILLRANK_TIME_PANES (did you mean MILLRANK_TIME_PANE?)", "MILLRANK_XYZZY"}; !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

// TestSecrets: secrets come from files, too, and are never printed.
func TestSecrets(t *testing.T) {
	t.Parallel()
	const secret = "correct horse"
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := load(t, least+"redis: {addresses: [localhost:6379], master_name: main, sentinel_password: "+secret+"}\n", settings.From{
		Environ: []string{"MILLRANK_REDIS_PASSWORD=" + secret, "MILLRANK_KAFKA_SECURITY_PROTOCOL=SASL_SSL", "MILLRANK_KAFKA_SASL_MECHANISM=PLAIN", "MILLRANK_KAFKA_SASL_USERNAME=me"},
		Set:     []string{"kafka.sasl_password_file=" + file},
	})
	options, err := s.RedisOptions()
	if err != nil || options.Password != secret || options.SentinelPassword != secret || s.Connection().Password != secret {
		t.Fatalf("a secret isn't there: %v", err)
	}
	if err := s.Validate(); err != nil {
		t.Errorf("what was loaded is not valid: %v", err)
	}
	var printed strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&printed, verb+verb+verb+verb, s, &s, s.Redis, s.Redis.Password)
	}
	for _, v := range []any{s, &s, s.Kafka, map[string]any{"settings": s}} {
		j, err := json.Marshal(v)
		if err != nil {
			t.Error(err)
		}
		y, err := yaml.Marshal(v)
		if err != nil {
			t.Error(err)
		}
		printed.Write(j)
		printed.Write(y)
		slog.New(slog.NewJSONHandler(&printed, nil)).Info("settings", "are", v)
		slog.New(slog.NewTextHandler(&printed, nil)).Info("settings", "are", v)
	}
	if strings.Contains(printed.String(), "horse") || strings.Contains(printed.String(), fmt.Sprintf("%x", "horse")) {
		t.Errorf("a secret is printed:\n%s", printed.String())
	}
	if !strings.Contains(printed.String(), "***") {
		t.Error("nothing says that there are secrets")
	}
}

// TestUnits: durations and bytes are read as they are written.
func TestUnits(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"250ms": 250 * time.Millisecond, "1h30m": 90 * time.Minute, "7d": 7 * 24 * time.Hour, "1d12h": 36 * time.Hour, "-1h": -time.Hour, "-1d1h": -25 * time.Hour, "0": 0, "0s": 0, "1m": time.Minute,
	} {
		var d, again settings.Duration
		if err := d.UnmarshalText([]byte(text)); err != nil || d.Std() != want {
			t.Errorf("%s: %v, %v", text, d.Std(), err)
		}
		if err := again.UnmarshalText([]byte(d.String())); err != nil || again != d {
			t.Errorf("%s is written as %v, and that is read as %v", text, d, again.Std())
		}
	}
	for _, text := range []string{"", "5", "d", "1d-1h", "99999999999999d", "200000d", "5 s", "1d2d", "2562047h48m"} {
		var d settings.Duration
		if err := d.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is read as %v", text, d)
		}
	}
	for text, want := range map[string]settings.Bytes{"4096": 4096, "512KiB": 512 << 10, "1MiB": 1 << 20, "1MB": 1_000_000, "2GiB": 2 << 30} {
		var b, again settings.Bytes
		if err := b.UnmarshalText([]byte(text)); err != nil || b != want {
			t.Errorf("%s: %d, %v", text, int(b), err)
		}
		if err := again.UnmarshalText([]byte(b.String())); err != nil || again != b {
			t.Errorf("%s is written as %v", text, b)
		}
	}
}
