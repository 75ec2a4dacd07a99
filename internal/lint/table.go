package lint

import (
	"slices"
	"strings"
)

// Room says what one package may do. Test files may import what they like.
type Room struct {
	// Path is the folder from the root; with "/..." at its end, all folders below it too.
	Path string
	// Std is the standard packages it may import; nil means any.
	Std []string
	// Own is the packages of this module that it may import, in the form of Path.
	Own []string
	// Outside is the modules of others that it may import, with all their packages.
	Outside []string
	// Pure forbids clocks, output, goroutines, channels and select, so that the same
	// state and the same input always give the same output.
	Pure bool
	// Any lets it import everything: it wires the rest together.
	Any bool
}

// Rooms is the table for this repository. A package that is not in it is a finding, so
// each new one takes this decision. Imports point downwards, from the shell to the core;
// only the command and the package that wires everything may know every concrete type.
func Rooms() []Room {
	return []Room{
		{Path: "event", Pure: true, Std: pureStd(), Outside: []string{"github.com/zeebo/xxh3"}},
		{Path: "watermark", Pure: true, Std: pureStd(), Own: []string{"event"}},
		{Path: "operators", Pure: true, Std: pureStd(), Own: []string{"watermark", "event"}, Outside: []string{"github.com/zeebo/xxh3"}},
		{Path: "data", Std: []string{"embed"}},
		// sim draws random numbers from a seed and reads the data sets; the same seed gives the same run.
		{Path: "sim", Pure: true, Std: append(pureStd(), "math/rand/v2", "bufio", "compress/gzip", "io", "path"), Own: []string{"operators", "event", "data"}},
		// ... and sim/chain runs the machines, with what stands around them, in virtual time.
		{Path: "sim/chain", Pure: true, Std: append(pureStd(), "math/rand/v2"), Own: []string{"sim", "operators", "watermark", "event"}},
		{Path: "wire", Own: []string{"event"}, Outside: []string{"google.golang.org/protobuf", "github.com/planetscale/vtprotobuf"}},
		{Path: "microbatch", Own: []string{"internal/clienttls"}, Outside: []string{"github.com/ThreeDotsLabs/watermill", "github.com/ThreeDotsLabs/watermill-kafka/v3", "github.com/IBM/sarama", "github.com/xdg-go/scram", "github.com/twmb/franz-go"}},
		{Path: "sinks/deadletters", Own: []string{"event"}, Outside: []string{"github.com/ThreeDotsLabs/watermill"}},
		{Path: "sinks/redis", Own: []string{"event", "operators", "internal/clienttls"}, Outside: []string{"github.com/ThreeDotsLabs/watermill", "github.com/redis/go-redis/v9"}},
		{Path: "sinks/clickhouse", Own: []string{"event", "operators", "internal/clienttls"}, Outside: []string{"github.com/ClickHouse/clickhouse-go/v2"}},
		{Path: "handlers", Own: []string{"event", "watermark", "operators", "wire", "microbatch", "sinks/deadletters", "internal/meter"}, Outside: []string{"github.com/ThreeDotsLabs/watermill", "github.com/zeebo/xxh3", "github.com/cenkalti/backoff/v5", "github.com/sony/gobreaker", "go.opentelemetry.io/otel", "go.opentelemetry.io/otel/metric", "go.opentelemetry.io/otel/trace"}},
		// What stands in for a real server in tests and demos.
		{Path: "internal/embedded", Own: []string{"internal/embedded/chdb"}, Outside: []string{
			"github.com/twmb/franz-go", "github.com/twmb/franz-go/pkg/kfake", "github.com/alicebob/miniredis/v2",
			"github.com/ClickHouse/clickhouse-go/v2", "github.com/ClickHouse/ch-go", "github.com/andybalholm/brotli", "github.com/klauspost/compress",
		}},
		{Path: "internal/embedded/chdb", Outside: []string{"github.com/ebitengine/purego", "golang.org/x/sys"}},
		{Path: "internal/embedded/chdb/fetch", Own: []string{"internal/embedded/chdb"}},
		{Path: "internal/clienttls"},
		{Path: "internal/testserver"},
		{Path: "internal/tcpproxy"},
		{Path: "internal/embedded/clickhousetest", Own: []string{"internal/embedded", "internal/embedded/chdb", "internal/testserver"}},
		{Path: "internal/apachekafka", Own: []string{"internal/embedded", "internal/testserver"}, Outside: []string{"github.com/twmb/franz-go", "github.com/twmb/franz-go/pkg/kadm"}},
		{Path: "internal/redisserver", Own: []string{"internal/embedded", "internal/testserver"}, Outside: []string{"github.com/redis/go-redis/v9"}},
		{Path: "pipeline/settings", Own: []string{"event", "operators", "microbatch", "internal/clienttls"}, Outside: []string{
			"github.com/redis/go-redis/v9", "github.com/ClickHouse/clickhouse-go/v2", "github.com/knadh/koanf", "github.com/goccy/go-yaml", "github.com/go-playground/validator/v10", "github.com/invopop/jsonschema", "github.com/dustin/go-humanize",
		}},
		// Only these two know every concrete type.
		{Path: "pipeline", Any: true},
		{Path: "cmd/millrank", Any: true},
		{Path: "internal/demo", Any: true},
		// What the command line does with Kafka beside the pipeline's own path: administration, and feeding it.
		{Path: "internal/kafkaclient", Own: []string{"microbatch", "internal/clienttls"}, Outside: []string{"github.com/IBM/sarama", "github.com/twmb/franz-go", "github.com/twmb/franz-go/pkg/kadm"}},
		{Path: "internal/logread", Own: []string{"microbatch", "internal/kafkaclient"}, Outside: []string{"github.com/twmb/franz-go"}},
		{Path: "internal/progress", Own: []string{"event", "watermark", "wire", "microbatch", "handlers", "sinks/redis", "sinks/clickhouse", "pipeline/settings", "internal/kafkaclient", "internal/logread"}, Outside: []string{"github.com/twmb/franz-go", "github.com/twmb/franz-go/pkg/kadm", "golang.org/x/sync", "github.com/dustin/go-humanize"}},
		{Path: "internal/meter", Outside: []string{"go.opentelemetry.io/otel", "go.opentelemetry.io/otel/metric", "github.com/sony/gobreaker"}},
		{Path: "internal/telemetry", Outside: []string{
			"go.opentelemetry.io/otel", "go.opentelemetry.io/otel/metric", "go.opentelemetry.io/otel/trace", "go.opentelemetry.io/otel/sdk", "go.opentelemetry.io/otel/sdk/metric",
			"go.opentelemetry.io/otel/exporters/prometheus", "go.opentelemetry.io/contrib/exporters/autoexport", "go.opentelemetry.io/contrib/instrumentation/runtime",
			"github.com/prometheus/client_golang", "github.com/prometheus/otlptranslator",
		}},
		{Path: "internal/telemetry/otlptest", Outside: []string{"go.opentelemetry.io/proto/otlp", "google.golang.org/grpc", "google.golang.org/protobuf"}},
		{Path: "internal/feed", Own: []string{"event", "pipeline/settings"}, Outside: []string{"github.com/twmb/franz-go", "github.com/twmb/franz-go/pkg/kadm"}},
		// Benchmarks that are programs, and what they have in common.
		{Path: "bench/internal/chart", Outside: []string{"gonum.org/v1/plot"}},
		{Path: "bench/internal/workload", Outside: []string{"github.com/twmb/franz-go", "github.com/twmb/franz-go/pkg/kadm"}},
		{Path: "bench/internal/bound", Own: []string{"bench/internal/workload"}, Outside: []string{"github.com/twmb/franz-go"}},
		{Path: "bench/internal/trial", Own: []string{"event", "wire", "microbatch", "pipeline", "pipeline/settings", "internal/progress", "bench/internal/bound", "bench/internal/workload", "bench/internal/process"}, Outside: []string{
			"github.com/twmb/franz-go", "github.com/twmb/franz-go/pkg/kadm",
		}},
		{Path: "bench/compare", Own: []string{"bench/internal/chart", "bench/internal/results", "bench/internal/trial", "bench/internal/workload", "bench/internal/process"}, Outside: []string{
			"github.com/jedib0t/go-pretty/v6", "github.com/dustin/go-humanize",
		}},
		{Path: "bench/internal/process", Own: []string{"internal/embedded", "internal/apachekafka", "internal/redisserver"}},
		{Path: "bench/intake", Own: []string{"event", "operators", "microbatch", "handlers", "wire", "bench/internal/process"}, Outside: []string{
			"github.com/ThreeDotsLabs/watermill", "github.com/ThreeDotsLabs/watermill-kafka/v3", "github.com/IBM/sarama", "github.com/twmb/franz-go", "github.com/twmb/franz-go/pkg/kadm",
		}},
		{Path: "bench/sweeps", Own: []string{"pipeline/settings", "bench/internal/chart", "bench/internal/results", "bench/internal/trial", "bench/internal/workload", "bench/internal/process"}, Outside: []string{
			"github.com/jedib0t/go-pretty/v6", "github.com/dustin/go-humanize",
		}},
		{Path: "bench/publish"},
		{Path: "bench/internal/results"},
		{Path: "bench/freshness", Own: []string{"event", "operators", "microbatch", "handlers", "sinks/redis", "pipeline/settings", "internal/progress", "bench/internal/chart", "bench/internal/results", "bench/internal/trial", "bench/internal/process"}, Outside: []string{
			"github.com/ThreeDotsLabs/watermill", "github.com/twmb/franz-go", "github.com/twmb/franz-go/pkg/kadm", "github.com/redis/go-redis/v9",
		}},
		// What tests of the whole chain have in common, and those tests.
		{Path: "test/world", Own: []string{"event", "operators", "wire", "sim", "sinks/deadletters", "sinks/redis", "internal/embedded"}, Outside: []string{
			"github.com/ThreeDotsLabs/watermill", "github.com/twmb/franz-go", "github.com/twmb/franz-go/pkg/kadm", "github.com/twmb/franz-go/pkg/kmsg", "github.com/redis/go-redis/v9",
		}},
		{Path: "bench/soak", Own: []string{"event", "operators", "handlers", "sinks/redis", "sinks/deadletters", "pipeline/settings", "internal/progress", "internal/embedded", "internal/apachekafka", "internal/redisserver", "internal/tcpproxy",
			"bench/internal/chart", "bench/internal/process", "bench/internal/trial", "bench/internal/workload"}, Outside: []string{
			"github.com/twmb/franz-go", "github.com/twmb/franz-go/pkg/kadm", "github.com/redis/go-redis/v9", "github.com/ClickHouse/clickhouse-go/v2",
			"github.com/jedib0t/go-pretty/v6", "github.com/dustin/go-humanize", "github.com/vbauerster/mpb/v8", "golang.org/x/term",
		}},
		{Path: "test/chain"},
		{Path: "test/e2e"},
		{Path: "test/plan"},
		{Path: "test/security"},
		{Path: "internal/lint"},
		{Path: "internal/mutants"},
	}
}

