package dataplane_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/consul/api"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/eventually"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/freeport"
	"github.com/consulecs/terraform-provider-consulecs/internal/undelivered"
)

// object is a JSON object.
type object = map[string]any

// all are the values at a path of keys, whatever lists are on the way.
func all(v any, path ...string) []any {
	switch v := v.(type) {
	case []any:
		var found []any
		for _, e := range v {
			found = append(found, all(e, path...)...)
		}
		return found
	case object:
		if len(path) == 0 {
			return []any{v}
		}
		if next, ok := v[path[0]]; ok {
			return all(next, path[1:]...)
		}
		return nil
	default:
		if len(path) == 0 {
			return []any{v}
		}
		return nil
	}
}

// dump is what Envoy says its configuration is: its clusters, listeners and routes by their names.
func (k *task) dump(t *testing.T) map[string]object {
	t.Helper()
	resp, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/config_dump", k.file.Envoy.AdminBindPort))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var page struct{ Configs []any }
	if err := json.NewDecoder(resp.Body).Decode(&page); err != nil {
		t.Fatal(err)
	}
	found := map[string]object{}
	for _, kind := range [][]string{
		{"dynamic_active_clusters", "cluster"}, {"dynamic_listeners", "active_state", "listener"}, {"dynamic_route_configs", "route_config"},
	} {
		for _, resource := range all(page.Configs, kind...) {
			name := fmt.Sprint(resource.(object)["name"])
			if hash, rest, ok := strings.Cut(name, "~"); ok && hash != "failover-target" { // of a cluster with settings of its own
				name = rest
			}
			found[kind[0]+" "+name] = resource.(object)
		}
	}
	return found
}

