package settings

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
)

// environment puts variables into settings.
func (r *reader) environment(environ []string, s *Settings) {
	values := map[string]string{}
	for _, variable := range environ {
		if name, value, ok := strings.Cut(variable, "="); ok && strings.HasPrefix(name, envPrefix) {
			values[name] = value
		}
	}
	for _, k := range leaves(allKeys()) {
		if value, ok := values[k.env()]; ok {
			r.source = "environment " + k.env()
			v, _, _ := locate(reflect.ValueOf(s).Elem(), allKeys(), k.path)
			r.text(value, v, k, k.path)
		}
	}
}

// Unknown returns the names of environment variables that look like settings and are none, with the one that may be meant. They do no harm: Kubernetes
// adds some for each service, which are left out if the service is called millrank, as are the demo's own.
func Unknown(environ []string) []string {
	known := []string{}
	for _, k := range leaves(allKeys()) {
		known = append(known, k.env())
	}
	lower := []string{}
	for _, name := range known {
		lower = append(lower, strings.ToLower(strings.TrimPrefix(name, envPrefix)))
	}
	unknown := []string{}
	for _, variable := range environ {
		name, _, _ := strings.Cut(variable, "=")
		if !strings.HasPrefix(name, envPrefix) || notOurs.MatchString(name) || slices.Contains(known, name) {
			continue
		}
		if near := nearest(strings.TrimPrefix(name, envPrefix), lower); near != "" {
			name += " (did you mean " + envPrefix + strings.ToUpper(near) + "?)"
		}
		unknown = append(unknown, name)
	}
	slices.Sort(unknown)
	return unknown
}

var notOurs = regexp.MustCompile(`^MILLRANK_(PORT|PORT_\d+_.*|SERVICE_(HOST|PORT).*|DEMO_.*)$`)

// overrides puts path=value texts into settings.
func (r *reader) overrides(sets []string, s *Settings) {
	for _, text := range sets {
		path, value, ok := strings.Cut(text, "=")
		path = strings.TrimSpace(path)
		r.source = "--set"
		if !ok {
			r.wrong(Place{Source: r.source}, path, "has no =", "path=value, such as time.pane=10s")
			continue
		}
		v, k, problem := locate(reflect.ValueOf(s).Elem(), allKeys(), path)
		if problem != nil {
			problem.Place = Place{Source: r.source}
			r.problems = append(r.problems, *problem)
			continue
		}
		r.text(value, v, k, path)
	}
}

var segments = regexp.MustCompile(`^([^\[\].]+)(?:\[(\d{1,6})\])?$`)

// locate finds a path such as time.pane or boards[0].k.
func locate(v reflect.Value, keys []key, path string) (reflect.Value, key, *Problem) {
	var k key
	parts := strings.Split(path, ".")
	for i, part := range parts {
		m := segments.FindStringSubmatch(part)
		at := -1
		if m != nil {
			at = indexOf(keys, m[1])
		}
		if at < 0 {
			return v, k, noSuchPath(path)
		}
		v, k = v.Field(at), keys[at]
		if m[2] != "" {
			n := 0
			_, _ = fmt.Sscan(m[2], &n)
			if !k.list() || n >= v.Len() {
				return v, k, &Problem{Key: path, Found: "is not there", Allowed: fmt.Sprintf("an item of %s; there are %d, from [0] on", k.name, length(v))}
			}
			v, k = v.Index(n), k.item()
		}
		keys = k.keys
		if i < len(parts)-1 && !isSection(v.Type()) {
			return v, k, noSuchPath(path)
		}
	}
	if isSection(v.Type()) {
		return v, k, &Problem{Key: path, Found: "is a section", Allowed: "one of its settings: " + names(k.keys)}
	}
	return v, k, nil
}

func length(v reflect.Value) int {
	if v.Kind() == reflect.Slice {
		return v.Len()
	}
	return 0
}

func noSuchPath(path string) *Problem {
	known := []string{}
	for _, k := range leaves(allKeys()) {
		known = append(known, k.path)
	}
	return &Problem{Key: path, Found: "is no setting", Near: nearest(path, known)}
}

// text puts the text of a variable or of --set into a value. Texts stand as they are; lists of texts are separated by commas, or written as YAML ([a, b]), as
// all else is.
func (r *reader) text(text string, v reflect.Value, k key, path string) {
	t := v.Type()
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if text == "" && t.Kind() != reflect.String && t.Kind() != reflect.Slice {
		return // as some tools write a variable that isn't set
	}
	r.textOnly = true
	r.forget(path)
	r.places[path] = Place{Source: r.source}
	switch {
	case t.Kind() == reflect.String:
		_ = set(v, text, "text")
	case k.list() && len(k.keys) == 0 && !(strings.HasPrefix(text, "[") && strings.HasSuffix(text, "]")):
		list := []string{}
		for item := range strings.SplitSeq(text, ",") {
			if item = strings.TrimSpace(item); item != "" {
				list = append(list, item)
			}
		}
		v.Set(reflect.ValueOf(list))
	case text == "":
		v.SetZero()
	default:
		r.document([]byte(text), v, k, path)
	}
}

// forget drops what was found of a setting in an earlier place: it doesn't count any more.
func (r *reader) forget(path string) {
	under := func(p string) bool {
		rest, ok := strings.CutPrefix(p, path)
		return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
	}
	for p := range r.places {
		if under(p) {
			delete(r.places, p)
		}
	}
}
