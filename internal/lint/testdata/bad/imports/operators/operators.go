// Package operators knows Watermill and a driver.
package operators

import (
	"C" // want "operators must not import C"

	"github.com/ClickHouse/clickhouse-go/v2"     // want "must not import github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ThreeDotsLabs/watermill/message" // want "must not import github.com/ThreeDotsLabs/watermill/message"
	"github.com/millrank/millrank/event"
	"github.com/millrank/millrank/pipeline" // want "must not import pipeline; of this module it may import watermark, event"
	"github.com/millrank/millrank/watermark"
	redis "github.com/redis/go-redis/v9" // want "must not import github.com/redis/go-redis/v9"
)
