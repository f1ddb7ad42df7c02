package consul

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
)

// Port is one of the two ports of Consul's servers that agents speak to.
type Port string

// The ports, by the names of their sections in consulServers.
const (
	PortGRPC Port = "grpc"
	PortHTTP Port = "http"
)

// greetingTimeout bounds the wait for what a server says first. It only has to be longer than the way to a server.
const greetingTimeout = 2 * time.Second

func (p Port) variable() string {
	if p == PortGRPC {
		return mesh.VariableGRPCCACert
	}
	return mesh.VariableHTTPSCACert
}

// tlsSwitch is the setting that decides whether the port speaks TLS.
func (p Port) tlsSwitch() string {
	if p == PortGRPC {
		return "consulServers.grpc.tls"
	}
	return "consulServers.http.https"
}

// Endpoint is how the settings say to reach the port, and the CA certificates of it that the environment has, as PEM text.
func (s Settings) Endpoint(p Port) (e agentconfig.Endpoint, pem string) {
	if p == PortGRPC {
		return s.GRPC, s.GRPCCAPEM
	}
	return s.HTTP, s.HTTPCAPEM
}

func (s Settings) tlsOf(p Port) (*tls.Config, error) {
	e, pem := s.Endpoint(p)
	cfg, err := s.tlsConfig(e, pem)
	if cfg != nil && p == PortGRPC {
		cfg.NextProtos = []string{"h2"} // as gRPC's own client asks
	}
	return cfg, err
}

// Trust names what decides whether the certificate of a server at the port is to be believed. Its error tells what makes
// the CA certificates of the settings unreadable.
func (s Settings) Trust(p Port) (by string, err error) {
	e, pem := s.Endpoint(p)
	switch cfg, err := s.tlsConfig(e, pem); {
	case err != nil:
		return "", fmt.Errorf("consulServers.%s: %w", p, err)
	case cfg == nil:
		return "plain text", nil
	case pem != "":
		return p.variable(), nil
	case e.CACertFile != "":
		return e.CACertFile, nil
	}
	return "the system's roots", nil
}

// Servers resolves the addresses of Consul's servers, once.
func (s Settings) Servers(ctx context.Context, log hclog.Logger) ([]netip.Addr, error) {
	n, err := newSession(s, log)
	if err != nil {
		return nil, err
	}
	found, err := n.discover(ctx)
	if err != nil {
		return nil, &Refusal{Err: err, Hint: "see consulServers.hosts, and whether the task's name servers know the name"}
	}
	var addresses []netip.Addr
	for _, text := range found {
		addr, err := netip.ParseAddrPort(text)
		if err != nil {
			return nil, fmt.Errorf("discover: %w", err)
		}
		addresses = append(addresses, addr.Addr().Unmap())
	}
	if len(addresses) == 0 {
		return nil, unreachable(nil, s)
	}
	slices.SortFunc(addresses, netip.Addr.Compare)
	return slices.Compact(addresses), nil
}

// At is the port at a server's address.
func (s Settings) At(p Port, server netip.Addr) netip.AddrPort {
	e, _ := s.Endpoint(p)
	return netip.AddrPortFrom(server, uint16(e.Port))
}

// Dial opens a TCP connection to a server's port and closes it.
func (s Settings) Dial(ctx context.Context, p Port, server netip.Addr) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", s.At(p, server).String())
	if err != nil {
		return err
	}
	return conn.Close()
}

// Handshake is what a TLS handshake with a server came to.
type Handshake struct {
	TLS        bool
	ServerName string    // that the certificate was verified by
	Expires    time.Time // the certificate
}

// Greet makes a TLS handshake with a server's port as the agents would. Its error is a Refusal that tells the fix. Where the
// settings say that the port speaks plain text, an answer in TLS is the error.
func (s Settings) Greet(ctx context.Context, p Port, server netip.Addr) (Handshake, error) {
	cfg, err := s.tlsOf(p)
	if err != nil {
		return Handshake{}, err
	}
	if cfg == nil {
		_, err := p.greet(ctx, s.At(p, server), &tls.Config{InsecureSkipVerify: true})
		switch {
		case ctx.Err() != nil:
			return Handshake{}, context.Cause(ctx)
		case err == nil || !isPlain(err):
			return Handshake{}, &Refusal{Err: errors.New("the port speaks TLS, the configuration says plain text"), Hint: "set " + p.tlsSwitch() + " to true, or use the port for plain text"}
		}
		return Handshake{}, nil
	}
	state, err := p.greet(ctx, s.At(p, server), cfg)
	if err != nil {
		return Handshake{}, p.explainTLS(err, cfg.ServerName)
	}
	return Handshake{TLS: true, ServerName: cfg.ServerName, Expires: state.PeerCertificates[0].NotAfter}, nil
}

