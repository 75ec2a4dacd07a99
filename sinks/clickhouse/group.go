package clickhouse

import (
	"fmt"

	"github.com/ClickHouse/clickhouse-go/v2/lib/column"

	"github.com/millrank/millrank/event"
)

// region is the name of the dimension that has a column of its own.
const region = "region"

const mapType = "Map(String, String)"

// dimensions are names and values, in the order of the settings, which the driver keeps: a map in the order key must have one
// order only.
type dimensions []dimension

type dimension struct{ name, value string }

// Put is part of the driver's interface for reading.
func (d *dimensions) Put(key, value any) {
	*d = append(*d, dimension{fmt.Sprint(key), fmt.Sprint(value)})
}

// Iterator returns the pairs in their order.
func (d *dimensions) Iterator() column.MapIterator { return &iterator{rest: *d} }

type iterator struct {
	rest  dimensions
	begun bool
}

// Next moves to the next pair.
func (i *iterator) Next() bool {
	if i.begun {
		i.rest = i.rest[1:]
	}
	i.begun = true
	return len(i.rest) > 0
}

// Key returns the name.
func (i *iterator) Key() any { return i.rest[0].name }

// Value returns the value.
func (i *iterator) Value() any { return i.rest[0].value }

func (d *dimensions) asMap() map[string]string {
	m := map[string]string{}
	for _, pair := range *d {
		m[pair.name] = pair.value
	}
	return m
}

// place is a group in the columns of a table.
type place struct {
	region string
	others *dimensions
	err    error // if it is no group of these dimensions
}

// places turns groups into columns, each once.
type places struct {
	names []string
	known map[event.Group]*place
}

func newPlaces(names []string) *places { return &places{names: names, known: map[event.Group]*place{}} }

// of returns where a group belongs. A group without values is right for a record that could not be read.
func (p *places) of(group event.Group) *place {
	if known, ok := p.known[group]; ok {
		return known
	}
	values := group.Values()
	found := &place{others: &dimensions{}}
	if len(values) != len(p.names) {
		found.err = fmt.Errorf("its group has the values %q; the settings name the dimensions %q", values, p.names)
	}
	for i, value := range values[:min(len(values), len(p.names))] {
		if p.names[i] == region {
			found.region = value
		} else {
			found.others.Put(p.names[i], value)
		}
	}
	p.known[group] = found
	return found
}
