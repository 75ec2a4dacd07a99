package settings

import "time"

// Default returns the defaults. What has none must be set: kafka.bootstrap_servers, source.topic and boards.
func Default() Settings {
	return Settings{
		Name:       "millrank",
		Generation: 1,
		Kafka: Kafka{
			ClientID:         "millrank",
			SecurityProtocol: "PLAINTEXT",
			SessionTimeout:   Duration(45 * time.Second),
			IsolationLevel:   "read_committed",
			CompressionType:  "lz4",
			DeliveryTimeout:  Duration(30 * time.Second),
			RequestTimeout:   Duration(30 * time.Second),
		},
		Source: Source{
			Format: "json",
			Fields: Fields{
				EventID: []string{"event_id"}, Item: "item_id", Region: "region",
				Time: "timestamp", TimeFormat: "rfc3339", Value: "value", User: "user_id",
			},
			TimeMin:        Time3339(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)),
			TimeMax:        Time3339(time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)),
			RecordBytesMax: 1 << 20,
		},
		Time: Time{
			Pane:            Duration(time.Minute),
			OutOfOrderness:  Duration(5 * time.Second),
			AllowedLateness: Duration(30 * time.Second),
			MaxAhead:        Duration(time.Minute),
			IdleTimeout:     Duration(10 * time.Second),
			ReviseFor:       Duration(10 * time.Minute),
		},
		Dedup: Dedup{Horizon: Duration(2 * time.Minute), Segments: 8, Records: 8 << 20},
		Topics: Topics{
			Updates:     Topic{Partitions: 4},
			Rankings:    Topic{Partitions: 4},
			DeadLetters: DeadLetters{Partitions: 4, MaxMessageBytes: 2 << 20},
		},
		Redis:      Redis{Timeout: Duration(5 * time.Second)},
		ClickHouse: ClickHouse{Protocol: "native", Database: "millrank", Username: "default", Timeout: Duration(30 * time.Second), Migrate: true},
		Flush:      Flush{Updates: Duration(250 * time.Millisecond), Rankings: Duration(250 * time.Millisecond), Redis: Duration(250 * time.Millisecond), History: Duration(10 * time.Second)},
		Limits: Limits{
			BatchRecords: 8192, BatchBytes: 2 << 20, PendingCells: 1_000_000, PendingLists: 20_000,
			DeadLetterShare: 0.5, DeadLetterMin: 1000, DeadLetterPause: Duration(30 * time.Second),
		},
		HTTP:            HTTP{Address: ":8080"},
		Log:             Log{Level: "info", Format: "auto"},
		ShutdownTimeout: Duration(20 * time.Second),
	}
}

// DefaultBoard returns what a board is where the file doesn't say: all but its name and window.
func DefaultBoard() Board {
	return Board{Measure: "count", K: 100, Order: "top", By: []string{"global", "region"}}
}
