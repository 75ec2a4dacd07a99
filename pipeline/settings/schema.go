package settings

import (
	"encoding/json"
	"reflect"
	"strings"

	"github.com/invopop/jsonschema"
)

// Schema returns a JSON Schema of the file of settings (draft 2020-12), for editors: they complete names, explain them, and mark what can't be. It is as strict as one
// setting by itself can be judged; what must go together, 'millrank validate' checks. Nothing is required that the environment could give.
func Schema() ([]byte, error) {
	root := objectSchema(allKeys(), reflect.ValueOf(Default()))
	root.Version = jsonschema.Version
	root.Title = "millrank.yaml"
	root.Description = "Settings of Millrank"
	text, err := json.MarshalIndent(root, "", "  ")
	return append(text, '\n'), err
}

func objectSchema(keys []key, defaults reflect.Value) *jsonschema.Schema {
	o := &jsonschema.Schema{Type: "object", Properties: jsonschema.NewProperties(), AdditionalProperties: jsonschema.FalseSchema}
	for i, k := range keys {
		o.Properties.Set(k.name, k.schema(defaults.Field(i)))
	}
	return o
}

// schema describes a setting, and its default where there is one.
func (k key) schema(value reflect.Value) *jsonschema.Schema {
	if k.section() {
		o := objectSchema(k.keys, value)
		o.Description = k.doc
		return o
	}
	s := k.valueSchema()
	s.Description = k.doc
	if d, ok := defaultOf(value); ok {
		s.Default = d
	}
	return s
}

// defaultOf returns a default as JSON has it.
func defaultOf(v reflect.Value) (any, bool) {
	switch d := v.Interface().(type) {
	case Duration:
		return d.String(), true
	case Time3339:
		return d.String(), true
	case Bytes:
		return d.String(), true
	case Secret:
		return nil, false
	}
	if v.IsZero() && v.Kind() != reflect.Bool && v.Kind() != reflect.Int && v.Kind() != reflect.Int64 {
		return nil, false
	}
	return v.Interface(), true
}

const (
	durationPattern = `^-?([0-9]+d)?([0-9]+(\.[0-9]*)?(ns|us|µs|ms|s|m|h))*$`
	bytesPattern    = `^[0-9]+(\.[0-9]+)? ?([kKmMgG][iI]?)?[bB]?$`
)

func (k key) valueSchema() *jsonschema.Schema {
	t := k.kind
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	s := &jsonschema.Schema{}
	switch {
	case t == reflect.TypeFor[Duration]():
		s.AnyOf = []*jsonschema.Schema{{Type: "string", Pattern: durationPattern}, {Const: 0}}
	case t == reflect.TypeFor[Bytes]():
		least, _ := k.rule("min")
		most, _ := k.rule("max")
		s.AnyOf = []*jsonschema.Schema{{Type: "string", Pattern: bytesPattern}, {Type: "integer", Minimum: json.Number(least), Maximum: json.Number(most)}}
	case t == reflect.TypeFor[Time3339]():
		s.Type, s.Format = "string", "date-time"
	case t.Kind() == reflect.Slice:
		s.Type, s.Items = "array", k.itemSchema()
	case t.Kind() == reflect.String:
		s.Type = "string"
	case t.Kind() == reflect.Bool:
		s.Type = "boolean"
	case t.Kind() == reflect.Float64:
		s.Type = "number"
	default:
		s.Type = "integer"
	}
	for _, r := range k.rules {
		r.schema(s)
	}
	if _, empty := k.rule("omitempty"); empty && len(s.Enum) > 0 {
		s.Enum = append(s.Enum, "")
	}
	return s
}

func (k key) itemSchema() *jsonschema.Schema {
	item := k.item()
	if len(item.keys) == 0 {
		return item.valueSchema()
	}
	defaults := reflect.New(item.kind).Elem()
	if item.kind == reflect.TypeFor[Board]() {
		defaults = reflect.ValueOf(DefaultBoard())
	}
	o := objectSchema(item.keys, defaults)
	for i, inner := range item.keys {
		if _, required := inner.rule("required"); required && defaults.Field(i).IsZero() {
			o.Required = append(o.Required, inner.name)
		}
	}
	return o
}

// schema puts a rule into a schema.
func (r rule) schema(s *jsonschema.Schema) {
	one := uint64(1)
	switch r.name {
	case "required":
		if s.Type == "string" {
			s.MinLength = &one
		}
	case "min", "max":
		if s.Type == "array" && r.name == "min" {
			s.MinItems = &one
		}
		if s.Type != "integer" && s.Type != "number" {
			return
		}
		if r.name == "min" {
			s.Minimum = json.Number(r.value)
		} else {
			s.Maximum = json.Number(r.value)
		}
	case "eq":
		least := r.value[strings.LastIndex(r.value, "=")+1:]
		s.AnyOf = []*jsonschema.Schema{{Const: 0}, {Minimum: json.Number(least)}}
	case "oneof":
		for value := range strings.SplitSeq(r.value, " ") {
			s.Enum = append(s.Enum, value)
		}
	case "unique":
		s.UniqueItems = true
	case "name":
		s.Pattern = orEmpty(nameRule.String())
	case "topic":
		s.Pattern = orEmpty(topicRule.String())
	case "board":
		s.Pattern = boardRule.String()
	case "identifier":
		s.Pattern = identifierRule.String()
	case "hostport":
		s.Pattern = `^[^\s,/]+:[0-9]{1,5}$`
	case "listen":
		s.Pattern = `^([^\s,/]*:[0-9]{1,5})?$`
	case "excludesall":
		s.Pattern = "^[^" + r.value + "]*$"
	}
}

// orEmpty lets a pattern match nothing, too; what must not be empty has a least length.
func orEmpty(pattern string) string { return "^$|" + pattern }
