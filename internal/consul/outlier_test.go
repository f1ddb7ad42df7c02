package consul

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/consul/api"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
)

// tooNew are the settings that the Consul of these tests, 1.22.7, does not know.
var tooNew = []string{"EnforcingConsecutiveGatewayFailure"}

func TestOutlierDetectionHasADefaultForEachSetting(t *testing.T) {
	t.Parallel()
	n, second := 7, int64(time.Second)
	for name, tc := range map[string]struct {
		in   agentconfig.OutlierDetection
		want map[string]any
	}{
		"nothing said": {agentconfig.OutlierDetection{}, map[string]any{
			"Interval": int64(10 * time.Second), "MaxFailures": 5, "EnforcingConsecutiveGatewayFailure": 100, "MaxEjectionPercent": 50,
		}},
		"one said": {agentconfig.OutlierDetection{MaxEjectionPercent: &n}, map[string]any{
			"Interval": int64(10 * time.Second), "MaxFailures": 5, "EnforcingConsecutiveGatewayFailure": 100, "MaxEjectionPercent": 7,
		}},
		"zero said": {agentconfig.OutlierDetection{Interval: new(int64), EnforcingConsecutive5xx: new(int)}, map[string]any{
			"Interval": int64(0), "MaxFailures": 5, "EnforcingConsecutiveGatewayFailure": 100, "MaxEjectionPercent": 50, "EnforcingConsecutive5xx": 0,
		}},
		"all said": {agentconfig.OutlierDetection{
			Interval: &second, MaxFailures: &n, EnforcingConsecutive5xx: &n, Consecutive5xx: &n,
			EnforcingConsecutiveGatewayFailure: &n, ConsecutiveGatewayFailure: &n, MaxEjectionPercent: &n,
		}, map[string]any{
			"Interval": int64(time.Second), "MaxFailures": 7, "EnforcingConsecutive5xx": 7, "Consecutive5xx": 7,
			"EnforcingConsecutiveGatewayFailure": 7, "ConsecutiveGatewayFailure": 7, "MaxEjectionPercent": 7,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tc.want, passiveHealthCheck(tc.in)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestOnlyUnknownSettingsAreDropped(t *testing.T) {
	t.Parallel()
	check := map[string]any{"Interval": 1, "Consecutive5xx": 1}
	const prefix = `* invalid config key "UpstreamConfig.Defaults.PassiveHealthCheck.`
	for name, tc := range map[string]struct {
		err  error
		want []string
	}{
		"one":            {api.StatusError{Code: 400, Body: "1 error occurred:\n\t" + prefix + `Consecutive5xx"`}, []string{"Consecutive5xx"}},
		"both":           {api.StatusError{Code: 400, Body: prefix + `Interval"` + "\n" + prefix + `Consecutive5xx"`}, []string{"Consecutive5xx", "Interval"}},
		"not ours":       {api.StatusError{Code: 400, Body: prefix + `Interval"` + "\n" + `* invalid config key "Flavour"`}, nil},
		"something else": {api.StatusError{Code: 400, Body: "bad request"}, nil},
		"not refused":    {api.StatusError{Code: 500, Body: prefix + `Interval"`}, nil},
		"no answer":      {errors.New("connection refused"), nil},
		"no error":       {nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tc.want, unknownKeys(tc.err, check)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// serviceDefaultsOf reads what Consul holds; nil if nothing.
func serviceDefaultsOf(t *testing.T, service string) *api.ServiceConfigEntry {
	t.Helper()
	entry, _, err := stage.Consul.API.ConfigEntries().Get(api.ServiceDefaults, service, nil)
	var status api.StatusError
	switch {
	case errors.As(err, &status) && status.Code == 404:
		return nil
	case err != nil:
		t.Fatal(err)
	}
	return entry.(*api.ServiceConfigEntry)
}

// operator writes service-defaults as an operator does, and removes them after the test.
func operator(t *testing.T, entry *api.ServiceConfigEntry) {
	t.Helper()
	if _, _, err := stage.Consul.API.ConfigEntries().Set(entry, nil); err != nil {
		t.Fatal(err)
	}
	forget(t, entry.Name)
}

func forget(t *testing.T, service string) {
	t.Cleanup(func() {
		if _, err := stage.Consul.API.ConfigEntries().Delete(api.ServiceDefaults, service, nil); err != nil {
			t.Error(err)
		}
	})
}

func TestOutlierDetectionIsWrittenOnce(t *testing.T) {
	asRole(t, mesh.RolePath, "web")
	stage.Node(t, clusterName(t))
	c := mustConnect(t, settings(t, taskOf(t, "t1"), nil))
	forget(t, "web")
	for _, want := range []ServiceDefaults{{Written: true, Dropped: tooNew}, {}} {
		got, err := c.SetOutlierDetection(t.Context(), "web", agentconfig.OutlierDetection{})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
	entry := serviceDefaultsOf(t, "web")
	fifty := uint32(50)
	want := &api.PassiveHealthCheck{Interval: 10 * time.Second, MaxFailures: 5, MaxEjectionPercent: &fifty}
	if diff := cmp.Diff(want, entry.UpstreamConfig.Defaults.PassiveHealthCheck); diff != "" {
		t.Error(diff)
	}
	if entry.CreateIndex != entry.ModifyIndex {
		t.Errorf("written at %d and at %d, want one write", entry.CreateIndex, entry.ModifyIndex)
	}
}

func TestAnOperatorsServiceDefaultsStay(t *testing.T) {
	asRole(t, mesh.RolePath, "web")
	stage.Node(t, clusterName(t))
	c := mustConnect(t, settings(t, taskOf(t, "t1"), nil))
	hundred, one := 100, uint32(1)
	base := func() *api.ServiceConfigEntry {
		return &api.ServiceConfigEntry{
			Kind: api.ServiceDefaults, Name: "web", Protocol: "http", Meta: map[string]string{"owner": "ops"}, MaxInboundConnections: 9,
			Expose: api.ExposeConfig{Paths: []api.ExposePath{{ListenerPort: 1, Path: "/x", LocalPathPort: 2, Protocol: "http"}}},
			UpstreamConfig: &api.UpstreamConfiguration{
				Overrides: []*api.UpstreamConfig{{Name: "api", ConnectTimeoutMs: 250, PassiveHealthCheck: &api.PassiveHealthCheck{Interval: time.Minute, MaxEjectionPercent: &one}}},
				Defaults:  &api.UpstreamConfig{ConnectTimeoutMs: 4000, Limits: &api.UpstreamLimits{MaxConnections: &hundred}},
			},
		}
	}
	t.Run("beside a check of ours", func(t *testing.T) {
		operator(t, base())
		before := serviceDefaultsOf(t, "web")
		if got, err := c.SetOutlierDetection(t.Context(), "web", agentconfig.OutlierDetection{}); err != nil || !got.Written {
			t.Fatalf("%+v, %v", got, err)
		}
		after := serviceDefaultsOf(t, "web")
		if check := after.UpstreamConfig.Defaults.PassiveHealthCheck; check == nil || check.MaxFailures != 5 {
			t.Errorf("the passive health check is %+v", check)
		}
		after.UpstreamConfig.Defaults.PassiveHealthCheck, after.ModifyIndex = nil, before.ModifyIndex
		if diff := cmp.Diff(before, after); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("with a check of their own", func(t *testing.T) {
		entry := base()
		entry.UpstreamConfig.Defaults.PassiveHealthCheck = &api.PassiveHealthCheck{MaxFailures: 99}
		operator(t, entry)
		before := serviceDefaultsOf(t, "web")
		if got, err := c.SetOutlierDetection(t.Context(), "web", agentconfig.OutlierDetection{}); err != nil || got.Written {
			t.Fatalf("%+v, %v", got, err)
		}
		if diff := cmp.Diff(before, serviceDefaultsOf(t, "web")); diff != "" {
			t.Error(diff)
		}
	})
}

func TestServiceDefaultsWrittenByManyAtOnceAreWrittenOnce(t *testing.T) {
	asRole(t, mesh.RolePath, "web")
	stage.Node(t, clusterName(t))
	c := mustConnect(t, settings(t, taskOf(t, "t1"), nil))
	forget(t, "web")
	var group sync.WaitGroup
	results := make([]ServiceDefaults, 16)
	for i := range results {
		group.Go(func() {
			var err error
			own := i + 1 // tells the writes apart: Consul takes an equal one for none
			results[i], err = c.SetOutlierDetection(t.Context(), "web", agentconfig.OutlierDetection{MaxFailures: &own})
			if err != nil && !strings.Contains(err.Error(), "somebody else changed them") {
				t.Error(err)
			}
		})
	}
	group.Wait()
	written := 0
	for _, r := range results {
		if r.Written {
			written++
		}
	}
	if entry := serviceDefaultsOf(t, "web"); written != 1 || entry.CreateIndex != entry.ModifyIndex {
		t.Errorf("%d of them wrote; written at %d and at %d, want one write", written, entry.CreateIndex, entry.ModifyIndex)
	}
}

func TestServiceDefaultsOfAnotherServiceAreRefusedForGood(t *testing.T) {
	asRole(t, mesh.RolePath, "web")
	stage.Node(t, clusterName(t))
	c := mustConnect(t, settings(t, taskOf(t, "t1"), nil))
	_, err := c.SetOutlierDetection(t.Context(), "billing", agentconfig.OutlierDetection{})
	var refusal *Refusal
	if !errors.As(err, &refusal) || refusal.Tries != 1 || !strings.Contains(refusal.Hint, mesh.RoleTagServiceName) {
		t.Errorf("got %v, want a refusal that names the tag", err)
	}
	if entry := serviceDefaultsOf(t, "billing"); entry != nil {
		t.Errorf("service-defaults %+v are there", entry)
	}
}
