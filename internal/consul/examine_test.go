package consul

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/pki"
)

var here = netip.AddrFrom4([4]byte{127, 0, 0, 1})

func TestAServersPortsAreTakenForWhatTheyAre(t *testing.T) {
	task := taskOf(t, "t1")
	other, err := pki.New("another CA")
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		change func(*Settings)
		want   string // in both ports' errors; "" for none
		hint   string
	}{
		"as it should be": {nil, "", ""},
		"another CA": {func(s *Settings) { s.GRPCCAPEM, s.HTTPCAPEM = other.PEM, other.PEM },
			`certificate signed by unknown authority`, "give the CA of Consul's servers in "},
		"another name": {func(s *Settings) { s.GRPC.ServerName, s.HTTP.ServerName = "server.dc2.consul", "server.dc2.consul" },
			`the certificate is not for "server.dc2.consul", but for server.dc1.consul, localhost, 127.0.0.1`, "tlsServerName"},
		"plain text expected": {func(s *Settings) { s.GRPC.TLS, s.HTTP.TLS = false, false },
			"the port speaks TLS, the configuration says plain text", "to true"},
	} {
		t.Run(name, func(t *testing.T) {
			s := settings(t, task, tc.change)
			for _, port := range []Port{PortGRPC, PortHTTP} {
				if err := s.Dial(t.Context(), port, here); err != nil {
					t.Errorf("%s: %v", port, err)
				}
				got, err := s.Greet(t.Context(), port, here)
				if tc.want == "" {
					if err != nil || !got.TLS || got.ServerName != stage.Consul.ServerName || time.Until(got.Expires) <= 0 {
						t.Errorf("%s: %+v, %v", port, got, err)
					}
					continue
				}
				if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), "\nhint: ") || !strings.Contains(err.Error(), tc.hint) {
					t.Errorf("%s: got %v, want %q and %q", port, err, tc.want, tc.hint)
				}
			}
		})
	}
}

func TestServersAreFoundAndTellTheirLeader(t *testing.T) {
	t.Parallel()
	s := settings(t, taskOf(t, "t1"), nil)
	servers, err := s.Servers(t.Context(), hclog.NewNullLogger())
	if err != nil || !slices.Equal(servers, []netip.Addr{here}) {
		t.Fatalf("%v, %v", servers, err)
	}
	if leader, err := s.Leader(t.Context(), here); err != nil || !strings.HasPrefix(leader, "127.0.0.1:") {
		t.Errorf("leader %q, %v", leader, err)
	}
	s.HTTP.Port = s.GRPC.Port
	if _, err := s.Leader(t.Context(), here); err == nil {
		t.Error("the gRPC port passes for the HTTP API")
	}
	s.Hosts = "nowhere.invalid"
	if _, err := s.Servers(t.Context(), hclog.NewNullLogger()); err == nil || !strings.Contains(err.Error(), "\nhint: see consulServers.hosts") {
		t.Errorf("got %v", err)
	}
}

// Servers that are no Consul stand here for Consul's mistakes of configuration.
func TestPlainTextAndStrangersAreNamed(t *testing.T) {
	t.Parallel()
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "who?", http.StatusTeapot) }))
	defer plain.Close()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	go func() {
		for {
			conn, err := silent.Accept()
			if err != nil {
				return
			}
			conn.Close()
		}
	}()
	s := settings(t, taskOf(t, "t1"), nil)
	for name, address := range map[string]net.Addr{"HTTP": plain.Listener.Addr(), "closes": silent.Addr()} {
		s.GRPC.Port, s.HTTP.Port = address.(*net.TCPAddr).Port, address.(*net.TCPAddr).Port
		for _, port := range []Port{PortGRPC, PortHTTP} {
			if _, err := s.Greet(t.Context(), port, here); err == nil || !strings.Contains(err.Error(), "the port does not answer in TLS") || !strings.Contains(err.Error(), "to false") {
				t.Errorf("%s, %s: got %v", name, port, err)
			}
		}
	}
	s.HTTP.TLS, s.HTTP.Port = false, plain.Listener.Addr().(*net.TCPAddr).Port
	if got, err := s.Greet(t.Context(), PortHTTP, here); err != nil || got.TLS {
		t.Errorf("plain text as configured: %+v, %v", got, err)
	}
	if _, err := s.Leader(t.Context(), here); err == nil || !strings.Contains(err.Error(), "is not Consul's HTTP API") {
		t.Errorf("got %v", err)
	}
}

func TestAnAttemptDoesNotWait(t *testing.T) {
	asRole(t, "/elsewhere/", "web")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	s := settings(t, taskOf(t, "t1"), func(s *Settings) { s.Login.Method = "nobodys" })
	_, err := Attempt(ctx, s, hclog.NewNullLogger())
	if err == nil || !strings.Contains(err.Error(), "the auth method does not exist yet") || ctx.Err() != nil { // Connect would wait for it
		t.Errorf("got %v", err)
	}
}

