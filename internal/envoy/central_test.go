package envoy_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/consulecs/terraform-provider-consulecs/internal/envoy"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/pki"
)

// What a golden has in the place of files and certificates.
const (
	certDir = "/certificates/"
	caText  = "PEM of the CA"
)

// withCertificates puts real ones in.
func withCertificates(t *testing.T, data []byte) []byte {
	t.Helper()
	if !bytes.Contains(data, []byte(certDir)) {
		return data
	}
	ca, err := pki.New("prometheus")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir() + "/"
	leaf, err := ca.Leaf([]string{"localhost"})
	if err != nil {
		t.Fatal(err)
	}
	if err := leaf.Write(dir); err != nil {
		t.Fatal(err)
	}
	pem, err := json.Marshal(ca.PEM)
	if err != nil {
		t.Fatal(err)
	}
	data = bytes.ReplaceAll(data, []byte(certDir), []byte(dir))
	return bytes.ReplaceAll(data, []byte(`"`+caText+`"`), pem)
}

const (
	extraSink    = `{"name":"envoy.stat_sinks.statsd","typed_config":{"@type":"type.googleapis.com/envoy.config.metrics.v3.StatsdSink","tcp_cluster_name":"mine"}}`
	extraCluster = `{"name":"mine","type":"STATIC","connect_timeout":"1s","load_assignment":{"cluster_name":"mine","endpoints":[]}}`
)

func centralCases() map[string]map[string]any {
	extraListener := `{"name":"mine","address":{"socket_address":{"address":"127.0.0.1","port_value":18088}},"filter_chains":[{"filters":[{"name":"echo",
		"typed_config":{"@type":"type.googleapis.com/envoy.extensions.filters.network.echo.v3.Echo"}}]}]}`
	own := func(name string) string { return strings.ReplaceAll(extraCluster, "mine", name) }
	prometheus := map[string]any{"envoy_prometheus_bind_addr": "0.0.0.0:20200"}
	return map[string]map[string]any{
		"prometheus":     prometheus,
		"prometheus-tls": prometheus, // beside the ready listener, which stays plain
		"all-listeners": {
			"envoy_prometheus_bind_addr": "0.0.0.0:20200", "envoy_stats_bind_addr": "[::1]:20201",
			"envoy_extra_static_clusters_json": extraCluster, "envoy_extra_static_listeners_json": extraListener,
		},
		"own-self-admin": {"envoy_prometheus_bind_addr": "0.0.0.0:20200", "envoy_extra_static_clusters_json": extraCluster + ",\n" + own("self_admin")},
		"sinks": {
			"envoy_statsd_url": "udp://127.0.0.1:8125", "ENVOY_DOGSTATSD_URL": "unix:///run/dog.sock", "envoy_extra_stats_sinks_json": extraSink,
			"envoy_extra_static_clusters_json": extraCluster, "envoy_stats_flush_interval": float64(5), "envoy_stats_tags": []any{"Canary", "foo=bar", "local_cluster=a=b"},
			"protocol": "http", "local_connect_timeout_ms": float64(1000),
		},
		"stats-config": {"envoy_stats_config_json": `{"use_all_default_tags":false,"stats_tags":[{"tag_name":"a","fixed_value":"b"}]}`, "envoy_stats_flush_interval": "1m"},
		"tracing": {
			"envoy_tracing_json": `{"http":{"name":"envoy.tracers.zipkin","typed_config":{"@type":"type.googleapis.com/envoy.config.trace.v3.ZipkinConfig",
				"collector_cluster":"mine","collector_endpoint":"/api/v2/spans","collector_endpoint_version":"HTTP_JSON"}}}`,
			"envoy_extra_static_clusters_json": extraCluster,
		},
		"collector": {"envoy_telemetry_collector_bind_socket_dir": "/tmp/collector/"},
	}
}

// So that Envoy has judged what each of them makes of the bootstrap.
func TestEveryKeyOfCentralConfigHasAGolden(t *testing.T) {
	t.Parallel()
	var set []string
	for _, config := range centralCases() {
		for key := range config {
			set = append(set, strings.ToLower(key))
		}
	}
	for _, key := range envoy.CentralKeys() {
		if key != "envoy_bootstrap_json_tpl" && !slices.Contains(set, key) { // which is refused
			t.Errorf("no golden has %s", key)
		}
	}
}

