package trial

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"
)

// Profiles says that CPU profiles are wanted, for go tool pprof.
type Profiles struct {
	Folder string // empty: none are
	// Seconds is how long one of Millrank takes. It begins when the process answers, and is lost where that ends before.
	Seconds int
}

// FreeAddress returns an address of this machine that nobody listens at.
func FreeAddress() (string, error) {
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("a free port: %w", err)
	}
	return listener.Addr().String(), listener.Close()
}

// fetchProfile asks a process's own server for a profile, as soon as it answers, and writes it into a file.
func fetchProfile(ctx context.Context, address string, seconds int, file string) error {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for get(ctx, "http://"+address+"/livez", io.Discard) != nil {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("a profile of Millrank: it did not answer at %s: %w", address, context.Cause(ctx))
		}
	}
	f, err := os.Create(file)
	if err != nil {
		return fmt.Errorf("a profile of Millrank: %w", err)
	}
	err = get(ctx, fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", address, seconds), f)
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("a profile of Millrank, of %d s: %w", seconds, err)
	}
	return nil
}

func get(ctx context.Context, url string, to io.Writer) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	_, err = io.Copy(to, response.Body)
	if response.StatusCode != http.StatusOK {
		err = errors.New(response.Status)
	}
	return errors.Join(err, response.Body.Close())
}
