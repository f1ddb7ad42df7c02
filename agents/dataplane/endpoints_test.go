package dataplane_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/eventually"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/freeport"
)

// ask is the status and the body of an answer, or what went wrong.
func ask(port int, path string) string {
	client := &http.Client{Timeout: 15 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(fmt.Sprintf("http://127.0.0.1:%d%s", port, path))
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	return fmt.Sprint(resp.StatusCode, " ", string(body))
}

func (k *task) asked(path string) string { return ask(k.file.Envoy.GracefulPort, path) }

// scrape is the page as Prometheus gets it.
func scrape(t *testing.T, port int, path string) string {
	t.Helper()
	var page string
	eventually.True(t, "the page is there", eventually.Soon, func() bool {
		page = ask(port, path)
		return strings.HasPrefix(page, "200 ")
	})
	page = strings.TrimPrefix(page, "200 ")
	parser := expfmt.NewTextParser(model.UTF8Validation)
	if _, err := parser.TextToMetricFamilies(strings.NewReader(page)); err != nil {
		t.Errorf("not metrics: %v", err)
	}
	return page
}

func TestPrometheusGetsOnePageOfAllThatAnswer(t *testing.T) {
	t.Parallel()
	var broken atomic.Bool
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if broken.Load() {
			fmt.Fprint(w, "<html>this is no metric")
			return
		}
		fmt.Fprint(w, "orders_total 7\nquery{is=\"", r.URL.RawQuery, "\"} 1")
	}))
	t.Cleanup(app.Close)
	listener := int(freeport.Loopback(t).Port())
	k := readyTask(t, sharedConsul(t), func(k *task) {
		k.central = map[string]any{"envoy_prometheus_bind_addr": fmt.Sprintf("127.0.0.1:%d", listener), "envoy_stats_tags": []string{"canary"}}
		k.file.Telemetry.Prometheus.MergePort = int(freeport.Loopback(t).Port())
		k.file.Telemetry.Prometheus.ServiceMetricsURL = app.URL + "/app?own=1"
		k.file.Telemetry.Prometheus.ScrapePath = "/scrape"
	})
	page := scrape(t, listener, "/scrape?usedonly")
	for _, want := range []string{
		"\nconsul_dataplane_go_goroutines ", "\nconsul_dataplane_consul_connected 1\n", "\nconsul_dataplane_envoy_connected 1\n",
		"\nconsul_dataplane_connect_duration_count 1\n", "\nconsul_dataplane_discover_servers_duration_count ",
		"\nconsul_dataplane_scrape_up{source=\"envoy\"} 1\n", "\nconsul_dataplane_scrape_up{source=\"service\"} 1\n",
		"\nenvoy_server_concurrency{", `canary="1"`, `consul_source_service="` + k.service + `"`,
		"\norders_total 7\n", "\nquery{is=\"own=1\"} 1\n",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if all := scrape(t, listener, "/scrape"); len(all) <= len(page) {
		t.Errorf("the query does not reach Envoy: %d bytes with usedonly, %d without", len(page), len(all))
	}
	if got := ask(listener, "/stats/prometheus"); !strings.HasPrefix(got, "404 ") {
		t.Errorf("another path: %s", got[:min(len(got), 100)])
	}
	broken.Store(true)
	for range 2 {
		page = scrape(t, listener, "/scrape")
	}
	for want, there := range map[string]bool{
		"\nconsul_dataplane_scrape_up{source=\"service\"} 0\n": true, "\nenvoy_server_concurrency{": true, "no metric": false,
	} {
		if strings.Contains(page, want) != there {
			t.Errorf("with a broken application the page has %q: %v", want, !there)
		}
	}
	eventually.True(t, "the log tells", eventually.Soon, func() bool { return strings.Contains(k.output.String(), "metrics left out") })
	if n := strings.Count(k.output.String(), "metrics left out"); n != 1 {
		t.Errorf("the log tells %d times", n)
	}
}

func TestABusyMetricsPortLeavesNoEnvoy(t *testing.T) {
	t.Parallel()
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	c := sharedConsul(t)
	k := newTask(t, c)
	k.central = map[string]any{"envoy_prometheus_bind_addr": "127.0.0.1:20200"}
	k.file.Telemetry.Prometheus.MergePort = busy.Addr().(*net.TCPAddr).Port
	k.register(t, c, freeport.Loopback(t))
	k.run(t)
	code, _ := k.awaitExit(t, 20*time.Second)
	if out := k.output.String(); code != 1 || !strings.Contains(out, "telemetry.prometheus.mergePort names another port") || strings.Contains(out, "envoy started") {
		t.Errorf("exit code %d, want 1, the key and no Envoy in the log", code)
	}
}

func TestCentralConfigCountsUnlessTheFileSaysNo(t *testing.T) {
	t.Parallel()
	c := sharedConsul(t)
	const template = "envoy_bootstrap_json_tpl"
	k := newTask(t, c)
	k.central = map[string]any{template: "{{ .ProxyID }}", "envoy_tracing_json": "{"}
	k.register(t, c, freeport.Loopback(t))
	k.run(t)
	code, _ := k.awaitExit(t, 20*time.Second)
	for _, want := range []string{template + ": a template for the whole bootstrap is not supported", "envoy_tracing_json: want JSON objects"} {
		if code != 1 || !strings.Contains(k.output.String(), want) {
			t.Errorf("exit code %d, want 1 and %q in the log", code, want)
		}
	}
	no := readyTask(t, c, func(no *task) {
		no.central = k.central
		no.file.Telemetry.UseCentralConfig = new(bool)
	})
	if got := ask(no.file.Envoy.AdminBindPort, "/config_dump"); !strings.HasPrefix(got, "200 ") {
		t.Errorf("without central config: %s", got)
	}
}

