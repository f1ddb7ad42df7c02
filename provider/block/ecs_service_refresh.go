package block

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/provider/attachment"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

// Seen is an ECS service as ECS shows it.
type Seen struct {
	ecstypes.Service
	// Revision is the service revision that its tasks are of, which tells what the service does not; nil where nobody has asked for it,
	// or where its tasks are of several.
	Revision *ecstypes.ServiceRevision
}

// HasUnshown reports whether the service has what ECS shows with its service revision alone. With CodeDeploy it is not the resource's.
func (m *ECSService) HasUnshown() bool {
	return m != nil && !m.ByCodeDeploy() && (m.Monitoring != nil || len(m.GatewayConnectors) > 0)
}

// Refresh takes over what the service is. What the user leaves out stays out while it is ECS's default, and where ECS or
// others decide: the desired count, the launch type, the capacity providers, the balance of the zones.
func (m *ECSService) Refresh(s Seen) {
	if m.DesiredCount != nil && !row.Value(m.IgnoreDesiredCount) {
		m.DesiredCount = &s.DesiredCount
	}
	if m.AvailabilityZoneRebalancing != nil && s.AvailabilityZoneRebalancing != "" {
		m.AvailabilityZoneRebalancing = aws.String(string(s.AvailabilityZoneRebalancing))
	}
	m.SchedulingStrategy = row.RefreshedText(m.SchedulingStrategy, s.SchedulingStrategy, string(ecstypes.SchedulingStrategyReplica))
	m.DeploymentController = row.RefreshedText(m.DeploymentController, row.Value(s.DeploymentController).Type, string(ecstypes.DeploymentControllerTypeEcs))
	m.EnableExecuteCommand = row.Refreshed(m.EnableExecuteCommand, s.EnableExecuteCommand, false)
	m.EnableECSManagedTags = row.Refreshed(m.EnableECSManagedTags, s.EnableECSManagedTags, false)
	m.HealthCheckGracePeriodSeconds = row.Refreshed(m.HealthCheckGracePeriodSeconds, aws.ToInt32(s.HealthCheckGracePeriodSeconds), 0)
	m.PlacementConstraints = row.RefreshedList(m.PlacementConstraints, s.PlacementConstraints)
	if !slices.EqualFunc(m.PlacementStrategy, s.PlacementStrategy, samePlacement) {
		m.PlacementStrategy = row.RefreshedList(m.PlacementStrategy, s.PlacementStrategy)
	}
	m.Deployment = m.Deployment.Refreshed(s.DeploymentConfiguration, m.isDaemon())
	if !m.ByCodeDeploy() {
		m.refreshTasks(s.Service)
		m.refreshUnshown(s.Revision)
	}
}

// refreshTasks takes over what the tasks get, which with CodeDeploy is what its last deployment made of it.
func (m *ECSService) refreshTasks(s ecstypes.Service) {
	if m.LaunchType != nil {
		m.LaunchType = aws.String(string(s.LaunchType))
	}
	if m.CapacityProviderStrategy != nil {
		m.CapacityProviderStrategy = row.RefreshedList(m.CapacityProviderStrategy, s.CapacityProviderStrategy)
	}
	if version := aws.ToString(s.PlatformVersion); version != "" {
		m.PlatformVersion = row.Refreshed(m.PlatformVersion, version, LatestPlatform)
	}
	if n := s.NetworkConfiguration; n != nil && n.AwsvpcConfiguration != nil {
		m.Subnets = row.RefreshedSet(m.Subnets, n.AwsvpcConfiguration.Subnets)
		m.SecurityGroups = row.RefreshedSet(m.SecurityGroups, n.AwsvpcConfiguration.SecurityGroups)
		m.AssignPublicIP = row.Refreshed(m.AssignPublicIP, n.AwsvpcConfiguration.AssignPublicIp == ecstypes.AssignPublicIpEnabled, false)
	}
	m.LoadBalancers = row.RefreshedList(m.LoadBalancers, s.LoadBalancers)
	m.ServiceRegistries = row.RefreshedList(m.ServiceRegistries, s.ServiceRegistries)
	d := newest(s)
	if d == nil {
		return
	}
	m.VpcLatticeConfigurations = row.RefreshedList(m.VpcLatticeConfigurations, d.VpcLatticeConfigurations)
	m.VolumeConfigurations = attachment.RefreshedVolumes(m.VolumeConfigurations, d.VolumeConfigurations)
	if on := connected(d); on != row.Value(row.Value(m.ServiceConnectConfiguration).Enabled) {
		m.ServiceConnectConfiguration = &attachment.Connect{Enabled: &on}
	}
}

