package embedded

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"time"
)

// Certificate is a self-signed certificate for servers on this machine, with its key, both
// in the PEM form that server programs read.
type Certificate struct {
	// CertificatePEM is the certificate, which is its own authority: clients trust it.
	CertificatePEM []byte
	// KeyPEM is the private key, in PKCS #8.
	KeyPEM []byte
}

// NewCertificate makes a new key and a certificate for localhost and 127.0.0.1, valid from
// an hour ago for a day.
func NewCertificate() (Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Certificate{}, fmt.Errorf("a key for the certificate: %w", err)
	}
	now := time.Now()
	template := x509.Certificate{
		SerialNumber:          big.NewInt(now.UnixNano()),
		Subject:               pkix.Name{CommonName: "localhost"},
		DNSNames:              []string{"localhost"},
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		NotBefore:             now.Add(-time.Hour),
		NotAfter:              now.Add(24 * time.Hour),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, key.Public(), key)
	if err != nil {
		return Certificate{}, fmt.Errorf("self-signed certificate: %w", err)
	}
	return certificateOf(der, key)
}

// Server returns the settings of a server that shows this certificate.
func (c Certificate) Server() (*tls.Config, error) {
	pair, err := tls.X509KeyPair(c.CertificatePEM, c.KeyPEM)
	if err != nil {
		return nil, fmt.Errorf("self-signed certificate: %w", err)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, nil
}

// Client returns the settings of a client that trusts this certificate and no other.
func (c Certificate) Client() *tls.Config {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(c.CertificatePEM)
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
}
