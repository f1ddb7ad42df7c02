package attachment

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/google/go-cmp/cmp"
)

func metric(seconds int32, names ...string) Metric { return Metric{names, &seconds} }

func resolution(seconds int32, names ...string) ecstypes.MetricConfiguration {
	return ecstypes.MetricConfiguration{MetricNames: names, ResolutionSeconds: &seconds}
}

func TestMetricsAreReadByTheirMeaning(t *testing.T) {
	t.Parallel()
	const cpu, memory = "CPUUtilization", "MemoryUtilization"
	monitored := func(all ...Metric) *Monitoring { return &Monitoring{all} }
	shown := func(all ...ecstypes.MetricConfiguration) *ecstypes.MonitoringConfiguration {
		return &ecstypes.MonitoringConfiguration{MetricConfigurations: all}
	}
	for name, c := range map[string]struct {
		was  *Monitoring
		is   *ecstypes.MonitoringConfiguration
		want *Monitoring
	}{
		"nothing":                   {nil, nil, nil},
		"ECS's default, unsaid":     {nil, shown(resolution(60, cpu, memory)), nil},
		"ECS's default, said":       {monitored(metric(60, cpu)), nil, monitored(metric(60, cpu))},
		"the other metric added":    {monitored(metric(20, cpu)), shown(resolution(20, cpu), resolution(60, memory)), monitored(metric(20, cpu))},
		"two blocks in one":         {monitored(metric(20, memory), metric(20, cpu)), shown(resolution(20, cpu, memory)), monitored(metric(20, memory), metric(20, cpu))},
		"changed":                   {monitored(metric(20, cpu)), shown(resolution(60, cpu)), monitored(metric(60, cpu))},
		"gone":                      {monitored(metric(20, cpu)), nil, nil},
		"imported":                  {nil, shown(resolution(20, memory)), monitored(metric(20, memory))},
		"changed of a metric alone": {monitored(metric(20, cpu, memory)), shown(resolution(20, cpu)), monitored(metric(20, cpu))},
	} {
		if diff := cmp.Diff(c.want, c.was.Refreshed(c.is)); diff != "" {
			t.Errorf("%s: want -, got +:\n%s", name, diff)
		}
	}
}

func TestGatewaysAreReadAsFarAsTheyWereSaid(t *testing.T) {
	t.Parallel()
	checked := func(path string) Gateway {
		return Gateway{PortName: aws.String("http"), Filters: &GatewayFilters{[]string{"PUBLIC", "PRIVATE"}}, HealthCheck: &GatewayHealthCheck{HealthCheckPath: &path}}
	}
	shown := func(path string, access ...ecstypes.AccessType) ecstypes.GatewayConnector {
		return ecstypes.GatewayConnector{
			PortName: aws.String("http"), Filters: &ecstypes.GatewayConnectorFilters{AccessTypes: access},
			HealthCheck: &ecstypes.GatewayConnectorHealthCheck{HealthCheckPath: &path, HealthyThresholdCount: aws.Int32(5), Matcher: &ecstypes.GatewayConnectorHealthCheckMatcher{HttpCode: aws.String("200")}},
		}
	}
	empty := Gateway{PortName: aws.String("http"), Filters: &GatewayFilters{}, HealthCheck: &GatewayHealthCheck{Matcher: &GatewayMatcher{}}}
	for name, c := range map[string]struct {
		was  []Gateway
		is   []ecstypes.GatewayConnector
		want []Gateway
	}{
		"the same, in another order": {[]Gateway{checked("/a")}, []ecstypes.GatewayConnector{shown("/a", "PRIVATE", "PUBLIC")}, []Gateway{checked("/a")}},
		"blocks that say nothing":    {[]Gateway{empty}, []ecstypes.GatewayConnector{{PortName: aws.String("http")}}, []Gateway{empty}},
		"changed":                    {[]Gateway{checked("/a")}, []ecstypes.GatewayConnector{shown("/b", "PUBLIC", "PRIVATE")}, []Gateway{checked("/b")}},
		"gone":                       {[]Gateway{checked("/a")}, nil, nil},
		"none":                       {nil, nil, nil},
	} {
		if diff := cmp.Diff(c.want, RefreshedGateways(c.was, c.is)); diff != "" {
			t.Errorf("%s: want -, got +:\n%s", name, diff)
		}
	}
}

func TestAnImportedGatewayDoesNotSayThatAllWaysInCount(t *testing.T) {
	t.Parallel()
	shown := func(access ...ecstypes.AccessType) []ecstypes.GatewayConnector {
		return []ecstypes.GatewayConnector{{PortName: aws.String("http"), Filters: &ecstypes.GatewayConnectorFilters{AccessTypes: access}}}
	}
	for name, c := range map[string]struct {
		is   []ecstypes.GatewayConnector
		want []Gateway
	}{
		"all":  {shown("PRIVATE", "PUBLIC"), []Gateway{{PortName: aws.String("http")}}},
		"one":  {shown("PRIVATE"), []Gateway{{PortName: aws.String("http"), Filters: &GatewayFilters{[]string{"PRIVATE"}}}}},
		"none": {nil, nil},
	} {
		if diff := cmp.Diff(c.want, ImportedGateways(c.is)); diff != "" {
			t.Errorf("%s: want -, got +:\n%s", name, diff)
		}
	}
}
