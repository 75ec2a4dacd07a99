-- The tables that are written. What each may hold of one thing twice is folded by ReplacingMergeTree: the greatest
-- version stays. PARTITION BY is an expression of a part of the order key, so that all versions of a row lie in one partition.
CREATE TABLE IF NOT EXISTS {{.Name "cells"}} {{.OnCluster}}
(
    source           LowCardinality(String) COMMENT 'The stream that was counted: cluster/topic',
    generation       UInt32 COMMENT 'The run over the source; views show the active one' CODEC(ZSTD(1)),
    pane_start       DateTime64(3, 'UTC') COMMENT 'Start of the pane, the smallest slice of event time; it belongs to the pane' CODEC(Delta, ZSTD(1)),
    pane_end         DateTime64(3, 'UTC') COMMENT 'End of the pane; it does not belong to it' CODEC(Delta, ZSTD(1)),
    region           LowCardinality(String) COMMENT 'The region; empty where events have none',
    dimensions       Map(String, String) COMMENT 'Values of the further dimensions, by name, in the order of the settings' CODEC(ZSTD(1)),
    item_id          String COMMENT 'The item' CODEC(ZSTD(1)),
    source_partition Int32 COMMENT 'The partition of the source that has counted; an item can have cells from several' CODEC(ZSTD(1)),
    count            Int64 COMMENT 'Events' CODEC(T64, ZSTD(1)),
    sum              Int64 COMMENT 'Sum of their values, in units of 10^-value_scale; at an end of Int64 it has run over' CODEC(T64, ZSTD(1)),
    min              Int64 COMMENT 'Least value, in the same units' CODEC(T64, ZSTD(1)),
    max              Int64 COMMENT 'Greatest value, in the same units' CODEC(T64, ZSTD(1)),
    duplicates       Int64 COMMENT 'Events dropped as duplicates while the pane was open' CODEC(T64, ZSTD(1)),
    value_scale      UInt8 COMMENT 'Decimal places of the values' CODEC(ZSTD(1)),
    as_of            Int64 COMMENT 'Offset in the source partition that the row stands for; of two versions the greater counts' CODEC(Delta, ZSTD(1)),
    written_at       DateTime('UTC') DEFAULT now() COMMENT 'When the row was written, by the server''s clock' CODEC(Delta, ZSTD(1)),
    INDEX written_at written_at TYPE minmax GRANULARITY 4
)
ENGINE = {{.Replacing "as_of"}}
PARTITION BY toYYYYMM(pane_start)
ORDER BY (source, generation, pane_start, region, dimensions, item_id, source_partition)
COMMENT 'What each source partition has counted, by pane, region, dimensions and item. Read it by the view item_counts, or with FINAL.';

CREATE TABLE IF NOT EXISTS {{.Name "rankings"}} {{.OnCluster}}
(
    source       LowCardinality(String) COMMENT 'The stream that was ranked: cluster/topic',
    generation   UInt32 COMMENT 'The run over the source; views show the active one' CODEC(ZSTD(1)),
    board        LowCardinality(String) COMMENT 'Name of the leaderboard',
    grouped_by   LowCardinality(String) COMMENT 'Dimensions that the list is within, joined by commas; global for a list of all events',
    window_start DateTime64(3, 'UTC') COMMENT 'Start of the window; it belongs to the window' CODEC(Delta, ZSTD(1)),
    window_end   DateTime64(3, 'UTC') COMMENT 'End of the window; it does not belong to it' CODEC(Delta, ZSTD(1)),
    region       LowCardinality(String) COMMENT 'The region, where grouped_by has it',
    dimensions   Map(String, String) COMMENT 'Values of the other dimensions in grouped_by, by name' CODEC(ZSTD(1)),
    revision     Int64 COMMENT 'Rankings offset that the list is as of; of two versions the greater counts' CODEC(Delta, ZSTD(1)),
    items        Array(String) COMMENT 'The items, best first; empty for an empty list' CODEC(ZSTD(1)),
    scores       Array(Float64) COMMENT 'Their scores' CODEC(ZSTD(1)),
    final        Bool COMMENT 'The window has closed; a later revision can still correct the list' CODEC(ZSTD(1)),
    exact        Bool COMMENT 'False once a sum has run over, or items found no room' CODEC(ZSTD(1)),
    max_error    Float64 COMMENT 'By how much a score can be wrong at most, where not exact; inf where that is not known' CODEC(ZSTD(1)),
    duplicates   Int64 COMMENT 'Events dropped as duplicates in the group and window' CODEC(T64, ZSTD(1)),
    watermark    Nullable(DateTime64(3, 'UTC')) COMMENT 'Closing watermark when it was written; NULL where there was none yet' CODEC(Delta, ZSTD(1)),
    written_at   DateTime('UTC') DEFAULT now() COMMENT 'When the row was written, by the server''s clock' CODEC(Delta, ZSTD(1))
)
ENGINE = {{.Replacing "revision"}}
PARTITION BY toYYYYMM(window_start)
ORDER BY (source, generation, board, grouped_by, window_start, region, dimensions)
COMMENT 'Leaderboards: a row is a whole list, so that nobody reads half of one. Read it by the views top_k and lists, or with FINAL.';

