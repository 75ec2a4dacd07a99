-- What BI users read: the active generation of each source, newest versions only.
CREATE OR REPLACE VIEW {{.Name "active_generations"}} {{.OnCluster}}
(
    source     LowCardinality(String) COMMENT 'The stream: cluster/topic',
    generation UInt32 COMMENT 'Its active generation, which the other views show',
    epoch      Int64 COMMENT 'Which activation that was'
)
AS SELECT source, argMax(a.generation, (a.epoch, a.generation)) AS generation, max(a.epoch) AS epoch
FROM {{.Name "activations"}} AS a GROUP BY source
COMMENT 'The active generation of each source.';

CREATE OR REPLACE VIEW {{.Name "item_counts"}} {{.OnCluster}}
(
    source      LowCardinality(String) COMMENT 'The stream that was counted: cluster/topic',
    pane_start  DateTime64(3, 'UTC') COMMENT 'Start of the pane, the smallest slice of event time; it belongs to the pane',
    pane_end    DateTime64(3, 'UTC') COMMENT 'End of the pane; it does not belong to it',
    region      LowCardinality(String) COMMENT 'The region; empty where events have none',
    dimensions  Map(String, String) COMMENT 'Values of the further dimensions, by name',
    item_id     String COMMENT 'The item',
    {{template "measures"}}
)
AS SELECT source, pane_start, any(c.pane_end) AS pane_end, region, dimensions, item_id,
    {{template "measured" "c.sum NOT IN (-9223372036854775808, 9223372036854775807)"}}
FROM {{.Name "cells"}} AS c FINAL
WHERE (source, generation) IN (SELECT source, generation FROM {{.Name "active_generations"}})
GROUP BY source, pane_start, region, dimensions, item_id
SETTINGS do_not_merge_across_partitions_select_final = 1
COMMENT 'Events by pane, region, dimensions and item, of the active generation, all source partitions together.';

CREATE OR REPLACE VIEW {{.Name "top_k"}} {{.OnCluster}}
(
    source       LowCardinality(String) COMMENT 'The stream that was ranked: cluster/topic',
    board        LowCardinality(String) COMMENT 'Name of the leaderboard',
    grouped_by   LowCardinality(String) COMMENT 'Dimensions that the list is within, joined by commas; global for a list of all events',
    window_start DateTime64(3, 'UTC') COMMENT 'Start of the window; it belongs to the window',
    window_end   DateTime64(3, 'UTC') COMMENT 'End of the window; it does not belong to it',
    region       LowCardinality(String) COMMENT 'The region, where grouped_by has it',
    dimensions   Map(String, String) COMMENT 'Values of the other dimensions in grouped_by, by name',
    rank         UInt32 COMMENT 'Place in the list: 1 is the best',
    item_id      String COMMENT 'The item',
    score        Float64 COMMENT 'What the board measures',
    final        Bool COMMENT 'The window has closed; a later revision can still correct the list',
    exact        Bool COMMENT 'False once a sum has run over, or items found no room',
    max_error    Float64 COMMENT 'By how much the score can be wrong at most, where not exact; inf where that is not known',
    revision     Int64 COMMENT 'Rankings offset that the list is as of; it grows'
)
AS SELECT source, board, grouped_by, window_start, window_end, region, dimensions, rank, item_id, score, final, exact, max_error, revision
FROM {{.Name "rankings"}} FINAL
ARRAY JOIN items AS item_id, scores AS score, arrayEnumerate(items) AS rank
WHERE (source, generation) IN (SELECT source, generation FROM {{.Name "active_generations"}})
SETTINGS do_not_merge_across_partitions_select_final = 1
COMMENT 'Leaderboards of the active generation, a row for each entry, newest revision only.';

CREATE OR REPLACE VIEW {{.Name "lists"}} {{.OnCluster}}
(
    source       LowCardinality(String) COMMENT 'The stream that was ranked: cluster/topic',
    board        LowCardinality(String) COMMENT 'Name of the leaderboard',
    grouped_by   LowCardinality(String) COMMENT 'Dimensions that the list is within, joined by commas; global for a list of all events',
    window_start DateTime64(3, 'UTC') COMMENT 'Start of the window; it belongs to the window',
    window_end   DateTime64(3, 'UTC') COMMENT 'End of the window; it does not belong to it',
    region       LowCardinality(String) COMMENT 'The region, where grouped_by has it',
    dimensions   Map(String, String) COMMENT 'Values of the other dimensions in grouped_by, by name',
    entries      UInt32 COMMENT 'How many items it lists; 0 for an empty list',
    final        Bool COMMENT 'The window has closed; a later revision can still correct the list',
    exact        Bool COMMENT 'False once a sum has run over, or items found no room',
    max_error    Float64 COMMENT 'By how much a score can be wrong at most, where not exact; inf where that is not known',
    duplicates   Int64 COMMENT 'Events dropped as duplicates in the group and window',
    revision     Int64 COMMENT 'Rankings offset that the list is as of; it grows',
    watermark    Nullable(DateTime64(3, 'UTC')) COMMENT 'Closing watermark when it was written',
    written_at   DateTime('UTC') COMMENT 'When it was written, by the server''s clock'
)
AS SELECT source, board, grouped_by, window_start, window_end, region, dimensions, toUInt32(length(items)) AS entries,
    final, exact, max_error, duplicates, revision, watermark, written_at