// pureStd is the part of the standard library that reads no clock, does no I/O, starts
// nothing and gives the same answer on every machine. (package time is for its types:
// which of its functions are forbidden is in purity.go, and so are fmt's that print.)
func pureStd() []string {
	return []string{
		"bytes", "cmp", "container/heap", "container/list", "container/ring",
		"encoding", "encoding/base64", "encoding/binary", "encoding/hex", "encoding/json",
		"errors", "fmt", "hash", "hash/crc32", "hash/crc64", "hash/fnv",
		"iter", "maps", "math", "math/big", "math/bits", "math/cmplx",
		"regexp", "slices", "sort", "strconv", "strings", "time", "unicode", "unicode/utf16", "unicode/utf8", "unique",
	}
}

// roomOf returns the line of the table for a folder: the longest path that covers it.
func roomOf(rooms []Room, folder string) (Room, bool) {
	best, found := Room{}, false
	for _, room := range rooms {
		if covers(room.Path, folder) && len(room.Path) > len(best.Path) {
			best, found = room, true
		}
	}
	return best, found
}

// covers reports whether a path of the table stands for this folder.
func covers(pattern, folder string) bool {
	if parent, below := strings.CutSuffix(pattern, "/..."); below {
		return folder == parent || strings.HasPrefix(folder, parent+"/")
	}
	return folder == pattern
}

func coversAny(patterns []string, folder string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return covers(p, folder) })
}
