-- The least rights that Millrank needs in ClickHouse, for the database millrank (clickhouse.database). Give the users passwords of your own, or certificates.

-- 'millrank migrate' makes the schema: an administrator's one-shot.
CREATE USER IF NOT EXISTS millrank_migrate IDENTIFIED WITH sha256_password BY 'PASSWORD';
GRANT CREATE DATABASE, CREATE TABLE, CREATE VIEW, ALTER, DROP TABLE, DROP VIEW, SELECT, INSERT, SYSTEM VIEWS ON millrank.* TO millrank_migrate;
GRANT SELECT ON system.view_refreshes TO millrank_migrate;
-- In a cluster also:
-- GRANT CLUSTER ON *.* TO millrank_migrate;
-- GRANT SELECT ON system.clusters TO millrank_migrate;

-- 'millrank run' with clickhouse.migrate: false writes rows, and looks what was applied and which generation is active.
CREATE USER IF NOT EXISTS millrank IDENTIFIED WITH sha256_password BY 'PASSWORD';
GRANT SELECT, INSERT ON millrank.* TO millrank;

-- An operator: 'millrank activate', 'drop', 'top' and 'status --from clickhouse'.
CREATE USER IF NOT EXISTS millrank_operator IDENTIFIED WITH sha256_password BY 'PASSWORD';
GRANT SELECT ON millrank.* TO millrank_operator;
GRANT INSERT ON millrank.activations TO millrank_operator;
GRANT ALTER DELETE, SYSTEM VIEWS ON millrank.* TO millrank_operator;

-- Whoever asks: the views, and the tables beneath them.
CREATE USER IF NOT EXISTS millrank_reader IDENTIFIED WITH sha256_password BY 'PASSWORD';
GRANT SELECT ON millrank.* TO millrank_reader;
