package clienttls

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"sync"
)

// Served says what a server of ours shows, and whom it knows. All files are PEM.
type Served struct {
	Certificate string // the server's certificate, and those between it and the authority
	Key         string // its key, not encrypted
	Clients     string // whose certificates clients may show; none: they aren't asked for one

	Names ServedNames // of the settings, for errors
}

// ServedNames are what the settings of Served are called.
type ServedNames struct{ Certificate, Key, Clients string }

// Config reads the files, and reports all that is wrong with them. They are read again for each connection, so that renewing them needs no restart; while
// they are being written, the ones before hold. A client that shows a certificate must show a valid one of a known authority. One that shows none gets in:
// the server decides what it may ask for.
func (s Served) Config() (*tls.Config, error) {
	p := &served{pair: pair{files: Files{Certificate: s.Certificate, Key: s.Key}}, files: s}
	errs := []error{wrongPair(p.pair.read(), s.Names.Certificate, s.Certificate, s.Names.Key, s.Key)}
	if s.Clients != "" {
		pool, err := poolOf(s.Names.Clients, s.Clients)
		p.clients, errs = pool, append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, GetConfigForClient: p.config}, nil
}

// served is what a server shows and whom it knows, as read last.
type served struct {
	files Served
	pair  pair

	mu      sync.Mutex
	clients *x509.CertPool
}

// config returns what holds for one connection. Sessions are not resumed: a resumed one would let in whom a renewed file doesn't name any more.
func (p *served) config(*tls.ClientHelloInfo) (*tls.Config, error) {
	certificate, err := p.pair.get(nil)
	if err != nil {
		return nil, err
	}
	config := &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}, SessionTicketsDisabled: true, Certificates: []tls.Certificate{*certificate},
	}
	if p.files.Clients != "" {
		config.ClientAuth, config.ClientCAs = tls.VerifyClientCertIfGiven, p.known()
	}
	return config, nil
}

func (p *served) known() *x509.CertPool {
	pool, err := poolOf(p.files.Names.Clients, p.files.Clients)
	p.mu.Lock()
	defer p.mu.Unlock()
	if err == nil {
		p.clients = pool
	}
	return p.clients
}
