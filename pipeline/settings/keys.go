package settings

import (
	"reflect"
	"slices"
	"strings"
)

// key is one setting, or a section of them, as the structs' tags describe it.
type key struct {
	path   string // time.pane; boards[].window for what each board has
	name   string // the last part of the path
	doc    string
	rules  []rule // what is allowed
	items  []rule // what is allowed of each item of a list
	secret bool
	kind   reflect.Type
	keys   []key // of a section, or of each item of a list of sections
}

// rule is a part of a validate tag: oneof with "a b", or min with "1".
type rule struct{ name, value string }

// section reports whether it has keys of its own, rather than a value. A list of sections is none.
func (k key) section() bool { return k.kind.Kind() == reflect.Struct && len(k.keys) > 0 }

// list reports whether it is a list.
func (k key) list() bool { return k.kind.Kind() == reflect.Slice }

// rule returns what a rule says.
func (k key) rule(name string) (string, bool) {
	i := slices.IndexFunc(k.rules, func(r rule) bool { return r.name == name })
	if i < 0 {
		return "", false
	}
	return k.rules[i].value, true
}

// env returns the name of its environment variable.
func (k key) env() string { return envOf(k.path) }

const envPrefix = "MILLRANK_"

func envOf(path string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(path, ".", "_"))
}

// allKeys returns all settings, in the order of the file.
func allKeys() []key { return keysOf(reflect.TypeFor[Settings](), "") }

func keysOf(t reflect.Type, above string) []key {
	var keys []key
	for f := range t.Fields() {
		name := f.Tag.Get("yaml")
		k := key{path: above + name, name: name, doc: f.Tag.Get("doc"), secret: f.Tag.Get("secret") == "true", kind: f.Type}
		k.rules, k.items = rules(f.Tag.Get("validate"))
		switch {
		case isSection(f.Type):
			k.keys = keysOf(f.Type, k.path+".")
		case f.Type.Kind() == reflect.Slice && isSection(f.Type.Elem()):
			k.keys = keysOf(f.Type.Elem(), k.path+"[].")
		}
		keys = append(keys, k)
	}
	return keys
}

// isSection reports whether a type is a struct with settings in it.
func isSection(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && t != reflect.TypeFor[Time3339]()
}

// rules takes a validate tag apart: rules of the value, and behind dive those of each item.
func rules(tag string) (value, items []rule) {
	into := &value
	for text := range strings.SplitSeq(tag, ",") {
		switch name, what, _ := strings.Cut(text, "="); name {
		case "":
		case "dive":
			into = &items
		default:
			*into = append(*into, rule{name, what})
		}
	}
	return value, items
}

// leaves returns the settings that have a value, without those of each item of a list: what the environment and --set can give.
func leaves(keys []key) []key {
	var all []key
	for _, k := range keys {
		if k.section() {
			all = append(all, leaves(k.keys)...)
		} else {
			all = append(all, k)
		}
	}
	return all
}
