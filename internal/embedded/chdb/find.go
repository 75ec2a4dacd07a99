package chdb

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

const (
	libraryName = "libchdb.so"
	stampName   = "installed.json"
)

// stamp is what Install writes beside the library when all is there. A library whose size or time of change isn't
// the stamp's is hashed again before it is opened.
type stamp struct {
	Library string    `json:"library"` // its SHA-256
	Bytes   int64     `json:"bytes"`
	Changed time.Time `json:"changed"`
}

// Folder returns where Install puts this version of the library: below the user's cache folder.
func Folder() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("%w: no cache folder: %w: set HOME or XDG_CACHE_HOME", ErrMissing, err)
	}
	return filepath.Join(cache, "millrank", "chdb", Version), nil
}

// Find returns the path of the installed library. Where there is none, or one that is damaged, its error wraps
// ErrMissing and says what to do.
func Find() (string, error) {
	if err := supported(); err != nil {
		return "", err
	}
	folder, err := Folder()
	if err != nil {
		return "", err
	}
	return find(folder)
}

func find(folder string) (string, error) {
	path := filepath.Join(folder, libraryName)
	text, err := os.ReadFile(filepath.Join(folder, stampName))
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("%w: libchdb %s is not in %s: `make deps` or `millrank demo` installs it", ErrMissing, Version, folder)
	}
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrMissing, err)
	}
	var found stamp
	if err := json.Unmarshal(text, &found); err != nil {
		return "", damaged(folder, err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", damaged(folder, err)
	}
	switch {
	case found.Library != libraryHash || info.Size() != found.Bytes:
		return "", damaged(folder, fmt.Errorf("%s has %d bytes, want %d", libraryName, info.Size(), int64(libraryBytes)))
	case !info.ModTime().Equal(found.Changed):
		// Somebody touched it: a copied cache folder, or worse.
		hash, err := hashFile(path)
		if err != nil {
			return "", damaged(folder, err)
		}
		if hash != libraryHash {
			return "", damaged(folder, fmt.Errorf("the hash of %s is %.16s..., want %.16s...", libraryName, hash, libraryHash))
		}
	}
	return path, nil
}

func damaged(folder string, err error) error {
	return fmt.Errorf("%w: what is in %s is damaged: %w: remove that folder, then install it again (`make deps`)", ErrMissing, folder, err)
}

func hashFile(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	hash := sha256.New()
	_, err = io.Copy(hash, file)
	return hex.EncodeToString(hash.Sum(nil)), errors.Join(err, file.Close())
}
