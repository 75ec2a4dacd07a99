package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/millrank/millrank/internal/embedded"
	"github.com/millrank/millrank/internal/progress"
)

// encrypted gives a world's process a certificate, and returns where its files are. The authority is that of clients, too.
func (w *world) encrypted() (folder string, authority *embedded.Authority) {
	w.Helper()
	authority, err := embedded.NewAuthority()
	if err != nil {
		w.Fatal(err)
	}
	folder = w.TempDir()
	certifies(w.T, authority, folder, "server")
	write(w.T, filepath.Join(folder, "ca.pem"), authority.CertificatePEM)
	text, err := os.ReadFile(w.file)
	if err != nil {
		w.Fatal(err)
	}
	at := func(name string) string { return filepath.Join(folder, name) }
	encryption := "tls: {certificate_file: " + at("server.pem") + ", key_file: " + at("server.key") + ", client_ca_file: " + at("ca.pem") + "}"
	write(w.T, w.file, []byte(strings.Replace(string(text), "http: {", "http: {"+encryption+", ", 1)))
	return folder, authority
}

// certifies writes a certificate that is for another name than this machine's, and its key.
func certifies(t *testing.T, authority *embedded.Authority, folder, name string) {
	t.Helper()
	c, err := authority.Issue(name, time.Now().Add(time.Hour), "millrank.internal")
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(folder, name+".pem"), c.CertificatePEM)
	write(t, filepath.Join(folder, name+".key"), c.KeyPEM)
}

func write(t *testing.T, file string, text []byte) {
	t.Helper()
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestEncrypted: health and status ask a process that encrypts and wants certificates, with its own settings alone; what is wrong with others', they say.
func TestEncrypted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	folder, authority := w.encrypted()
	w.runs()
	w.eventually(func(out string) bool { return out == "ok\n" }, "health")
	if out := w.says("health", "--live"); out != "ok\n" {
		t.Errorf("--live says %q", out)
	}
	w.stateIs(func(st progress.State) bool { return len(st.Processes) == 1 && len(st.Unreachable) == 0 })

	strange, err := embedded.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	certifies(t, authority, folder, "other")
	certifies(t, strange, folder, "strange")
	as := func(name string) []string {
		set := []string{"--set", "http.tls.certificate_file=", "--set", "http.tls.key_file=", "--set", "http.tls.client_ca_file="}
		if name != "" {
			set = []string{"--set", "http.tls.certificate_file=" + filepath.Join(folder, name+".pem"), "--set", "http.tls.key_file=" + filepath.Join(folder, name+".key")}
		}
		return set
	}
	for name, want := range map[string]string{"": "http.tls.certificate_file", "strange": "give http.tls.certificate_file and http.tls.key_file as that process has them"} {
		if _, errs, code := w.tries(append(as(name), "health")...); code != exitFailed || !strings.Contains(errs, want) {
			t.Errorf("health with %q: exit code %d, %s; want something of %q", name, code, errs, want)
		}
		if out := w.says(append(as(name), "status")...); !strings.Contains(out, "Not asked: ") || !strings.Contains(out, want) {
			t.Errorf("status with %q:\n%s\nwant something of %q", name, out, want)
		}
	}
	trusts := append(as("other"), "--set", "http.tls.ca_file="+filepath.Join(folder, "ca.pem"))
	if out := w.says(append(trusts, "status")...); !strings.Contains(out, "for another name than the address") {
		t.Errorf("status asks at an address that the certificate doesn't name:\n%s", out)
	}
	for _, args := range [][]string{{"validate"}, {"run"}} {
		_, errs, code := w.tries(append(args, "--set", "http.tls.key_file="+filepath.Join(folder, "other.key"))...)
		if code != exitUsage || !strings.Contains(errs, "http.tls.certificate_file") || !strings.Contains(errs, "does not match") || !strings.Contains(errs, w.file) {
			t.Errorf("%v with another key: exit code %d, %s", args, code, errs)
		}
	}
	certifies(t, authority, folder, "server")
	if out := w.says("health"); out != "ok\n" {
		t.Errorf("after a renewal, health says %q", out)
	}
}
