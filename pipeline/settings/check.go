package settings

import (
	"errors"
	"fmt"
	"net"
	"os"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"github.com/go-playground/validator/v10"
)

// checker finds all that is wrong with settings: first what each may be by itself, by the tags; then what must go together.
type checker struct {
	settings *Settings
	places   map[string]Place
	problems Problems
	source   string // the file, for what is missing
	loading  bool   // files of secrets are read
}

func (c *checker) check() {
	c.tags()
	if c.loading {
		c.secrets()
	}
	c.together()
	if len(c.problems) == 0 {
		c.parts()
	}
	c.problems.sort()
}

// wrong notes a problem, unless there is one of the same setting, or of what it is part of: one mistake has one message.
func (c *checker) wrong(bad bool, path, allowed, found string, args ...any) {
	if !bad {
		return
	}
	for _, p := range c.problems {
		rest, under := strings.CutPrefix(path, p.Key)
		if under && (rest == "" || p.Key != "" && (rest[0] == '.' || rest[0] == '[')) {
			return
		}
	}
	c.problems = append(c.problems, Problem{Place: c.place(path), Key: path, Found: fmt.Sprintf(found, args...), Allowed: allowed})
}

// place returns where a setting stands, or else the section or the board that it is missing in.
func (c *checker) place(path string) Place {
	for path != "" {
		if p, ok := c.places[path]; ok {
			return p
		}
		path = path[:max(0, strings.LastIndexAny(path, ".["))]
	}
	return Place{Source: c.source}
}

const (
	nameMax  = 100
	topicMax = 249
)

var (
	nameRule       = regexp.MustCompile(`^[A-Za-z0-9._-]{1,100}$`)
	identifierRule = regexp.MustCompile(`^([A-Za-z_][A-Za-z0-9_]{0,99})?$`)
	boardRule      = regexp.MustCompile(`^[a-z0-9_-]{1,100}$`)
	topicRule      = regexp.MustCompile(`^[A-Za-z0-9._-]{1,249}$`)
)

// rulesOf returns the checker of tags.
func rulesOf() (*validator.Validate, error) {
	v := validator.New(validator.WithRequiredStructEnabled())
	v.RegisterTagNameFunc(func(f reflect.StructField) string { return f.Tag.Get("yaml") })
	matches := func(rule *regexp.Regexp) validator.Func {
		return func(f validator.FieldLevel) bool {
			s := f.Field().String()
			return rule.MatchString(s) && s != "." && s != ".."
		}
	}
	limit := func(right func(is, limit int64) bool) validator.Func {
		return func(f validator.FieldLevel) bool {
			var d Duration
			return d.UnmarshalText([]byte(f.Param())) == nil && right(f.Field().Int(), int64(d))
		}
	}
	var errs []error
	for tag, rule := range map[string]validator.Func{
		"name": matches(nameRule), "board": matches(boardRule), "topic": matches(topicRule), "identifier": matches(identifierRule),
		"duration_min": limit(func(is, least int64) bool { return is >= least }),
		"duration_max": limit(func(is, most int64) bool { return is <= most }),
		"unique":       func(validator.FieldLevel) bool { return true }, // checker.distinct does, so that items are checked, too
		"whole_ms":     func(f validator.FieldLevel) bool { return f.Field().Int()%1e6 == 0 },
		"hostport":     func(f validator.FieldLevel) bool { return address(f.Field().String(), false) },
		"listen":       func(f validator.FieldLevel) bool { return address(f.Field().String(), true) },
		"file":         func(f validator.FieldLevel) bool { _, err := os.ReadFile(f.Field().String()); return err == nil },
	} {
		errs = append(errs, v.RegisterValidation(tag, rule))
	}
	return v, errors.Join(errs...)
}

// address reports whether a text is host:port; to listen at, all hosts (:8080) and any port (:0) will do.
func address(text string, listen bool) bool {
	host, port, err := net.SplitHostPort(text)
	n, bad := strconv.ParseUint(port, 10, 16)
	return err == nil && bad == nil && (listen || host != "" && n > 0) && !strings.ContainsAny(host, " \t,/")
}

// tags checks each setting by itself.
func (c *checker) tags() {
	v, err := rulesOf()
	if err != nil {
		panic("settings: " + err.Error())
	}
	var wrong validator.ValidationErrors
	if err := v.Struct(c.settings); !errors.As(err, &wrong) && err != nil {
		panic("settings: " + err.Error())
	}
	for _, w := range wrong {
		_, path, _ := strings.Cut(w.Namespace(), ".")
		_, k, _ := locate(reflect.ValueOf(c.settings).Elem(), allKeys(), path)
		c.wrong(true, path, k.allowed(), "%s", broken(w.Tag(), w.Value(), k))
	}
}

// broken says how a value breaks a rule.
func broken(rule string, value any, k key) string {
	is := fmt.Sprint(value)
	if s, ok := value.(string); ok {
		is = strconv.Quote(cut(s))
	}
	switch rule {
	case "required":
		return "is missing"
	case "whole_ms":
		return is + " is not whole milliseconds"
	case "file":
		name, _ := value.(string)
		_, err := os.ReadFile(name)
		if err == nil {
			return is + " can't be read"
		}
		return is + " can't be read: " + reason(err)
	case "min", "duration_min":
		if k.list() {
			return "is empty"
		}
		return is + " is too little"
	case "max", "duration_max":
		return is + " is too much"
	}
	return is + " is not possible"
}
