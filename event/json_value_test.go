package event

import (
	"strings"
	"testing"
)

func TestScaleDecimal(t *testing.T) {
	zeros := strings.Repeat("0", 1000)
	for _, test := range []struct {
		text   string
		scale  int
		want   int64
		reason Reason
	}{
		{"0", 0, 0, ""},
		{"-0", 9, 0, ""},
		{"0.000", 0, 0, ""},
		{"0e999999999999999999999999", 0, 0, ""},
		{"1", 0, 1, ""},
		{"1", 9, 1000000000, ""},
		{"12.34", 2, 1234, ""},
		{"-12.34", 2, -1234, ""},
		{"12.34", 3, 12340, ""},
		{"12.34", 1, 0, ValueTooPrecise},
		{"1.50", 1, 15, ""},
		{"1.05", 1, 0, ValueTooPrecise},
		{"1e3", 0, 1000, ""},
		{"1E+3", 0, 1000, ""},
		{"1000e-3", 0, 1, ""},
		{"1e-3", 3, 1, ""},
		{"1e-3", 2, 0, ValueTooPrecise},
		{"1.2345e4", 0, 12345, ""},
		{"0.1e1", 0, 1, ""},
		{"9007199254740992", 0, 1 << 53, ""},
		{"-9007199254740992", 0, -1 << 53, ""},
		{"9007199254740993", 0, 0, ValueInexact},
		{"-9007199254740993", 0, 0, ValueInexact},
		{"90071992547409.92", 2, 1 << 53, ""},
		{"90071992547409.93", 2, 0, ValueInexact},
		{"9007199.254740992", 9, 1 << 53, ""},
		{"9223372036854775808", 0, 0, ValueInexact},
		{"9223372036854775809", 0, 0, ValueOutOfRange},
		{"18446744073709551616", 0, 0, ValueOutOfRange}, // wraps to 0 in 64 bits
		{"18446744073709551617", 0, 0, ValueOutOfRange}, // wraps to 1
		{"9999999999999999999", 0, 0, ValueOutOfRange},
		{"1e19", 0, 0, ValueOutOfRange},
		{"1e400", 0, 0, ValueOutOfRange},
		{"-1e400", 0, 0, ValueOutOfRange},
		{"1e-400", 9, 0, ValueTooPrecise},
		{"1e99999999999999999999999", 0, 0, ValueOutOfRange},
		{"1e-99999999999999999999999", 9, 0, ValueTooPrecise},
		{"1" + zeros + "e-1000", 0, 1, ""},
		{"0." + zeros + "1e1001", 0, 1, ""},
		{"0." + zeros + "1e1000", 0, 0, ValueTooPrecise},
		{"7." + zeros, 0, 7, ""},
		{"1.00000000000000000000000000000000000001", 9, 0, ValueTooPrecise},
		{"12345678901234567890.5", 1, 0, ValueOutOfRange},
	} {
		got, reason := scaleDecimal([]byte(test.text), test.scale)
		if got != test.want || reason != test.reason {
			t.Errorf("%.40s at scale %d is %d %q, want %d %q", test.text, test.scale, got, reason, test.want, test.reason)
		}
	}
}

// An event without a value is worth 1, whatever the scale.
func TestJSONValueDefaultsToOne(t *testing.T) {
	for scale, want := range []int64{1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000, 1000000000} {
		c := newCodec(t, func(m *Mapping) { m.ValueScale = scale })
		for _, value := range []string{"", "null", "1", "1.0", "10e-1"} {
			var e Event
			if err := c.Decode([]byte(with("value", value)), &e); err != nil || e.Value != want {
				t.Errorf("value %q at scale %d is %d, %v; want %d", value, scale, e.Value, err, want)
			}
		}
	}
	unmapped := newCodec(t, func(m *Mapping) { m.Value, m.ValueScale = "", 2 })
	var e Event
	if err := unmapped.Decode([]byte(with("value", `"ignored"`)), &e); err != nil || e.Value != 100 {
		t.Errorf("value %d, %v; want 100", e.Value, err)
	}
}
