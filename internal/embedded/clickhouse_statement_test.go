package embedded

import (
	"strings"
	"testing"
)

func TestReadStatement(t *testing.T) {
	for _, c := range []struct {
		text string
		want statement
		data string // of an INSERT; its source is where | is
	}{
		{"", statement{}, ""},
		{" -- SELECT\n# x\n/* ; */ select 1", statement{verb: "SELECT"}, ""},
		{"SELECT 'FORMAT CSV; ', \"a;\", `b;`, '\\';', ''';' FORMAT TSV;  -- end", statement{verb: "SELECT", format: "TSV"}, ""},
		{"SELECT format('x'), (SELECT 1 FORMAT CSV)", statement{verb: "SELECT"}, ""},
		{"SELECT $x$ ; FORMAT CSV $x$; SELECT 2", statement{verb: "SELECT", second: true}, ""},
		{"SELECT 1 AS x, count() GROUP BY x WITH TOTALS", statement{verb: "SELECT", totals: true}, ""},
		{"SELECT 'never closed ; SELECT 1", statement{verb: "SELECT"}, ""},
		{"SELECT 1 /* never closed ; SELECT 1", statement{verb: "SELECT"}, ""},
		{"insert into t |format Native\n\n\x00;\n", statement{verb: "INSERT", format: "Native", insert: true}, "\n\x00;\n"},
		{"INSERT INTO a.format (b, `values`) |SETTINGS x = 1, y = 'FORMAT z' FORMAT CSV \r\n 1", statement{verb: "INSERT", format: "CSV", insert: true}, " 1"},
		{"INSERT INTO TABLE values (a) |VALUES (1, ';'), (2)", statement{verb: "INSERT", format: "Values", insert: true}, "(1, ';'), (2)"},
		{"INSERT INTO t |VALUES", statement{verb: "INSERT", format: "Values", insert: true}, ""},
		{"INSERT INTO t SELECT * FROM u FORMAT Null", statement{verb: "INSERT", format: "Null"}, ""},
		{"INSERT INTO t SETTINGS a = 1 SELECT 1; SELECT 2", statement{verb: "INSERT", second: true}, ""},
	} {
		source := strings.Index(c.text, "|")
		text := strings.Replace(c.text, "|", "", 1)
		got := readStatement([]byte(text))
		if got.insert && (got.source != source || text[got.data:] != c.data) {
			t.Errorf("%q: the source is at %d, want %d; the data are %q, want %q", c.text, got.source, source, text[got.data:], c.data)
		}
		got.source, got.data = 0, 0
		if got != c.want {
			t.Errorf("%q: %+v, want %+v", c.text, got, c.want)
		}
	}
}

// FuzzReadStatement: any text is read to its end.
func FuzzReadStatement(f *testing.F) {
	for _, text := range []string{"INSERT INTO t FORMAT CSV\n1", "SELECT '\\", "$$$", "/*", "SELECT $a$ $a", "--"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if s := readStatement(text); s.insert && (s.source <= 0 || s.source > s.data || s.data > len(text)) {
			t.Errorf("%q: %+v", text, s)
		}
	})
}
