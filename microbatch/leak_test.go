package microbatch_test

import (
	"errors"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// TestNoLeak: nothing is left when a subscription has ended, however it has.
func TestNoLeak(t *testing.T) {
	for name, end := range map[string]func(*testing.T, *kafka, *member){
		"close":  func(t *testing.T, _ *kafka, m *member) { m.leave(t) },
		"cancel": func(_ *testing.T, _ *kafka, m *member) { m.cancel() },
		"refuse": func(_ *testing.T, _ *kafka, m *member) { m.owned()[0].Refuse(errors.New("on purpose")) },
		"topic gone": func(t *testing.T, k *kafka, m *member) {
			if err := k.cluster.DeleteTopic(k.topic); err != nil {
				t.Fatal(err)
			}
			m.leave(t)
		},
		"broker gone": func(t *testing.T, k *kafka, m *member) {
			k.cluster.Close()
			m.leave(t)
		},
	} {
		for _, strategy := range strategies()[:1] {
			t.Run(name+"/"+strategy, func(t *testing.T) {
				k := fake(t, 2, 1)
				k.produce(t, 0, 0, 100)
				before, brokers := goleak.IgnoreCurrent(), goleak.IgnoreAnyFunction("github.com/twmb/franz-go/pkg/kfake.(*clientConn).read.func1") // one for each request
				config := k.settings(strategy)
				config.BatchRecords, config.ReleaseTimeout = 10, 100*time.Millisecond
				unblock := make(chan struct{})
				m := join(t, k, config, func(d delivery) {
					if d.batch.Position == 50 {
						<-unblock
					}
					d.message.Ack()
				})
				m.untilAll(t, 60)
				m.untilOwns(t, 2)
				time.AfterFunc(200*time.Millisecond, func() { close(unblock) })
				end(t, k, m)
				stopped(t, m)
				if err := m.Close(); err != nil {
					t.Error(err)
				}
				var err error
				for began := time.Now(); time.Since(began) < 5*time.Second; {
					if err = goleak.Find(libraries(before, brokers)...); err == nil {
						break
					}
				}
				if err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// TestNoLeakRefused: nor when there was none.
func TestNoLeakRefused(t *testing.T) {
	k := fake(t, 2, 1)
	config := k.settings("sticky")
	left(t, k, config)
	before := goleak.IgnoreCurrent()
	config.Identity.Generation++
	if _, err := tryJoin(t, k, config, ack); err == nil {
		t.Fatal("it isn't refused")
	}
	if err := goleak.Find(libraries(before)...); err != nil {
		t.Error(err)
	}
}
