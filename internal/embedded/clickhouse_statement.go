package embedded

import (
	"bytes"
	"strings"
)

// statement is what the server must know of a statement's text. The engine does the rest.
type statement struct {
	verb   string // its first word, in capitals
	format string // what its FORMAT clause says; "" if it has none
	totals bool   // WITH TOTALS, which only come with a whole answer
	second bool   // there is another statement behind it
	insert bool   // it is an INSERT with data behind it, in that format
	source int    // where an INSERT may say where its data are
	data   int    // where they begin
}

// readStatement reads a statement's words, without strings, comments and the data of an INSERT.
func readStatement(text []byte) statement {
	var s statement
	depth, before, ended, all := 0, "", false, len(text)
	for {
		kind, token, rest := nextToken(text)
		if kind == tokenEnd {
			return s
		}
		if ended {
			s.second = true
			return s
		}
		text = rest
		word := string(token)
		switch {
		case kind == tokenWord:
			word = strings.ToUpper(word)
		case strings.ContainsAny(word[:1], "([{"):
			depth++
		case strings.ContainsAny(word[:1], ")]}"):
			depth--
		}
		ended = word == ";"
		if kind == tokenWord && depth == 0 {
			s.take(before, word, string(token))
			if s.verb == "INSERT" {
				s.takeInsert(before, word, all-len(rest)-len(token))
			}
			if s.insert {
				s.data = all - len(skipToData(rest))
				return s
			}
		}
		before = word
	}
}

// take takes a word that stands outside of all brackets; before is what stands before it.
func (s *statement) take(before, word, token string) {
	switch {
	case s.verb == "":
		s.verb = word
	case before == "FORMAT":
		s.format = token
	case word == "TOTALS":
		s.totals = true
	}
}

// takeInsert does so for an INSERT, where the word is at this byte.
func (s *statement) takeInsert(before, word string, at int) {
	if before == "." || before == "INTO" || before == "TABLE" {
		return // it is a table's name
	}
	switch word {
	case "SETTINGS", "FORMAT", "VALUES":
		if s.source == 0 {
			s.source = at
		}
	case "SELECT", "FROM", "WITH": // its rows come from elsewhere
		s.source = -1
	}
	if word == "VALUES" && s.source > 0 {
		s.format = "Values"
	}
	s.insert = s.source > 0 && s.format != ""
}

// skipToData leaves out what may be between an INSERT and its data: blanks, and one line's end.
func skipToData(text []byte) []byte {
	text = bytes.TrimLeft(text, " \t\f")
	text = bytes.TrimPrefix(text, []byte("\r"))
	return bytes.TrimPrefix(text, []byte("\n"))
}

// The kinds of tokens. Strings and quoted names are tokenQuoted.
type tokenKind int

const (
	tokenEnd tokenKind = iota
	tokenWord
	tokenQuoted
	tokenOther
)

// nextToken returns the first token of a text, and what is behind it.
func nextToken(text []byte) (kind tokenKind, token, rest []byte) {
	text = skipBlanks(text)
	if len(text) == 0 {
		return tokenEnd, nil, nil
	}
	n := 1
	switch c := text[0]; {
	case isWordByte(c):
		for n < len(text) && isWordByte(text[n]) {
			n++
		}
		kind = tokenWord
	case c == '\'' || c == '"' || c == '`':
		for n < len(text) && text[n] != c { // a doubled quote is the next string
			if text[n] == '\\' {
				n++
			}
			n++
		}
		n, kind = min(n+1, len(text)), tokenQuoted
	case c == '$':
		kind = tokenOther
		if end := bytes.IndexByte(text[1:], '$'); end >= 0 { // $tag$...$tag$
			tag := text[:end+2]
			if closing := bytes.Index(text[len(tag):], tag); closing >= 0 {
				n, kind = 2*len(tag)+closing, tokenQuoted
			}
		}
	default:
		kind = tokenOther
	}
	return kind, text[:n], text[n:]
}

// skipBlanks leaves out blanks and comments.
func skipBlanks(text []byte) []byte {
	for {
		text = bytes.TrimLeft(text, " \t\r\n\f\v\x00")
		var closing string
		switch {
		case bytes.HasPrefix(text, []byte("--")), bytes.HasPrefix(text, []byte("# ")), bytes.HasPrefix(text, []byte("#!")):
			closing = "\n"
		case bytes.HasPrefix(text, []byte("/*")):
			closing = "*/"
		default:
			return text
		}
		end := bytes.Index(text[2:], []byte(closing))
		if end < 0 {
			return nil
		}
		text = text[2+end+len(closing):]
	}
}

func isWordByte(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}

// streamed reports whether a SELECT's answer in this format is the same in chunks: no head, no tail, nothing between rows.
func streamed(s statement, format string) bool {
	if s.totals || s.verb != "SELECT" && s.verb != "WITH" && s.verb != "FROM" {
		return false
	}
	switch strings.ToUpper(format) {
	case "NATIVE", "TABSEPARATED", "TSV", "TABSEPARATEDRAW", "TSVRAW", "CSV", "ROWBINARY",
		"JSONEACHROW", "JSONLINES", "NDJSON", "JSONCOMPACTEACHROW", "JSONSTRINGSEACHROW":
		return true
	}
	return false
}
