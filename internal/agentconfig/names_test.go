package agentconfig_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
)

// TestNamesAreThoseOfConsul has the limits from both sides, as Consul 1.22.7 keeps them.
func TestNamesAreThoseOfConsul(t *testing.T) {
	t.Parallel()
	meta := func(key, value string) agentconfig.Config {
		return agentconfig.Config{Service: &agentconfig.Service{Meta: map[string]string{key: value}}}
	}
	many := func(n int) agentconfig.Config {
		c := meta("task-id", "") // which the mesh would set, and counts once
		for i := range n - 1 {
			c.Service.Meta[fmt.Sprint("k", i)] = ""
		}
		return c
	}
	method := func(name string) agentconfig.Config {
		return agentconfig.Config{ConsulLogin: &agentconfig.ConsulLogin{Enabled: true, Method: name}}
	}
	upstream := func(name string) agentconfig.Config {
		return agentconfig.Config{Proxy: &agentconfig.Proxy{Upstreams: []agentconfig.Upstream{{DestinationName: name, LocalBindPort: 1}}}}
	}
	const long = "kkkkkkkk"
	for name, c := range map[string]struct {
		config agentconfig.Config
		want   string
	}{
		"a key":             {meta("Team_1-a", ""), ""},
		"a longest key":     {meta(strings.Repeat(long, 16), ""), ""},
		"too long a key":    {meta(strings.Repeat(long, 16)+"k", ""), `service.meta["` + strings.Repeat(long, 16) + `k"]: has a key of 129 bytes, want at most 128`},
		"a longest value":   {meta("k", strings.Repeat("v", 512)), ""},
		"too long a value":  {meta("k", strings.Repeat("v", 513)), `service.meta["k"]: has a value of 513 bytes, want at most 512`},
		"62 keys":           {many(62), ""},
		"63 keys":           {many(63), "service.meta: has 65 keys with those of the mesh's own, want at most 64"},
		"a longest method":  {method(strings.Repeat("m", 128)), ""},
		"too long a method": {method(strings.Repeat("m", 129)), `consulLogin.method: is "` + strings.Repeat("m", 129) + `", want 1 to 128 letters, digits, '-' and '_', as Consul's auth methods are named`},
		"any name":          {upstream("My service/ü.v1"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.config.BootstrapDir, c.config.ConsulServers.Hosts = "/consul", "consul.example"
			got := ""
			if err := c.config.Problems().Err(); err != nil {
				got = err.Error()
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}
