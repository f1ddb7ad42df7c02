package envoy_test

import (
	"encoding/json"
	"regexp"
	"testing"

	"github.com/consulecs/terraform-provider-consulecs/internal/envoy"
)

// FuzzParseCentral wants that what operators set is refused, or makes a bootstrap that holds together.
func FuzzParseCentral(f *testing.F) {
	for _, config := range centralCases() {
		data, err := json.Marshal(config)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	for _, doc := range []string{
		`{"envoy_stats_tags":"a=b"}`, `{"envoy_stats_tags":[1,true,"=","","a","A=2"]}`, `{"envoy_stats_flush_interval":"1e-9"}`, `{"envoy_stats_flush_interval":1e300}`,
		`{"envoy_extra_static_clusters_json":"{},{\"name\":1}"}`, `{"envoy_tracing_json":" \n"}`, `{"envoy_statsd_url":"udp://[::1%25lo]:1"}`, `{"envoy_statsd_url":"unix:"}`,
		`{"envoy_prometheus_bind_addr":"[::ffff:1.2.3.4]:9102","envoy_stats_bind_addr":"1.2.3.4:0"}`, `{"envoy_dogstatsd_url":"udp://${HOST_IP}:$PORT"}`,
	} {
		f.Add([]byte(doc))
	}
	duration := regexp.MustCompile(`^[0-9]+(\.[0-9]{1,9})?s$`)
	f.Fuzz(func(t *testing.T, doc []byte) {
		var config map[string]any
		if json.Unmarshal(doc, &config) != nil {
			return
		}
		central, err := envoy.ParseCentral(config, func(string) string { return "10.0.0.9" })
		if err != nil {
			return
		}
		b := bootstrap()
		b.Central = central
		data, err := b.JSON()
		if err != nil {
			t.Fatal(err)
		}
		var tree struct {
			Static struct{ Clusters []struct{ Name any } } `json:"static_resources"`
			Stats  struct {
				Tags []struct{ Regex string } `json:"stats_tags"`
			} `json:"stats_config"`
			FlushInterval string `json:"stats_flush_interval"`
		}
		if err := json.Unmarshal(data, &tree); err != nil {
			t.Fatalf("%v in\n%s", err, data)
		}
		if tree.FlushInterval != "" && !duration.MatchString(tree.FlushInterval) {
			t.Errorf("%s: the flush interval %q is none to Envoy", doc, tree.FlushInterval)
		}
		var ours int
		for _, c := range tree.Static.Clusters {
			if c.Name == "consul-dataplane" {
				ours++
			}
		}
		if ours != 1 {
			t.Errorf("%s: %d clusters have the dataplane's name", doc, ours)
		}
		for _, tag := range tree.Stats.Tags {
			if _, err := regexp.Compile(tag.Regex); err != nil {
				t.Error(err)
			}
		}
	})
}
