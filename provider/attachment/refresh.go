package attachment

import (
	"maps"
	"slices"

	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

// RefreshedGateways are the gateways as ECS has them. What the user leaves out of a health check is the gateway's, whatever ECS says of it.
func RefreshedGateways(was []Gateway, is []ecstypes.GatewayConnector) []Gateway {
	var next []Gateway
	row.FromSpec(&next, is)
	for i := range min(len(was), len(next)) {
		next[i].keepUnsaid(was[i])
	}
	same := func(a, b Gateway) bool { return row.SameMeaning(a, b, (*Gateway).plain) }
	if slices.EqualFunc(was, next, same) {
		return was
	}
	return next
}

// ImportedGateways are the gateways of a service that nothing was known of. ECS shows the ways in though all of them are let in, which is
// the default. A health check is taken over whole: which of it are the gateway's defaults cannot be told.
func ImportedGateways(is []ecstypes.GatewayConnector) []Gateway {
	all := RefreshedGateways(nil, is)
	for i := range all {
		if f := all[i].Filters; f != nil && len(f.AccessTypes) == len(ecstypes.AccessType("").Values()) {
			all[i].Filters = nil
		}
	}
	return all
}

func (g *Gateway) keepUnsaid(was Gateway) {
	unsaid(&g.Filters, was.Filters)
	unsaid(&g.HealthCheck, was.HealthCheck)
	is, said := g.HealthCheck, was.HealthCheck
	if is == nil || said == nil {
		return
	}
	unsaid(&is.HealthCheckIntervalSeconds, said.HealthCheckIntervalSeconds)
	unsaid(&is.HealthCheckPath, said.HealthCheckPath)
	unsaid(&is.HealthCheckPort, said.HealthCheckPort)
	unsaid(&is.HealthCheckProtocol, said.HealthCheckProtocol)
	unsaid(&is.HealthCheckTimeoutSeconds, said.HealthCheckTimeoutSeconds)
	unsaid(&is.HealthyThresholdCount, said.HealthyThresholdCount)
	unsaid(&is.UnhealthyThresholdCount, said.UnhealthyThresholdCount)
	unsaid(&is.Matcher, said.Matcher)
	if is.Matcher != nil {
		unsaid(&is.Matcher.GrpcCode, said.Matcher.GrpcCode)
		unsaid(&is.Matcher.HttpCode, said.Matcher.HttpCode)
	}
}

// plain puts a set in order, and leaves out blocks that say nothing.
func (g *Gateway) plain() {
	if g.Filters != nil {
		slices.Sort(g.Filters.AccessTypes)
		if len(g.Filters.AccessTypes) == 0 {
			g.Filters = nil
		}
	}
	if g.HealthCheck == nil {
		return
	}
	if m := g.HealthCheck.Matcher; m != nil && *m == (GatewayMatcher{}) {
		g.HealthCheck.Matcher = nil
	}
	if *g.HealthCheck == (GatewayHealthCheck{}) {
		g.HealthCheck = nil
	}
}

// Refreshed is the resolution of the metrics as ECS has it. It stays as the user wrote it while it means the same: each metric in a block
// of its own or together, in any order, and one of ECS's default said or left out.
func (m *Monitoring) Refreshed(is *ecstypes.MonitoringConfiguration) *Monitoring {
	var next *Monitoring
	if is != nil {
		next = &Monitoring{}
		row.FromSpec(next, *is)
	}
	if maps.Equal(m.resolutions(), next.resolutions()) {
		return m
	}
	return next
}

// resolutions are the seconds between two values of each metric.
func (m *Monitoring) resolutions() map[string]int32 {
	all := map[string]int32{}
	for _, name := range metrics {
		all[name] = defaultResolution
	}
	for _, of := range row.Value(m).MetricConfigurations {
		for _, name := range of.MetricNames {
			all[name] = row.Value(of.ResolutionSeconds)
		}
	}
	return all
}