// refreshUnshown takes over what a service revision tells alone: the metrics where the state has some, the gateways where it has some.
// Otherwise, what was attached elsewhere would be shown, and removed, only because the other block is there.
func (m *ECSService) refreshUnshown(is *ecstypes.ServiceRevision) {
	if is == nil {
		return
	}
	if len(m.GatewayConnectors) > 0 {
		m.GatewayConnectors = attachment.RefreshedGateways(m.GatewayConnectors, is.GatewayConnectors)
	}
	if m.Monitoring != nil {
		m.Monitoring = m.Monitoring.Refreshed(is.Monitoring)
	}
}

// ImportUnshown takes over all that a service revision tells alone of a service that nothing was known of. With CodeDeploy it is not the
// resource's, and there is no revision to ask while a deployment goes on.
func (m *ECSService) ImportUnshown(is *ecstypes.ServiceRevision) {
	if is == nil || m.ByCodeDeploy() {
		return
	}
	m.GatewayConnectors = attachment.ImportedGateways(is.GatewayConnectors)
	m.Monitoring = m.Monitoring.Refreshed(is.Monitoring)
}

// newest is the deployment that a service is on its way to, which shows what ECS does not show of the service itself; nil of a service
// without one.
func newest(s ecstypes.Service) *ecstypes.Deployment {
	const primary = "PRIMARY" // the SDK has no name for it
	for i, d := range s.Deployments {
		if aws.ToString(d.Status) == primary {
			return &s.Deployments[i]
		}
	}
	return nil
}

func connected(d *ecstypes.Deployment) bool {
	return d.ServiceConnectConfiguration != nil && d.ServiceConnectConfiguration.Enabled
}

// samePlacement knows that ECS writes fields in its own way: cpu and memory in capitals, host as instanceId.
func samePlacement(was PlacementField, is ecstypes.PlacementStrategy) bool {
	field := row.Value(was.Field)
	if field == "host" {
		field = "instanceId"
	}
	return row.Value(was.Type) == string(is.Type) && strings.EqualFold(field, aws.ToString(is.Field))
}

// Propagated is where the tasks of every service get their tags from: the controller knows them by the definition's.
const Propagated = ecstypes.PropagateTagsTaskDefinition

// RenderECSService is what no attribute of a resource says of its ECS service, as JSON: whether the tasks get the definition's tags
// and, where there are no attributes for them, the deployment settings and the load balancers of decided.
func RenderECSService(propagates ecstypes.PropagateTags, decided *ECSService) *string {
	type circuitBreaker struct {
		Enable   bool `json:"enable"`
		Rollback bool `json:"rollback"`
	}
	type deployment struct {
		CircuitBreaker        circuitBreaker `json:"deploymentCircuitBreaker"`
		MaximumPercent        int32          `json:"maximumPercent"`
		MinimumHealthyPercent int32          `json:"minimumHealthyPercent"`
	}
	rendered := struct {
		Deployment    *deployment            `json:"deploymentConfiguration,omitempty"`
		LoadBalancers []string               `json:"loadBalancers,omitempty"` // ARNs of their target groups
		PropagateTags ecstypes.PropagateTags `json:"propagateTags"`
	}{PropagateTags: propagates}
	if decided != nil {
		d := row.Value(decided.Deployment)
		breaker := row.Value(d.CircuitBreaker)
		rendered.Deployment = &deployment{
			circuitBreaker{row.Value(breaker.Enable), row.Value(breaker.Rollback)}, row.Value(d.MaximumPercent), row.Value(d.MinimumHealthyPercent),
		}
		for _, b := range decided.LoadBalancers {
			rendered.LoadBalancers = append(rendered.LoadBalancers, row.Value(b.TargetGroupArn))
		}
	}
	text, _ := json.Marshal(rendered) // texts, numbers and booleans are written
	return aws.String(string(text))
}
