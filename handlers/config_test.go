package handlers_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/handlers"
	"github.com/millrank/millrank/operators"
)

// fingerprint is that of settings and a JSON mapping.
func fingerprint(t *testing.T, s operators.Settings, m event.Mapping) string {
	t.Helper()
	codec, err := handlers.JSON(m)
	if err != nil {
		t.Fatal(err)
	}
	c := handlers.DefaultIntakeConfig()
	c.Settings, c.Codec = s, codec
	return c.Fingerprint()
}

// mapping is one in which every field is set.
func mapping() event.Mapping {
	m := event.DefaultMapping()
	m.RegionDefault, m.Dimensions = new("nowhere"), []string{"category", "kind of item"}
	return m
}

// TestFingerprintSettings: it changes with every field of the settings.
func TestFingerprintSettings(t *testing.T) {
	seen := map[string]string{fingerprint(t, operators.DefaultSettings(), mapping()): "the defaults"}
	fields := reflect.TypeFor[operators.Settings]()
	for i := range fields.NumField() {
		s := operators.DefaultSettings()
		f := reflect.ValueOf(&s).Elem().Field(i)
		step := int64(1)
		if f.Type() == reflect.TypeFor[time.Duration]() {
			step = int64(time.Millisecond)
		}
		f.SetInt(f.Int() + step)
		is(t, seen, fingerprint(t, s, mapping()), "another "+fields.Field(i).Name)
	}
}

// is fails the test when a fingerprint has been seen before.
func is(t *testing.T, seen map[string]string, got, what string) {
	t.Helper()
	if before, ok := seen[got]; ok {
		t.Errorf("%s: the same fingerprint as %s", what, before)
	}
	seen[got] = what
}

// TestFingerprintMapping: it changes with every field of the mapping, and names can't run into each other.
func TestFingerprintMapping(t *testing.T) {
	s := operators.DefaultSettings()
	seen := map[string]string{fingerprint(t, s, mapping()): "the first"}
	fields := reflect.TypeFor[event.Mapping]()
	for i := range fields.NumField() {
		m := mapping()
		switch f := reflect.ValueOf(&m).Elem().Field(i); v := f.Addr().Interface().(type) {
		case *string:
			*v += "2"
		case **string:
			*v = new("elsewhere")
		case *[]string:
			*v = append(slices.Clone(*v), "another")
		case *int:
			*v++
		case *time.Time:
			*v = v.Add(time.Millisecond)
		case *event.TimeFormat:
			*v = event.UnixMillis
		default:
			t.Errorf("field %s has the type %v, which this test doesn't know", fields.Field(i).Name, f.Type())
		}
		is(t, seen, fingerprint(t, s, m), "another "+fields.Field(i).Name)
	}
	for what, change := range map[string]func(*event.Mapping){
		"no region default":              func(m *event.Mapping) { m.RegionDefault = nil },
		"a region default none":          func(m *event.Mapping) { m.RegionDefault = new("none") },
		"an empty region default":        func(m *event.Mapping) { m.RegionDefault = new("") },
		"no dimensions":                  func(m *event.Mapping) { m.Dimensions = nil },
		"one dimension of two words":     func(m *event.Mapping) { m.Dimensions = []string{"a b"} },
		"two dimensions of one word":     func(m *event.Mapping) { m.Dimensions = []string{"a", "b"} },
		"one dimension with quotes":      func(m *event.Mapping) { m.Dimensions = []string{`a" "b`} },
		"the other way round":            func(m *event.Mapping) { m.Dimensions = []string{"b", "a"} },
		"an item that runs into region":  func(m *event.Mapping) { m.Item, m.Region = "i Region:r", "r2" },
		"a region that is run into":      func(m *event.Mapping) { m.Item, m.Region = "i", "r Region:r2" },
		"an ID that runs into dimension": func(m *event.Mapping) { m.EventID, m.Dimensions = []string{"x y"}, []string{"z"} },
		"an ID of two":                   func(m *event.Mapping) { m.EventID, m.Dimensions = []string{"x", "y"}, []string{"z"} },
	} {
		m := mapping()
		change(&m)
		is(t, seen, fingerprint(t, s, m), what)
	}
}