// TestSettingsInConsulWinOverRetries has a service called in every way that Consul can be told to, and reads what Envoy has made of it.
func TestSettingsInConsulWinOverRetries(t *testing.T) {
	t.Parallel()
	c := sharedConsul(t)
	web := newTask(t, c)
	prefix := web.service
	names := map[string]string{}
	var upstreams []api.Upstream
	for _, name := range []string{"plain", "routed", "mine", "tcp", "grpc", "failover", "spare", "five", "more", "every"} {
		k := newTask(t, c)
		k.service = prefix + "-" + name
		names[name] = k.service
		k.register(t, c, freeport.Loopback(t))
		upstreams = append(upstreams, api.Upstream{DestinationName: k.service, LocalBindAddress: "127.0.0.1", LocalBindPort: int(freeport.Loopback(t).Port())})
	}
	seven, ten, every := 7, uint32(10), web.service+"-every"
	for _, entry := range []api.ConfigEntry{
		&api.ServiceConfigEntry{Kind: api.ServiceDefaults, Name: names["tcp"], Protocol: "tcp"},
		&api.ServiceConfigEntry{Kind: api.ServiceDefaults, Name: names["grpc"], Protocol: "grpc"},
		&api.ServiceConfigEntry{Kind: api.ServiceDefaults, Name: web.service, UpstreamConfig: &api.UpstreamConfiguration{Overrides: []*api.UpstreamConfig{{
			Name: names["mine"], ConnectTimeoutMs: 2500, Limits: &api.UpstreamLimits{MaxConnections: &seven}, PassiveHealthCheck: &api.PassiveHealthCheck{MaxFailures: ten},
		}, {
			Name: every, PassiveHealthCheck: &api.PassiveHealthCheck{Interval: 20 * time.Second},
		}, {
			Name: names["more"], ConnectTimeoutMs: 5001,
		}}}},
		&api.ServiceResolverConfigEntry{Kind: api.ServiceResolver, Name: names["five"], ConnectTimeout: 5 * time.Second},
		&api.ServiceResolverConfigEntry{Kind: api.ServiceResolver, Name: every, ConnectTimeout: 3 * time.Second},
		&api.ServiceResolverConfigEntry{Kind: api.ServiceResolver, Name: names["failover"], Failover: map[string]api.ServiceResolverFailover{"*": {Service: names["spare"]}}},
		&api.ServiceRouterConfigEntry{Kind: api.ServiceRouter, Name: names["routed"], Routes: []api.ServiceRoute{
			{Match: prefixed("/number"), Destination: &api.ServiceRouteDestination{NumRetries: 4}},
			{Match: prefixed("/on"), Destination: &api.ServiceRouteDestination{RetryOnConnectFailure: true}},
			{Match: prefixed("/reasons"), Destination: &api.ServiceRouteDestination{RetryOn: []string{"gateway-error"}}},
			{Match: prefixed("/codes"), Destination: &api.ServiceRouteDestination{RetryOnStatusCodes: []uint32{429}}},
			{Match: prefixed("/timeout"), Destination: &api.ServiceRouteDestination{RequestTimeout: 30 * time.Second}},
		}},
	} {
		if _, _, err := c.API.ConfigEntries().Set(entry, nil); err != nil {
			t.Fatal(err)
		}
	}
	web.register(t, c, freeport.Loopback(t), upstreams...)
	web.run(t)
	web.awaitReady(t)
	var dump map[string]object
	find := func(kind, name string) object {
		for key, resource := range dump {
			if strings.HasPrefix(key, kind+" "+name) {
				return resource
			}
		}
		return nil
	}
	eventually.True(t, "Envoy has all of its configuration", eventually.Soon, func() bool {
		dump = web.dump(t)
		return find("dynamic_route_configs", names["routed"]) != nil && len(all(find("dynamic_active_clusters", names["mine"]), "circuit_breakers", "thresholds")) > 0
	})

	const ours = "connect-failure,refused-stream,reset-before-request,retriable-headers"
	inline := []string{"filter_chains", "filters", "typed_config", "route_config"}
	policy := []string{"virtual_hosts", "routes", "route", "retry_policy"}
	inListener := func(path ...string) []string { return append(append([]string{}, inline...), path...) }
	for _, tc := range []struct {
		what, kind, name string
		path             []string
		want             []any
	}{
		{"retries without a router", "dynamic_listeners", names["plain"], append(inListener(policy...), "retry_on"), []any{ours}},
		{"whose mark is believed", "dynamic_listeners", names["plain"], append(inListener(policy...), "retriable_headers", "string_match", "exact"), []any{names["plain"]}},
		{"the mark goes no further", "dynamic_listeners", names["plain"], inListener("response_headers_to_remove"), []any{undelivered.Header}},
		{"retries of gRPC", "dynamic_listeners", names["grpc"], append(inListener(policy...), "retry_on"), []any{ours}},
		{"retries by a router", "dynamic_route_configs", names["routed"], append(policy[:len(policy):len(policy)], "num_retries"), []any{4.0, 16.0, 16.0}},
		{"reasons by a router", "dynamic_route_configs", names["routed"], append(policy[:len(policy):len(policy)], "retry_on"), []any{"connect-failure", "gateway-error", "retriable-status-codes", ours, ours}},
		{"what is kept of a body", "dynamic_route_configs", names["routed"], []string{"virtual_hosts", "routes", "request_body_buffer_limit"}, []any{"65536", "65536"}},
		{"attempts to connect", "dynamic_listeners", names["tcp"], []string{"filter_chains", "filters", "typed_config", "max_connect_attempts"}, []any{6.0}},
		{"timeout", "dynamic_active_clusters", names["plain"], []string{"connect_timeout"}, []any{"2s"}},
		{"timeout of a user's", "dynamic_active_clusters", names["mine"], []string{"connect_timeout"}, []any{"2.500s"}},
		{"timeout of five seconds", "dynamic_active_clusters", names["five"], []string{"connect_timeout"}, []any{"2s"}},
		{"timeout of a little more", "dynamic_active_clusters", names["more"], []string{"connect_timeout"}, []any{"5.001s"}},
		{"timeout of a resolver", "dynamic_active_clusters", every, []string{"connect_timeout"}, []any{"3s"}},
		{"ejection by an interval alone", "dynamic_active_clusters", every, []string{"outlier_detection", "max_ejection_percent"}, nil},
		{"ejection", "dynamic_active_clusters", names["plain"], []string{"outlier_detection", "max_ejection_percent"}, []any{99.0}},
		{"ejection of a user's", "dynamic_active_clusters", names["mine"], []string{"outlier_detection", "consecutive_5xx"}, []any{10.0}},
		{"a user's ejection alone", "dynamic_active_clusters", names["mine"], []string{"outlier_detection", "max_ejection_percent"}, nil},
		{"limits of a user's", "dynamic_active_clusters", names["mine"], []string{"circuit_breakers", "thresholds", "max_connections"}, []any{7.0}},
		{"retries beside a user's limits", "dynamic_active_clusters", names["mine"], []string{"circuit_breakers", "thresholds", "max_retries"}, []any{1024.0}},
		{"retries of a failover", "dynamic_active_clusters", names["failover"], []string{"circuit_breakers", "thresholds", "max_retries"}, []any{1024.0}},
		{"keepalives", "dynamic_active_clusters", names["tcp"], []string{"upstream_connection_options", "tcp_keepalive", "keepalive_time"}, []any{4.0}},
		{"an end to what is not acknowledged", "dynamic_active_clusters", names["tcp"], []string{"upstream_bind_config", "socket_options", "int_value"}, []any{"10000"}},
		{"pings of HTTP/2", "dynamic_active_clusters", names["grpc"], []string{"typed_extension_protocol_options", "envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
			"explicit_http_config", "http2_protocol_options", "connection_keepalive", "interval"}, []any{"3s"}},
		{"what the receiver says", "dynamic_listeners", "public_listener", []string{"filter_chains", "filters", "typed_config", "local_reply_config", "mappers", "headers_to_add", "header", "value"}, []any{web.service}},
		{"when it says it", "dynamic_listeners", "public_listener", []string{"filter_chains", "filters", "typed_config", "local_reply_config", "mappers", "filter", "response_flag_filter", "flags"}, []any{"UF", "UH"}},
		{"an application cannot say it", "dynamic_listeners", "public_listener", inListener("response_headers_to_remove"), []any{undelivered.Header}},
		{"the application is not retried", "dynamic_listeners", "public_listener", inListener(policy...), nil},
		{"the application is not ejected", "dynamic_active_clusters", "local_app", []string{"outlier_detection"}, nil},
	} {
		if diff := cmp.Diff(tc.want, all(find(tc.kind, tc.name), tc.path...)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.what, diff)
		}
	}
	if refused := "configuration refused"; strings.Contains(web.output.String(), refused) {
		t.Error(refused)
	}
}

func prefixed(path string) *api.ServiceRouteMatch {
	return &api.ServiceRouteMatch{HTTP: &api.ServiceRouteHTTPMatch{PathPrefix: path}}
}
