package consul

import (
	"fmt"
	"net/http"

	"github.com/hashicorp/consul/api"

	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
)

// ConnectByEnvironment is for somebody at a terminal: it reaches the HTTP API alone, by the environment of Consul's own
// command (CONSUL_HTTP_ADDR and its kin), and nothing is asked yet. What takes gRPC does not work on the connection.
func ConnectByEnvironment(partition string) (*Connection, error) {
	cfg := api.DefaultConfig()
	if partition != "" {
		cfg.Partition = partition
	}
	conn, _, err := ConnectOutside(cfg)
	if err != nil {
		return nil, err
	}
	conn.settings = Settings{} // the scope is the client's, and what is written names its own
	return conn, nil
}

// ConnectOutside is ConnectByEnvironment with a configuration of Consul's library, whose client it gives as well.
func ConnectOutside(cfg *api.Config) (*Connection, *api.Client, error) {
	address := cfg.Address            // without the token
	client, err := api.NewClient(cfg) // which completes the configuration
	if err != nil {
		return nil, nil, fmt.Errorf("connect to Consul at %s: %w", address, err)
	}
	c := &Connection{http: client, direct: client, settings: Settings{Scope: mesh.Scope{Partition: cfg.Partition, Namespace: cfg.Namespace}}}
	c.outside = outsideTransport{*cfg, c.settings}
	cfg.HttpClient.Transport = namespaceTransport{cfg.HttpClient.Transport}
	return c, client, nil
}

// namespaceTransport has a request speak of the namespace that its context knows, if it knows one.
type namespaceTransport struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (t namespaceTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	namespace, ok := req.Context().Value(namespaceKey{}).(string)
	if !ok {
		return t.next.RoundTrip(req)
	}
	scoped := req.Clone(req.Context())
	query := scoped.URL.Query()
	query.Set("ns", namespace)
	scoped.URL.RawQuery = query.Encode()
	return t.next.RoundTrip(scoped)
}

// outsideTransport sends a request that Consul's library has not made to where the library sends its own.
type outsideTransport struct {
	cfg      api.Config
	settings Settings
}

// RoundTrip implements http.RoundTripper.
func (t outsideTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	out := req.Clone(req.Context())
	out.URL.Scheme, out.URL.Host, out.Host = t.cfg.Scheme, t.cfg.Address, t.cfg.Address
	out.URL.Path = t.cfg.PathPrefix + out.URL.Path
	out.URL.RawQuery = t.settings.scoped(req.Context(), out.URL.Query()).Encode()
	if t.cfg.Token != "" {
		out.Header.Set("X-Consul-Token", t.cfg.Token)
	}
	if auth := t.cfg.HttpAuth; auth != nil {
		out.SetBasicAuth(auth.Username, auth.Password)
	}
	return t.cfg.HttpClient.Do(out)
}
