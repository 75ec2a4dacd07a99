package pipeline_test

import (
	"bytes"
	"crypto/tls"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/millrank/millrank/internal/embedded"
)

// papers is an authority with a folder for what it issues.
type papers struct {
	*embedded.Authority
	folder string
}

func newPapers(t *testing.T) papers {
	t.Helper()
	a, err := embedded.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	p := papers{a, t.TempDir()}
	p.write(t, "ca.pem", a.CertificatePEM)
	return p
}

func (p papers) path(name string) string { return filepath.Join(p.folder, name) }

func (p papers) write(t *testing.T, name string, content []byte) {
	t.Helper()
	if err := os.WriteFile(p.path(name), content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// issue writes a certificate for this machine, and its key.
func (p papers) issue(t *testing.T, file, name string) embedded.Certificate {
	t.Helper()
	c, err := p.Issue(name, time.Now().Add(time.Hour), "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	p.write(t, file+".key", c.KeyPEM)
	p.write(t, file+".pem", c.CertificatePEM)
	return c
}

// asks puts a question to a server, with a connection of its own, and returns who answers, too. shown are certificates that the client shows.
func (p papers) asks(t *testing.T, url string, shown ...embedded.Certificate) (code int, body, who string, err error) {
	t.Helper()
	config := embedded.Certificate{CertificatePEM: p.CertificatePEM}.Client()
	for _, c := range shown {
		pair, err := tls.X509KeyPair(c.CertificatePEM, c.KeyPEM)
		if err != nil {
			t.Fatal(err)
		}
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := (&http.Client{Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}}).Do(request)
	if err != nil {
		return 0, "", "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if response.TLS != nil {
		who = response.TLS.PeerCertificates[0].Subject.CommonName
	}
	return response.StatusCode, string(text), who, err
}

// lines is a log that is read while it is written.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// TestHTTPS: the process's own server encrypts; who shows no certificate gets what probes ask for, and nothing else; who shows one of another authority gets
// nothing; and what is renewed is shown and known at the next connection.
func TestHTTPS(t *testing.T) {
	ours, theirs := newPapers(t), newPapers(t)
	ours.issue(t, "server", "first")
	ours.write(t, "clients.pem", ours.CertificatePEM)
	client, foreign := ours.issue(t, "client", "prometheus"), theirs.issue(t, "client", "foreign")
	e := newEngine(t, "http.tls.certificate_file="+ours.path("server.pem"), "http.tls.key_file="+ours.path("server.key"), "http.tls.client_ca_file="+ours.path("clients.pem"), "http.profiles=true")
	var logged lines
	e.logger = slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
	e.run()
	address := "https://" + e.settings.HTTP.Address
	eventually(t, "the server answers", func() bool {
		code, _, _, _ := ours.asks(t, address+"/readyz")
		return code == http.StatusOK
	})
	for _, test := range []struct {
		path  string
		shown []embedded.Certificate
		code  int
		body  string
	}{
		{"/livez", nil, http.StatusOK, "alive"},
		{"/metrics", nil, http.StatusForbidden, "http.tls.client_ca_file"},
		{"/status", nil, http.StatusForbidden, "show a certificate"},
		{"/debug/pprof/heap", nil, http.StatusForbidden, "show a certificate"},
		{"/elsewhere", nil, http.StatusForbidden, "show a certificate"},
		{"/livez", []embedded.Certificate{client}, http.StatusOK, "alive"},
		{"/metrics", []embedded.Certificate{client}, http.StatusOK, "millrank_ready"},
		{"/status", []embedded.Certificate{client}, http.StatusOK, `"name": "likes"`},
		{"/elsewhere", []embedded.Certificate{client}, http.StatusNotFound, "there are"},
	} {
		code, body, who, err := ours.asks(t, address+test.path, test.shown...)
		if err != nil || code != test.code || !strings.Contains(body, test.body) || who != "first" {
			t.Errorf("%s with %d certificates: %d %.200q, by %q: %v; want %d and %q", test.path, len(test.shown), code, body, who, err, test.code, test.body)
		}
	}
	for _, path := range []string{"/livez", "/metrics"} {
		if code, _, _, err := ours.asks(t, address+path, foreign); err == nil || !strings.Contains(err.Error(), "tls: ") {
			t.Errorf("%s with a foreign certificate: %d, %v", path, code, err)
		}
	}
	if code, body, _, err := ours.asks(t, "http://"+e.settings.HTTP.Address+"/livez"); err != nil || code != http.StatusBadRequest || !strings.Contains(body, "HTTPS") {
		t.Errorf("unencrypted: %d %s: %v", code, body, err)
	}
	eventually(t, "a refused handshake is in the log", func() bool { return strings.Contains(logged.String(), "TLS handshake error") })
	for line := range strings.Lines(logged.String()) {
		if strings.Contains(line, "TLS handshake error") && !strings.Contains(line, "level=DEBUG") {
			t.Errorf("everyone can fill the log with %s", line)
		}
	}

	ours.issue(t, "server", "second")
	if _, _, who, err := ours.asks(t, address+"/livez"); who != "second" || err != nil {
		t.Errorf("after its renewal, the server shows %q: %v", who, err)
	}
	ours.write(t, "server.key", []byte("half of a k"))
	if _, _, who, err := ours.asks(t, address+"/livez"); who != "second" || err != nil {
		t.Errorf("while the key is being written, the server shows %q: %v", who, err)
	}
	ours.write(t, "clients.pem", theirs.CertificatePEM)
	if code, _, _, err := ours.asks(t, address+"/metrics", foreign); code != http.StatusOK || err != nil {
		t.Errorf("of the new authority: %d, %v", code, err)
	}
	if code, _, _, err := ours.asks(t, address+"/metrics", client); err == nil {
		t.Errorf("of the authority before: %d", code)
	}
	ours.write(t, "clients.pem", nil)
	if code, _, _, err := ours.asks(t, address+"/metrics", foreign); code != http.StatusOK || err != nil {
		t.Errorf("while the authorities are being written: %d, %v", code, err)
	}
	if err := e.end(); err != nil {
		t.Error(err)
	}
}

// TestHTTPSForAll: without authorities of clients, all who come get all, encrypted.
func TestHTTPSForAll(t *testing.T) {
	ours := newPapers(t)
	ours.issue(t, "server", "server")
	e := newEngine(t, "http.tls.certificate_file="+ours.path("server.pem"), "http.tls.key_file="+ours.path("server.key"))
	e.run()
	eventually(t, "the server tells its metrics", func() bool {
		code, body, _, _ := ours.asks(t, "https://"+e.settings.HTTP.Address+"/metrics")
		return code == http.StatusOK && strings.Contains(body, "millrank_ready")
	})
	if err := e.end(); err != nil {
		t.Error(err)
	}
}
