package event

import (
	"encoding/json"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"
)

// benchRecords are one event of about 130 bytes in each way to write its time.
var benchRecords = []struct {
	format TimeFormat
	record string
}{
	{RFC3339, `{"event_id":"r000000-536365","item_id":"85123A","region":"United Kingdom","timestamp":"2010-12-01T08:26:00Z","user_id":"17850","value":6}`},
	{UnixSeconds, `{"event_id":"9f86d081884c7d659a2f","item_id":"post-418234","region":"us-east","timestamp":1795300000,"user_id":"u6cf56e4257d7","value":12}`},
	{UnixMillis, `{"event_id":"9f86d081884c7d659a2f","item_id":"post-418234","region":"us-east","timestamp":1795300000000,"user_id":"u6cf56e42","value":12}`},
	{UnixMicros, `{"event_id":"9f86d081884c7d659a2f","item_id":"post-418234","region":"us-east","timestamp":1795300000000000,"user_id":"u6cf56","value":1}`},
	{UnixNanos, `{"event_id":"9f86d081884c7d659a2f","item_id":"post-418234","region":"us-east","timestamp":1795300000000000000,"user_id":"u6c","value":1}`},
}

// BenchmarkJSON decodes one event, by the codec and, to compare on the same noisy
// machine, by encoding/json into a struct with its time parsed.
func BenchmarkJSON(b *testing.B) {
	for _, r := range benchRecords {
		b.Run(string(r.format), func(b *testing.B) {
			m := DefaultMapping()
			m.TimeFormat = r.format
			benchmarkDecode(b, m, r.record)
		})
	}
	b.Run("varied", benchmarkVaried)
	b.Run("escapes", func(b *testing.B) {
		benchmarkDecode(b, DefaultMapping(), `{"event_id":"wiki-000000","item_id":"\"Caf\u00e9\" de Fl\u00f2re","region":"en.wikipedia","timestamp":"2015-09-12T00:46:58.771Z","user_id":"u6cf"}`)
	})
	b.Run("arabic", func(b *testing.B) {
		benchmarkDecode(b, DefaultMapping(), `{"event_id":"wiki-000000","item_id":"قبيلة حارم المشحكة","region":"ar.wikipedia","timestamp":"2015-09-12T00:46:58.771Z","user_id":"u6cf56e4"}`)
	})
	b.Run("dotted", func(b *testing.B) {
		m := DefaultMapping()
		m.EventID, m.Item, m.User = []string{"meta.id"}, "payload.item.id", "payload.user"
		benchmarkDecode(b, m, `{"meta":{"id":"r000000-536365","v":2},"payload":{"item":{"id":"85123A"},"user":"17850"},"region":"United Kingdom","timestamp":"2010-12-01T08:26:00Z"}`)
	})
	b.Run("encoding_json", func(b *testing.B) {
		benchmarkStandard(b, benchRecords[0].record)
	})
}

func benchmarkDecode(b *testing.B, m Mapping, record string) {
	c := newCodec(b, func(to *Mapping) { *to = m })
	value := []byte(record)
	b.SetBytes(int64(len(value)))
	b.ReportAllocs()
	var e Event
	for b.Loop() {
		if err := c.Decode(value, &e); err != nil {
			b.Fatal(err)
		}
	}
}

// benchmarkVaried decodes 4096 records of different lengths in turn: no branch is
// learned by heart, as in the others.
func benchmarkVaried(b *testing.B) {
	random := rand.New(rand.NewPCG(1, 1))
	const letters = "0123456789abcdefghijklmnopqrstuvwxyz-"
	text := func(least, most int) string {
		t := make([]byte, least+random.IntN(most-least+1))
		for i := range t {
			t[i] = letters[random.IntN(len(letters))]
		}
		return string(t)
	}
	var records [4096][]byte
	total := 0
	for i := range records {
		value := ""
		if random.IntN(2) == 0 {
			value = `,"value":` + strconv.Itoa(random.IntN(1000))
		}
		records[i] = []byte(`{"event_id":"` + text(16, 24) + `","item_id":"` + text(4, 20) + `","region":"` + text(2, 14) +
			`","timestamp":"2026-11-22T18:40:56Z","user_id":"` + text(5, 13) + `"` + value + `}`)
		total += len(records[i])
	}
	c := newCodec(b, nil)
	b.SetBytes(int64(total / len(records)))
	b.ReportAllocs()
	var e Event
	for i := 0; b.Loop(); i++ {
		if err := c.Decode(records[i%len(records)], &e); err != nil {
			b.Fatal(err)
		}
	}
}

func benchmarkStandard(b *testing.B, record string) {
	value := []byte(record)
	b.SetBytes(int64(len(value)))
	b.ReportAllocs()
	for b.Loop() {
		var e struct {
			EventID   string    `json:"event_id"`
			ItemID    string    `json:"item_id"`
			Region    string    `json:"region"`
			Timestamp time.Time `json:"timestamp"`
			UserID    string    `json:"user_id"`
			Value     int64     `json:"value"`
		}
		if err := json.Unmarshal(value, &e); err != nil {
			b.Fatal(err)
		}
	}
}
