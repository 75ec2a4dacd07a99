package event

import (
	"strings"
	"testing"
)

// Dead letters' errors go to logs and metrics: they must not carry the record there.
func TestMalformedErrorsQuoteLittle(t *testing.T) {
	long := strings.Repeat("x", 2000)
	for _, record := range []string{
		with("item_id", `"`+long+`"`), with("item_id", `"`+long), with("timestamp", `"`+long+`"`), with("value", `"`+long+`"`),
		with("value", strings.ReplaceAll(long, "x", "7")), with("region", `"`+long+`\ud800"`), long, good + long,
	} {
		var e Event
		err := newCodec(t, nil).Decode([]byte(record), &e)
		if err == nil {
			t.Fatalf("accepted %.40s", record)
		}
		if strings.Contains(err.Error(), long[:40]) || strings.Contains(err.Error(), strings.Repeat("7", 40)) {
			t.Errorf("%v", err)
		}
	}
}

func TestQuote(t *testing.T) {
	for input, want := range map[string]string{
		"": `""`, "a\"\n\xff": `"a\"\n\xff"`, strings.Repeat("x", 32): `"` + strings.Repeat("x", 32) + `"`,
		strings.Repeat("x", 33): `"` + strings.Repeat("x", 32) + `"...`,
	} {
		if got := quote([]byte(input)); got != want {
			t.Errorf("%q is quoted %s, want %s", input, got, want)
		}
	}
}
