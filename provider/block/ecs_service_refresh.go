package block

import (
	"reflect"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

// Refresh takes over what the service is. What the user leaves out stays out while it is ECS's default, and where ECS or
// others decide: the desired count, the launch type, the capacity providers.
func (m *ECSService) Refresh(s ecstypes.Service) {
	if m.DesiredCount != nil {
		m.DesiredCount = &s.DesiredCount
	}
	if m.LaunchType != nil {
		m.LaunchType = aws.String(string(s.LaunchType))
	}
	if m.CapacityProviderStrategy != nil {
		m.CapacityProviderStrategy = refreshedList(m.CapacityProviderStrategy, s.CapacityProviderStrategy)
	}
	if version := aws.ToString(s.PlatformVersion); version != "" {
		m.PlatformVersion = refreshed(m.PlatformVersion, version, latestPlatform)
	}
	m.EnableExecuteCommand = refreshed(m.EnableExecuteCommand, s.EnableExecuteCommand, false)
	m.HealthCheckGracePeriodSeconds = refreshed(m.HealthCheckGracePeriodSeconds, aws.ToInt32(s.HealthCheckGracePeriodSeconds), 0)
	if n := s.NetworkConfiguration; n != nil && n.AwsvpcConfiguration != nil {
		m.Subnets = refreshedSet(m.Subnets, n.AwsvpcConfiguration.Subnets)
		m.SecurityGroups = refreshedSet(m.SecurityGroups, n.AwsvpcConfiguration.SecurityGroups)
		m.AssignPublicIP = refreshed(m.AssignPublicIP, n.AwsvpcConfiguration.AssignPublicIp == ecstypes.AssignPublicIpEnabled, false)
	}
	m.LoadBalancers = refreshedList(m.LoadBalancers, s.LoadBalancers)
	m.PlacementConstraints = refreshedList(m.PlacementConstraints, s.PlacementConstraints)
	if !slices.EqualFunc(m.PlacementStrategy, s.PlacementStrategy, samePlacement) {
		m.PlacementStrategy = refreshedList(m.PlacementStrategy, s.PlacementStrategy)
	}
	m.Deployment = m.Deployment.refreshed(s.DeploymentConfiguration)
}

func (m *Deployment) refreshed(is *ecstypes.DeploymentConfiguration) *Deployment {
	if is == nil {
		return m
	}
	was := row.Value(m)
	next := Deployment{CircuitBreaker: was.CircuitBreaker}
	if is.MinimumHealthyPercent != nil {
		next.MinimumHealthyPercent = refreshed(was.MinimumHealthyPercent, *is.MinimumHealthyPercent, defaultMinimumHealthy)
	}
	if is.MaximumPercent != nil {
		next.MaximumPercent = refreshed(was.MaximumPercent, *is.MaximumPercent, defaultMaximum)
	}
	breaker := row.Value(is.DeploymentCircuitBreaker)
	if was.CircuitBreaker != nil || breaker.Enable || breaker.Rollback {
		next.CircuitBreaker = &CircuitBreaker{Enable: &breaker.Enable, Rollback: refreshed(row.Value(was.CircuitBreaker).Rollback, breaker.Rollback, false)}
	}
	if m == nil && next == (Deployment{}) {
		return nil
	}
	return &next
}

// samePlacement knows that ECS writes fields in its own way: cpu and memory in capitals, host as instanceId.
func samePlacement(was PlacementField, is ecstypes.PlacementStrategy) bool {
	field := row.Value(was.Field)
	if field == "host" {
		field = "instanceId"
	}
	return row.Value(was.Type) == string(is.Type) && strings.EqualFold(field, aws.ToString(is.Field))
}

// refreshed is the value as it is; nil if the user left it out and it is the default.
func refreshed[T comparable](was *T, is, otherwise T) *T {
	if was == nil && is == otherwise {
		return nil
	}
	return &is
}

// refreshedSet keeps the user's order while the elements are the same.
func refreshedSet(was, is []string) []string {
	a, b := slices.Sorted(slices.Values(was)), slices.Sorted(slices.Values(is))
	if slices.Equal(a, b) {
		return was
	}
	return b
}

// refreshedList keeps the user's spelling while it means the same.
func refreshedList[M, S any](was []M, is []S) []M {
	var asked []S
	row.ToSpec(&asked, was)
	if len(asked) == 0 && len(is) == 0 || reflect.DeepEqual(asked, is) {
		return was
	}
	var next []M
	row.FromSpec(&next, is)
	return next
}
