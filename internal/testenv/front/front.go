// Package front puts itself before a real Consul in tests, as a server that has admin partitions and namespaces and that may
// be short of resources. It notes the scope of everything that is sent to it, takes it out, and hands the rest on, which the
// community edition behind it would refuse. What Consul Enterprise would tell of a scope, it tells.
package front

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
)

// Sent is one place of a call at which a scope can stand.
type Sent struct {
	Call  string // such as "PUT /v1/txn" or "/hashicorp.consul.acl.ACLService/Login"
	Place string // "query" of a URL, "metadata" of a call, or where in the message
	Scope mesh.Scope
}

// Consul is the front, in plain text on loopback. Its methods may be called at any time.
type Consul struct {
	HTTPPort, GRPCPort int

	servers   *grpc.ClientConn // to the real one
	exhausted chan struct{}    // closed once it has too many streams
	exhaust   sync.Once

	mu   sync.Mutex
	sent []Sent
}

// Start serves until the test ends, before a real Consul.
func Start(t *testing.T, real *testenv.Consul) *Consul {
	t.Helper()
	return At(t, real, "127.0.0.1:0")
}

// At is Start with an address for gRPC.
func At(t *testing.T, real *testenv.Consul, address string) *Consul {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(real.CAPEM))
	trust := &tls.Config{RootCAs: roots, ServerName: real.ServerName}
	c := &Consul{exhausted: make(chan struct{})}

	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "https", Host: net.JoinHostPort(real.Address, strconv.Itoa(real.HTTPPort))})
	proxy.Transport = &http.Transport{TLSClientConfig: trust}
	proxy.ModifyResponse = tellNamespace
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r = asked(r)
		if err := c.strip(r); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		if r.URL.Path == "/v1/namespaces" {
			namespaces(w)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(web.Close)
	c.HTTPPort = web.Listener.Addr().(*net.TCPAddr).Port

	var err error
	c.servers, err = grpc.NewClient(net.JoinHostPort(real.Address, strconv.Itoa(real.GRPCPort)), grpc.WithTransportCredentials(credentials.NewTLS(trust)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.servers.Close() })
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(grpc.UnknownServiceHandler(c.handle))
	go server.Serve(listener)
	t.Cleanup(server.Stop)
	c.GRPCPort = listener.Addr().(*net.TCPAddr).Port
	return c
}

// Exhaust makes streams of configuration end with ResourceExhausted, those that are open among them, as Consul does where
// another server has fewer of them.
func (c *Consul) Exhaust() { c.exhaust.Do(func() { close(c.exhausted) }) }

func (c *Consul) note(call, place string, scope mesh.Scope) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sent = append(c.sent, Sent{call, place, scope})
}

// Sent lists what was sent so far, in order.
func (c *Consul) Sent() []Sent {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]Sent(nil), c.sent...)
}
