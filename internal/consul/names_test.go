package consul

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hashicorp/consul/api"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
)

// TestWhatTheConfigurationRefusesConsulRefuses asks a real server on both sides of each limit that the plan knows: it must
// not let through what the task dies of, nor refuse what would work.
func TestWhatTheConfigurationRefusesConsulRefuses(t *testing.T) {
	node := stage.Node(t, clusterName(t))
	meta := func(key, value string) agentconfig.Config {
		return agentconfig.Config{Service: &agentconfig.Service{Port: 1, Meta: map[string]string{key: value}}}
	}
	keys := func(n int) agentconfig.Config {
		c := meta("k", "")
		for i := range n - 1 {
			c.Service.Meta[fmt.Sprint("k", i)] = ""
		}
		return c
	}
	tags := func(tags ...string) agentconfig.Config {
		return agentconfig.Config{Service: &agentconfig.Service{Port: 1, Tags: tags}}
	}
	upstream := func(name string) agentconfig.Config {
		return agentconfig.Config{Proxy: &agentconfig.Proxy{Upstreams: []agentconfig.Upstream{{DestinationName: name, LocalBindPort: 1}}}}
	}
	for name, config := range map[string]agentconfig.Config{
		"meta, a key":                  meta("Team_1-a", "ü /"),
		"meta, a dot":                  meta("a.b", ""),
		"meta, no key":                 meta("", ""),
		"meta, Consul's prefix":        meta("consul-x", ""),
		"meta, not quite the prefix":   meta("consulx", ""),
		"meta, a longest key":          meta(strings.Repeat("k", 128), ""),
		"meta, too long a key":         meta(strings.Repeat("k", 129), ""),
		"meta, a longest value":        meta("k", strings.Repeat("v", 512)),
		"meta, too long a value":       meta("k", strings.Repeat("v", 513)),
		"meta, bytes, not letters":     meta("k", strings.Repeat("ü", 257)),
		"meta, most keys":              keys(61),
		"meta, too many keys":          keys(62),
		"tags, any":                    tags("", "a b/ü", strings.Repeat("t", 2000)),
		"upstream to everything":       upstream("*"),
		"upstream of an unusual name":  upstream("My service/ü.v1"),
		"upstream of part of a series": upstream("a*"),
	} {
		t.Run(name, func(t *testing.T) {
			config.BootstrapDir, config.ConsulServers.Hosts = "/consul", "consul.example"
			r, err := NewRegistration(config, taskOf(t, "t1"), "")
			if err != nil {
				t.Fatal(err)
			}
			r.Node = node
			var refused error
			for _, service := range []*api.AgentService{&r.service, &r.proxy} {
				if _, err := stage.Consul.API.Catalog().Register(r.entry(service, nil), nil); err != nil {
					refused = err
				}
			}
			if found := config.Problems().Err(); (found == nil) != (refused == nil) {
				t.Errorf("the configuration: %v; Consul: %v", found, refused)
			}
		})
	}
}

func TestAuthMethodsAreNamedAsTheConfigurationWants(t *testing.T) {
	for _, name := range []string{"A_b-1", "a.b", "a b", strings.Repeat("m", 128), strings.Repeat("m", 129)} {
		config := agentconfig.Config{BootstrapDir: "/consul", ConsulServers: agentconfig.ConsulServers{Hosts: "consul.example"}, ConsulLogin: &agentconfig.ConsulLogin{Method: name}}
		method := &api.ACLAuthMethod{Name: name, Type: "aws-iam", Config: map[string]any{"BoundIAMPrincipalARNs": []string{"arn:aws:iam::123456789012:role/none"}}}
		_, _, refused := stage.Consul.API.ACL().AuthMethodCreate(method, nil)
		if refused == nil {
			if _, err := stage.Consul.API.ACL().AuthMethodDelete(name, nil); err != nil {
				t.Error(err)
			}
		}
		if found := config.Problems().Err(); (found == nil) != (refused == nil) {
			t.Errorf("%.20q: the configuration: %v; Consul: %v", name, found, refused)
		}
	}
}
