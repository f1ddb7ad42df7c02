package redirect_test

import (
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/redirect"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// everything is a specification that makes every kind of rule.
func everything() redirect.Spec {
	return redirect.Spec{
		InboundPort: 20000, OutboundPort: 15001, DNS: netip.MustParseAddrPort("127.0.0.1:8600"),
		ExcludeInboundPorts: []int{22000, 9102}, ExcludeOutboundPorts: []int{5432, 443},
		ExcludeOutboundCIDRs: []netip.Prefix{
			netip.MustParsePrefix("169.254.170.2/32"), netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32"),
		},
		ExcludeUIDs: []string{"1000", "2000"},
	}
}

// specs are those of the golden files.
func specs() map[string]redirect.Spec {
	return map[string]redirect.Spec{
		"everything": everything(),
		"least":      {InboundPort: 20000, OutboundPort: 15001},
	}
}

func TestGoldens(t *testing.T) {
	t.Parallel()
	for name, spec := range specs() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var b strings.Builder
			for _, table := range spec.Tables() {
				b.WriteString(table.String())
			}
			golden := filepath.Join("testdata", name+".golden")
			if *update {
				if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatalf("read the golden file, which -update writes: %v", err)
			}
			if diff := cmp.Diff(string(want), b.String()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", golden, diff)
			}
		})
	}
}

// A rule is found in the kernel by its comment, which the kernel cuts at 255 bytes.
func TestEveryRuleHasAReasonOfItsOwn(t *testing.T) {
	t.Parallel()
	for _, table := range everything().Tables() {
		seen := map[string]bool{}
		for _, rule := range table.Rules {
			if rule.Why == "" || len(rule.Why) > 255 || seen[rule.Why] || strings.ContainsAny(rule.Why, "\"\\\n") {
				t.Errorf("bad or second comment: %q", rule.Why)
			}
			seen[rule.Why] = true
		}
	}
}

func TestSpecOf(t *testing.T) {
	t.Parallel()
	yes, loopback := true, netip.MustParseAddrPort("127.0.0.1:8600")
	credentials := netip.MustParsePrefix("169.254.170.2/32")
	for name, c := range map[string]struct {
		tproxy  agentconfig.TransparentProxy
		proxy   agentconfig.Proxy
		central redirect.Central
		want    redirect.Spec
	}{
		"defaults": {
			want: redirect.Spec{InboundPort: 20000, OutboundPort: 15001, ExcludeInboundPorts: []int{22000}, ExcludeOutboundCIDRs: []netip.Prefix{credentials}},
		},
		"what the task asks for": {
			tproxy: agentconfig.TransparentProxy{
				ExcludeInboundPorts: []int{8080, 22000}, ExcludeOutboundPorts: []int{443}, ExcludeUIDs: []string{"1000"},
				ExcludeOutboundCIDRs: []string{"10.1.2.3/8", "192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1", "169.254.170.2"},
				ConsulDNS:            &agentconfig.ConsulDNS{Enabled: &yes},
			},
			proxy: agentconfig.Proxy{
				PublicListenerPort: 21000, HealthCheckPort: 22001,
				Expose: &agentconfig.Expose{Paths: []agentconfig.ExposePath{{ListenerPort: 21500}}},
			},
			want: redirect.Spec{
				InboundPort: 21000, OutboundPort: 15001, DNS: loopback,
				ExcludeInboundPorts: []int{8080, 22000, 22001, 21500}, ExcludeOutboundPorts: []int{443}, ExcludeUIDs: []string{"1000"},
				ExcludeOutboundCIDRs: []netip.Prefix{
					credentials, netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.1/32"), netip.MustParsePrefix("2001:db8::1/128"),
				},
			},
		},
		"what Consul says": {
			central: redirect.Central{OutboundPort: 15005, Config: map[string]any{
				"bind_port": float64(21001), "envoy_prometheus_bind_addr": "0.0.0.0:9102", "envoy_stats_bind_addr": "[::]:9103",
			}},
			want: redirect.Spec{
				InboundPort: 21001, OutboundPort: 15005, ExcludeInboundPorts: []int{22000, 9102, 9103}, ExcludeOutboundCIDRs: []netip.Prefix{credentials},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.tproxy.Enabled = &yes
			got, err := redirect.SpecOf(agentconfig.Config{Proxy: &c.proxy, TransparentProxy: &c.tproxy}, c.central)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
				cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b }), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestSpecOfRefusesWhatItCannotRead(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		cidr   string
		config map[string]any
		want   string
	}{
		"CIDR":               {"10.0.0.0/40", nil, "transparentProxy.excludeOutboundCIDRs: "},
		"bind port":          {"10.0.0.0/8", map[string]any{"bind_port": "many"}, `proxy config bind_port: "many" is no port`},
		"bind port 0":        {"10.0.0.0/8", map[string]any{"bind_port": 0}, `proxy config bind_port: "0" is no port`},
		"Prometheus address": {"10.0.0.0/8", map[string]any{"envoy_prometheus_bind_addr": "9102"}, "proxy config envoy_prometheus_bind_addr: "},
		"stats address":      {"10.0.0.0/8", map[string]any{"envoy_stats_bind_addr": "h:70000"}, `proxy config envoy_stats_bind_addr: "70000" is no port`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := agentconfig.Config{TransparentProxy: &agentconfig.TransparentProxy{ExcludeOutboundCIDRs: []string{c.cidr}}}
			if _, err := redirect.SpecOf(cfg, redirect.Central{Config: c.config}); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q in it", err, c.want)
			}
		})
	}
}
