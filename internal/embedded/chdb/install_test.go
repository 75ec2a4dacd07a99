//go:build linux && amd64 && !nochdb

package chdb

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/millrank/millrank/internal/testserver"
)

// npmThat writes a program that stands at npm's place on PATH.
func npmThat(t *testing.T, script string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "npm")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestInstallThatFails(t *testing.T) {
	const package1 = "mkdir -p package && echo x >package/libchdb.so && tar czf lib.tgz package/libchdb.so"
	for _, c := range []struct{ what, script, want string }{
		{"npm fails", "echo E404 no such thing >&2; exit 1", "E404 no such thing"},
		{"npm leaves nothing", "true", "0 packages"},
		{"no package", "echo x >lib.tgz", "the package"},
		{"a package without it", "mkdir package && tar czf lib.tgz package", "looking for libchdb.so"},
		{"another package", package1, "not the one that is pinned"},
		{"a package that is cut", package1 + " && head -c 60 lib.tgz >l && mv l lib.tgz", "EOF"},
	} {
		folder := filepath.Join(t.TempDir(), "chdb", Version)
		_, err := install(t.Context(), npmThat(t, c.script), folder, func(Progress) {})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q in it", c.what, err, c.want)
		}
		left, err := os.ReadDir(filepath.Dir(folder))
		if err != nil || len(left) != 1 || left[0].Name() != "install.lock" {
			t.Errorf("%s: it leaves %v: %v", c.what, left, err)
		}
	}
}

// TestInstallOnlyOnce: a second process waits for the first, and what a killed one has left goes.
func TestInstallOnlyOnce(t *testing.T) {
	folder := filepath.Join(t.TempDir(), Version)
	lock, err := lockFile(t.Context(), filepath.Join(filepath.Dir(folder), "install.lock"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 150*time.Millisecond)
	defer cancel()
	if _, err := install(ctx, npmThat(t, "exit 1"), folder, func(Progress) {}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("while another one installs: %v, want %v", err, context.DeadlineExceeded)
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	left := filepath.Join(filepath.Dir(folder), "installing-1", "x")
	if err := os.MkdirAll(left, 0o755); err != nil {
		t.Fatal(err)
	}
	stop, stopped := context.WithCancel(t.Context())
	said := 0
	_, err = install(stop, npmThat(t, "exec sleep 60"), folder, func(p Progress) {
		said++
		if p.Stage != Downloading || p.Total != packageBytes {
			t.Errorf("progress %+v", p)
		}
		stopped()
	})
	if !errors.Is(err, context.Canceled) || said == 0 {
		t.Errorf("stopped: %v, after %d times progress", err, said)
	}
	if _, err := os.Stat(left); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there: %v", left, err)
	}
}

// TestDamaged: an installation that is not whole is seen.
func TestDamaged(t *testing.T) {
	put := func(folder string, bytes int64, s stamp) {
		t.Helper()
		text, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		library := filepath.Join(folder, libraryName)
		if err := os.WriteFile(library, nil, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(os.Truncate(library, bytes), os.WriteFile(filepath.Join(folder, stampName), text, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	good := stamp{Library: libraryHash, Bytes: libraryBytes}
	old := good
	old.Library = "of another version"
	for _, c := range []struct {
		what  string
		bytes int64
		stamp stamp
		want  string
	}{
		{"cut", 1000, good, "1000 bytes"},
		{"another", libraryBytes, old, "damaged"},
		{"changed, of the same size", libraryBytes, good, "the hash"},
	} {
		folder := t.TempDir()
		put(folder, c.bytes, c.stamp)
		if _, err := find(folder); !errors.Is(err, ErrMissing) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q in it", c.what, err, c.want)
		}
	}
	folder := t.TempDir()
	if _, err := find(folder); !errors.Is(err, ErrMissing) || !strings.Contains(err.Error(), "make deps") {
		t.Errorf("nothing: %v", err)
	}
	// One that was copied, and so has another time of change, is good.
	path, err := Find()
	testserver.Require(t, err)
	put(folder, libraryBytes, good)
	copied := filepath.Join(folder, libraryName)
	if err := errors.Join(os.Remove(copied), os.Symlink(path, copied)); err != nil {
		t.Fatal(err)
	}
	if found, err := find(folder); err != nil || found != copied {
		t.Errorf("a copy: %s, %v", found, err)
	}
}
