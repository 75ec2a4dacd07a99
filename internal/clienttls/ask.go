package clienttls

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
)

// HTTP returns a client that asks our own processes. It trusts whoever shows the same certificate as it has itself, whatever names are in it and however
// old it is: who has its key is one of ours. Of any other server it wants what every client of Files does. It shows its certificate where show is true.
func (f Files) HTTP(show bool) (*http.Client, error) {
	config, err := f.Config()
	if err != nil {
		return nil, err
	}
	if !show {
		config.GetClientCertificate = nil
	}
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: config, DisableKeepAlives: true}
	if f.Certificate != "" {
		transport.DialTLSContext = (&asker{files: f, config: config}).dial
	}
	return &http.Client{Transport: transport}, nil
}

// asker connects to our own processes.
type asker struct {
	files  Files
	config *tls.Config
}

func (a *asker) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	config := a.config.Clone()
	if config.ServerName == "" {
		config.ServerName = host
	}
	name := config.ServerName
	config.InsecureSkipVerify = true // VerifyConnection verifies
	config.VerifyConnection = func(seen tls.ConnectionState) error {
		if a.own(seen.PeerCertificates[0]) {
			return nil // and the handshake has shown that it has the key
		}
		options := x509.VerifyOptions{Roots: config.RootCAs, DNSName: name, Intermediates: x509.NewCertPool()}
		for _, between := range seen.PeerCertificates[1:] {
			options.Intermediates.AddCert(between)
		}
		if _, err := seen.PeerCertificates[0].Verify(options); err != nil {
			return &tls.CertificateVerificationError{UnverifiedCertificates: seen.PeerCertificates, Err: err}
		}
		return nil
	}
	return (&tls.Dialer{Config: config}).DialContext(ctx, network, address)
}

// own reports whether a certificate is ours.
func (a *asker) own(seen *x509.Certificate) bool {
	ours, err := tls.LoadX509KeyPair(a.files.Certificate, a.files.Key)
	return err == nil && bytes.Equal(ours.Certificate[0], seen.Raw)
}
