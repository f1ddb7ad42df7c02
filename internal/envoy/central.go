package envoy

import (
	"crypto/sha1" // names a socket as Consul's collector does; nothing is secured by it
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-viper/mapstructure/v2"
)

// Central is what operators set for a proxy in Consul, by the envoy_* keys of proxy-defaults, service-defaults or the
// registration. The zero value is none of it.
type Central struct {
	Prometheus, Stats netip.AddrPort // listeners; invalid: none

	tags               []statsTag
	statsConfig        json.RawMessage // in the place of ours
	flushInterval      string
	sinks              []any
	clusters           []json.RawMessage
	listeners          []json.RawMessage
	tracing            json.RawMessage
	collectorSocketDir string
}

// centralKeys are the keys, decoded weakly: a number or a bool is taken for its text, one value for a list of one. The
// case of a key does not count, and keys that do not concern the bootstrap are passed over.
type centralKeys struct {
	Statsd             string   `mapstructure:"envoy_statsd_url"`
	DogStatsd          string   `mapstructure:"envoy_dogstatsd_url"`
	ExtraSinks         string   `mapstructure:"envoy_extra_stats_sinks_json"`
	StatsConfig        string   `mapstructure:"envoy_stats_config_json"`
	StatsTags          []string `mapstructure:"envoy_stats_tags"`
	FlushInterval      string   `mapstructure:"envoy_stats_flush_interval"`
	ExtraClusters      string   `mapstructure:"envoy_extra_static_clusters_json"`
	ExtraListeners     string   `mapstructure:"envoy_extra_static_listeners_json"`
	Tracing            string   `mapstructure:"envoy_tracing_json"`
	Prometheus         string   `mapstructure:"envoy_prometheus_bind_addr"`
	Stats              string   `mapstructure:"envoy_stats_bind_addr"`
	CollectorSocketDir string   `mapstructure:"envoy_telemetry_collector_bind_socket_dir"`
	Template           string   `mapstructure:"envoy_bootstrap_json_tpl"`
}

// ParseCentral reads the configuration of a proxy as Consul gives it. getenv resolves the variables that the addresses of
// statsd sinks may name. The error names every key that is wrong.
func ParseCentral(config map[string]any, getenv func(string) string) (Central, error) {
	var k centralKeys
	decoder, err := mapstructure.NewDecoder(&mapstructure.DecoderConfig{WeaklyTypedInput: true, Result: &k})
	if err == nil {
		err = decoder.Decode(config)
	}
	if err != nil {
		return Central{}, fmt.Errorf("read the proxy's configuration: %w", err)
	}
	c := Central{collectorSocketDir: k.CollectorSocketDir}
	var errs []error
	note := func(key string, err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", key, err))
		}
	}
	if k.Template != "" {
		note("envoy_bootstrap_json_tpl", errTemplate)
	}
	c.Prometheus, err = bindAddr(k.Prometheus)
	note("envoy_prometheus_bind_addr", err)
	c.Stats, err = bindAddr(k.Stats)
	note("envoy_stats_bind_addr", err)
	c.clusters, err = objects(k.ExtraClusters)
	note("envoy_extra_static_clusters_json", errors.Join(err, unlessNamed(c.clusters, xdsCluster)))
	c.listeners, err = objects(k.ExtraListeners)
	note("envoy_extra_static_listeners_json", err)
	c.statsConfig, err = object(k.StatsConfig)
	note("envoy_stats_config_json", err)
	c.tracing, err = object(k.Tracing)
	note("envoy_tracing_json", err)
	c.flushInterval, err = flushInterval(k.FlushInterval)
	note("envoy_stats_flush_interval", err)
	for _, s := range []struct{ key, url, name, typeName string }{
		{"envoy_statsd_url", k.Statsd, "envoy.stat_sinks.statsd", "envoy.config.metrics.v3.StatsdSink"},
		{"envoy_dogstatsd_url", k.DogStatsd, "envoy.stat_sinks.dog_statsd", "envoy.config.metrics.v3.DogStatsdSink"},
	} {
		if s.url == "" {
			continue
		}
		to, err := sinkAddress(s.url, getenv)
		note(s.key, err)
		c.sinks = append(c.sinks, statsSink{s.name, statsdSink{Type: typePrefix + s.typeName, Address: to}})
	}
	extra, err := objects(k.ExtraSinks)
	note("envoy_extra_stats_sinks_json", err)
	for _, sink := range extra {
		c.sinks = append(c.sinks, sink)
	}
	c.tags = userTags(k.StatsTags)
	if err := errors.Join(errs...); err != nil {
		return Central{}, fmt.Errorf("read the proxy's configuration: %w", err)
	}
	return c, nil
}

var errTemplate = errors.New("a template for the whole bootstrap is not supported" +
	"\nhint: remove the key from proxy-defaults or service-defaults; the other envoy_* keys add sinks, tracing, clusters and listeners")

func bindAddr(text string) (netip.AddrPort, error) {
	if text == "" {
		return netip.AddrPort{}, nil
	}
	a, err := netip.ParseAddrPort(text)
	if err != nil || a.Port() == 0 {
		return netip.AddrPort{}, fmt.Errorf("%q, want an IP address and a port", text)
	}
	return a, nil
}

// objects splits JSON objects that commas separate.
func objects(text string) ([]json.RawMessage, error) {
	var list []json.RawMessage
	if err := json.Unmarshal([]byte("["+text+"]"), &list); err != nil {
		return nil, fmt.Errorf("want JSON objects separated by commas: %w", err)
	}
	for i, o := range list {
		if o[0] != '{' {
			return nil, fmt.Errorf("element %d is not a JSON object", i)
		}
	}
	return list, nil
}

// object is the one JSON object in text, nil for none.
func object(text string) (json.RawMessage, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	list, err := objects(text)
	if err == nil && len(list) != 1 {
		err = fmt.Errorf("%d JSON objects, want one", len(list))
	}
	if err != nil {
		return nil, err
	}
	return list[0], nil
}

// nameOf is the name of a cluster or listener.
func nameOf(object json.RawMessage) string {
	var named struct {
		Name string `json:"name"`
	}
	_ = json.Unmarshal(object, &named) // one without a good name has none; Envoy will tell
	return named.Name
}

func contains(objects []json.RawMessage, name string) bool {
	return slices.ContainsFunc(objects, func(o json.RawMessage) bool { return nameOf(o) == name })
}

// unlessNamed keeps users off the cluster that the configuration itself comes from.
func unlessNamed(clusters []json.RawMessage, name string) error {
	if contains(clusters, name) {
		return fmt.Errorf("a cluster has the name %q, which is the dataplane's own", name)
	}
	return nil
}

// flushInterval brings a duration into the form that Envoy reads. A bare number counts seconds.
func flushInterval(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	d, err := time.ParseDuration(text)
	if seconds, bad := strconv.ParseFloat(text, 64); bad == nil {
		d, err = time.Duration(seconds*float64(time.Second)), nil
	}
	if err != nil || d < time.Millisecond || d >= 5*time.Minute { // Envoy's limits
		return "", fmt.Errorf("%q, want a duration from 1ms to less than 5m", text)
	}
	return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) + "s", nil
}

// collectorSocket is where Consul's telemetry collector listens for a proxy, in the folder dir.
func collectorSocket(dir, namespace, proxyID string) string {
	sum := sha1.Sum([]byte(namespace + "_" + proxyID))
	return strings.TrimRight(dir, "/") + "/" + base64.RawURLEncoding.EncodeToString(sum[:]) + ".sock"
}
