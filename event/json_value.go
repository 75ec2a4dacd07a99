package event

// valueMax is the greatest value after scaling, either way: up to here a float64, which
// a score is, holds every integer.
const valueMax = 1 << 53

// valueField is the mapped field of the value.
type valueField struct {
	field
	scale int
	unset int64 // the value of an event that has none: 1, scaled
}

func newValueField(f field, scale int) valueField {
	return valueField{field: f, scale: scale, unset: int64(powersOf10[scale])}
}

func (f *valueField) decode(record []byte, t token) (int64, error) {
	switch t.kind {
	case integer, decimal:
	case absent, null:
		return f.unset, nil
	default:
		return 0, f.wrongType(record, t, "a number is due")
	}
	text := record[t.from:t.to]
	n, reason := scaleDecimal(text, f.scale)
	switch reason {
	case ValueTooPrecise:
		return 0, malformed(reason, f.path, "%s has more decimals than value_scale = %d keeps; raise value_scale or round it", quote(text), f.scale)
	case ValueInexact:
		return 0, malformed(reason, f.path, "%s at value_scale = %d is beyond 2^53, where scores are not exact; send less at once or lower value_scale", quote(text), f.scale)
	case ValueOutOfRange:
		return 0, malformed(reason, f.path, "%s at value_scale = %d is beyond 64 bits; no event is worth that much", quote(text), f.scale)
	}
	return n, nil
}

var powersOf10 = [...]uint64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19}

// scaleDecimal returns a JSON number times 10^scale, if that is an integer within
// valueMax, or why not. It is exact: no float is near.
//
// The number is digits·10^power, where digits neither starts nor ends with 0; so it is
// an integer just when power >= 0, and beyond 64 bits when digits and power together
// are longer than 19.
func scaleDecimal(text []byte, scale int) (int64, Reason) {
	i, negative := 0, text[0] == '-'
	if negative {
		i++
	}
	var digits uint64 // without trailing zeros; void when count > 19
	count, zeros := 0, 0
	power, point := int64(scale), false
	for ; i < len(text) && text[i]|0x20 != 'e'; i++ {
		c := text[i]
		if c == '.' {
			point = true
			continue
		}
		if point {
			power--
		}
		if c == '0' {
			zeros++
			continue
		}
		if count > 0 {
			if count += zeros; count < len(powersOf10) {
				digits *= powersOf10[zeros]
			}
		}
		digits = digits*10 + uint64(c-'0')
		count, zeros = count+1, 0
	}
	if count == 0 {
		return 0, ""
	}
	if i < len(text) {
		power += exponent(text[i+1:])
	}
	power += int64(zeros)
	switch {
	case power < 0:
		return 0, ValueTooPrecise
	case int64(count)+power > 19:
		return 0, ValueOutOfRange
	}
	digits *= powersOf10[power]
	switch {
	case digits > 1<<63:
		return 0, ValueOutOfRange
	case digits > valueMax:
		return 0, ValueInexact
	case negative:
		return -int64(digits), ""
	}
	return int64(digits), ""
}

// exponent returns the number behind an e, or one of its sign that no record has the
// digits to make up for.
func exponent(text []byte) int64 {
	negative := text[0] == '-'
	if negative || text[0] == '+' {
		text = text[1:]
	}
	var n int64
	for _, c := range text {
		if n < recordBytesTop<<10 {
			n = n*10 + int64(c-'0')
		}
	}
	if negative {
		return -n
	}
	return n
}