func TestAConnectionTellsWhatATaskMayDo(t *testing.T) {
	asRole(t, mesh.RolePath, "web")
	task := taskOf(t, "t1")
	c, err := Attempt(t.Context(), settings(t, task, nil), hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if tokens := stage.LoginTokens(t, "t1"); !slices.Contains(tokens, c.AccessorID()) {
		t.Errorf("accessor %s is none of %v", c.AccessorID(), tokens)
	}
	features, err := c.Features(t.Context())
	if err != nil || !slices.Contains(features, "ENVOY_BOOTSTRAP_CONFIGURATION") {
		t.Errorf("features %v, %v", features, err)
	}
	for _, want := range []bool{false, true} {
		if there, err := c.HasNode(t.Context(), task.ClusterARN); err != nil || there != want {
			t.Errorf("node there: %t, %v, want %t", there, err, want)
		}
		stage.Node(t, clusterName(t))
	}
	for service, want := range map[string][]string{"web": nil, "api": {"api", "api-sidecar-proxy"}} {
		refused, err := c.MayRegister(t.Context(), Registration{ServiceName: service, ProxyName: mesh.ProxyName(service)})
		if err != nil || !slices.Equal(refused, want) {
			t.Errorf("%s: refused %v, %v, want %v", service, refused, err, want)
		}
	}
	if list := stage.Services(t, task.ClusterARN); len(list) > 0 {
		t.Errorf("services %v: something was written", list)
	}
}

func TestAServerThatWantsACertificateOfItsClientsIsNamed(t *testing.T) {
	t.Parallel()
	authority, err := pki.New("Consul's CA")
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := authority.Leaf([]string{"server.dc1.consul"}, net.IPv4(127, 0, 0, 1))
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair([]byte(leaf.CertPEM), []byte(leaf.KeyPEM))
	if err != nil {
		t.Fatal(err)
	}
	strict := httptest.NewUnstartedServer(http.NotFoundHandler())
	strict.Config.ErrorLog = log.New(io.Discard, "", 0)
	strict.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAnyClientCert, NextProtos: []string{"h2", "http/1.1"}}
	strict.StartTLS()
	defer strict.Close()
	s := settings(t, taskOf(t, "t1"), func(s *Settings) {
		s.GRPCCAPEM, s.HTTPCAPEM, s.Login = authority.PEM, authority.PEM, nil
		s.GRPC.Port = strict.Listener.Addr().(*net.TCPAddr).Port
		s.HTTP.Port = s.GRPC.Port
	})
	plain := s
	plain.GRPC.TLS = false
	if _, err := plain.Greet(t.Context(), PortGRPC, here); err == nil || !strings.Contains(err.Error(), "the port speaks TLS") {
		t.Errorf("plain text expected: got %v", err)
	}
	for what, try := range map[string]func() error{
		"greeting": func() error { _, err := s.Greet(t.Context(), PortGRPC, here); return err },
		"HTTP API": func() error { _, err := s.Leader(t.Context(), here); return err },
		"attempt":  func() error { _, err := Attempt(t.Context(), s, hclog.NewNullLogger()); return err },
	} {
		named := func(err error) bool {
			return err != nil && strings.Contains(err.Error(), "\nhint: the servers want a client certificate")
		}
		err := try()
		for tries := 1; !named(err) && tries < 50; tries++ { // who writes to the closed connection before it reads does not hear why
			err = try()
		}
		if !named(err) {
			t.Errorf("%s: got %v", what, err)
		}
	}
}

func TestAServerOfAnotherProtocolIsNamed(t *testing.T) {
	t.Parallel()
	web := httptest.NewUnstartedServer(http.NotFoundHandler()) // speaks HTTP/1.1 alone
	web.Config.ErrorLog = log.New(io.Discard, "", 0)
	web.StartTLS()
	defer web.Close()
	s := settings(t, taskOf(t, "t1"), func(s *Settings) {
		s.InsecureSkipVerify, s.Login, s.GRPC.Port = true, nil, web.Listener.Addr().(*net.TCPAddr).Port
	})
	_, greeting := s.Greet(t.Context(), PortGRPC, here)
	_, attempt := Attempt(t.Context(), s, hclog.NewNullLogger())
	for what, err := range map[string]error{"greeting": greeting, "attempt": attempt} {
		if err == nil || !strings.Contains(err.Error(), "\nhint: what listens at the port does not speak gRPC") {
			t.Errorf("%s: got %v", what, err)
		}
	}
}

func TestCertificatesThatAreNoGoodAreExplained(t *testing.T) {
	t.Parallel()
	at := func(year int) time.Time { return time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC) }
	cert := &x509.Certificate{NotBefore: at(2020), NotAfter: at(2021)}
	for name, tc := range map[string]struct {
		err  error
		want string
	}{
		"expired":   {x509.CertificateInvalidError{Cert: cert, Reason: x509.Expired}, "valid from 2020-01-01T00:00:00Z to 2021-01-01T00:00:00Z; or set this host's clock"},
		"no names":  {x509.HostnameError{Certificate: cert, Host: "h"}, `not for "h", but for nobody`},
		"any other": {x509.CertificateInvalidError{Cert: cert, Reason: x509.NotAuthorizedToSign}, "hint: renew the certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := PortGRPC.explainTLS(&tls.CertificateVerificationError{Err: tc.err}, "h"); !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}
