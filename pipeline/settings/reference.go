package settings

import (
	_ "embed"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

//go:embed reference.md
var referenceHead string

// Reference returns the page that explains all settings, docs/configuration.md, as Markdown.
func Reference() string {
	var b strings.Builder
	b.WriteString(referenceHead)
	keys, defaults := allKeys(), reflect.ValueOf(Default())
	single := slices.DeleteFunc(slices.Clone(keys), func(k key) bool { return k.section() || len(k.keys) > 0 })
	b.WriteString("\n## The stream\n")
	table(&b, single, func(k key) reflect.Value { return defaults.Field(indexOf(keys, k.name)) })
	for i, k := range keys {
		if k.section() || len(k.keys) > 0 {
			sections(&b, k, defaults.Field(i))
		}
	}
	return b.String()
}

// sections writes a section's table, and those of the sections in it.
func sections(b *strings.Builder, k key, defaults reflect.Value) {
	fmt.Fprintf(b, "\n## %s\n\n%s.\n", k.path, k.doc)
	if k.list() {
		fmt.Fprintf(b, "`%s` as a whole: %s. In the environment, `%s` holds it as YAML or JSON.\n", k.path, k.allowed(), k.env())
		k = k.item()
		defaults = reflect.New(k.kind).Elem()
		if k.kind == reflect.TypeFor[Board]() {
			defaults = reflect.ValueOf(DefaultBoard())
		}
	}
	inner := func(k key) bool { return k.section() || len(k.keys) > 0 }
	table(b, slices.DeleteFunc(slices.Clone(k.keys), inner), func(of key) reflect.Value { return defaults.Field(indexOf(k.keys, of.name)) })
	for i, of := range k.keys {
		if inner(of) {
			sections(b, of, defaults.Field(i))
		}
	}
}

func table(b *strings.Builder, keys []key, value func(key) reflect.Value) {
	if len(keys) == 0 {
		return
	}
	b.WriteString("\n| setting | default | what it is | allowed |\n|---|---|---|---|\n")
	for _, k := range keys {
		names := "`" + k.path + "`"
		if !strings.Contains(k.path, "[]") {
			names += "<br>`" + k.env() + "`"
		}
		fmt.Fprintf(b, "| %s | %s | %s. | %s |\n", names, shown(k, value(k)), cell(k.doc), cell(k.limits()))
	}
}

// shown returns a default as the reference shows it.
func shown(k key, v reflect.Value) string {
	_, required := k.rule("required")
	switch {
	case required && v.IsZero():
		return "**must be set**"
	case v.Kind() == reflect.Pointer && v.IsNil(), v.Kind() == reflect.String && v.Len() == 0, v.Kind() == reflect.Slice && v.Len() == 0:
		return "–"
	}
	return "`" + asYAML(v) + "`"
}

// cell escapes a text for a cell of a table.
func cell(text string) string {
	return strings.NewReplacer("|", `\|`, "<", "&lt;", ">", "&gt;", "_", `\_`, "*", `\*`).Replace(text)
}
