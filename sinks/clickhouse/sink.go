package clickhouse

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// Sink writes one stream's history to one ClickHouse. It is safe for concurrent use.
type Sink struct {
	config Config
	conn   clickhouse.Conn
	counts counts
}

// New returns the sink for these settings. It doesn't connect. An error says all that is wrong with the settings.
func New(config Config) (*Sink, error) {
	if err := config.Validate(); err != nil {
		return nil, fmt.Errorf("ClickHouse sink: %w", err)
	}
	config = config.withDefaults()
	options := config.Options
	if options == nil {
		var err error
		if options, err = clickhouse.ParseDSN(config.URL); err != nil {
			return nil, fmt.Errorf("ClickHouse sink: URL: %w", err)
		}
	}
	own := *options
	own.Auth.Database = "" // statements name it; Migrate makes it
	conn, err := clickhouse.Open(&own)
	if err != nil {
		return nil, fmt.Errorf("ClickHouse sink: %w", err)
	}
	return &Sink{config: config, conn: conn}, nil
}

// Close closes the connections.
func (s *Sink) Close() error { return s.conn.Close() }

// Ping returns nil if the server answers.
func (s *Sink) Ping(ctx context.Context) error {
	ctx, cancel := s.limited(ctx)
	defer cancel()
	return explain(s.conn.Ping(ctx))
}

// limited bounds a statement by Timeout.
func (s *Sink) limited(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, s.config.Timeout)
}

// exec carries a statement out within Timeout.
func (s *Sink) exec(ctx context.Context, statement string, args ...any) error {
	ctx, cancel := s.limited(ctx)
	defer cancel()
	return s.conn.Exec(ctx, statement, args...)
}

// Stats counts what a Sink has done since it was made. Rows that were written again count again.
type Stats struct {
	Inserts  int64 // that were acknowledged
	Failed   int64 // inserts that the server, or the way to it, failed
	Narrowed int64 // inserts of a part of the rows, after the server had refused all together
	Bytes    int64 // of rows in acknowledged inserts, as BatchBytes counts them
	Cells    int64 // rows acknowledged
	Lists    int64 // rows acknowledged
	Letters  int64 // rows acknowledged
	Refused  int64 // rows that the server refused for what they hold, set aside in the table refused
}

// counts is Stats, as it is counted.
type counts struct {
	inserts, failed, narrowed, bytes, cells, lists, letters, refused atomic.Int64
}

// Stats returns the counts.
func (s *Sink) Stats() Stats {
	c := &s.counts
	return Stats{
		Inserts: c.inserts.Load(), Failed: c.failed.Load(), Narrowed: c.narrowed.Load(), Bytes: c.bytes.Load(),
		Cells: c.cells.Load(), Lists: c.lists.Load(), Letters: c.letters.Load(), Refused: c.refused.Load(),
	}
}
