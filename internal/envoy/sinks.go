package envoy

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"strings"
)

const collectorCluster = "consul_telemetry_collector_loopback"

type statsSink struct {
	Name        string `json:"name"`
	TypedConfig any    `json:"typed_config"`
}

type statsdSink struct {
	Type    string    `json:"@type"`
	Address anAddress `json:"address"`
}

type metricsService struct {
	Type                string      `json:"@type"`
	TransportAPIVersion string      `json:"transport_api_version"`
	GRPCService         grpcService `json:"grpc_service"`
	TagsAsLabels        bool        `json:"emit_tags_as_labels"`
}

// collectorSink sends the metrics to Consul's telemetry collector.
func collectorSink() statsSink {
	return statsSink{"envoy.stat_sinks.metrics_service", metricsService{
		Type: typePrefix + "envoy.config.metrics.v3.MetricsServiceConfig", TransportAPIVersion: v3,
		GRPCService: grpcService{EnvoyGRPC: envoyGRPC{ClusterName: collectorCluster}}, TagsAsLabels: true,
	}}
}

// sinkAddress reads udp://IP:PORT or unix:///PATH. A value that is all $NAME is in that variable; otherwise HOST_IP alone
// may be named, because operators know the host's address only as late as that.
func sinkAddress(text string, getenv func(string) string) (anAddress, error) {
	if name, ok := strings.CutPrefix(text, "$"); ok && len(name) > 1 && isName(name) {
		if text = getenv(name); text == "" {
			return anAddress{}, fmt.Errorf("the variable %s is empty", name)
		}
	}
	text = os.Expand(text, func(name string) string {
		if name == "HOST_IP" {
			return getenv(name)
		}
		return "${" + name + "}"
	})
	u, err := url.Parse(text)
	if err != nil {
		var detail *url.Error // repeats the text
		if errors.As(err, &detail) {
			err = detail.Err
		}
		return anAddress{}, fmt.Errorf("%q: %w", text, err)
	}
	switch u.Scheme {
	case "udp":
		to, err := netip.ParseAddrPort(u.Host)
		if err != nil {
			return anAddress{}, fmt.Errorf("%q, want udp:// with an IP address and a port", text)
		}
		return address(to), nil
	case "unix":
		if u.Path == "" {
			return anAddress{}, fmt.Errorf("%q, want unix:// with a path", text)
		}
		return pipe(u.Path), nil
	default:
		return anAddress{}, fmt.Errorf("%q: unsupported protocol %q, want udp or unix", text, u.Scheme)
	}
}

// isName reports whether text may name an environment variable.
func isName(text string) bool {
	return strings.Trim(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_") == ""
}
