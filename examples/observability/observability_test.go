// Package observability_test loads the rules and dashboards that lie beside it, as Prometheus and Grafana would.
package observability_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/consulecs/terraform-provider-consulecs/internal/metrics"
)

// built is Prometheus's own tool, made once for all tests, without the discovery of targets in clouds, which is most of it.
var built = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "promtool-")
	if err != nil {
		return "", err
	}
	cmd := exec.Command("go", "build", "-modfile=tools.mod", "-tags=remove_all_sd", "-o", filepath.Join(dir, "promtool"), "github.com/prometheus/prometheus/cmd/promtool")
	cmd.Dir = filepath.Join("..", "..")
	if out, err := cmd.CombinedOutput(); err != nil {
		return dir, fmt.Errorf("build promtool: %w\n%s", err, out)
	}
	return dir, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if dir, _ := built(); dir != "" {
		_ = os.RemoveAll(dir)
	}
	os.Exit(code)
}

func promtool(t *testing.T, args ...string) {
	t.Helper()
	dir, err := built()
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), filepath.Join(dir, "promtool"), args...).CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func files(t *testing.T, pattern string) []string {
	t.Helper()
	found, err := filepath.Glob(pattern)
	if err != nil || len(found) < 2 {
		t.Fatalf("%s: %v, %v", pattern, found, err)
	}
	return found
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestPrometheusTakesTheRules(t *testing.T) {
	t.Parallel()
	promtool(t, append([]string{"check", "rules", "--lint=all", "--lint-fatal"}, files(t, "prometheus/*.yml")...)...)
}

func TestEachAlertFiresWhereItShallAndNotBesides(t *testing.T) {
	t.Parallel()
	promtool(t, append([]string{"test", "rules"}, files(t, "prometheus/tests/*.yml")...)...)
	fires, silent := map[string]bool{}, map[string]bool{}
	for _, name := range files(t, "prometheus/tests/*.yml") {
		for _, of := range strings.Split(read(t, name), "alertname: ")[1:] {
			alert, rest, _ := strings.Cut(of, "\n")
			if strings.HasPrefix(strings.TrimSpace(rest), "exp_alerts: []") {
				silent[alert] = true
			} else {
				fires[alert] = true
			}
		}
	}
	for alert := range alerts(t) {
		if !fires[alert] || !silent[alert] {
			t.Errorf("%s has a test in which it fires: %v, and one in which it does not: %v", alert, fires[alert], silent[alert])
		}
	}
}

var alertAndRunbook = regexp.MustCompile(`(?s)- alert: (\w+)\n.*?runbook_url: (\S+)`)

// alerts are all alerts and the addresses of their runbooks.
func alerts(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, name := range files(t, "prometheus/*.yml") {
		text := read(t, name)
		for _, m := range alertAndRunbook.FindAllStringSubmatch(text, -1) {
			found[m[1]] = m[2]
		}
		if n := strings.Count(text, "- alert: "); n == 0 || n != strings.Count(text, "runbook_url: ") {
			t.Fatalf("%s has %d alerts and %d runbooks", name, n, strings.Count(text, "runbook_url: "))
		}
	}
	return found
}

func TestEachAlertHasARunbookAndEachRunbookAnAlert(t *testing.T) {
	t.Parallel()
	const root = "https://github.com/consulecs/terraform-provider-consulecs/blob/main/"
	found := alerts(t)
	for alert, url := range found {
		page, anchor, _ := strings.Cut(strings.TrimPrefix(url, root), "#")
		if !strings.HasPrefix(url, root) || anchor != strings.ToLower(alert) || !strings.Contains(read(t, filepath.Join("..", "..", page)), "\n### "+alert+"\n") {
			t.Errorf("%s: there is no runbook at %s", alert, url)
		}
	}
	for _, page := range []string{"controller", "metrics"} {
		for _, m := range regexp.MustCompile(`(?m)^### (ConsulECS\w+)$`).FindAllStringSubmatch(read(t, "../../docs/guides/"+page+".md"), -1) {
			if found[m[1]] == "" {
				t.Errorf("%s.md has a runbook for %s, which is no alert", page, m[1])
			}
		}
	}
}

// dashboard is what of Grafana's model is checked here.
type dashboard struct {
	UID, Title    string
	SchemaVersion int
	Panels        []struct {
		ID         int
		Type       string
		Title      string
		Datasource source
		GridPos    struct{ H, W, X, Y int }
		Targets    []struct {
			RefID      string
			Expr       string
			Datasource source
		}
	}
	Templating struct {
		List []struct {
			Name, Type string
			Query      any
		}
	}
}

type source struct{ Type, UID string }

// chosen puts in what Grafana puts in for variables.
var chosen = strings.NewReplacer("$__rate_interval", "5m", "$ecs_cluster", ".*", "$service", ".*")

func dashboards(t *testing.T) map[string]dashboard {
	t.Helper()
	all := map[string]dashboard{}
	for _, name := range files(t, "grafana/*.json") {
		var d dashboard
		if err := json.Unmarshal([]byte(read(t, name)), &d); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		all[name] = d
	}
	return all
}

func TestTheDashboardsAreWhole(t *testing.T) {
	t.Parallel()
	uids := map[string]string{}
	for name, d := range dashboards(t) {
		if d.UID == "" || d.Title == "" || d.SchemaVersion < 36 || uids[d.UID] != "" {
			t.Errorf("%s: uid %q of %s, title %q, schema %d", name, d.UID, uids[d.UID], d.Title, d.SchemaVersion)
		}
		uids[d.UID] = name
		if v := d.Templating.List[0]; v.Name != "datasource" || v.Type != "datasource" || v.Query != "prometheus" {
			t.Errorf("%s: the first variable is %+v, want the datasource", name, v)
		}
		want := source{"prometheus", "${datasource}"}
		ids, cells := map[int]bool{}, map[[2]int]string{}
		for _, p := range d.Panels {
			if p.ID == 0 || ids[p.ID] || p.Title == "" {
				t.Errorf("%s: panel %q has the ID %d, which another one has: %v", name, p.Title, p.ID, ids[p.ID])
			}
			ids[p.ID] = true
			for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
				for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
					if beneath := cells[[2]int{x, y}]; beneath != "" || x > 23 {
						t.Fatalf("%s: panel %q lies on %q, or beyond the edge, at %d, %d", name, p.Title, beneath, x, y)
					}
					cells[[2]int{x, y}] = p.Title
				}
			}
			if p.Type == "row" {
				continue
			}
			if p.Datasource != want || len(p.Targets) == 0 {
				t.Errorf("%s: panel %q asks %v for %d things", name, p.Title, p.Datasource, len(p.Targets))
			}
			for _, target := range p.Targets {
				if target.Datasource != want {
					t.Errorf("%s: panel %q asks %v", name, p.Title, target.Datasource)
				}
			}
		}
	}
}

