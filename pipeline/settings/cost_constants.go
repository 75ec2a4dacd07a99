package settings

import "time"

// What the model knows by measurement. `go test -tags e2e -count=1 ./test/plan -v` runs the built program at two sizes, prints what each of these comes to, and fails where what
// the model says is off by more than a quarter; where another command measures a constant better, it stands with it. Processor time is that of
// one core of a shared virtual machine (AMD EPYC), where the same command prints it for yours.
const (
	// replayPerSecond is how many records a restart reads again in a second: make bench-intake.
	replayPerSecond = 1e6

	// Memory of what is held, by handler. idBytes: go test ./operators -run '^$' -bench Fold; rankCellBytes and rankTotalBytes: -bench Rank.
	idBytes        = 38  // an event ID
	openCellBytes  = 100 // a cell of an open pane, without its item
	rankCellBytes  = 36  // a cell in its pane, in rank
	rankTotalBytes = 36  // what it adds up to in a window
	rankNameBytes  = 30  // an item's name, without its bytes
	rankGoingBytes = 110 // more for each cell, while limits.rank_items lets cells go
	entryBytes     = 50  // an entry of a list that is merged
	listBytes      = 500 // ... and the list
	leaderBytes    = 16  // an entry of a shard's list, of which there are up to 2 K
	pendingBytes   = 850 // a row that waits for ClickHouse, or is on its way there, without its item
	listsOnTheWay  = 3   // a list that is merged is held once for each shard, once merged, and so often on its way in and out

	// What a handler holds without data, such as batches that are read ahead.
	intakeBytes  = 18 << 20
	hopBytes     = 3 << 20 // rank, leaderboard
	historyBytes = 10 << 20

	// Memory of a process: what it takes besides all that, and how much the collector lets data grow (GOGC=100).
	processBytes = 48 << 20
	heapGrowth   = 2.2

	// Kafka, on disk and on the wire, with lz4.
	updateBytes       = 5.0   // a cell in an update, without its item
	updateItemShare   = 0.7   // of an item's bytes that are left
	messageBytes      = 190.0 // a message of updates or rankings, without what it holds
	rankingListBytes  = 40.0  // a list in rankings, without its entries
	rankingEntryBytes = 5.0   // an entry, without its item
	rankingItemShare  = 0.45  // of an item's bytes that are left. An item that is in many lists of a message is there once, so it can be less
	deadLetterBytes   = 400.0 // a dead letter, besides the record that it holds

	// Redis 7, with INFO memory.
	redisListBytes  = 650
	redisShortBytes = 11 // a member of a list of up to redisShort, besides its item
	redisLongBytes  = 110
	redisShort      = 128
	redisEntrySent  = 30.0 // bytes of a member on its way

	// ClickHouse, merged: go test ./sinks/clickhouse -run '^$' -bench .
	cellRowBytes    = 8.6
	rollupRowBytes  = 7.2
	listRowBytes    = 60.0
	listEntryBytes  = 1.5
	listItemShare   = 0.15
	letterRowBytes  = 25.0
	tablesBytes     = 770_000.0 // of all tables, however few rows there are
	insertedRowSent = 60.0      // bytes of a row on its way

	// Processor time, in millionths of a second. Of intake and rank, make bench says what they come to together for an event (2.0, when it reads as fast as it can).
	intakeEventCPU   = 1.6  // an event
	intakeUpdateCPU  = 0.4  // a cell that it sends
	rankUpdateCPU    = 2.0  // a cell that rank takes in
	rankEntryCPU     = 0.15 // an entry of a list that it sends
	boardEntryCPU    = 1.0  // an entry of a shard's list, merged and written
	historyUpdateCPU = 0.5  // a cell, or an entry of a list, that history reads
	historyRowCPU    = 1.0  // a row that it writes
	messageCPU       = 40.0 // a message sent or received
	readingCPU       = 8000 // a second of a partition that is read as it fills
)

// What is not measured, but chosen.
const (
	partitionEvents  = 25_000     // events a second of a source partition: a fold takes some 20 times as many, so that a backlog of an hour is read in minutes
	shardCells       = 20_000_000 // cells of a shard: what a restart must read again, and what moves at a rebalance
	shardCores       = 0.5        // cores of a shard
	partitionsAtOnce = 8          // partitions are suggested in multiples of so many
	shardsAtOnce     = 4
	shardRowsMax     = 250_000 // rows of a shard that wait for ClickHouse, at the most: handlers.DefaultCellsConfig
	processorsUsed   = 0.6     // of the cores, at the peak; the rest is for catching up
	memoryUsed       = 0.8     // of the memory
	secondsOfDay     = 86_400.0
	runningDefault   = 365 * 24 * time.Hour
	brokersRetention = 7 * day // Kafka's default
)