FROM {{.Name "rankings"}} FINAL
WHERE (source, generation) IN (SELECT source, generation FROM {{.Name "active_generations"}})
SETTINGS do_not_merge_across_partitions_select_final = 1
COMMENT 'Leaderboards of the active generation, a row for each list, also for empty ones, newest revision only.';

CREATE OR REPLACE VIEW {{.Name "late_counts"}} {{.OnCluster}}
(
    source          LowCardinality(String) COMMENT 'The stream: cluster/topic',
    pane_start      DateTime64(3, 'UTC') COMMENT 'Pane that the events would have counted in',
    region          LowCardinality(String) COMMENT 'The region; empty where events have none',
    dimensions      Map(String, String) COMMENT 'Values of the further dimensions, by name',
    item_id         String COMMENT 'The item',
    late            UInt64 COMMENT 'Events that came too late to be counted',
    lateness_ms_max Nullable(Int64) COMMENT 'How long after the end of the pane the latest came, in watermark time, milliseconds'
)
AS SELECT source, assumeNotNull(d.pane_start) AS pane_start, region, dimensions, item_id, count() AS late, max(lateness_ms) AS lateness_ms_max
FROM {{.Name "dead_letters"}} AS d FINAL
WHERE reason = 'late' AND isNotNull(d.pane_start) AND (source, generation) IN (SELECT source, generation FROM {{.Name "active_generations"}})
GROUP BY source, pane_start, region, dimensions, item_id
SETTINGS do_not_merge_across_partitions_select_final = 1
COMMENT 'Events that came too late to be counted, by pane, region, dimensions and item, of the active generation.';

CREATE OR REPLACE VIEW {{.Name "dead_letter_counts"}} {{.OnCluster}}
(
    source LowCardinality(String) COMMENT 'The stream: cluster/topic',
    hour   DateTime('UTC') COMMENT 'Hour of the records'' timestamps',
    reason LowCardinality(String) COMMENT 'malformed, future or late',
    events UInt64 COMMENT 'Records that were not counted for this reason'
)
AS SELECT source, toStartOfHour(recorded_at) AS hour, reason, count() AS events
FROM {{.Name "dead_letters"}} FINAL
WHERE (source, generation) IN (SELECT source, generation FROM {{.Name "active_generations"}})
GROUP BY source, hour, reason
SETTINGS do_not_merge_across_partitions_select_final = 1
COMMENT 'Records that were not counted, by hour and reason, of the active generation.';
{{range .Periods}}
CREATE OR REPLACE VIEW {{$.Name .View}} {{$.OnCluster}}
(
    source      LowCardinality(String) COMMENT 'The stream that was counted: cluster/topic',
    {{.Column}} {{.Type}} COMMENT '{{.Comment}}',
    region      LowCardinality(String) COMMENT 'The region; empty where events have none',
    dimensions  Map(String, String) COMMENT 'Values of the further dimensions, by name',
    item_id     String COMMENT 'The item',
    {{template "measures"}}
)
AS SELECT source, {{.Column}}, region, dimensions, item_id,
    {{template "unmeasured"}}
FROM {{$.Name .Table}} AS c FINAL
WHERE (source, generation) IN (SELECT source, generation FROM {{$.Name "active_generations"}})
SETTINGS do_not_merge_across_partitions_select_final = 1
COMMENT 'Events by {{.Column}}, region, dimensions and item, of the active generation, as of the last refresh.';

CREATE OR REPLACE VIEW {{$.Name .LiveView}} {{$.OnCluster}}
(
    source      LowCardinality(String) COMMENT 'The stream that was counted: cluster/topic',
    {{.Column}} {{.Type}} COMMENT '{{.Comment}}',
    region      LowCardinality(String) COMMENT 'The region; empty where events have none',
    dimensions  Map(String, String) COMMENT 'Values of the further dimensions, by name',
    item_id     String COMMENT 'The item',
    {{template "measures"}}
)
AS SELECT source, {{.FromPane}} AS {{.Column}}, region, dimensions, item_id,
    {{template "measured" "c.sum NOT IN (-9223372036854775808, 9223372036854775807)"}}
FROM {{$.Name "cells"}} AS c FINAL
WHERE (source, generation) IN (SELECT source, generation FROM {{$.Name "active_generations"}})
GROUP BY source, {{.Column}}, region, dimensions, item_id
SETTINGS do_not_merge_across_partitions_select_final = 1
COMMENT 'The same as {{.View}}, added up from the cells as it is read: up to date, and slower.';
{{end}}
