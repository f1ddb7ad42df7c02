package metrics_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/consulecs/terraform-provider-consulecs/internal/metrics"
)

func says(name, text string) metrics.Source {
	return metrics.Source{Name: name, Write: func(_ context.Context, _ string, w io.Writer) error {
		_, err := io.WriteString(w, text)
		return err
	}}
}

func page(t *testing.T, h http.Handler) string {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	if w.Code != http.StatusOK {
		t.Errorf("status %d", w.Code)
	}
	return w.Body.String()
}

func TestASourceThatFailsIsLeftOutAndToldOnce(t *testing.T) {
	t.Parallel()
	fails := errors.New("no such thing")
	bad := metrics.Source{Name: "bad", Write: func(_ context.Context, _ string, w io.Writer) error {
		_, _ = io.WriteString(w, "half a li")
		return fails
	}}
	flood := metrics.Source{Name: "flood", Write: func(_ context.Context, _ string, w io.Writer) error {
		for {
			if _, err := w.Write(make([]byte, 1<<20)); err != nil {
				return err
			}
		}
	}}
	var log bytes.Buffer
	h := metrics.Page(prometheus.NewRegistry(), hclog.New(&hclog.LoggerOptions{Output: &log}), says("a", "a 1\n"), bad, flood, says("b", "b 2\n"))
	const want = `# HELP consul_dataplane_scrape_up Whether a source of this page answered.
# TYPE consul_dataplane_scrape_up gauge
consul_dataplane_scrape_up{source="a"} 1
consul_dataplane_scrape_up{source="b"} 1
consul_dataplane_scrape_up{source="bad"} 0
consul_dataplane_scrape_up{source="flood"} 0
a 1
b 2
`
	for range 2 {
		if diff := cmp.Diff(want, page(t, h)); diff != "" {
			t.Error(diff)
		}
	}
	if n := strings.Count(log.String(), "metrics left out: source=bad"); n != 1 {
		t.Errorf("told %d times:\n%s", n, &log)
	}
	fails = nil
	page(t, h)
	if !strings.Contains(log.String(), "metrics are back: source=bad") {
		t.Errorf("the log lacks the end of it:\n%s", &log)
	}
}

func TestASourceByHTTPMustAnswerWithMetrics(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/good":
			_, _ = io.WriteString(w, "# TYPE a counter\na{b=\"c\"} 1")
		case "/html":
			_, _ = io.WriteString(w, "<html>")
		default:
			http.Error(w, "gone", http.StatusGone)
		}
	}))
	t.Cleanup(server.Close)
	for path, want := range map[string]string{"/good": "", "/html": "not metrics: ", "/gone": ": 410"} {
		var got bytes.Buffer
		err := metrics.HTTP("service", server.URL+path).Write(t.Context(), "x=y", &got)
		if want == "" && (err != nil || !strings.HasSuffix(got.String(), "a{b=\"c\"} 1\n")) || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, %q", path, err, got.String())
		}
	}
}

func TestTheMetricsOfADataplane(t *testing.T) {
	t.Parallel()
	d := metrics.NewDataplane()
	d.Took(metrics.StepLogin, 1500*time.Millisecond)
	connected := true
	d.Watch(func() metrics.Streams {
		return metrics.Streams{Open: 1, Ended: map[string]int{"Unavailable": 3}}
	}, func() bool { return connected })
	h := metrics.Page(d, hclog.NewNullLogger())
	got := page(t, h)
	for _, want := range []string{
		"consul_dataplane_envoy_connected 1\n", "consul_dataplane_consul_connected 1\n",
		"# TYPE consul_dataplane_connection_errors counter\nconsul_dataplane_connection_errors{error_code=\"Unavailable\"} 3\n",
		"consul_dataplane_login_duration_sum 1500\n", "consul_dataplane_login_duration_count 1\n",
		"consul_dataplane_connect_duration_count 0\n", "consul_dataplane_discover_servers_duration_count 0\n", "consul_dataplane_go_goroutines ",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("lacks %q in\n%s", want, got)
		}
	}
	if connected = false; !strings.Contains(page(t, h), "consul_dataplane_consul_connected 0\n") {
		t.Error("a lost connection is not told")
	}
}