func TestHealthTellsWhatIsMissing(t *testing.T) {
	t.Parallel()
	c := sharedConsul(t)
	k := newTask(t, c)
	k.token = newToken(t, c, "another") // Consul withholds the configuration
	k.register(t, c, freeport.Loopback(t))
	k.run(t)
	health := func() (h map[string]bool) {
		status, body, _ := strings.Cut(k.asked("/healthz"), " ")
		_ = json.Unmarshal([]byte(body), &h)
		h["200"] = status == "200"
		return h
	}
	eventually.True(t, "there is a server and nothing else", eventually.Soon, func() bool {
		h := map[string]bool{}
		if strings.HasPrefix(k.asked("/healthz"), "503 {") {
			h = health()
		}
		return h["token"] && h["server"] && !h["envoy"] && !h["configured"] && !h["200"]
	})
	if got := k.asked("/graceful_startup"); !strings.HasPrefix(got, "503 envoy is not ready") {
		t.Errorf("start of a proxy that is not ready: %s", got)
	}
	if got := k.asked("/other"); !strings.HasPrefix(got, "404 ") {
		t.Errorf("another path: %s", got)
	}

	good := readyTask(t, c)
	eventually.True(t, "all is well", eventually.Soon, func() bool { return strings.HasPrefix(good.asked("/healthz"), "200 {\"token\":true,") })
	if got := good.asked("/graceful_startup"); got != "200 " {
		t.Errorf("start of a proxy that is ready: %s", got)
	}
}

func TestHealthTellsThatTheTokenIsLost(t *testing.T) {
	t.Parallel()
	c := startConsul(t)
	t.Cleanup(func() { _ = c.Stop() })
	k := readyTask(t, c)
	list, _, err := c.API.ACL().TokenList(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range list {
		if len(entry.ServiceIdentities) == 1 && entry.ServiceIdentities[0].ServiceName == k.service {
			if _, err := c.API.ACL().TokenDelete(entry.AccessorID, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	eventually.True(t, "the token is told to be lost", eventually.Soon, func() bool {
		k.register(t, c, freeport.Loopback(t)) // Consul looks at a stream's token when it has something to send
		return strings.HasPrefix(k.asked("/healthz"), "503 {\"token\":false,")
	})
	if !k.ready() {
		t.Error("Envoy does not serve on with what it has")
	}
}

func TestTheStartWaitsForEnvoyAsLongAsItMay(t *testing.T) {
	t.Parallel()
	c := sharedConsul(t)
	k := newTask(t, c)
	k.file.Envoy.StartupGracePeriodSeconds = 20
	k.file.Envoy.GracefulStartupPath = "/up"
	k.run(t) // before the proxy is registered
	eventually.True(t, "the agent has asked in vain", eventually.Soon, func() bool { return strings.Contains(k.output.String(), "NotFound") })
	answer := make(chan string, 1)
	go func() { answer <- k.asked("/up") }()
	select {
	case got := <-answer:
		t.Fatalf("answered before there is an Envoy: %s", got)
	case <-time.After(300 * time.Millisecond):
	}
	k.register(t, c, freeport.Loopback(t))
	if got := <-answer; got != "200 " {
		t.Errorf("got %s", got)
	}
	told := func() int { return strings.Count(k.output.String(), "asked whether envoy is ready") }
	eventually.True(t, "the log tells", eventually.Soon, func() bool { return told() > 0 })
	if n := told(); n != 1 {
		t.Errorf("the log tells %d times", n)
	}
}

func TestARequestStopsTheAgentAsSIGTERMDoes(t *testing.T) {
	t.Parallel()
	k := readyTask(t, sharedConsul(t), func(k *task) {
		e := &k.file.Envoy
		e.ShutdownGracePeriodSeconds, e.ShutdownDrainListenersEnabled, e.DumpEnvoyConfigOnExitEnabled = 2, true, true
	})
	k.metadata.stopApp()
	began := time.Now()
	if got := k.asked("/graceful_shutdown"); got != "200 " {
		t.Fatalf("got %s", got)
	}
	eventually.True(t, "the request is heard", eventually.Soon, func() bool { return strings.Contains(k.output.String(), "application has stopped") })
	k.signal(t, syscall.SIGTERM) // of ECS, which comes later: the first, and so no reason to hurry
	if !k.ready() {
		t.Error("not ready in the grace period")
	}
	code, _ := k.awaitExit(t, 10*time.Second)
	if took := time.Since(began); code != 0 || took < 2*time.Second {
		t.Errorf("exit code %d after %s, want 0 after 2 s", code, took)
	}
	if !strings.Contains(k.output.String(), "type.googleapis.com/envoy.admin.v3.BootstrapConfigDump") {
		t.Error("the configuration is not in the output")
	}
}

func TestEnvoysLogIsShortAtInfo(t *testing.T) {
	t.Parallel()
	k := readyTask(t, sharedConsul(t), func(k *task) { k.file.Logging.LogJSON = true })
	k.metadata.stopApp()
	k.signal(t, syscall.SIGTERM)
	k.awaitExit(t, 10*time.Second)
	lines := strings.Split(strings.TrimSpace(k.output.String()), "\n")
	if len(lines) > 40 {
		t.Errorf("a start and a stop take %d lines", len(lines))
	}
	for _, line := range lines {
		var object map[string]any
		if err := json.Unmarshal([]byte(line), &object); err != nil || object["@level"] == nil || object["@message"] == nil || object["@timestamp"] == nil {
			t.Errorf("not a line of the log (%v): %s", err, line)
		}
		if object["@level"] != "info" {
			t.Errorf("a start and a stop at which nothing is wrong say: %s", line)
		}
	}
}
