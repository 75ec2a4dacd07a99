package microbatch

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

func randomMetadata(r *rand.Rand) metadata {
	text := func(n int) string {
		b := make([]byte, r.IntN(n+1))
		for i := range b {
			b[i] = byte('!' + r.IntN('~'-'!'+1))
		}
		return string(b)
	}
	m := metadata{Identity: Identity{r.Uint32(), text(128), int(r.Uint32())}, partitions: int(r.Uint32()), state: text(3500)}
	for i := range m.topicID {
		m.topicID[i] = byte(r.Uint32())
	}
	return m
}

// TestMetadata: what is written is read, and Kafka takes it.
func TestMetadata(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	for range 500 {
		want := randomMetadata(r)
		text := want.encode()
		if len(text) > metadataLimit {
			t.Errorf("seed %d: %d bytes", seed, len(text))
		}
		if got, err := parseMetadata(text); err != nil || got != want {
			t.Fatalf("seed %d: %q was read as %+v (%v), want %+v", seed, text, got, err, want)
		}
	}
}

// TestMetadataOfLater: fields that aren't known are left alone.
func TestMetadataOfLater(t *testing.T) {
	want := metadata{Identity: Identity{Generation: 3}, partitions: 4, state: "s"}
	text := strings.Replace(want.encode(), " state=", " colour=blue state=", 1)
	text = text[:strings.LastIndex(text, " crc32c=")]
	if got, err := parseMetadata(fmt.Sprintf("%s crc32c=%08x", text, checksum(text))); err != nil || got != want {
		t.Errorf("got %+v, %v", got, err)
	}
}

// TestDamagedMetadata: any damage is noticed, at whatever byte.
func TestDamagedMetadata(t *testing.T) {
	text := metadata{Identity{7, "abc123", 8}, [16]byte{1, 2, 3}, 12, "watermark:1,count-from:2"}.encode()
	damaged := func(what, text string) {
		t.Helper()
		if _, err := parseMetadata(text); !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %q: %v", what, text, err)
		}
	}
	for i := range len(text) {
		for bit := range 8 {
			b := []byte(text)
			b[i] ^= 1 << bit
			damaged(fmt.Sprintf("bit %d of byte %d", bit, i), string(b))
		}
		damaged(fmt.Sprintf("cut off at byte %d", i), text[:i])
		damaged(fmt.Sprintf("without byte %d", i), text[:i]+text[i+1:])
		damaged(fmt.Sprintf("byte %d twice", i), text[:i+1]+text[i:])
		damaged(fmt.Sprintf("a byte more at %d", i), text[:i]+" "+text[i:])
	}
	damaged("a byte more at the end", text+" ")
	damaged("twice", text+text)
}

// TestForeignMetadata: what others commit is not ours, whatever it is.
func TestForeignMetadata(t *testing.T) {
	for text, want := range map[string]error{
		"":                            ErrDamaged,
		" ":                           ErrDamaged,
		"consumer-1":                  ErrDamaged,
		`{"offset":12}`:               ErrDamaged,
		"\x00\x01\x02":                ErrDamaged,
		"millrank":                    ErrDamaged,
		"millrank/":                   ErrDamaged,
		"millrank/one":                ErrDamaged,
		"millrank/1":                  ErrDamaged,
		"millrank/1 crc32c=00000000":  ErrDamaged,
		"millrank/2":                  ErrFormat,
		"millrank/2 {\"any\": \"x\"}": ErrFormat,
		"millrank/10 crc32c=00000000": ErrFormat,
		"Millrank/2":                  ErrDamaged,
	} {
		if _, err := parseMetadata(text); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", text, err, want)
		}
	}
	// Also where the checksum is right.
	for _, text := range []string{
		metadataFormat + " generation=x", metadataFormat + " generation=4294967296", metadataFormat + " topic=zz",
		metadataFormat + " topic=0102", metadataFormat + " partitions=many", metadataFormat + " outputs=",
	} {
		if _, err := parseMetadata(fmt.Sprintf("%s crc32c=%08x", text, checksum(text))); !errors.Is(err, ErrDamaged) {
			t.Errorf("%q: %v, want %v", text, err, ErrDamaged)
		}
	}
}

// TestCommitState: a state that would not come back as it was is refused when it is given.
func TestCommitState(t *testing.T) {
	c := newClaim(DefaultSubscriberConfig(Connection{}, "g"), "t", 0, topicFacts{partitions: 1}, Start{}, nil)
	for _, state := range []string{"", "a", "watermark:-1,count-from:2", `{"a":"b=c"}`, strings.Repeat("~", 3400)} {
		if err := c.Commit(5, state); err != nil {
			t.Errorf("%q: %v", state, err)
			continue
		}
		if _, text, ok := c.unwritten(); !ok {
			t.Errorf("%q isn't written", state)
		} else if m, err := parseMetadata(text); err != nil || m.state != state {
			t.Errorf("%q comes back as %q (%v)", state, m.state, err)
		}
	}
	if err := c.Commit(5, "good"); err != nil {
		t.Fatal(err)
	}
	for _, state := range []string{" ", "a b", "a\nb", "a\tb", "a\rgeneration=9", "a\vb", "a\fb", "a\u0085b", "a\u00a0b", "a\u2028b", "a\x00b", "\xff\xfe", "ä", strings.Repeat("x", 4000)} {
		if err := c.Commit(6, state); err == nil {
			t.Errorf("%.20q is accepted", state)
		}
	}
	if err := c.Commit(-1, "x"); err == nil {
		t.Error("offset -1 is accepted")
	}
	if w, _, _ := c.unwritten(); w != (Committed{5, "good"}) {
		t.Errorf("%v is wanted after what was refused", w)
	}
	for settings, good := range map[string]bool{"": true, "0a1b": true, "a b": false, "a\rb": false, "\xff": false, strings.Repeat("x", 129): false} {
		config := DefaultSubscriberConfig(Connection{BootstrapServers: []string{"a:1"}}, "g")
		config.Identity.Settings = settings
		if err := config.Validate(); (err == nil) != good {
			t.Errorf("settings %.20q: %v", settings, err)
		}
	}
}
