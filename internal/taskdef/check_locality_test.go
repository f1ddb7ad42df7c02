package taskdef_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskdef"
)

func TestOutlierDetectionThatKeepsCallsInADeadZoneIsWarnedOf(t *testing.T) {
	t.Parallel()
	resilience := func(share *int) *agentconfig.NetworkResilience {
		return &agentconfig.NetworkResilience{Enabled: true, OutlierDetection: &agentconfig.OutlierDetection{MaxEjectionPercent: share}}
	}
	const service, upstream = "service.networkResilienceConfig.outlierDetection.maxEjectionPercent", "proxy.upstreams[0].config"
	ejecting := agentconfig.Upstream{DestinationName: "api", LocalBindPort: 1234, Config: map[string]any{"passive_health_check": map[string]any{"max_ejection_percent": 50.0}}}
	furtherResilient := func(s *taskdef.Spec) {
		further(nil)(s)
		s.Services[0].Service.NetworkResilience = resilience(aws.Int(98))
	}
	for name, tc := range map[string]struct {
		change func(*taskdef.Spec)
		at     string // of the warning; "" for none
	}{
		"nothing configured":  {func(*taskdef.Spec) {}, ""},
		"by default":          {func(s *taskdef.Spec) { s.Service.NetworkResilience = resilience(nil) }, service},
		"low":                 {func(s *taskdef.Spec) { s.Service.NetworkResilience = resilience(aws.Int(98)) }, service},
		"none at all":         {func(s *taskdef.Spec) { s.Service.NetworkResilience = resilience(aws.Int(0)) }, service},
		"enough":              {func(s *taskdef.Spec) { s.Service.NetworkResilience = resilience(aws.Int(99)) }, ""},
		"off":                 {func(s *taskdef.Spec) { s.Service.NetworkResilience = &agentconfig.NetworkResilience{} }, ""},
		"of an upstream":      {upstreamWith(map[string]any{"passive_health_check": map[string]any{"max_ejection_percent": 50.0}}), upstream},
		"of a further one's":  {further(&agentconfig.Proxy{Upstreams: []agentconfig.Upstream{ejecting}}), "services[0].proxy.upstreams[0].config"},
		"a further service":   {furtherResilient, "services[0].service.networkResilienceConfig.outlierDetection.maxEjectionPercent"},
		"in another spelling": {upstreamWith(map[string]any{"PassiveHealthCheck": map[string]any{"MaxEjectionPercent": 50.0}}), upstream},
		"as text":             {upstreamWith(map[string]any{"passive_health_check": map[string]any{"max_ejection_percent": "50"}}), upstream},
		"enough of it":        {upstreamWith(map[string]any{"passive_health_check": map[string]any{"max_ejection_percent": 100.0}}), ""},
		"not said of it":      {upstreamWith(map[string]any{"passive_health_check": map[string]any{"max_failures": 5.0}}), ""},
		"no object":           {upstreamWith(map[string]any{"passive_health_check": "yes"}), ""},
	} {
		for _, prefers := range []bool{true, false} {
			spec := valid()
			spec.Locality.PreferZone = &prefers
			tc.change(&spec)
			at := ""
			for _, p := range taskdef.Check(spec) {
				if !p.Warning {
					t.Errorf("%s: %v", name, p)
				}
				at += p.Path.String()
			}
			if want := map[bool]string{true: tc.at}[prefers]; at != want {
				t.Errorf("%s, preferred %v: warned at %q, want %q", name, prefers, at, want)
			}
		}
	}
}

func upstreamWith(config map[string]any) func(*taskdef.Spec) {
	return func(s *taskdef.Spec) {
		s.Proxy.Upstreams = []agentconfig.Upstream{{DestinationName: "api", LocalBindPort: 1234, Config: config}}
	}
}

// TestNothingIsSaidOfZonesThatAreNotPreferred: the incumbent's agents refuse a key that they do not know.
func TestNothingIsSaidOfZonesThatAreNotPreferred(t *testing.T) {
	t.Parallel()
	for name, prefers := range map[string]*bool{"not said": nil, "false": aws.Bool(false)} {
		spec := valid()
		spec.Locality.PreferZone = prefers
		if l := taskdef.AgentConfig(spec).Locality; l != nil {
			t.Errorf("%s: the agents are told %+v", name, l)
		}
	}
}
