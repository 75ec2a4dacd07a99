package settings

import (
	"errors"
	"io/fs"
	"os"
	"reflect"
	"strings"
)

// From says where settings come from. Later ones win: defaults, file, environment, Set.
type From struct {
	File    string   // YAML; "" for none
	Environ []string // as os.Environ returns it; MILLRANK_TIME_PANE=10s sets time.pane
	Set     []string // path=value each; boards[0].k=10 sets one of a board's
}

// Load reads settings, and checks them. Its error is a Problems, which names all that is wrong, with where it stands.
func Load(from From) (Settings, error) {
	s := Default()
	r := &reader{places: map[string]Place{}}
	if from.File != "" {
		r.source = from.File
		text, err := os.ReadFile(from.File)
		if err != nil {
			return s, Problems{noFile(from.File, err)}
		}
		r.document(text, reflect.ValueOf(&s).Elem(), key{keys: allKeys(), kind: reflect.TypeFor[Settings]()}, "")
		if len(r.problems) > 0 && strings.HasPrefix(r.problems[0].Found, notYAML) { // all else would seem to be missing
			return s, r.problems
		}
	}
	r.environment(from.Environ, &s)
	r.overrides(from.Set, &s)
	c := checker{settings: &s, places: r.places, problems: r.problems, source: from.File, loading: true}
	c.check()
	if len(c.problems) > 0 {
		return s, c.problems
	}
	return s, nil
}

// Validate reports all that is wrong, at once, as Load does. Its error is a Problems.
func (s Settings) Validate() error {
	c := checker{settings: &s}
	c.check()
	if len(c.problems) > 0 {
		return c.problems
	}
	return nil
}

func noFile(name string, err error) Problem {
	p := Problem{Place: Place{Source: name}, Found: "can't be read: " + reason(err)}
	if errors.Is(err, fs.ErrNotExist) {
		p.Found = "there is no such file"
		p.Allowed = "a file of settings; to make one: millrank validate --example > " + name
	}
	return p
}

// reason returns an error of the file system without the file's name.
func reason(err error) string {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err.Error()
	}
	return err.Error()
}
