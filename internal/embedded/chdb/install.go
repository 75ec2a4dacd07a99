package chdb

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// findNPM returns the path of npm.
func findNPM() (string, error) {
	path, err := exec.LookPath("npm")
	if err != nil {
		return "", missing("npm, which fetches the engine, is not on PATH: install it (Debian: apt-get install npm) and try again")
	}
	return path, nil
}

// Install fetches the library, checks it and puts it in its folder, where it takes 559 MB. Several processes may do
// so at once: one does it, and the others wait. It takes some 10 s and needs 1.1 GB for that time, and the network. What it leaves
// behind when it is stopped is removed by the next one. progress, which may be nil, is told several times a second how far it is.
func Install(ctx context.Context, progress func(Progress)) (string, error) {
	if err := supported(); err != nil {
		return "", err
	}
	npm, err := findNPM()
	if err != nil {
		return "", err
	}
	folder, err := Folder()
	if err != nil {
		return "", err
	}
	if progress == nil {
		progress = func(Progress) {}
	}
	return install(ctx, npm, folder, progress)
}

func install(ctx context.Context, npm, folder string, progress func(Progress)) (string, error) {
	parent := filepath.Dir(folder)
	if err := os.MkdirAll(parent, 0o755); err != nil { //nolint:gosec // a cache that all may read
		return "", fmt.Errorf("embedded ClickHouse: %w", err)
	}
	lock, err := lockFile(ctx, filepath.Join(parent, "install.lock"))
	if err != nil {
		return "", fmt.Errorf("embedded ClickHouse: %w", err)
	}
	defer func() { _ = lock.Close() }() // which unlocks it
	if path, err := find(folder); err == nil {
		return path, nil // another process has done it
	}
	const prefix = "installing-"
	if left, err := filepath.Glob(filepath.Join(parent, prefix+"*")); err == nil {
		for _, path := range left {
			_ = os.RemoveAll(path)
		}
	}
	work, err := os.MkdirTemp(parent, prefix)
	if err != nil {
		return "", fmt.Errorf("embedded ClickHouse: %w", err)
	}
	path, err := fetch(ctx, npm, work, folder, progress)
	if err != nil {
		err = fmt.Errorf("installing the embedded ClickHouse: %w", err)
	}
	return path, errors.Join(err, os.RemoveAll(work))
}

// fetch fills a folder inside work, and renames it.
func fetch(ctx context.Context, npm, work, folder string, progress func(Progress)) (string, error) {
	archive, err := pack(ctx, npm, work, progress)
	if err != nil {
		return "", err
	}
	fresh := filepath.Join(work, "fresh")
	if err := os.Mkdir(fresh, 0o755); err != nil { //nolint:gosec // a cache that all may read
		return "", err
	}
	library := filepath.Join(fresh, libraryName)
	if err := unpack(ctx, archive, library, progress); err != nil {
		return "", err
	}
	info, err := os.Stat(library)
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(stamp{Library: libraryHash, Bytes: info.Size(), Changed: info.ModTime()})
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(fresh, stampName), text, 0o644); err != nil { //nolint:gosec // a cache that all may read
		return "", err
	}
	if err := os.RemoveAll(folder); err != nil {
		return "", err
	}
	if err := os.Rename(fresh, folder); err != nil {
		return "", err
	}
	return filepath.Join(folder, libraryName), nil
}

// pack has npm download the package, with a cache of its own, which would keep a second copy of it.
func pack(ctx context.Context, npm, work string, progress func(Progress)) (string, error) {
	cache := filepath.Join(work, "cache")
	command := exec.CommandContext(ctx, npm, "pack", packageName+"@"+Version,
		"--pack-destination", work, "--cache", cache, "--ignore-scripts", "--loglevel", "error", "--no-update-notifier")
	command.Dir = work // no .npmrc of a project
	var said bytes.Buffer
	command.Stdout, command.Stderr = &said, &said
	command.WaitDelay = 5 * time.Second
	if err := command.Start(); err != nil {
		return "", err
	}
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	ticker := time.NewTicker(200 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case err := <-ended:
			if err == nil {
				break
			}
			if ctx.Err() != nil {
				return "", ctx.Err()
			}
			return "", fmt.Errorf("npm could not fetch %s@%s: %w: check the network and npm's settings (npm config get registry), then try again; it says:\n%s",
				packageName, Version, err, bytes.TrimSpace(said.Bytes()))
		case <-ticker.C:
			progress(Progress{Downloading, min(bytesBelow(cache), packageBytes), packageBytes})
			continue
		}
		break
	}
	found, err := filepath.Glob(filepath.Join(work, "*.tgz"))
	if err != nil || len(found) != 1 {
		return "", fmt.Errorf("npm has left %d packages in %s, want 1; it says:\n%s", len(found), work, bytes.TrimSpace(said.Bytes()))
	}
	progress(Progress{Downloading, packageBytes, packageBytes})
	return found[0], nil
}

// bytesBelow returns how many bytes the files of a folder have.
func bytesBelow(folder string) (sum int64) {
	_ = filepath.WalkDir(folder, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			if info, err := d.Info(); err == nil {
				sum += info.Size()
			}
		}
		return nil // npm moves its files about meanwhile
	})
	return sum
}

// unpack writes the library out of the package, and checks the hashes of both.
func unpack(ctx context.Context, archive, library string, progress func(Progress)) error {
	in, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }() // it was only read
	packed := sha512.New()
	raw := io.TeeReader(in, packed)
	unzipped, err := gzip.NewReader(raw)
	if err != nil {
		return fmt.Errorf("the package: %w", err)
	}
	files := tar.NewReader(unzipped)
	for {
		header, err := files.Next()
		if err != nil {
			return fmt.Errorf("looking for %s in the package: %w", libraryName, err)
		}
		if header.Name == "package/"+libraryName {
			break
		}
	}
	out, err := os.OpenFile(library, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644) //nolint:gosec // a cache that all may read
	if err != nil {
		return err
	}
	written := sha256.New()
	n, err := io.Copy(io.MultiWriter(out, written), io.LimitReader(&watched{ctx: ctx, from: files, progress: progress}, libraryBytes+1))
	if err := errors.Join(err, out.Close()); err != nil {
		return fmt.Errorf("unpacking: %w", err)
	}
	if _, err := io.Copy(io.Discard, raw); err != nil { // to the package's end, for its hash
		return fmt.Errorf("the package: %w", err)
	}
	if hash := base64.StdEncoding.EncodeToString(packed.Sum(nil)); hash != packageHash {
		return fmt.Errorf("the package is not the one that is pinned: its integrity is sha512-%s, want sha512-%s: check which registry npm asks", hash, packageHash)
	}
	if hash := hex.EncodeToString(written.Sum(nil)); hash != libraryHash || n != libraryBytes {
		return fmt.Errorf("%s is not the one that is pinned: %d bytes with the SHA-256 %s", libraryName, n, hash)
	}
	return nil
}

// watched says how much was read of it, and stops when it is told to.
type watched struct {
	ctx      context.Context //nolint:containedctx // a reader has no argument for it
	from     io.Reader
	progress func(Progress)
	done     int64
	said     time.Time
}

// Read reads from what it watches.
func (w *watched) Read(p []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := w.from.Read(p)
	w.done += int64(n)
	if now := time.Now(); now.Sub(w.said) > 100*time.Millisecond || err != nil {
		w.said = now
		w.progress(Progress{Unpacking, w.done, libraryBytes})
	}
	return n, err
}
