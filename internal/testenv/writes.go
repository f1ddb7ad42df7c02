package testenv

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// telemetry has a server count for Prometheus, and keep what does not change for longer than any world lives.
func telemetry() map[string]any {
	return map[string]any{"prometheus_retention_time": "24h", "disable_hostname": true}
}

// Writes are the entries of Raft's log that a server has written since its start.
type Writes struct {
	All    int
	ByKind map[string]int // what they changed, as Consul names it: register, deregister, acl_token upsert, ...
}

// Changes are the writes that changed something that Consul has a name for. A server without any client writes one entry a
// minute besides, which changes nothing of the kind.
func (w Writes) Changes() int {
	sum := 0
	for _, n := range w.ByKind {
		sum += n
	}
	return sum
}

// Since are the writes that came after before.
func (w Writes) Since(before Writes) Writes {
	d := Writes{All: w.All - before.All, ByKind: map[string]int{}}
	for kind, n := range w.ByKind {
		if n -= before.ByKind[kind]; n > 0 {
			d.ByKind[kind] = n
		}
	}
	return d
}

// Writes counts what the server has written so far, by its own metrics.
func (c *Consul) Writes(ctx context.Context) (Writes, error) {
	scheme, transport := "http", &http.Transport{DisableKeepAlives: true}
	if c.CAPEM != "" {
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM([]byte(c.CAPEM))
		scheme, transport.TLSClientConfig = "https", &tls.Config{RootCAs: roots, ServerName: c.ServerName}
	}
	const path = "/v1/agent/metrics?format=prometheus"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+net.JoinHostPort(c.Address, strconv.Itoa(c.HTTPPort))+path, nil)
	if err != nil {
		return Writes{}, err
	}
	req.Header.Set("X-Consul-Token", c.BootstrapToken)
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return Writes{}, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return Writes{}, fmt.Errorf("GET %s: %s", path, resp.Status)
	}
	return readWrites(resp.Body)
}

// readWrites reads a page of metrics. Consul counts what it applies by kind, under consul_fsm_*; some kinds it counts twice,
// once under consul_consul_fsm_*.
func readWrites(page io.Reader) (Writes, error) {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(page)
	if err != nil {
		return Writes{}, fmt.Errorf("read Consul's metrics: %w", err)
	}
	w := Writes{ByKind: map[string]int{}}
	for name, family := range families {
		kind, ours := strings.CutPrefix(name, "consul_fsm_")
		for _, m := range family.GetMetric() {
			switch {
			case name == "consul_raft_apply":
				w.All += int(m.GetCounter().GetValue())
			case ours && m.GetSummary().GetSampleCount() > 0:
				of := kind
				for _, label := range m.GetLabel() {
					if label.GetName() == "op" {
						of += " " + label.GetValue()
					}
				}
				w.ByKind[of] += int(m.GetSummary().GetSampleCount())
			}
		}
	}
	return w, nil
}
