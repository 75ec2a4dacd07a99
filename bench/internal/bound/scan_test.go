package bound

import "testing"

func TestScan(t *testing.T) {
	const text = `{"event_id":"a1","item_id":"post-7", "region" : "eu","ts":-120,"count":3}`
	e, ok := scan([]byte(text))
	if !ok || string(e.id) != "a1" || string(e.item) != "post-7" || string(e.region) != "eu" || e.milli != -120 || e.count != 3 {
		t.Errorf("%+v, %v", e, ok)
	}
	for _, bad := range []string{"", "{", `{"a`, `{"a":`, `{"a":"b`, `{"a":"\n"}`, `{"a":true}`, `{"a":1`, `{x}`} {
		if _, ok := scan([]byte(bad)); ok {
			t.Errorf("%q is an event", bad)
		}
	}
}