CREATE TABLE IF NOT EXISTS {{.Name "dead_letters"}} {{.OnCluster}}
(
    source           LowCardinality(String) COMMENT 'The stream: cluster/topic',
    generation       UInt32 COMMENT 'The run over the source that found it; views show the active one' CODEC(ZSTD(1)),
    topic            LowCardinality(String) COMMENT 'Topic of the record',
    source_partition Int32 COMMENT 'Partition of the record' CODEC(ZSTD(1)),
    source_offset    Int64 COMMENT 'Offset of the record: with topic and partition it is the record''s identity' CODEC(Delta, ZSTD(1)),
    recorded_at      DateTime64(3, 'UTC') COMMENT 'Timestamp of the record; 1970-01-01 where it has none' CODEC(Delta, ZSTD(1)),
    reason           LowCardinality(String) COMMENT 'malformed, future or late',
    error            String COMMENT 'What was wrong' CODEC(ZSTD(1)),
    event_time       Nullable(DateTime64(3, 'UTC')) COMMENT 'Time of the event, where known' CODEC(ZSTD(1)),
    watermark        Nullable(DateTime64(3, 'UTC')) COMMENT 'Watermark of the source partition, where there was one' CODEC(ZSTD(1)),
    pane_start       Nullable(DateTime64(3, 'UTC')) COMMENT 'Pane that a late event belongs to' CODEC(ZSTD(1)),
    lateness_ms      Nullable(Int64) COMMENT 'How long after the end of its pane a late event came, in watermark time, milliseconds' CODEC(ZSTD(1)),
    region           LowCardinality(String) COMMENT 'The region, where known',
    dimensions       Map(String, String) COMMENT 'Values of the further dimensions, by name, where known' CODEC(ZSTD(1)),
    item_id          String COMMENT 'The item, where known' CODEC(ZSTD(1)),
    written_at       DateTime('UTC') DEFAULT now() COMMENT 'When the row was written, by the server''s clock' CODEC(Delta, ZSTD(1))
)
ENGINE = {{.Replacing "written_at"}}
PARTITION BY toYYYYMM(recorded_at)
ORDER BY (source, generation, recorded_at, topic, source_partition, source_offset)
COMMENT 'Records that were not counted, and why, without their content. Read it by the views late_counts and dead_letter_counts, or with FINAL.';

CREATE TABLE IF NOT EXISTS {{.Name "activations"}} {{.OnCluster}}
(
    source       LowCardinality(String) COMMENT 'The stream: cluster/topic',
    epoch        Int64 COMMENT 'Which activation: the greatest of a source counts',
    generation   UInt32 COMMENT 'The run over the source that it made the active one',
    activated_at DateTime('UTC') DEFAULT now() COMMENT 'When it was written, by the server''s clock'
)
ENGINE = {{.Replacing "activated_at"}}
ORDER BY (source, epoch, generation)
COMMENT 'Which generation was made the active one of a source. Read it by the view active_generations.';

CREATE TABLE IF NOT EXISTS {{.Name "refused"}} {{.OnCluster}}
(
    source     LowCardinality(String) COMMENT 'The stream: cluster/topic',
    generation UInt32 COMMENT 'The run over the source',
    table      LowCardinality(String) COMMENT 'The table that the row is for',
    row_json   String COMMENT 'The row, as JSON by the names of columns, as JSONEachRow takes it' CODEC(ZSTD(1)),
    error      String COMMENT 'Why the server refused it, in its own words' CODEC(ZSTD(1)),
    refused_at DateTime('UTC') DEFAULT now() COMMENT 'When, by the server''s clock' CODEC(Delta, ZSTD(1))
)
ENGINE = {{.Replacing "refused_at"}}
ORDER BY (source, generation, table, row_json)
COMMENT 'Rows that the server refused for what they hold. Nothing else waits for them; once the cause is mended, insert them again.';
