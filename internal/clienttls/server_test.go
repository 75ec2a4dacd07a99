package clienttls_test

import (
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/millrank/millrank/internal/clienttls"
)

func served(f clienttls.Files, clients string) clienttls.Served {
	return clienttls.Served{Certificate: f.Certificate, Key: f.Key, Clients: clients, Names: clienttls.ServedNames{Certificate: "THE-CERTIFICATE", Key: "THE-KEY", Clients: "THE-CLIENTS"}}
}

// servesHTTP starts a server that answers with the name of who asks, and returns its port.
func servesHTTP(t *testing.T, s clienttls.Served) string {
	t.Helper()
	config, err := s.Config()
	if err != nil {
		t.Fatal(err)
	}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{TLSConfig: config, ReadHeaderTimeout: time.Minute, ErrorLog: log.New(t.Output(), "", 0), Handler: http.HandlerFunc(func(to http.ResponseWriter, r *http.Request) {
		for _, c := range r.TLS.PeerCertificates {
			_, _ = io.WriteString(to, c.Subject.CommonName)
		}
	})}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.ServeTLS(l, "", "")
	}()
	t.Cleanup(func() {
		_ = server.Close()
		<-ended
	})
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// TestHTTP: who asks our own processes trusts the certificate that it has itself, at any address and however old; of others it wants what all clients do,
// with the address's name.
func TestHTTP(t *testing.T) {
	ours, theirs := newAuthority(t), newAuthority(t)
	_, server := ours.issue(t, "server", time.Hour) // for 127.0.0.1
	_, expired := ours.issue(t, "expired", -time.Hour)
	_, other := ours.issue(t, "other", time.Hour)
	_, foreign := theirs.issue(t, "foreign", time.Hour)
	c, err := ours.Issue("elsewhere", time.Now().Add(time.Hour), "127.0.0.2")
	if err != nil {
		t.Fatal(err)
	}
	ours.write(t, "elsewhere.pem", c.CertificatePEM)
	ours.write(t, "elsewhere.key", c.KeyPEM)
	elsewhere := servesHTTP(t, served(clienttls.Files{Certificate: ours.path("elsewhere.pem"), Key: ours.path("elsewhere.key")}, ""))
	open, closed, old := servesHTTP(t, served(server, "")), servesHTTP(t, served(server, ours.path("ca.pem"))), servesHTTP(t, served(expired, ""))
	without := func(f clienttls.Files) clienttls.Files {
		f.Authority = ""
		return f
	}
	for _, test := range []struct {
		name    string
		address string
		files   clienttls.Files
		show    bool
		body    string
		refused clienttls.Reason
	}{
		{"the same certificate", "127.0.0.1:" + open, without(server), false, "", clienttls.None},
		{"the same certificate, at a name that it hasn't", "localhost:" + open, without(server), false, "", clienttls.None},
		{"the same certificate, expired", "127.0.0.1:" + old, without(expired), false, "", clienttls.None},
		{"another certificate of a trusted authority", "127.0.0.1:" + open, other, false, "", clienttls.None},
		{"at a name that it hasn't", "localhost:" + open, other, false, "", clienttls.WrongName},
		{"at an IP address that it hasn't", "127.0.0.1:" + elsewhere, other, false, "", clienttls.WrongName},
		{"expired", "127.0.0.1:" + old, other, false, "", clienttls.Expired},
		{"of an authority that isn't trusted", "127.0.0.1:" + open, foreign, false, "", clienttls.Untrusted},
		{"without a certificate of one's own", "127.0.0.1:" + open, clienttls.Files{Authority: ours.path("ca.pem")}, false, "", clienttls.None},
		{"without anything", "127.0.0.1:" + open, clienttls.Files{}, false, "", clienttls.Untrusted},
		{"it shows none", "127.0.0.1:" + closed, server, false, "", clienttls.None},
		{"it shows it", "127.0.0.1:" + closed, server, true, "server", clienttls.None},
		{"it shows another", "127.0.0.1:" + closed, other, true, "other", clienttls.None},
		{"it shows an expired one", "127.0.0.1:" + closed, expired, true, "", clienttls.Refused},
	} {
		t.Run(test.name, func(t *testing.T) {
			client, err := test.files.HTTP(test.show)
			if err != nil {
				t.Fatal(err)
			}
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+test.address, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			response, err := client.Do(request)
			if got := clienttls.ReasonOf(err); got != test.refused || (err == nil) != (test.refused == clienttls.None) {
				t.Fatalf("the reason of %v is %d, want %d", err, got, test.refused)
			}
			if err != nil {
				return
			}
			defer response.Body.Close()
			if body, err := io.ReadAll(response.Body); err != nil || string(body) != test.body {
				t.Errorf("the server saw %q, want %q (%v)", body, test.body, err)
			}
		})
	}
}

// TestServedOld: a client that speaks nothing newer than TLS 1.1 is refused, and nothing but HTTP/1.1 is agreed on.
func TestServedOld(t *testing.T) {
	ours := newAuthority(t)
	_, files := ours.issue(t, "server", time.Hour)
	port := servesHTTP(t, served(files, ""))
	config, err := files.Config()
	if err != nil {
		t.Fatal(err)
	}
	config.NextProtos = []string{"h2", "http/1.1"}
	conn, err := (&tls.Dialer{Config: config}).DialContext(t.Context(), "tcp", "127.0.0.1:"+port)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if secure, ok := conn.(*tls.Conn); !ok || secure.ConnectionState().NegotiatedProtocol != "http/1.1" {
		t.Error("it agrees on another protocol")
	}
	config.MinVersion, config.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	if conn, err := (&tls.Dialer{Config: config}).DialContext(t.Context(), "tcp", "127.0.0.1:"+port); err == nil {
		_ = conn.Close()
		t.Error("it takes TLS 1.1")
	} else if !strings.Contains(err.Error(), "version") {
		t.Error(err)
	}
}

// TestServedFiles: all that is wrong with a server's files is said at once, by the settings' names.
func TestServedFiles(t *testing.T) {
	ours, theirs := newAuthority(t), newAuthority(t)
	_, files := ours.issue(t, "server", time.Hour)
	_, other := theirs.issue(t, "other", time.Hour)
	ours.write(t, "text", []byte("hello"))
	for _, test := range []struct {
		certificate, key, clients string
		want                      []string
	}{
		{files.Certificate, files.Key, ours.path("ca.pem"), nil},
		{files.Certificate, files.Key, "", nil},
		{files.Certificate, other.Key, ours.path("text"), []string{"THE-CERTIFICATE ", "THE-KEY ", "does not match", "THE-CLIENTS: ", "holds no certificate"}},
		{ours.path("none"), files.Key, ours.path("none"), []string{"THE-CERTIFICATE ", "no such file", "THE-CLIENTS: open"}},
	} {
		_, err := served(clienttls.Files{Certificate: test.certificate, Key: test.key}, test.clients).Config()
		if (err == nil) != (test.want == nil) {
			t.Errorf("%+v: %v", test, err)
		}
		for _, want := range test.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%+v: %v; it doesn't say %q", test, err, want)
			}
		}
	}
}
