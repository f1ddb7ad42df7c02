package pki_test

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"testing"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/pki"
)

func TestLeafServesTLSForItsNamesAndAddressesOnly(t *testing.T) {
	t.Parallel()
	authority, err := pki.New("test authority")
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := authority.Leaf([]string{"server.dc1.consul", "localhost"}, net.IPv4(127, 0, 0, 1))
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair([]byte(leaf.CertPEM), []byte(leaf.KeyPEM))
	if err != nil {
		t.Fatal(err)
	}
	server, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	go func() {
		for {
			conn, err := server.Accept()
			if err != nil {
				return
			}
			_ = conn.(*tls.Conn).Handshake() // the client judges it
			conn.Close()
		}
	}()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(authority.PEM))
	for name, trusted := range map[string]bool{
		"server.dc1.consul": true, "localhost": true, "127.0.0.1": true,
		"server.dc2.consul": false, "127.0.0.2": false,
	} {
		conn, err := tls.Dial("tcp", server.Addr().String(), &tls.Config{RootCAs: roots, ServerName: name})
		if err == nil {
			conn.Close()
		}
		if (err == nil) != trusted {
			t.Errorf("%s: got error %v, want trusted = %v", name, err, trusted)
		}
	}
}
