package clienttls_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/millrank/millrank/internal/clienttls"
	"github.com/millrank/millrank/internal/embedded"
)

// authority is one with a folder for its files.
type authority struct {
	*embedded.Authority
	folder string
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a, err := embedded.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	found := &authority{a, t.TempDir()}
	found.write(t, "ca.pem", a.CertificatePEM)
	return found
}

func (a *authority) path(name string) string { return filepath.Join(a.folder, name) }

func (a *authority) write(t *testing.T, name string, content []byte) {
	t.Helper()
	if err := os.WriteFile(a.path(name), content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// issue writes a certificate, and returns who shows it and trusts its authority.
func (a *authority) issue(t *testing.T, name string, until time.Duration) (embedded.Certificate, clienttls.Files) {
	t.Helper()
	c, err := a.Issue(name, time.Now().Add(until), "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	a.write(t, name+".pem", c.CertificatePEM)
	a.write(t, name+".key", c.KeyPEM)
	return c, clienttls.Files{Authority: a.path("ca.pem"), Certificate: a.path(name + ".pem"), Key: a.path(name + ".key"), Names: names()}
}

func names() clienttls.Names {
	return clienttls.Names{Authority: "THE-CA", Certificate: "THE-CERTIFICATE", Key: "THE-KEY"}
}

// serve starts a server that shows a certificate and wants one of its clients; it answers with the name in that.
func serve(t *testing.T, c embedded.Certificate, trusted *authority) string {
	t.Helper()
	config, err := c.Server()
	if err != nil {
		t.Fatal(err)
	}
	config.ClientAuth, config.ClientCAs = tls.RequireAndVerifyClientCert, embedded.Certificate{CertificatePEM: trusted.CertificatePEM}.Client().RootCAs
	l, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				secure, ok := conn.(*tls.Conn)
				if ok && secure.Handshake() == nil {
					fmt.Fprintln(conn, secure.ConnectionState().PeerCertificates[0].Subject.CommonName)
				}
			}()
		}
	}()
	return l.Addr().String()
}

// ask connects, and returns what the server answers.
func ask(t *testing.T, address string, config *tls.Config) (string, error) {
	t.Helper()
	conn, err := (&tls.Dialer{Config: config}).DialContext(t.Context(), "tcp", address)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	answer := make([]byte, 100)
	n, err := conn.Read(answer)
	return strings.TrimSpace(string(answer[:n])), err
}

// TestReasons: each way in which a handshake can fail has its reason, which names what to mend.
func TestReasons(t *testing.T) {
	ours, theirs := newAuthority(t), newAuthority(t)
	good, files := ours.issue(t, "good", time.Hour)
	expired, expiredFiles := ours.issue(t, "expired", -time.Hour)
	_, foreignFiles := theirs.issue(t, "foreign", time.Hour)
	plain, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	go func() {
		for {
			conn, err := plain.Accept()
			if err != nil {
				return
			}
			fmt.Fprintln(conn, "-ERR unknown command, says a server that doesn't encrypt")
			_ = conn.Close()
		}
	}()
	address := serve(t, good, ours)
	with := func(change func(*clienttls.Files)) clienttls.Files {
		f := files
		change(&f)
		return f
	}
	for _, test := range []struct {
		name    string
		address string
		files   clienttls.Files
		want    clienttls.Reason
		mend    string
	}{
		{"good", address, files, clienttls.None, ""},
		{"another authority", address, with(func(f *clienttls.Files) { f.Authority = theirs.path("ca.pem") }), clienttls.Untrusted, "THE-CA"},
		{"the system's authorities", address, with(func(f *clienttls.Files) { f.Authority = "" }), clienttls.Untrusted, "THE-CA"},
		{"another name", address, with(func(f *clienttls.Files) { f.ServerName = "other" }), clienttls.WrongName, "address"},
		{"expired", serve(t, expired, ours), files, clienttls.Expired, "renew"},
		{"no certificate", address, with(func(f *clienttls.Files) { f.Certificate, f.Key = "", "" }), clienttls.Refused, "THE-CERTIFICATE"},
		{"a foreign certificate", address, with(func(f *clienttls.Files) { f.Certificate, f.Key = foreignFiles.Certificate, foreignFiles.Key }), clienttls.Refused, "THE-KEY"},
		{"our certificate has expired", address, with(func(f *clienttls.Files) { f.Certificate, f.Key = expiredFiles.Certificate, expiredFiles.Key }), clienttls.Refused, "THE-KEY"},
		{"no TLS", plain.Addr().String(), files, clienttls.NotTLS, "THE-SWITCH"},
		{"nobody there", "127.0.0.1:1", files, clienttls.None, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			config, err := test.files.Config()
			if err != nil {
				t.Fatal(err)
			}
			_, err = ask(t, test.address, config)
			if got := clienttls.ReasonOf(fmt.Errorf("wrapped: %w", errors.Join(err, errors.New("and another")))); got != test.want {
				t.Errorf("the reason of %v is %d, want %d", err, got, test.want)
			}
			text := test.want.Describe(names(), "THE-SWITCH")
			if test.mend == "" && text != "" || !strings.Contains(text, test.mend) {
				t.Errorf("it says %q, without %q", text, test.mend)
			}
		})
	}
}

// TestRenewed: a certificate that is renewed is shown at the next handshake, and while its files don't fit, the one before is.
func TestRenewed(t *testing.T) {
	a := newAuthority(t)
	server, files := a.issue(t, "first", time.Hour)
	address := serve(t, server, a)
	config, err := files.Config()
	if err != nil {
		t.Fatal(err)
	}
	see := func(want string) {
		t.Helper()
		if got, err := ask(t, address, config); got != want || err != nil {
			t.Errorf("the server sees %q (%v), want %q", got, err, want)
		}
	}
	see("first")
	second, _ := a.issue(t, "second", time.Hour)
	a.write(t, "first.pem", second.CertificatePEM)
	see("first")
	a.write(t, "first.key", second.KeyPEM)
	see("second")
}

// TestFiles: all that is wrong with the files is said at once, by the names that the settings have.
func TestFiles(t *testing.T) {
	a := newAuthority(t)
	_, files := a.issue(t, "client", time.Hour)
	a.write(t, "text", []byte("hello"))
	for _, test := range []struct {
		files clienttls.Files
		want  []string
	}{
		{clienttls.Files{Authority: a.path("none"), Key: files.Key}, []string{"THE-CA: ", "no such file", "THE-CERTIFICATE: missing; THE-KEY"}},
		{clienttls.Files{Authority: a.path("text"), Certificate: files.Certificate}, []string{"holds no certificate", "THE-KEY: missing; THE-CERTIFICATE"}},
		{clienttls.Files{Certificate: files.Certificate, Key: a.path("text")}, []string{"THE-CERTIFICATE ", "THE-KEY ", "not encrypted"}},
	} {
		test.files.Names = names()
		_, err := test.files.Config()
		for _, want := range test.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%+v: %v; it doesn't say %q", test.files, err, want)
			}
		}
	}
}
