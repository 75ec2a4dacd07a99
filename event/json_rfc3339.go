package event

const (
	millisPerSecond = 1000
	millisPerMinute = 60 * millisPerSecond
	millisPerHour   = 60 * millisPerMinute
	millisPerDay    = 24 * millisPerHour
)

// parseRFC3339 returns a time in Unix milliseconds, rounded down; see RFC3339 for what
// it accepts. time.Parse takes twice as long, and takes more than RFC 3339 allows.
func parseRFC3339(b []byte) (ms int64, ok bool) {
	if len(b) < len("2006-01-02T15:04:05Z") {
		return 0, false
	}
	if b[4] != '-' || b[7] != '-' || b[10]|0x20 != 't' || b[13] != ':' || b[16] != ':' {
		return 0, false
	}
	year, month, day := 100*twoDigits(b[0:])+twoDigits(b[2:]), twoDigits(b[5:]), twoDigits(b[8:])
	hour, minute, second := twoDigits(b[11:]), twoDigits(b[14:]), twoDigits(b[17:])
	if year > 9999 || month < 1 || month > 12 || day < 1 || day > daysIn(year, month) || hour > 23 || minute > 59 || second > 60 {
		return 0, false
	}
	b = b[len("2006-01-02T15:04:05"):]
	var fraction int64
	if b[0] == '.' {
		if fraction, b, ok = cutFraction(b); !ok {
			return 0, false
		}
	}
	offset, ok := parseOffset(b)
	if !ok {
		return 0, false
	}
	ms = daysSinceEpoch(year, month, day)*millisPerDay + hour*millisPerHour + minute*millisPerMinute - offset
	if second < 60 {
		return ms + second*millisPerSecond + fraction, true
	}
	// A leap second ends a UTC day. Which days had one is not checked: it takes a table that grows.
	ms += millisPerMinute
	return ms - 1, ms%millisPerDay == 0
}

// cutFraction reads ".123..." at the start of b and returns its milliseconds, rounded
// down, and the rest, which is not empty.
func cutFraction(b []byte) (ms int64, rest []byte, ok bool) {
	n := skipDigits(b, 1)
	if n == 1 || n == len(b) {
		return 0, nil, false
	}
	for i := 1; i <= 3; i++ {
		ms *= 10
		if i < n {
			ms += int64(b[i] - '0')
		}
	}
	return ms, b[n:], true
}

// parseOffset reads "Z", "+02:00" or "-05:30" and returns its milliseconds east of UTC.
func parseOffset(b []byte) (ms int64, ok bool) {
	if len(b) == 1 {
		return 0, b[0]|0x20 == 'z'
	}
	if len(b) != len("+02:00") || b[0] != '+' && b[0] != '-' || b[3] != ':' {
		return 0, false
	}
	hour, minute := twoDigits(b[1:]), twoDigits(b[4:])
	if hour > 23 || minute > 59 {
		return 0, false
	}
	ms = hour*millisPerHour + minute*millisPerMinute
	if b[0] == '-' {
		ms = -ms
	}
	return ms, true
}

// twoDigits returns the number that b starts with, or one too great for every use.
func twoDigits(b []byte) int64 {
	tens, ones := b[0]-'0', b[1]-'0'
	if tens > 9 || ones > 9 {
		return 1 << 20
	}
	return int64(tens)*10 + int64(ones)
}

// daysSinceEpoch returns the days from 1970-01-01 to a date, in years 0 to 9999. The year
// begins in March here, so that the leap day is its last one; the month lengths from
// then on follow the line (153m+2)/5. After Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
func daysSinceEpoch(year, month, day int64) int64 {
	if month <= 2 {
		year, month = year-1, month+12
	}
	year += 400 // keeps the divisions below free of negative numbers; 400 years have 146097 days
	return 365*year + year/4 - year/100 + year/400 + (153*(month-3)+2)/5 + day - 1 - 719468 - 146097
}

func daysIn(year, month int64) int64 {
	switch month {
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	}
	return 31
}
