package settings

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Place is where a setting stands.
type Place struct {
	// Source is the file's name, "environment MILLRANK_TIME_PANE" or "--set"; "" where nobody has set it.
	Source string `json:"source,omitempty"`
	Line   int    `json:"line,omitempty"`   // of the file, from 1 on; else 0
	Column int    `json:"column,omitempty"` // from 1 on; else 0
}

// String returns it as compilers do: millrank.yaml:12:3.
func (p Place) String() string {
	if p.Line == 0 {
		return p.Source
	}
	return fmt.Sprintf("%s:%d:%d", p.Source, p.Line, p.Column)
}

// Problem is something that is wrong with settings.
type Problem struct {
	Place
	Key     string `json:"key,omitempty"`     // its path, such as boards[1].window
	Found   string `json:"found"`             // what is wrong: `"90s" is not made of whole panes`
	Allowed string `json:"allowed,omitempty"` // what would be right
	Near    string `json:"near,omitempty"`    // the known key that an unknown one may stand for
}

// String returns it in one line.
func (p Problem) String() string {
	var b strings.Builder
	for _, part := range []string{p.Place.String(), p.Key} {
		if part != "" {
			b.WriteString(part + ": ")
		}
	}
	b.WriteString(p.Found)
	if p.Near != "" {
		b.WriteString("; did you mean " + p.Near + "?")
	}
	if p.Allowed != "" {
		b.WriteString("; allowed: " + p.Allowed)
	}
	return b.String()
}

// Problems is all that is wrong with settings, sorted by where it stands.
type Problems []Problem //nolint:errname // it is a list of them, which is read as such

// Error returns one problem per line.
func (p Problems) Error() string {
	lines := make([]string, 0, len(p))
	for _, problem := range p {
		lines = append(lines, problem.String())
	}
	return strings.Join(lines, "\n")
}

func (p Problems) sort() {
	rank := func(p Problem) int { // files first: the others are on top of them
		switch {
		case strings.HasPrefix(p.Source, "environment "):
			return 1
		case strings.HasPrefix(p.Source, "--set"):
			return 2
		}
		return 0
	}
	slices.SortStableFunc(p, func(a, b Problem) int {
		return cmp.Or(rank(a)-rank(b), strings.Compare(a.Source, b.Source), a.Line-b.Line, a.Column-b.Column, strings.Compare(a.Key, b.Key))
	})
}

// nearest returns the name that is most like another one; "" where none is.
func nearest(name string, names []string) string {
	best, least := "", 1+max(1, len(name)/3)
	for _, n := range names {
		if d := distance(strings.ToLower(name), n); d < least {
			best, least = n, d
		}
	}
	return best
}

// distance is how many characters must be changed, added, left out, or swapped with the next, to make one name of another.
func distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
