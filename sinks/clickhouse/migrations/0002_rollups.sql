-- Roll-ups. Each level is filled from the finer one by a refresh (see derived/refresh.sql), which appends newer versions of the
-- rows that have changed.
{{range .Periods}}
CREATE TABLE IF NOT EXISTS {{$.Name .Table}} {{$.OnCluster}}
(
    source       LowCardinality(String) COMMENT 'The stream that was counted: cluster/topic',
    generation   UInt32 COMMENT 'The run over the source; views show the active one' CODEC(ZSTD(1)),
    {{.Column}} {{.Type}} COMMENT '{{.Comment}}' CODEC(Delta, ZSTD(1)),
    region       LowCardinality(String) COMMENT 'The region; empty where events have none',
    dimensions   Map(String, String) COMMENT 'Values of the further dimensions, by name' CODEC(ZSTD(1)),
    item_id      String COMMENT 'The item' CODEC(ZSTD(1)),
    count        Int64 COMMENT 'Events' CODEC(T64, ZSTD(1)),
    sum          Int128 COMMENT 'Sum of their values, in units of 10^-value_scale' CODEC(ZSTD(1)),
    min          Int64 COMMENT 'Least value, in the same units' CODEC(T64, ZSTD(1)),
    max          Int64 COMMENT 'Greatest value, in the same units' CODEC(T64, ZSTD(1)),
    duplicates   Int64 COMMENT 'Events dropped as duplicates' CODEC(T64, ZSTD(1)),
    exact        Bool COMMENT 'False if the sum of a cell has run over' CODEC(ZSTD(1)),
    value_scale  UInt8 COMMENT 'Decimal places of the values' CODEC(ZSTD(1)),
    refreshed_at DateTime64(3, 'UTC') COMMENT 'When the refresh began that made the row; of two versions the later counts' CODEC(Delta, ZSTD(1)),
    INDEX refreshed_at refreshed_at TYPE minmax GRANULARITY 4,
    INDEX item_id item_id TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = {{$.Replacing "refreshed_at"}}
PARTITION BY {{.Partition}}
ORDER BY (source, generation, {{.Column}}, region, dimensions, item_id)
COMMENT 'Cells, added up by {{.Column}}. Read it by the view {{.View}}, or with FINAL.';
{{end}}
