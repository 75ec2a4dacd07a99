package bound

// seen is what the job needs of an event. It points into the record.
type seen struct {
	id, item, region []byte
	milli, count     int64
}

// scan reads one flat JSON object: fields in any order, spaces allowed, no escapes in texts. It is as little as can be read of an event, so
// that the bound is one.
func scan(b []byte) (e seen, ok bool) {
	i, n := 0, len(b)
	for i < n && b[i] != '{' {
		i++
	}
	i++
	for i < n {
		for i < n && (b[i] == ' ' || b[i] == ',') {
			i++
		}
		if i >= n || b[i] == '}' {
			return e, i < n
		}
		if b[i] != '"' {
			return e, false
		}
		i++
		from := i
		for i < n && b[i] != '"' {
			i++
		}
		name := b[from:min(i, n)]
		i++
		for i < n && (b[i] == ' ' || b[i] == ':') {
			i++
		}
		if i >= n {
			return e, false
		}
		if b[i] == '"' {
			i++
			from = i
			for i < n && b[i] != '"' {
				if b[i] == '\\' {
					return e, false
				}
				i++
			}
			e.text(name, b[from:min(i, n)])
			i++
			continue
		}
		from = i
		for i < n && (b[i] >= '0' && b[i] <= '9' || b[i] == '-') {
			i++
		}
		if i == from {
			return e, false
		}
		e.number(name, b[from:i])
	}
	return e, false
}

func (e *seen) text(name, value []byte) {
	switch string(name) {
	case "event_id":
		e.id = value
	case "item_id":
		e.item = value
	case "region":
		e.region = value
	}
}

func (e *seen) number(name, digits []byte) {
	var x int64
	negative := false
	for _, d := range digits {
		if d == '-' {
			negative = true
			continue
		}
		x = x*10 + int64(d-'0')
	}
	if negative {
		x = -x
	}
	switch string(name) {
	case "ts":
		e.milli = x
	case "count":
		e.count = x
	}
}
