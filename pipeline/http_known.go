package pipeline

import (
	"bytes"
	"context"
	"log"
	"log/slog"
	"net/http"
)

// known reports whether who asks may know all: everyone, or who has shown a certificate, where http.tls.client_ca_file is given. One that is not valid, or
// of another authority, has ended the handshake.
func (w *server) known(r *http.Request) bool {
	return w.settings.HTTP.TLS.ClientCAFile == "" || r.TLS != nil && len(r.TLS.VerifiedChains) > 0
}

// errorLog returns where the HTTP server writes what it has no caller to tell: errors to our log, handshakes that failed at level debug, since everyone who
// reaches the port can bring one about.
func errorLog(to *slog.Logger) *log.Logger { return log.New(errorLines{to}, "", 0) }

type errorLines struct{ to *slog.Logger }

func (e errorLines) Write(line []byte) (int, error) {
	level := slog.LevelError
	if bytes.Contains(line, []byte("TLS handshake error")) {
		level = slog.LevelDebug
	}
	e.to.Log(context.Background(), level, "HTTP server", "err", string(bytes.TrimSpace(line)))
	return len(line), nil
}
