-- What fills the roll-ups. A refresh takes the periods of which a finer row was written since the last one that succeeded began, less an
-- overlap for inserts that were under way then, and appends those periods anew, from FINAL. So late corrections come out right, interim
-- rows are not counted twice, and all generations are rolled up, so that activating one shows it at once. A refresh that fails or is cut
-- off is repeated as a whole; after a server's start the first one takes everything.
-- These views hold no rows: settings that change make them anew.
{{range .Periods}}
DROP VIEW IF EXISTS {{$.Name .Refresh}} {{$.OnCluster}} SYNC;

CREATE MATERIALIZED VIEW IF NOT EXISTS {{$.Name .Refresh}} {{$.OnCluster}}
REFRESH EVERY {{.Seconds}} SECOND {{with .After}}DEPENDS ON {{$.Name .}}{{end}} APPEND TO {{$.Name .Table}}
AS WITH (
    SELECT ifNull(max(last_success_time) - INTERVAL {{$.OverlapSeconds}} SECOND, toDateTime(0)) FROM system.view_refreshes
    WHERE database = {{$.DatabaseText}} AND view = '{{.Refresh}}'
) AS since,
changed AS (
    SELECT DISTINCT source, generation, {{.From}} AS period FROM {{$.Name .FromTable}} WHERE {{.FromWritten}} >= since
),
(SELECT min({{.FromColumn}}) FROM {{$.Name .FromTable}} WHERE {{.FromWritten}} >= since) AS earliest
SELECT source, generation, {{.From}} AS {{.Column}}, region, dimensions, item_id,
    sum(c.count) AS count, sum(toInt128(c.sum)) AS sum, min(c.min) AS min, max(c.max) AS max, sum(c.duplicates) AS duplicates,
    min({{.FromExact}}) AS exact, max(c.value_scale) AS value_scale, now64(3, 'UTC') AS refreshed_at
FROM {{$.Name .FromTable}} AS c FINAL
WHERE {{.FromColumn}} >= {{.Earliest}} AND (source, generation, {{.From}}) IN (SELECT source, generation, period FROM changed){{with .Kept}}
    AND {{.}}{{end}}
GROUP BY source, generation, {{.Column}}, region, dimensions, item_id
SETTINGS do_not_merge_across_partitions_select_final = 1, optimize_aggregation_in_order = 1
COMMENT 'Fills {{.Table}}; it holds no rows.';
{{end}}
