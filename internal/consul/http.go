package consul

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/consul-server-connection-manager/discovery"
	"github.com/hashicorp/consul/api"

	"github.com/consulecs/terraform-provider-consulecs/internal/consul/link"
	"github.com/consulecs/terraform-provider-consulecs/internal/consul/lock"
	"github.com/consulecs/terraform-provider-consulecs/internal/sleep"
)

const (
	pingAfter   = 15 * time.Second // of silence
	pingTimeout = 5 * time.Second
)

// freshFor is how long a token counts as one that a lagging server may not know yet.
const freshFor = 3 * time.Second

// newHTTP makes the client of the HTTP API. There is one client and one transport for the whole life of the connection;
// where a request goes and which token it carries is decided when it is sent. So fail-over and renewal need no new
// client, and no more sockets are open than requests are in flight.
func (c *Connection) newHTTP() (*api.Client, error) {
	tls, err := c.settings.tlsConfig(c.settings.HTTP, c.settings.HTTPCAPEM)
	if err != nil {
		return nil, err
	}
	dialer := &net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}
	c.sockets = &http.Transport{
		DialContext:         dialer.DialContext, // no proxy: Consul's servers are in the same network
		TLSClientConfig:     tls,
		TLSHandshakeTimeout: 5 * time.Second,
		MaxIdleConnsPerHost: removals, // without TLS, each request that is under way has one of its own
		IdleConnTimeout:     90 * time.Second,
		// Consul speaks HTTP/2 where it speaks TLS. So one connection has room for the queries of Watch, which wait, and for
		// all others; Consul limits the connections of a client, not its requests. A server that is silent is left by pings.
		ForceAttemptHTTP2: true,
		HTTP2:             &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout},
	}
	if c.direct, err = c.client(serverTransport{c}); err != nil || c.settings.MaxWritesPerSecond == 0 {
		return c.direct, err
	}
	c.pace = newPace(c.settings.MaxWritesPerSecond)
	return c.client(pacedTransport{serverTransport{c}, c.pace})
}

func (c *Connection) client(transport http.RoundTripper) (*api.Client, error) {
	return api.NewClient(&api.Config{
		Address:    anyServer,
		Token:      "none", // replaced for each request; without one the library looks for one in the environment
		Scheme:     c.settings.scheme(),
		HttpClient: &http.Client{Transport: transport},
		Namespace:  c.settings.Scope.Namespace,
		Partition:  c.settings.Scope.Partition,
	})
}

// anyServer is the host of requests: serverTransport replaces it.
const anyServer = "consul.invalid"

// scheme is that of the HTTP API's URLs.
func (s Settings) scheme() string {
	if s.HTTP.TLS {
		return "https"
	}
	return "http"
}

// serverTransport sends requests to the current server with the current token.
type serverTransport struct{ c *Connection }

// RoundTrip sends the request, again where Consul does not know the token: after a moment if the token is fresh or other servers know
// it, since the server may lag behind; else after a new login.
func (t serverTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	for began := time.Now(); ; {
		token := t.c.session.current.Load()
		resp, err := t.once(req, token.secretID)
		if err != nil || resp.StatusCode != http.StatusForbidden || !tokenUnknown(resp) {
			return resp, err
		}
		again, err := replay(req)
		if err != nil || t.c.refresh(req.Context(), token, began) != nil {
			return resp, nil
		}
		req = again
	}
}

func (t serverTransport) once(req *http.Request, token string) (*http.Response, error) {
	host, err := t.c.server(req.Context())
	if err != nil {
		return nil, err
	}
	out := req.Clone(req.Context())
	out.URL.Host, out.Host = host, host
	out.URL.RawQuery = t.c.settings.scoped(req.Context(), out.URL.Query()).Encode()
	out.Header.Del("Authorization") // the API library takes it from the environment
	out.Header.Del("X-Consul-Token")
	if token != "" {
		out.Header.Set("X-Consul-Token", token)
	}
	if err := lock.Check(req.Context()); err != nil { // who was asleep since it made the request sends nothing
		return nil, err
	}
	resp, err := t.c.sockets.RoundTrip(out)
	if err == nil || req.Context().Err() == nil {
		t.c.settings.sent(req, resp)
	}
	switch {
	case err == nil:
		t.c.spoken.Store(true)
		return resp, nil
	case req.Context().Err() != nil:
		return nil, fmt.Errorf("server %s: %w", host, err)
	}
	return nil, unspoken(fmt.Errorf("server %s: %w", host, err), t.c.spoken.Load())
}

