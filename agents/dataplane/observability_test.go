package dataplane_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/hashicorp/consul/api"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/eventually"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/freeport"
)

// TestWhatTheExamplesAskOfEnvoyExists scrapes two real proxies, one that calls the other, for the names of metrics and labels
// that stand in the dashboards and rules under examples.
func TestWhatTheExamplesAskOfEnvoyExists(t *testing.T) {
	t.Parallel()
	c := sharedConsul(t)
	web, apiTask, upstream := newTask(t, c), newTask(t, c), freeport.Loopback(t)
	pages := map[*task]int{}
	for _, k := range []*task{web, apiTask} {
		pages[k] = int(freeport.Loopback(t).Port())
		k.central = map[string]any{"envoy_prometheus_bind_addr": fmt.Sprintf("127.0.0.1:%d", pages[k])}
		k.file.Telemetry.Prometheus.MergePort = int(freeport.Loopback(t).Port())
	}
	apiTask.register(t, c, app(t))
	web.register(t, c, freeport.Loopback(t), api.Upstream{DestinationName: apiTask.service, LocalBindAddress: "127.0.0.1", LocalBindPort: int(upstream.Port())})
	for k := range pages {
		k.run(t)
	}
	for k := range pages {
		k.awaitReady(t)
	}
	eventually.True(t, "web is refused", eventually.Soon, func() bool { return strings.HasPrefix(get(upstream), "403 ") })
	intend(t, c, web, apiTask, api.IntentionActionAllow)
	eventually.True(t, "web reaches api", eventually.Soon, func() bool { return get(upstream) == "200 from api" })

	known := map[string]bool{}
	for _, port := range pages {
		parser := expfmt.NewTextParser(model.UTF8Validation)
		families, err := parser.TextToMetricFamilies(strings.NewReader(scrape(t, port, "/metrics")))
		if err != nil {
			t.Fatal(err)
		}
		for name, family := range families {
			known[name] = true
			for _, m := range family.GetMetric() {
				for _, label := range m.GetLabel() {
					known[label.GetName()] = true
				}
			}
		}
	}
	asked := askedByExamples(t)
	if len(asked) < 10 {
		t.Fatalf("the examples ask for %v only", asked)
	}
	for name, file := range asked {
		if !known[name] && !known[strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(name, "_bucket"), "_sum"), "_count")] {
			t.Errorf("%s asks for %s, which neither proxy has", file, name)
		}
	}
}

// ofEnvoy are the names of Envoy's metrics and labels.
var ofEnvoy = regexp.MustCompile(`\b(?:envoy|consul_source|consul_destination)_[a-z0-9_]+\b`)

// askedByExamples are the names in rules and dashboards, each with a file that has it.
func askedByExamples(t *testing.T) map[string]string {
	t.Helper()
	asked := map[string]string{}
	err := filepath.WalkDir(filepath.Join("..", "..", "examples", "observability"), func(name string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && d.Name() == "tests" {
			return fs.SkipDir
		}
		if err != nil || d.IsDir() || !strings.HasSuffix(name, ".json") && !strings.HasSuffix(name, ".yml") {
			return err
		}
		text, err := os.ReadFile(name)
		for _, metric := range ofEnvoy.FindAllString(string(text), -1) {
			asked[metric] = name
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return asked
}
