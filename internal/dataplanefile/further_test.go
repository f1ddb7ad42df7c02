package dataplanefile

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEachProxyHasPortsOfItsOwn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	err := Write(dir, File{
		Consul:    Consul{Addresses: "consul.example"},
		Proxy:     Proxy{NodeName: "n", ID: "web-1-sidecar-proxy"},
		DNSServer: &DNSServer{},
		Telemetry: Telemetry{Prometheus: Prometheus{ServiceMetricsURL: "http://127.0.0.1:1/metrics"}},
		FurtherProxies: []FurtherProxy{
			{ID: "web-admin-1-sidecar-proxy", ReadyBindPort: 23000},
			{ID: "web-debug-1-sidecar-proxy", AdminBindPort: 1, GracefulPort: 2, MergePort: 3},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	file, err := Read(filepath.Join(dir, Name))
	if err != nil || len(file.Remarks) > 0 {
		t.Fatal(err, file.Remarks)
	}
	type seen struct {
		ID, Node, AppMetrics          string
		Ready, Admin, Graceful, Merge int
		DNS                           bool
	}
	var got []seen
	for _, f := range file.Each() {
		p := f.Telemetry.Prometheus
		got = append(got, seen{f.Proxy.ID, f.Proxy.NodeName, p.ServiceMetricsURL, f.Envoy.ReadyBindPort, f.Envoy.AdminBindPort, f.Envoy.GracefulPort, p.MergePort, f.DNSServer != nil})
	}
	want := []seen{
		{"web-1-sidecar-proxy", "n", "http://127.0.0.1:1/metrics", 22000, 19000, 20300, 20100, true},
		{"web-admin-1-sidecar-proxy", "n", "", 23000, 19001, 20301, 20101, false},
		{"web-debug-1-sidecar-proxy", "n", "", 22002, 1, 2, 3, false},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("proxies (-want +got):\n%s", diff)
	}
}

func TestAFurtherProxyNeedsAnIDAndPorts(t *testing.T) {
	t.Parallel()
	err := Write(t.TempDir(), File{
		Consul: Consul{Addresses: "consul.example"}, Proxy: Proxy{ID: "web-1-sidecar-proxy"}, FurtherProxies: []FurtherProxy{{AdminBindPort: 70000}},
	})
	for _, want := range []string{"furtherProxies[0].id: missing", "furtherProxies[0].adminBindPort: 70000, want 0 to 65535"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