// everyNamespace has a list tell of all namespaces.
const everyNamespace = "*"

// namespaceKey is under which a context knows the namespace of its requests.
type namespaceKey struct{}

// partitioned reports whether this is Consul Enterprise, where a controller looks after the namespaces of a partition. The
// community edition refuses requests that speak of either.
func (c *Connection) partitioned() bool { return c.settings.Scope.Partition != "" }

// inNamespace makes requests speak of the namespace, where Consul has some. "" leaves the connection's own.
func (c *Connection) inNamespace(ctx context.Context, namespace string) context.Context {
	if namespace == "" || !c.partitioned() {
		return ctx
	}
	return context.WithValue(ctx, namespaceKey{}, namespace)
}

// scoped is a query with the scope that is meant, and not what the API library has taken from the environment.
func (s Settings) scoped(ctx context.Context, query url.Values) url.Values {
	namespace := s.Scope.Namespace
	if other, ok := ctx.Value(namespaceKey{}).(string); ok {
		namespace = other
	}
	for key, value := range map[string]string{"ns": namespace, "partition": s.Scope.Partition} {
		if query.Del(key); value != "" {
			query.Set(key, value)
		}
	}
	return query
}

// refresh does what may make Consul know the token of a request that began some time ago. A server that has just started knows none: it
// does not speak for the others, and is not waited for much longer than one that lags behind.
func (c *Connection) refresh(ctx context.Context, token *aclToken, began time.Time) error {
	pause := 50 * time.Millisecond
	if c.Token() != token.secretID {
		return nil // somebody has logged in meanwhile
	}
	if time.Since(token.since) > freshFor {
		if c.settings.Login == nil || c.session.unknown(ctx, token.secretID) {
			return c.session.renew(ctx, token.secretID)
		}
		waited := time.Since(began)
		if waited > freshFor {
			return errBehind
		}
		pause = max(pause, waited)
	}
	if !sleep.For(ctx, pause) {
		return context.Cause(ctx)
	}
	return nil
}

// errBehind says that it is the server that has to change.
var errBehind = errors.New("other servers know the token")

// tokenUnknown reads a refusal.
func tokenUnknown(resp *http.Response) bool {
	return strings.Contains(peek(resp), link.Unknown)
}

// replay is the request with its body from the beginning.
func replay(req *http.Request) (*http.Request, error) {
	again := req.Clone(req.Context())
	if req.Body == nil || req.Body == http.NoBody {
		return again, nil
	}
	if req.GetBody == nil {
		return nil, errors.New("the request cannot be sent twice")
	}
	body, err := req.GetBody()
	again.Body = body
	return again, err
}

// server is the address of the HTTP API at the current server. While the server manager has none, it waits.
func (c *Connection) server(ctx context.Context) (string, error) {
	for {
		next := c.arrivals.next()
		state, err := c.watcher.State()
		if err != nil {
			return "", fmt.Errorf("find a Consul server: %w", err)
		}
		if !state.Address.Empty() {
			return net.JoinHostPort(state.Address.IP.String(), strconv.Itoa(c.settings.HTTP.Port)), nil
		}
		select {
		case <-next:
		case <-c.arrivals.over:
			return "", errors.New("find a Consul server: the connection is closed")
		case <-ctx.Done():
			return "", fmt.Errorf("find a Consul server: %w", context.Cause(ctx))
		}
	}
}

// arrivals tells of each server that the server manager has found.
type arrivals struct {
	mu   sync.Mutex
	at   chan struct{}   // closed at the next one
	over <-chan struct{} // closed when there will be no more
}

// newArrivals listens to the manager until life ends.
func newArrivals(life context.Context, found <-chan discovery.State) *arrivals {
	a := &arrivals{at: make(chan struct{}), over: life.Done()}
	go func() {
		for {
			select {
			case <-life.Done():
				return
			case <-found:
			}
			a.mu.Lock()
			close(a.at)
			a.at = make(chan struct{})
			a.mu.Unlock()
		}
	}()
	return a
}

// next is closed when a server is found from now on.
func (a *arrivals) next() <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.at
}