func central(t *testing.T, config map[string]any) envoy.Central {
	t.Helper()
	c, err := envoy.ParseCentral(config, func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestAWrongKeyOfCentralConfigIsNamed(t *testing.T) {
	t.Parallel()
	env := map[string]string{"HOST_IP": "10.0.0.9", "STATSD": "tcp://127.0.0.1:8125"}
	for name, c := range map[string]struct {
		config map[string]any
		want   string // "" for no error
	}{
		"none":                   {nil, ""},
		"broken JSON":            {map[string]any{"envoy_tracing_json": `{"a":`}, "envoy_tracing_json: want JSON objects separated by commas: "},
		"two objects":            {map[string]any{"envoy_stats_config_json": `{},{}`}, "envoy_stats_config_json: 2 JSON objects, want one"},
		"an array":               {map[string]any{"envoy_extra_static_listeners_json": `[{}]`}, "envoy_extra_static_listeners_json: element 0 is not a JSON object"},
		"several wrong":          {map[string]any{"envoy_prometheus_bind_addr": "9090", "envoy_stats_bind_addr": "localhost:1"}, "envoy_prometheus_bind_addr: \"9090\", want an IP address and a port\nenvoy_stats_bind_addr: \"localhost:1\""},
		"a number as text":       {map[string]any{"envoy_statsd_url": float64(8125)}, `envoy_statsd_url: "8125": unsupported protocol ""`},
		"statsd over TCP":        {map[string]any{"envoy_statsd_url": "tcp://127.0.0.1:1"}, `envoy_statsd_url: "tcp://127.0.0.1:1": unsupported protocol "tcp", want udp or unix`},
		"statsd without a path":  {map[string]any{"envoy_statsd_url": "unix:"}, `envoy_statsd_url: "unix:", want unix:// with a path`},
		"from a variable":        {map[string]any{"envoy_dogstatsd_url": "$STATSD"}, `envoy_dogstatsd_url: "tcp://127.0.0.1:8125": unsupported protocol "tcp"`},
		"an empty variable":      {map[string]any{"envoy_dogstatsd_url": "$NOTHING"}, "envoy_dogstatsd_url: the variable NOTHING is empty"},
		"the host's address":     {map[string]any{"envoy_statsd_url": "udp://${HOST_IP}:8125"}, ""},
		"another variable in it": {map[string]any{"envoy_statsd_url": "udp://$HOST_ADDRESS:8125"}, `envoy_statsd_url: "udp://${HOST_ADDRESS}:8125": `},
		"flush never":            {map[string]any{"envoy_stats_flush_interval": "0s"}, `envoy_stats_flush_interval: "0s", want a duration`},
		"flush soon":             {map[string]any{"envoy_stats_flush_interval": "soon"}, `envoy_stats_flush_interval: "soon", want a duration`},
		"the dataplane's name":   {map[string]any{"envoy_extra_static_clusters_json": `{"name":"consul-dataplane"}`}, `envoy_extra_static_clusters_json: a cluster has the name "consul-dataplane"`},
		"a template":             {map[string]any{"envoy_bootstrap_json_tpl": "{}"}, "envoy_bootstrap_json_tpl: a template for the whole bootstrap is not supported\nhint: "},
		"an object for a text":   {map[string]any{"envoy_tracing_json": map[string]any{"http": 1}}, "envoy_tracing_json"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := envoy.ParseCentral(c.config, func(name string) string { return env[name] })
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// rendered is the bootstrap as a tree.
func rendered(t *testing.T, b envoy.Bootstrap) (tree struct {
	StaticResources struct {
		Clusters, Listeners, Secrets []struct{ Name string }
	} `json:"static_resources"`
	StatsConfig struct {
		Tags []struct{ Tag_name, Regex, Fixed_value string } `json:"stats_tags"`
	} `json:"stats_config"`
	StatsSinks    []map[string]any `json:"stats_sinks"`
	FlushInterval string           `json:"stats_flush_interval"`
}) {
	t.Helper()
	data, err := b.JSON()
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &tree); err != nil {
		t.Fatal(err)
	}
	return tree
}

func TestThePrometheusBackendDoesNotDependOnTheUsersClusters(t *testing.T) {
	t.Parallel()
	b := cases(t)["own-self-admin"]
	var names []string
	for _, c := range rendered(t, b).StaticResources.Clusters {
		names = append(names, c.Name)
	}
	if diff := cmp.Diff([]string{"consul-dataplane", "mine", "self_admin", "prometheus_backend"}, names); diff != "" {
		t.Error(diff)
	}
}

func TestTheCertificatesOfPrometheusAreGivenOnce(t *testing.T) {
	t.Parallel()
	b := cases(t)["prometheus-tls"]
	b.Central = central(t, map[string]any{"envoy_prometheus_bind_addr": "127.0.0.1:20200", "envoy_stats_bind_addr": "127.0.0.1:20201"})
	data, err := b.JSON()
	if err != nil {
		t.Fatal(err)
	}
	validate(t, data)
	if n := bytes.Count(data, []byte(`"name":"prometheus_cert","tls_certificate"`)); n != 1 {
		t.Errorf("the certificate is given %d times", n)
	}
	if n := bytes.Count(data, []byte(`"transport_socket":`)); n != 1 {
		t.Errorf("%d listeners speak TLS, want that of Prometheus alone", n)
	}
	if !bytes.Contains(data, []byte(`"require_client_certificate":true`)) {
		t.Error("a client needs no certificate though there is a CA to verify it by")
	}
	b.Prometheus.TLS.CAPEM = ""
	if data, err = b.JSON(); err != nil || bytes.Contains(data, []byte("require_client_certificate")) {
		t.Errorf("without a CA: %v\n%s", err, data)
	}
	validate(t, data)
}

func TestAFlushIntervalBecomesEnvoys(t *testing.T) {
	t.Parallel()
	for given, want := range map[any]string{float64(5): "5s", "5": "5s", "2.5": "2.5s", "500ms": "0.5s", "1m": "60s", nil: ""} {
		b := bootstrap()
		b.Central = central(t, map[string]any{"envoy_stats_flush_interval": given})
		if got := rendered(t, b).FlushInterval; got != want {
			t.Errorf("%v became %q, want %q", given, got, want)
		}
	}
}

func TestTheCollectorsSocketIsTheOneThatConsulNames(t *testing.T) {
	t.Parallel()
	for proxyID, want := range map[string]string{"web-proxy": "0UZwF69tP4X7LqMgNbB_v_R6Sjk", "web-sidecar-proxy": "gqmuzdHCUPAEY5mbF8vgkZCNI14"} {
		b := bootstrap()
		b.ProxyID, b.Central = proxyID, central(t, map[string]any{"envoy_telemetry_collector_bind_socket_dir": "/run"})
		data, err := b.JSON()
		if err != nil || !bytes.Contains(data, []byte(`"pipe":{"path":"/run/`+want+`.sock"}`)) {
			t.Errorf("%s: %v, no %s in\n%s", proxyID, err, want, data)
		}
	}
}