// greet shakes hands, and hears what the server says first where it speaks first: one that wants a client certificate ends
// the connection only then. On the HTTP port that shows with the first request.
func (p Port) greet(ctx context.Context, at netip.AddrPort, cfg *tls.Config) (tls.ConnectionState, error) {
	dialed, err := (&tls.Dialer{Config: cfg}).DialContext(ctx, "tcp", at.String())
	if err != nil {
		return tls.ConnectionState{}, err
	}
	conn := dialed.(*tls.Conn)
	defer conn.Close()
	if p == PortHTTP {
		return conn.ConnectionState(), nil
	}
	if err := conn.SetReadDeadline(time.Now().Add(greetingTimeout)); err != nil {
		return tls.ConnectionState{}, err
	}
	if _, err := conn.Read(make([]byte, 1)); err != nil && strings.Contains(err.Error(), clientCertificateWanted) {
		return tls.ConnectionState{}, err
	}
	return conn.ConnectionState(), nil
}

// isPlain reports whether a handshake failed as it does at a port that speaks plain text.
func isPlain(err error) bool {
	var record tls.RecordHeaderError
	return errors.As(err, &record) || errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET)
}

// explainTLS adds what an operator can do about a failed handshake that expected serverName.
func (p Port) explainTLS(err error, serverName string) error {
	var authority x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	refusal := &Refusal{Err: err, Tries: 1}
	switch {
	case isPlain(err):
		refusal.Err = fmt.Errorf("the port does not answer in TLS: %w", err)
		refusal.Hint = fmt.Sprintf("set %s to false, or use the port for TLS in consulServers.%s.port", p.tlsSwitch(), p)
	case errors.As(err, &authority):
		refusal.Hint = fmt.Sprintf("give the CA of Consul's servers in %s or consulServers.%s.caCertFile", p.variable(), p)
		if authority.Cert != nil {
			refusal.Err = fmt.Errorf("%w (it is by %q)", err, authority.Cert.Issuer.CommonName)
		}
	case errors.As(err, &name):
		refusal.Err = fmt.Errorf("the certificate is not for %q, but for %s", serverName, namesOf(name.Certificate))
		refusal.Hint = fmt.Sprintf("set consulServers.%s.tlsServerName, or that of consulServers.defaults, to one of those names", p)
	case errors.As(err, &invalid):
		refusal.Hint = "renew the certificate of Consul's servers"
		if invalid.Reason == x509.Expired && invalid.Cert != nil {
			refusal.Hint += fmt.Sprintf(": it is valid from %s to %s; or set this host's clock", invalid.Cert.NotBefore.Format(time.RFC3339), invalid.Cert.NotAfter.Format(time.RFC3339))
		}
	case strings.Contains(err.Error(), clientCertificateWanted):
		refusal.Hint = hintClientCertificate
	case strings.Contains(err.Error(), noProtocol):
		refusal.Hint = hintNoProtocol
	}
	return refusal
}

// namesOf lists whom a certificate is for.
func namesOf(cert *x509.Certificate) string {
	names := slices.Clone(cert.DNSNames)
	for _, ip := range cert.IPAddresses {
		names = append(names, ip.String())
	}
	if len(names) == 0 {
		return "nobody"
	}
	return strings.Join(names, ", ")
}

// Leader asks one server's HTTP API who leads the servers. It takes no token.
func (s Settings) Leader(ctx context.Context, server netip.Addr) (string, error) {
	cfg, err := s.tlsOf(PortHTTP)
	if err != nil {
		return "", err
	}
	url := s.scheme() + "://" + s.At(PortHTTP, server).String() + "/v1/status/leader"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	resp, err := (&http.Transport{TLSClientConfig: cfg, DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		return "", PortHTTP.explainTLS(fmt.Errorf("GET %s: %w", url, err), "")
	}
	defer resp.Body.Close()
	var leader string
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<10)).Decode(&leader); err != nil || resp.StatusCode != http.StatusOK {
		return "", &Refusal{Err: fmt.Errorf("GET %s: %s, and no name of a leader", url, resp.Status), Hint: "what listens there is not Consul's HTTP API: see consulServers.http.port"}
	}
	if leader == "" {
		return "", &Refusal{Err: errors.New("the servers have no leader"), Hint: "see the log of Consul's servers: without a leader nobody can log in or register"}
	}
	return leader, nil
}
