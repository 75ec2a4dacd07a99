package settings

import (
	"fmt"
	"strings"
)

// fields checks how events are read. event names settings after a prefix, before a colon.
func (c *checker) fields() {
	const prefix = "event: mapping: "
	f := c.settings.Source.Fields
	seen := map[string]bool{}
	for i, d := range f.Dimensions {
		path := fmt.Sprintf("source.fields.dimensions[%d]", i)
		reserved := d.Name == "global" || d.Name == "top_k" || d.Name == "region"
		c.wrong(reserved, path+".name", "another name: global, region and top_k have a meaning", "%q is taken", d.Name)
		c.wrong(seen[d.Name], path+".name", "each name once", "%q is there twice", d.Name)
		seen[d.Name] = true
	}
	for _, text := range each(c.settings.Mapping().Validate()) {
		names, what, ok := strings.Cut(strings.TrimPrefix(text, prefix), ": ")
		name, _, _ := strings.Cut(names, ",")
		path := "source.fields." + name
		switch {
		case !ok:
			path, what = "source.fields", text
		case name == "record_bytes_max" || name == "time_min" || name == "time_max":
			path = "source." + name
		case indexOf(section("source")[indexOf(section("source"), "fields")].keys, name) < 0:
			path, what = "source.fields", text
		}
		c.wrong(!c.under(path) && !(name == "time_min" && c.under("source.time_max")), path, "", "%s", what)
	}
}

// parts asks the parts that use the settings, so that none refuses later what was fine here. They name things by their own names.
func (c *checker) parts() {
	for _, part := range []struct {
		path string
		err  error
	}{{"time", c.settings.Fold().Validate()}, {"boards", c.settings.Rankings().Validate()}} {
		for _, text := range each(part.err) {
			c.problems = append(c.problems, Problem{Place: c.place(part.path), Key: part.path, Found: text})
		}
	}
}
