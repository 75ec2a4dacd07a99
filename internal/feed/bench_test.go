package feed_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrank/millrank/internal/embedded"
	"github.com/millrank/millrank/internal/feed"
	"github.com/millrank/millrank/internal/kafkaclient"
	"github.com/millrank/millrank/microbatch"
)

// BenchmarkRun feeds the larger data set (541,909 events) to the embedded Kafka, in this process.
func BenchmarkRun(b *testing.B) {
	source, err := feed.File(filepath.Join("..", "..", "data", "online-retail", "events.ndjson.gz"), "")
	if err != nil {
		b.Fatal(err)
	}
	for name, change := range map[string]func(*feed.Config){
		"plain":   func(*feed.Config) {},
		"shifted": func(c *feed.Config) { c.Shift = 24 * time.Hour },
		"everything": func(c *feed.Config) {
			c.Shift, c.Disorder, c.Duplicates, c.Late, c.Future, c.Malformed, c.Punctuate, c.End = 24*time.Hour, time.Hour, .02, .01, .01, .01, time.Minute, true
			c.Times.OutOfOrderness = time.Hour
		},
	} {
		b.Run(name, func(b *testing.B) {
			for range b.N {
				b.StopTimer()
				kafka, err := embedded.StartKafka(embedded.KafkaOptions{Topics: map[string]int32{"events": 6}})
				if err != nil {
					b.Fatal(err)
				}
				target, err := feed.Open(b.Context(), "events", func(opts ...kgo.Opt) (*kgo.Client, error) {
					return kafkaclient.New(microbatch.Connection{BootstrapServers: kafka.Brokers()}, opts...)
				})
				if err != nil {
					b.Fatal(err)
				}
				c := config()
				change(&c)
				c.Sources = []feed.Source{source}
				b.StartTimer()
				report, err := feed.Run(b.Context(), target, c, nil)
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(report.Acknowledged)/report.TookSecs, "records/s")
				b.StopTimer()
				target.Close()
				kafka.Close()
			}
		})
	}
}