// TestPrometheusTakesWhatTheDashboardsAsk has Prometheus read each expression as a rule.
func TestPrometheusTakesWhatTheDashboardsAsk(t *testing.T) {
	t.Parallel()
	type rule struct {
		Record string `json:"record"`
		Expr   string `json:"expr"`
	}
	var rules []rule
	for _, d := range dashboards(t) {
		for _, p := range d.Panels {
			for _, target := range p.Targets {
				expr := chosen.Replace(target.Expr)
				if strings.Contains(expr, "$") {
					t.Errorf("%s: panel %q: unknown variable in %s", d.Title, p.Title, target.Expr)
				}
				rules = append(rules, rule{fmt.Sprintf("panel:n%d", len(rules)), expr})
			}
		}
	}
	text, err := json.Marshal(map[string]any{"groups": []any{map[string]any{"name": "panels", "rules": rules}}}) // JSON is YAML
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "panels.yml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, "check", "rules", file)
}

// exposed are the names that a page of metrics has.
func exposed(t *testing.T, page string) map[string]bool {
	t.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for name, f := range families {
		names[name] = true
		if f.GetType().String() == "HISTOGRAM" {
			names[name+"_bucket"], names[name+"_sum"], names[name+"_count"] = true, true, true
		}
	}
	return names
}

// TestOurMetricsAndRecordedOnesExist looks for the names in what the programs expose. Envoy's are looked for in a real Envoy,
// by a test of the dataplane.
func TestOurMetricsAndRecordedOnesExist(t *testing.T) {
	t.Parallel()
	controller := metrics.NewController(metrics.About{ECSCluster: "mesh", Version: "1"})
	controller.WatchQueue(func() metrics.Queue { return metrics.Queue{} })
	controller.AWSRequest("ecs", "ListTasks", "denied")
	dataplane := metrics.NewDataplane()
	dataplane.Watch(func() metrics.Streams { return metrics.Streams{Ended: map[string]int{"Unavailable": 1}} }, func() bool { return true })
	known := map[string]bool{}
	for _, page := range []http.Handler{
		metrics.Page(controller, hclog.NewNullLogger()),
		metrics.Page(dataplane, hclog.NewNullLogger(), metrics.HTTP("envoy", "http://127.0.0.1:1")),
	} {
		w := httptest.NewRecorder()
		page.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
		maps.Copy(known, exposed(t, w.Body.String()))
	}
	rules := files(t, "prometheus/*.yml")
	for _, name := range rules {
		for _, m := range regexp.MustCompile(`- record: (\S+)`).FindAllStringSubmatch(read(t, name), -1) {
			known[m[1]] = true
		}
	}
	ours := regexp.MustCompile(`\b(?:consulecs_controller_|consul_dataplane_|consulecs:)[a-z0-9_:]+`)
	for _, name := range slices.Concat(rules, files(t, "grafana/*.json")) {
		asked := ours.FindAllString(read(t, name), -1)
		if len(asked) < 5 {
			t.Errorf("%s asks for %v only", name, asked)
		}
		for _, metric := range asked {
			if !known[metric] {
				t.Errorf("%s asks for %s, which no program has and no rule records", name, metric)
			}
		}
	}
}
