package settings

import (
	"reflect"
	"strconv"
	"strings"
)

// what says what sort of value a setting has.
func (k key) what() string {
	t := k.kind
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t {
	case reflect.TypeFor[Duration]():
		return "a duration"
	case reflect.TypeFor[Time3339]():
		return "a time"
	case reflect.TypeFor[Bytes]():
		return "a number of bytes"
	}
	switch t.Kind() { //nolint:exhaustive // settings have no others
	case reflect.String:
		return "text"
	case reflect.Bool:
		return "true or false"
	case reflect.Float64:
		return "a number"
	case reflect.Slice:
		return "a list"
	case reflect.Struct:
		return "a section"
	}
	return "a whole number"
}

// allowed says in words what a setting may be.
func (k key) allowed() string {
	var limits []string
	add := func(text string) {
		if text != "" {
			limits = append(limits, text)
		}
	}
	what := k.what()
	switch k.kind {
	case reflect.TypeFor[Duration]():
		what = "a duration such as 250ms, 5s, 1h30m or 7d"
	case reflect.TypeFor[Time3339]():
		what = "a time such as 2026-01-31T08:00:00Z"
	case reflect.TypeFor[Bytes]():
		what = "a number of bytes such as 4096, 512KiB or 1MiB"
	}
	for _, r := range k.rules {
		switch r.name {
		case "oneof":
			return "one of " + strings.ReplaceAll(r.value, " ", ", ")
		case "eq":
			return "0, or at least " + r.value[strings.LastIndex(r.value, "=")+1:]
		case "hostport":
			return "host:port, such as kafka-1:9092"
		case "listen":
			return "host:port or :port, such as :8080"
		case "name":
			return "a name of letters, digits, . _ and -, of at most " + strconv.Itoa(nameMax)
		case "topic":
			return "a topic's name: letters, digits, . _ and -, of at most " + strconv.Itoa(topicMax)
		case "board":
			return "a name of a-z, 0-9, _ and -, of at most " + strconv.Itoa(nameMax)
		case "identifier":
			return "a name of letters, digits and _ that begins with no digit"
		case "file":
			return "a file that can be read"
		case "excludesall":
			return "text without " + strings.Join(strings.Split(r.value, ""), " and ")
		case "whole_ms":
			add("in whole milliseconds")
		}
	}
	add(k.bounds())
	if k.list() {
		return k.allowedItems()
	}
	if k.kind.Kind() == reflect.Struct && len(k.keys) > 0 {
		return "a section, with " + names(k.keys)
	}
	if _, required := k.rule("required"); required && what == "text" {
		what = "text that isn't empty"
	}
	return strings.Join(append([]string{what}, limits...), ", ")
}

// limits is allowed in short, where the page says elsewhere how values are written: of a duration only from where to where. "" where anything will do.
func (k key) limits() string {
	switch k.kind {
	case reflect.TypeFor[Duration](), reflect.TypeFor[Bytes]():
		return k.bounds()
	case reflect.TypeFor[Time3339](), reflect.TypeFor[Secret](), reflect.TypeFor[bool](), reflect.TypeFor[*string]():
		return ""
	}
	switch text := k.allowed(); text {
	case "text", "a list of texts":
		return ""
	case "text that isn't empty":
		return "not empty"
	default:
		return strings.TrimPrefix(text, "a whole number, ")
	}
}

// allowedItems says what a list may hold.
func (k key) allowedItems() (what string) {
	least, _ := k.rule("min")
	switch {
	case len(k.keys) > 0 && k.path == "boards":
		what = "a list of boards, each with a name and a window"
	case len(k.keys) > 0:
		what = "a list, each with " + names(k.keys)
	default:
		if items := k.item().allowed(); items != "text" && items != "text that isn't empty" {
			what = "a list; each is " + items
		} else {
			what = "a list of texts"
		}
	}
	if least == "1" {
		what += "; at least one"
	}
	if _, unique := k.rule("unique"); unique {
		what += "; none twice"
	}
	return what
}

// bounds says from where to where a number or a duration may go.
func (k key) bounds() string {
	if k.list() {
		return ""
	}
	text := func(rule string) string {
		value, ok := k.rule(rule)
		if n, err := strconv.Atoi(value); ok && err == nil && k.kind == reflect.TypeFor[Bytes]() {
			return Bytes(n).String()
		}
		return value
	}
	least, most := text("min")+text("duration_min"), text("max")+text("duration_max")
	switch {
	case least != "" && most != "":
		return least + " to " + most
	case least != "":
		return "at least " + least
	case most != "":
		return "at most " + most
	}
	return ""
}
