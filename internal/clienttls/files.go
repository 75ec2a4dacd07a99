// Package clienttls gives encryption from files that may change while the process runs: a client's, and what to mend where its handshake fails; and that of the
// process's own HTTP server, which those clients ask who share its certificate.
package clienttls

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"sync"
)

// Files say whom a client trusts, and who it is. All are PEM; "" means none.
type Files struct {
	Authority   string // whom to trust; none: the system's authorities
	Certificate string // our certificate, and those between it and the authority
	Key         string // its key, not encrypted
	ServerName  string // the name in the server's certificate; none: its address

	Names Names // of the settings, for errors
}

// Names are what the settings of Files are called.
type Names struct{ Authority, Certificate, Key string }

// Config reads the files, and reports all that is wrong with them. Our certificate is read again for each handshake, so that one that is renewed in
// time needs no restart; while the files are being written, the one before holds. Whom to trust is read once.
func (f Files) Config() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: f.ServerName}
	var errs []error
	if f.Authority != "" {
		pool, err := poolOf(f.Names.Authority, f.Authority)
		config.RootCAs, errs = pool, append(errs, err)
	}
	switch {
	case f.Certificate == "" && f.Key == "":
	case f.Certificate == "":
		errs = append(errs, fmt.Errorf("%s: missing; %s is given", f.Names.Certificate, f.Names.Key))
	case f.Key == "":
		errs = append(errs, fmt.Errorf("%s: missing; %s is given", f.Names.Key, f.Names.Certificate))
	default:
		p := &pair{files: f}
		errs = append(errs, wrongPair(p.read(), f.Names.Certificate, f.Certificate, f.Names.Key, f.Key))
		config.GetClientCertificate = p.get
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return config, nil
}

// poolOf returns the authorities in a file; name is the setting's.
func poolOf(name, file string) (*x509.CertPool, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s: %s holds no certificate in PEM format", name, file)
	}
	return pool, nil
}

// wrongPair says which settings an error of a certificate and its key is about.
func wrongPair(err error, certificateName, certificate, keyName, key string) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s %s, %s %s: %w; both are PEM, the key is not encrypted", certificateName, certificate, keyName, key, err)
}

// pair is our certificate and its key.
type pair struct {
	files Files

	mu   sync.Mutex
	last tls.Certificate // as read last
}

func (p *pair) read() error {
	now, err := tls.LoadX509KeyPair(p.files.Certificate, p.files.Key)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last = now
	return nil
}

// get returns what a server is shown, also one that names other authorities: it then says what it misses.
func (p *pair) get(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	_ = p.read() // while the files are being written, the one before holds
	p.mu.Lock()
	defer p.mu.Unlock()
	certificate := p.last
	return &certificate, nil
}
