{{define "measures"}}events      Int64 COMMENT 'Events',
    value_sum   Float64 COMMENT 'Sum of their values',
    value_min   Float64 COMMENT 'Least value',
    value_max   Float64 COMMENT 'Greatest value',
    duplicates  Int64 COMMENT 'Events dropped as duplicates',
    exact       Bool COMMENT 'False if a sum has run over, so that value_sum is wrong'{{end}}
{{define "measured"}}sum(c.count) AS events, toFloat64(sum(toInt128(c.sum))) / intExp10(max(c.value_scale)) AS value_sum,
    min(c.min) / intExp10(max(c.value_scale)) AS value_min, max(c.max) / intExp10(max(c.value_scale)) AS value_max,
    sum(c.duplicates) AS duplicates, min({{.}}) AS exact{{end}}
{{define "unmeasured"}}c.count AS events, toFloat64(c.sum) / intExp10(c.value_scale) AS value_sum,
    c.min / intExp10(c.value_scale) AS value_min, c.max / intExp10(c.value_scale) AS value_max,
    c.duplicates AS duplicates, c.exact AS exact{{end}}
