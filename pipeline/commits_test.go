package pipeline_test

import (
	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/millrank/millrank/internal/kafkaclient"
)

// admin returns a client for administration, which ends with the test.
func (e *engine) admin() *kadm.Client {
	e.t.Helper()
	a, err := kafkaclient.NewAdmin(e.settings.Connection())
	if err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(a.Close)
	return a
}

// damage overwrites the metadata of what a group has committed.
func (e *engine) damage(group, topic string) {
	e.t.Helper()
	a := e.admin()
	offsets, err := a.FetchOffsets(e.t.Context(), group)
	if err != nil {
		e.t.Fatal(err)
	}
	damaged := kadm.Offsets{}
	offsets.Each(func(o kadm.OffsetResponse) {
		if o.Topic == topic {
			o.Metadata = "nonsense"
			damaged.Add(o.Offset)
		}
	})
	if len(damaged) == 0 {
		e.t.Fatalf("group %s has committed nothing", group)
	}
	if err := a.CommitAllOffsets(e.t.Context(), group, damaged); err != nil {
		e.t.Fatal(err)
	}
}
