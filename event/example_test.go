package event_test

import (
	"errors"
	"fmt"
	"time"

	"github.com/millrank/millrank/event"
)

func ExampleNewJSON() {
	m := event.DefaultMapping()
	m.EventID = []string{"order.id", "order.line"} // unique together
	m.Item = "product.sku"
	m.Region = `shop\.country` // the field "shop.country", not "country" in "shop"
	m.Dimensions = []string{"product.category"}
	m.Time, m.TimeFormat = "at", event.UnixMillis
	m.Value, m.ValueScale = "amount", 2 // cents
	codec, err := event.NewJSON(m)
	if err != nil {
		fmt.Println(err)
		return
	}

	var e event.Event
	err = codec.Decode([]byte(`{"order":{"id":"o-7","line":2},"product":{"sku":"85123A","category":"lights"},
		"shop.country":"France","at":1795300000000,"amount":12.5}`), &e)
	fmt.Println(string(e.Item), event.Group(e.Group).Values(), time.UnixMilli(e.Time).UTC(), e.Value, err)
	// Output:
	// 85123A [France lights] 2026-11-21 22:26:40 +0000 UTC 1250 <nil>
}

func ExampleNewJSON_mapping() {
	m := event.DefaultMapping()
	m.Item, m.Value = "product", "product.price"
	m.TimeFormat = "iso8601"
	_, err := event.NewJSON(m)
	fmt.Println(err)
	// Output:
	// event: mapping: value: "product.price" can't be mapped beside "product": one leads through the other
	// event: mapping: time_format: is "iso8601"; it must be one of rfc3339, unix_s, unix_ms, unix_us, unix_ns
}

func ExampleJSON_Decode() {
	codec, err := event.NewJSON(event.DefaultMapping())
	if err != nil {
		fmt.Println(err)
		return
	}
	var e event.Event
	for _, record := range []string{
		`{"event_id":"e1","item_id":"post-7","region":"eu","timestamp":"2026-11-22T18:40:56.789+01:00","user_id":"u1"}`,
		`{"event_id":"e2","item_id":"post-7","region":"eu","timestamp":1795300000000}`,
		`{"event_id":"e3","item_id":"post-7","region":"eu","timestamp":"2026-11-22T18:40:56Z","value":0.5}`,
		`{"event_id":"e4","item_id":"po`,
	} {
		err := codec.Decode([]byte(record), &e)
		if malformed, ok := errors.AsType[*event.MalformedError](err); ok {
			fmt.Printf("%s: %v\n", malformed.Reason, err)
			continue
		}
		fmt.Printf("%s by %s at %d, worth %d\n", e.Item, e.User, e.Time, e.Value)
	}
	// Output:
	// post-7 by u1 at 1795369256789, worth 1
	// wrong_type: timestamp: the number "1795300000000", where an RFC 3339 string is due; set time_format to unix_ms, for it looks like milliseconds
	// value_too_precise: value: "0.5" has more decimals than value_scale = 0 keeps; raise value_scale or round it
	// truncated: item_id: the JSON ends too early, after 30 bytes; is the producer cutting records off?
}
