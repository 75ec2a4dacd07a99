package clienttls

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"strings"
)

// Reason is why a connection can't be encrypted. Trying again doesn't help until something has been mended.
type Reason int

// The reasons.
const (
	None      Reason = iota // it is something else
	Untrusted               // the server's certificate is of an authority that we don't trust
	WrongName               // it is for another name
	Expired                 // it has expired, or isn't valid yet
	Refused                 // the server refuses our certificate, or misses it
	NotTLS                  // the server doesn't speak TLS
)

// ReasonOf returns the reason that an error comes from, if it is one.
func ReasonOf(err error) Reason {
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return Untrusted
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return WrongName
	}
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok {
		if invalid.Reason == x509.Expired {
			return Expired
		}
		return Untrusted
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok || errors.Is(err, http.ErrSchemeMismatch) {
		return NotTLS
	}
	// What a server says that ends a handshake has no type of its own. OpenSSL reports a certificate of an unknown authority now and then as one whose
	// signature can't be decrypted, since the authorities may have the same name.
	if remote, ok := errors.AsType[*net.OpError](err); ok && remote.Op == "remote error" &&
		(strings.Contains(remote.Error(), "certificate") || strings.Contains(remote.Error(), "decrypting")) {
		return Refused
	}
	return None
}

// Describe says what is wrong, and what to mend, where the settings have these names; "" for None. protocol is the setting by which encryption is switched on.
func (r Reason) Describe(names Names, protocol string) string {
	switch r {
	case Untrusted:
		return "the server's certificate is of an authority that is not trusted: give the authority's certificate as " + names.Authority
	case WrongName:
		return "the server's certificate is for another name than the address: use an address that it names, or renew it with this one"
	case Expired:
		return "the server's certificate has expired or isn't valid yet: renew it at the server, and check both clocks"
	case Refused:
		return "the server wants a certificate of ours that it trusts and that is valid: check " + names.Certificate + " and " + names.Key
	case NotTLS:
		return "the server does not encrypt at this port: use its encrypted one, or change " + protocol
	case None:
	}
	return ""
}
