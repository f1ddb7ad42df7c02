package devserver

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"time"
)

// validFor is how long the certificates are valid, as long as those that Consul's own command makes.
const validFor = 5 * 365 * 24 * time.Hour

// clockSkew is how far the clocks of those who check the certificates may be behind.
const clockSkew = time.Hour

// NewSecrets makes what a server works with, as the values of its secrets by their names. now is when. The authority's key signs the one
// certificate and is forgotten: nothing can be signed by it later, and nobody can steal it.
func NewSecrets(now time.Time, names SecretNames, datacenter, dnsName string) (map[string]string, error) {
	ca, certificate, key, err := certificates(now, datacenter, dnsName)
	if err != nil {
		return nil, fmt.Errorf("make the certificates of the server: %w", err)
	}
	gossip := make([]byte, 32)
	rand.Read(gossip) // never fails
	own, err := json.Marshal(map[string]string{fieldCertificate: certificate, fieldKey: key, fieldGossip: base64.StdEncoding.EncodeToString(gossip)})
	if err != nil {
		return nil, fmt.Errorf("write the keys of the server: %w", err)
	}
	return map[string]string{names.CA: ca, names.Token: NewUUID(), names.Server: string(own)}, nil
}

// NewUUID is a random UUID, as Consul wants tokens to be.
func NewUUID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

func certificates(now time.Time, datacenter, dnsName string) (ca, certificate, key string, err error) {
	authorityKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", "", "", err
	}
	authority, err := template(now, "Consul server for trials, authority")
	if err != nil {
		return "", "", "", err
	}
	authority.IsCA, authority.MaxPathLenZero, authority.KeyUsage = true, true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign
	caDER, err := x509.CreateCertificate(rand.Reader, authority, authority, &authorityKey.PublicKey, authorityKey)
	if err != nil {
		return "", "", "", err
	}
	serverKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", "", "", err
	}
	server, err := template(now, ServerName(datacenter))
	if err != nil {
		return "", "", "", err
	}
	server.DNSNames = []string{ServerName(datacenter), "localhost"}
	if dnsName != "" {
		server.DNSNames = append(server.DNSNames, dnsName)
	}
	server.IPAddresses = append(server.IPAddresses, []byte{127, 0, 0, 1})
	server.KeyUsage, server.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	der, err := x509.CreateCertificate(rand.Reader, server, authority, &serverKey.PublicKey, authorityKey)
	if err != nil {
		return "", "", "", err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(serverKey)
	return encoded("CERTIFICATE", caDER), encoded("CERTIFICATE", der), encoded("PRIVATE KEY", keyDER), err
}

func template(now time.Time, name string) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	return &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name}, BasicConstraintsValid: true,
		NotBefore: now.Add(-clockSkew), NotAfter: now.Add(validFor),
	}, err
}

func encoded(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}
