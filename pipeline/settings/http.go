package settings

import (
	"crypto/tls"
	"net/http"
	"strings"

	"github.com/millrank/millrank/internal/clienttls"
)

// HTTPEncrypts says what to do where an unencrypted request was a bad one.
const HTTPEncrypts = "if it encrypts, ask by https: give http.tls.certificate_file and http.tls.key_file as 'millrank run' has them"

// HTTPRefused says what to mend where an encrypted connection to the process's own server fails; "" where that is not the reason.
func HTTPRefused(err error) string {
	reason := clienttls.ReasonOf(err)
	text := reason.Describe(httpTLSNames(), "http.tls.certificate_file or the URL, to ask by http")
	if reason == clienttls.Untrusted || reason == clienttls.WrongName || reason == clienttls.Expired {
		text += "; or give http.tls.certificate_file and http.tls.key_file as that process has them, which are trusted at any address"
	}
	return text
}

func httpTLSNames() clienttls.Names {
	return clienttls.Names{Authority: "http.tls.ca_file", Certificate: "http.tls.certificate_file", Key: "http.tls.key_file"}
}

// Scheme returns http, or https where the server encrypts.
func (h HTTP) Scheme() string {
	if h.TLS.CertificateFile == "" {
		return "http"
	}
	return "https"
}

// Server returns the server's encryption; nil for none. It reads the certificates' files.
func (t HTTPTLS) Server() (*tls.Config, error) {
	if t.CertificateFile == "" {
		return nil, nil //nolint:nilnil // there is none, which is no error
	}
	names := httpTLSNames()
	return clienttls.Served{Certificate: t.CertificateFile, Key: t.KeyFile, Clients: t.ClientCAFile, Names: clienttls.ServedNames{
		Certificate: names.Certificate, Key: names.Key, Clients: "http.tls.client_ca_file",
	}}.Config()
}

// Client returns who asks servers of processes with these settings. Where show is true, it shows the server's own certificate as a client's.
func (t HTTPTLS) Client(show bool) (*http.Client, error) {
	return clienttls.Files{Authority: t.CAFile, Certificate: t.CertificateFile, Key: t.KeyFile, Names: httpTLSNames()}.HTTP(show)
}

// http checks how the process's own server encrypts.
func (c *checker) http() {
	const path = "http.tls"
	t := c.settings.HTTP.TLS
	c.wrong(t.KeyFile == "" && t.CertificateFile != "", path+".key_file", "both, or none", "is missing; certificate_file is given")
	c.wrong(t.CertificateFile == "" && t.KeyFile != "", path+".certificate_file", "both, or none", "is missing; key_file is given")
	c.wrong(t.CertificateFile == "" && t.ClientCAFile != "", path+".client_ca_file", "none, or http.tls.certificate_file and http.tls.key_file, too",
		"is given, but without encryption nobody can show a certificate")
	if c.under(path) {
		return
	}
	_, err := t.Server()
	if err == nil {
		_, err = t.Client(false)
	}
	for _, text := range each(err) {
		names, what, _ := strings.Cut(text, ": ")
		name, _, _ := strings.Cut(names, " ")
		c.wrong(true, name, "PEM files", "%s", what)
	}
}