// TestFingerprintEqual: what means the same has the same.
func TestFingerprintEqual(t *testing.T) {
	s := operators.DefaultSettings()
	want := fingerprint(t, s, mapping())
	for what, change := range map[string]func(*event.Mapping){
		"another pointer":    func(m *event.Mapping) { m.RegionDefault = new("nowhere") },
		"another slice":      func(m *event.Mapping) { m.EventID = append(make([]string, 0, 10), "event_id") },
		"another time zone":  func(m *event.Mapping) { m.TimeMin = m.TimeMin.In(time.FixedZone("east", 3600)) },
		"the local zone":     func(m *event.Mapping) { m.TimeMax = m.TimeMax.Local() },
		"a monotonic clock":  func(m *event.Mapping) { now := time.Now(); m.TimeMin = now.Add(m.TimeMin.Sub(now)) },
		"nothing in a slice": func(m *event.Mapping) { m.EventID = m.EventID[:1:1] },
	} {
		m := mapping()
		change(&m)
		if got := fingerprint(t, s, m); got != want {
			t.Errorf("%s: the fingerprint is %s, not %s", what, got, want)
		}
	}
	m := mapping()
	m.Dimensions = nil
	none := fingerprint(t, s, m)
	if m.Dimensions = []string{}; fingerprint(t, s, m) != none {
		t.Error("no dimensions and none at all: two fingerprints")
	}
	if strings.ContainsAny(want, " \n") || len(want) > 100 {
		t.Errorf("fingerprint %q can't be in a commit", want)
	}
}

// TestFingerprintOthers: what decides no results doesn't change it, and another codec does.
func TestFingerprintOthers(t *testing.T) {
	c := testConfig(t, &outlet{}, &outlet{})
	want := c.Fingerprint()
	c.FlushInterval, c.FlushCells, c.PendingCells, c.IdleTimeout, c.UpdateBytesMax = time.Second, 7, 8, time.Hour, 20_000
	c.Source, c.Generation, c.Shards = "other", 9, 5 // they have places of their own in an Identity, or in updates
	if c.Fingerprint() != want {
		t.Error("it changes with something that decides nothing")
	}
	if id := c.Identity(); id.Settings != want || id.Generation != 9 || id.Outputs != 5 {
		t.Errorf("the identity is %+v", id)
	}
	c.Codec.Name += " "
	if c.Fingerprint() == want {
		t.Error("it doesn't change with the codec")
	}
}

// TestJSON: a mapping that is wrong is refused, and one that is changed later doesn't change the codec.
func TestJSON(t *testing.T) {
	if _, err := handlers.JSON(event.Mapping{}); err == nil {
		t.Error("an empty mapping is taken")
	}
	m := mapping()
	codec, err := handlers.JSON(m)
	if err != nil {
		t.Fatal(err)
	}
	m.EventID[0], *m.RegionDefault = "", "changed"
	var e event.Event
	if err := codec.New().Decode([]byte(`{"event_id":"1","item_id":"tea","timestamp":"2024-01-01T00:00:00Z"}`), &e); err != nil {
		t.Error(err)
	}
	if got := event.Group(e.Group).Values()[0]; got != "nowhere" {
		t.Errorf("the region is %q", got)
	}
}

// TestValidate: all that is wrong is said at once, by name.
func TestValidate(t *testing.T) {
	if err := testConfig(t, &outlet{}, &outlet{}).Validate(); err != nil {
		t.Fatal(err)
	}
	_, err := handlers.NewIntake(handlers.IntakeConfig{})
	if err == nil {
		t.Fatal("no settings are enough")
	}
	for _, name := range []string{"Pane", "codec", "source", "shards", "updates", "dead letters", "update bytes", "flush interval", "flush cells", "idle timeout", "now", "logger"} {
		if !strings.Contains(err.Error(), name+":") && !strings.Contains(err.Error(), name+" is") {
			t.Errorf("it doesn't say %q: %v", name, err)
		}
	}
	for what, change := range map[string]func(*handlers.IntakeConfig){
		"pending cells": func(c *handlers.IntakeConfig) { c.PendingCells = c.FlushCells - 1 },
		"source":        func(c *handlers.IntakeConfig) { c.Source = "\xff" },
		"shards":        func(c *handlers.IntakeConfig) { c.Shards = 1<<15 + 1 },
		"codec":         func(c *handlers.IntakeConfig) { c.Codec.Name = "" },
		"dead letters":  func(c *handlers.IntakeConfig) { c.DeadLettersTopic = "" },
		"updates":       func(c *handlers.IntakeConfig) { c.UpdatesTopic = "" },
	} {
		c := testConfig(t, &outlet{}, &outlet{})
		change(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), what) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", what, err)
		}
	}
	long := testConfig(t, &outlet{}, &outlet{})
	long.Source = fmt.Sprintf("%01001d", 0)
	if long.Validate() == nil {
		t.Error("a source's name of 1001 bytes is taken")
	}
}
