// Package clickhouse keeps the history in ClickHouse, where BI users query it: what was counted (cells), leaderboards
// (rankings) and what was not counted (dead letters). docs/clickhouse.md is for those who read it.
//
// # Order and repetition
//
// Every row is absolute and has a version: a cell the offset that it is as of, a list its revision. ReplacingMergeTree keeps the
// greatest, and views read with FINAL, so it does no harm to write again, to write in another order, or when merges stand still. An
// insert that the server has carried out and the writer takes for failed is written again, and folded.
//
// # What a server refuses
//
// Errors that pass are returned: what was to be written is to be written again. Rows that the server refuses for what they hold are looked for by halves,
// set aside in the table refused with the server's words, counted and logged; the others go in.
//
// # Roll-ups
//
// Refreshable views add up cells by hour, day, week, month and year. They take FINAL, since views that are triggered by inserts would count
// each version of a cell, and append whole periods anew where something has changed (derived/refresh.sql).
package clickhouse
