package settings

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// torn returns host:port in one piece. The parser takes it for a section within {[host:port]}, where YAML 1.2 would want a space after the colon.
func torn(n ast.Node) (string, bool) {
	m, ok := n.(*ast.MappingNode)
	if !ok || len(m.Values) != 1 {
		return "", false
	}
	name, colon, value := m.Values[0].Key.GetToken(), m.Values[0].Start, m.Values[0].Value.GetToken()
	if name == nil || colon == nil || value == nil || value.Position.Offset-name.Position.Offset != len(name.Value)+1 {
		return "", false
	}
	return name.Value + ":" + value.Value, true
}

// scalar returns a node's text and what sort it is: text, number, truth, section or list.
func scalar(n ast.Node) (text, kind string) {
	switch node := n.(type) {
	case *ast.StringNode:
		return node.Value, "text"
	case *ast.LiteralNode:
		return node.Value.Value, "text"
	case *ast.IntegerNode:
		return fmt.Sprint(node.Value), "number"
	case *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, "number"
	case *ast.BoolNode:
		return strconv.FormatBool(node.Value), "truth"
	case *ast.MappingNode, *ast.MappingValueNode:
		return "", "section"
	case *ast.SequenceNode:
		return "", "list"
	}
	return n.GetToken().Value, "text"
}

// set puts a text into a value.
func set(v reflect.Value, text, kind string) error {
	if kind == "section" || kind == "list" {
		return errors.New("no scalar")
	}
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	if d, ok := reflect.TypeAssert[encoding.TextUnmarshaler](v.Addr()); ok {
		if _, isBytes := d.(*Bytes); kind != "text" && text != "0" && (!isBytes || strings.ContainsAny(text, ".eE")) {
			return errors.New("no unit")
		}
		return d.UnmarshalText([]byte(text))
	}
	switch v.Kind() { //nolint:exhaustive // settings have no others
	case reflect.String:
		v.SetString(text)
	case reflect.Bool:
		if kind != "truth" {
			return errors.New("not true or false")
		}
		v.SetBool(text == "true")
	case reflect.Float64:
		f, err := strconv.ParseFloat(text, 64)
		if kind != "number" || err != nil || f != f {
			return errors.New("no number")
		}
		v.SetFloat(f)
	case reflect.Uint32:
		u, err := strconv.ParseUint(text, 10, 32)
		if kind != "number" || err != nil {
			return errors.New("no number")
		}
		v.SetUint(u)
	default:
		n, err := strconv.ParseInt(text, 10, 64)
		if kind != "number" || err != nil {
			return errors.New("no number")
		}
		v.SetInt(n)
	}
	return nil
}

// found says what there is in place of what is allowed.
func found(k key, text, kind string) string {
	switch {
	case kind == "section" || kind == "list":
		return "is a " + kind
	case k.secret:
		return "can't be read"
	case kind == "text" && (number(text) || text == "true" || text == "false"):
		return strconv.Quote(text) + " is text; leave out the quotes"
	case kind == "text":
		return strconv.Quote(cut(text)) + " is not " + k.what()
	}
	return cut(text) + " is not " + k.what()
}

func number(text string) bool {
	_, err := strconv.ParseFloat(text, 64)
	return err == nil
}

// cut shortens a text for a message, and hides the user and the password of an address such as redis://user:password@host.
func cut(text string) string {
	if at := strings.LastIndexByte(text, '@'); at > 0 && strings.Contains(text[:at], ":") {
		text = hidden + text[at:]
	}
	if len(text) > 80 {
		return strings.ToValidUTF8(text[:80], "") + "…"
	}
	return text
}
