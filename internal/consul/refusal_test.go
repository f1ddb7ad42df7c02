package consul

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/hashicorp/go-hclog"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
)

// The contract refuses most of these before Consul is asked. What it overlooks, or a Consul of another version finds, must
// not be tried again and again.
func TestARegistrationThatBreaksARuleOfConsulIsTriedOnce(t *testing.T) {
	asRole(t, mesh.RolePath, "web")
	stage.Node(t, clusterName(t))
	var log bytes.Buffer
	c := mustConnect(t, settings(t, taskOf(t, "t1"), nil))
	upstream := func(change func(*agentconfig.Upstream)) agentconfig.Upstream {
		u := agentconfig.Upstream{DestinationName: "api", LocalBindPort: 1234}
		change(&u)
		return u
	}
	for name, rule := range map[string]struct {
		change func(*agentconfig.Config)
		place  string
	}{
		"key of metadata":  {func(c *agentconfig.Config) { c.Service.Meta = map[string]string{"a.b": ""} }, "service.meta"},
		"empty key":        {func(c *agentconfig.Config) { c.Service.Meta = map[string]string{"": ""} }, "service.meta"},
		"Consul's own key": {func(c *agentconfig.Config) { c.Service.Meta = map[string]string{"consul-x": ""} }, "service.meta"},
		"long key":         {func(c *agentconfig.Config) { c.Service.Meta = map[string]string{strings.Repeat("k", 129): ""} }, "service.meta"},
		"long value":       {func(c *agentconfig.Config) { c.Service.Meta = map[string]string{"k": strings.Repeat("v", 513)} }, "service.meta"},
		"many keys": {func(c *agentconfig.Config) {
			c.Service.Meta = map[string]string{}
			for i := range 65 {
				c.Service.Meta["k"+strings.Repeat("x", i)] = ""
			}
		}, "service.meta"},
		"folder of sockets": {func(c *agentconfig.Config) {
			c.Proxy.Config = map[string]any{"envoy_hcp_metrics_bind_socket_dir": strings.Repeat("d", 71)}
		}, "proxy.config"},
		"type of destination": {func(c *agentconfig.Config) { c.Proxy.Upstreams[0].DestinationType = "x" }, "proxy.upstreams"},
		"no destination":      {func(c *agentconfig.Config) { c.Proxy.Upstreams[0].DestinationName = "" }, "proxy.upstreams"},
		"every destination":   {func(c *agentconfig.Config) { c.Proxy.Upstreams[0].DestinationName = "*" }, "proxy.upstreams"},
		"peer and datacenter": {func(c *agentconfig.Config) {
			c.Proxy.Upstreams[0].DestinationPeer, c.Proxy.Upstreams[0].Datacenter = "p", "dc2"
		}, "proxy.upstreams"},
		"no port of the upstream": {func(c *agentconfig.Config) { c.Proxy.Upstreams[0].LocalBindPort = 0 }, "proxy.upstreams"},
		"a destination twice": {func(c *agentconfig.Config) {
			c.Proxy.Upstreams = append(c.Proxy.Upstreams, upstream(func(u *agentconfig.Upstream) { u.LocalBindPort++ }))
		}, "proxy.upstreams"},
		"a port twice": {func(c *agentconfig.Config) {
			c.Proxy.Upstreams = append(c.Proxy.Upstreams, upstream(func(u *agentconfig.Upstream) { u.DestinationName = "b" }))
		}, "proxy.upstreams"},
		"empty path":          {exposing(agentconfig.ExposePath{ListenerPort: 1, LocalPathPort: 2}), "proxy.expose.paths"},
		"port of a path":      {exposing(agentconfig.ExposePath{ListenerPort: 70000, Path: "/"}), "proxy.expose.paths"},
		"protocol of a path":  {exposing(agentconfig.ExposePath{ListenerPort: 1, Path: "/", Protocol: "tcp"}), "proxy.expose.paths"},
		"two paths of a port": {exposing(agentconfig.ExposePath{ListenerPort: 1, Path: "/"}, agentconfig.ExposePath{ListenerPort: 1, Path: "/b"}), "proxy.expose.paths"},
		"namespace":           {func(c *agentconfig.Config) { c.Service.Namespace = "n" }, "service and proxy.upstreams"},
		"partition":           {func(c *agentconfig.Config) { c.Service.Partition = "p" }, "service and proxy.upstreams"},
	} {
		cfg := agentconfig.Config{
			Service: &agentconfig.Service{Port: 8080},
			Proxy:   &agentconfig.Proxy{Upstreams: []agentconfig.Upstream{upstream(func(*agentconfig.Upstream) {})}},
		}
		rule.change(&cfg)
		r, err := NewRegistration(cfg, taskOf(t, "t1"), "")
		if err != nil {
			t.Fatal(err)
		}
		log.Reset()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		tries := 0
		err = Retry(ctx, hclog.New(&hclog.LoggerOptions{Output: &log}), "register the task", func(ctx context.Context) error {
			tries++
			return c.Register(ctx, r)
		})
		cancel()
		var refusal *Refusal
		if !errors.As(err, &refusal) || !strings.Contains(refusal.Hint, rule.place) || tries != 1 {
			t.Errorf("%s: tried %d times, want once, and a hint that names %s: %v\n%s", name, tries, rule.place, err, &log)
		}
	}
}

func exposing(paths ...agentconfig.ExposePath) func(*agentconfig.Config) {
	return func(c *agentconfig.Config) { c.Proxy.Expose = &agentconfig.Expose{Paths: paths} }
}

func TestAFaultOfConsulIsToldFromARefusal(t *testing.T) {
	t.Parallel()
	for text, tries := range map[string]int{
		"rpc error making call: EOF":                                                       0,
		"rpc error making call: i/o timeout":                                               0,
		"No cluster leader":                                                                0,
		"rpc error making call: leadership lost while committing log":                      0,
		"rpc error getting client: failed to get conn: dial tcp: connection refused":       0,
		"raft is already shutdown":                                                         0,
		"failed node lookup: state store was abandoned":                                    0,
		"rpc error making call: failed inserting service: Invalid Service Meta for x":      1,
		"rpc error making call: 1 error occurred:\n\t* a rule of a Consul yet to come\n\n": 1,
		"an answer that nobody has seen":                                                   briefly,
	} {
		err := registrationRefusal(api.StatusError{Code: http.StatusInternalServerError, Body: text})
		var refusal *Refusal
		if errors.As(err, &refusal); refusal == nil && tries != 0 || refusal != nil && refusal.Tries != tries {
			t.Errorf("%q is worth %+v, want %d tries", text, refusal, tries)
		}
	}
}
