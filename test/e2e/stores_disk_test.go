//go:build e2e

package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrank/millrank/internal/apachekafka"
	"github.com/millrank/millrank/internal/embedded"
	"github.com/millrank/millrank/internal/embedded/clickhousetest"
	"github.com/millrank/millrank/internal/redisserver"
	"github.com/millrank/millrank/internal/testserver"
	"github.com/millrank/millrank/test/world"
)

// disk is a small one of its own, in memory.
type disk struct {
	t    *testing.T
	path string
}

// newDisk mounts a disk of so many bytes, which takes root. Where that is not permitted, the test is skipped, loudly, and fails in CI.
func newDisk(t *testing.T, bytes int) *disk {
	t.Helper()
	d := &disk{t, t.TempDir()}
	if err := syscall.Mount("tmpfs", d.path, "tmpfs", 0, "size="+strconv.Itoa(bytes)); err != nil {
		testserver.Require(t, fmt.Errorf("a small disk that fills up can't be mounted (mount -t tmpfs): %w: run this test as root", err))
	}
	t.Cleanup(func() { // after the servers that have files there: they were started later
		if err := syscall.Unmount(d.path, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return d
}

// fill takes all the room that there is.
func (d *disk) fill() {
	d.t.Helper()
	f, err := os.OpenFile(d.filler(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		d.t.Fatal(err)
	}
	defer f.Close()
	for size := 1 << 16; size > 0; {
		if _, err := f.Write(make([]byte, size)); errors.Is(err, syscall.ENOSPC) {
			size /= 16
		} else if err != nil {
			d.t.Fatal(err)
		}
	}
}

// empty gives it back.
func (d *disk) empty() {
	d.t.Helper()
	if err := os.Remove(d.filler()); err != nil {
		d.t.Fatal(err)
	}
}

func (d *disk) filler() string { return filepath.Join(d.path, "filler") }

// grow makes it larger.
func (d *disk) grow(bytes int) {
	d.t.Helper()
	if err := syscall.Mount("tmpfs", d.path, "tmpfs", syscall.MS_REMOUNT, "size="+strconv.Itoa(bytes)); err != nil {
		d.t.Fatal(err)
	}
}

// TestStoresDiskFull (fault 18, 19): the disks of Redis and of ClickHouse are full for a while. The intake goes on, and each store while the other can't write; when there is
// room again, all is there. Redis has kept what it had, and is filled in after a restart.
func TestStoresDiskFull(t *testing.T) {
	redisDisk, historyDisk := newDisk(t, 4<<20), newDisk(t, 64<<20)
	redis := redisserver.StartTest(t, redisserver.Options{Settings: map[string]string{"dir": redisDisk.path, "appendonly": "yes", "appendfsync": "everysec"}})
	server := clickhousetest.StartTest(t, embedded.ClickHouseOptions{Path: historyDisk.path})
	w := newRun(world.New(t, kafka.Broker(t).Brokers(), world.LiveSettings(), 4, 3), "stores-disk", world.LiveBoards(), 2, redis.Addr()).withHistory(server)
	rng := world.NewRand(t, rand.Uint64()%1_000_000)
	p := w.start("--set", "time.idle_timeout=1h")
	logs := w.LiveLogs(rng.Uint64(), 6000)
	w.Watch()
	w.ProducePart(logs, 0, 4)
	w.AwaitLists()

	redisDisk.fill()
	before := w.cells()
	w.ProducePart(logs, 1, 4)
	w.AwaitProgress(w.Total())
	w.awaitState(p, "leaderboard", "waiting")
	w.Eventually("the history goes on", func() bool { return w.cells() > before })
	redisDisk.empty()
	w.AwaitLists()
	w.awaitState(p, "leaderboard", "running")

	historyDisk.fill()
	w.ProducePart(logs, 2, 4)
	w.AwaitProgress(w.Total())
	w.awaitState(p, "history-cells", "waiting")
	w.AwaitLists() // Redis goes on
	historyDisk.empty()
	w.awaitState(p, "history-cells", "running")

	redis.Kill()
	w.must("Redis, restarted with what it had written", func(ctx context.Context) error { return redis.Restart(ctx, redisserver.Keep) })
	w.ProducePart(logs, 3, 4)
	w.Close()
	want := w.Expected()
	w.CheckLists(want)
	w.checkHistory(want)
	w.Check(false)
}

// TestStoresDiskFullKafka: the disk of Kafka fills up, by records of somebody else, and the broker ends itself. The program waits; when the broker is back, with more room, all goes on.
func TestStoresDiskFullKafka(t *testing.T) {
	d := newDisk(t, 48<<20)
	broker := apachekafka.StartTest(t, apachekafka.Options{HeapMiB: 256, Properties: map[string]string{"log.dirs": d.path}})
	redis := redisserver.StartTest(t, redisserver.Options{}).Addr()
	w := newRun(world.New(t, broker.Brokers(), world.LiveSettings(), 2, 2), "stores-disk-kafka", world.LiveBoards(), 2, redis)
	rng := world.NewRand(t, rand.Uint64()%1_000_000)
	p := w.start("--set", "time.idle_timeout=1h")
	logs := w.LiveLogs(rng.Uint64(), 3000)
	w.ProducePart(logs, 0, 2)
	w.AwaitDone()

	if _, err := w.Admin.CreateTopic(t.Context(), 1, 1, nil, "somebody-else"); err != nil {
		t.Fatal(err)
	}
	flood, err := kgo.NewClient(kgo.SeedBrokers(broker.Brokers()...), kgo.DefaultProduceTopic("somebody-else"), kgo.ProducerBatchCompression(kgo.NoCompression()))
	if err != nil {
		t.Fatal(err)
	}
	defer flood.Close()
	w.Eventually("the disk is full, and the broker gone", func() bool {
		once, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		_ = flood.ProduceSync(once, &kgo.Record{Value: make([]byte, 500_000)}).FirstErr()
		cancel()
		c, err := (&net.Dialer{Timeout: time.Second}).DialContext(t.Context(), "tcp", broker.Brokers()[0])
		if err == nil {
			_ = c.Close()
		}
		return errors.Is(err, syscall.ECONNREFUSED)
	})
	select {
	case <-p.Exited:
		t.Fatal("the program has ended, since there is no broker")
	default:
	}
	d.grow(256 << 20)
	broker.Kill() // it is waited for
	w.must("the broker, with more room", broker.Restart)
	w.ProducePart(logs, 1, 2)
	w.Close()
	w.CheckLists(w.Expected())
	w.AwaitDone()
	w.Check(true)
	if code := p.Term(25 * time.Second); code != 0 {
		t.Errorf("exit code %d after SIGTERM, want 0", code)
	}
}
