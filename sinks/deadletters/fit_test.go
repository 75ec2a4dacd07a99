package deadletters_test

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/millrank/millrank/microbatch"
	"github.com/millrank/millrank/sinks/deadletters"
)

// TestFit: what is left out of a letter that is too large, and in which order. What is left still says what the letter is of.
func TestFit(t *testing.T) {
	const most = 10_000
	large := func(n int) []byte { return bytes.Repeat([]byte("x"), n) }
	for _, c := range []struct {
		name   string
		change func(*deadletters.Letter)
		want   func(*deadletters.Letter)
	}{
		{"it fits", func(l *deadletters.Letter) { l.Value = large(8000) }, func(*deadletters.Letter) {}},
		{"headers", func(l *deadletters.Letter) { l.Headers[3].Value = large(most) }, func(l *deadletters.Letter) {
			l.Headers, l.Cut = nil, "headers"
		}},
		{"a key, which is there twice", func(l *deadletters.Letter) { l.Key = large(6000) }, func(l *deadletters.Letter) {
			l.Headers, l.Key, l.Cut = nil, nil, "headers,key"
		}},
		{"a value", func(l *deadletters.Letter) { l.Value = large(100 * most) }, func(l *deadletters.Letter) {
			l.Headers, l.Key, l.Cut = nil, nil, "headers,key,value"
		}},
	} {
		want := late()
		c.change(&want)
		msg := deadletters.Fit(want.Message(), most)
		got, err := deadletters.Parse(msg)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if msg.UUID != want.Message().UUID {
			t.Errorf("%s: it has another ID", c.name)
		}
		whole := want.Value
		c.want(&want)
		if want.Cut == "headers,key,value" {
			if len(got.Value) < most-1000 || !bytes.HasPrefix(whole, got.Value) {
				t.Errorf("%s: %d bytes of the value are left", c.name, len(got.Value))
			}
			want.Value = got.Value
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

// TestFitPublished: a publisher takes every letter that was made to fit, however large it was.
func TestFitPublished(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "dead-letters"))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	c := microbatch.DefaultPublisherConfig(microbatch.Connection{BootstrapServers: cluster.ListenAddrs()})
	c.MaxMessageBytes = 20_000
	p, err := microbatch.NewPublisher(c, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	var msgs []*message.Message
	for range 300 {
		l := draw(r)
		for _, b := range []*[]byte{&l.Key, &l.Value} {
			*b = bytes.Repeat(append(*b, byte(r.Uint32())), r.IntN(5000))
		}
		for i := range l.Headers {
			l.Headers[i].Value = bytes.Repeat(append(l.Headers[i].Value, 0), r.IntN(2000))
		}
		msgs = append(msgs, deadletters.Fit(l.Message(), p.MessageBytesMax()))
	}
	if err := p.Publish("dead-letters", msgs...); err != nil {
		t.Fatalf("seed %d: %v", seed, err)
	}
}
