package block

import (
	"maps"
	"slices"
	"strings"

	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/hashicorp/terraform-plugin-framework-validators/setvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"

	"github.com/consulecs/terraform-provider-consulecs/provider/attachment"
	"github.com/consulecs/terraform-provider-consulecs/provider/rollout"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

// Network is where the tasks of a service run.
type Network struct {
	Subnets                  []string           `tfsdk:"subnets"`
	SecurityGroups           []string           `tfsdk:"security_groups"`
	AssignPublicIP           *bool              `tfsdk:"assign_public_ip"`
	LaunchType               *string            `tfsdk:"launch_type"`
	PlatformVersion          *string            `tfsdk:"platform_version"`
	CapacityProviderStrategy []CapacityProvider `tfsdk:"capacity_provider_strategy"`
}

type CapacityProvider struct {
	CapacityProvider *string `tfsdk:"capacity_provider"`
	Base             *int32  `tfsdk:"base"`
	Weight           *int32  `tfsdk:"weight"`
}

type ECSService struct {
	Cluster                       *string                `tfsdk:"cluster"`
	Name                          *string                `tfsdk:"name"`
	DesiredCount                  *int32                 `tfsdk:"desired_count"`
	IgnoreDesiredCount            *bool                  `tfsdk:"ignore_desired_count"`
	SchedulingStrategy            *string                `tfsdk:"scheduling_strategy"`
	DeploymentController          *string                `tfsdk:"deployment_controller"`
	Deployment                    *Deployment            `tfsdk:"deployment"`
	Triggers                      map[string]string      `tfsdk:"triggers"`
	AvailabilityZoneRebalancing   *string                `tfsdk:"availability_zone_rebalancing"`
	HealthCheckGracePeriodSeconds *int32                 `tfsdk:"health_check_grace_period_seconds"`
	EnableExecuteCommand          *bool                  `tfsdk:"enable_execute_command"`
	EnableECSManagedTags          *bool                  `tfsdk:"enable_ecs_managed_tags"`
	WaitForSteadyState            *bool                  `tfsdk:"wait_for_steady_state"`
	LoadBalancers                 []LoadBalancer         `tfsdk:"load_balancer"`
	ServiceRegistries             []attachment.Registry  `tfsdk:"service_registry"`
	VpcLatticeConfigurations      []attachment.Lattice   `tfsdk:"vpc_lattice_configuration"`
	GatewayConnectors             []attachment.Gateway   `tfsdk:"gateway_connector"`
	VolumeConfigurations          []attachment.Volume    `tfsdk:"volume_configuration"`
	Monitoring                    *attachment.Monitoring `tfsdk:"monitoring"`
	ServiceConnectConfiguration   *attachment.Connect    `tfsdk:"service_connect_configuration"`
	PlacementConstraints          []PlacementExpression  `tfsdk:"placement_constraint"`
	PlacementStrategy             []PlacementField       `tfsdk:"placement_strategy"`
	Network
}

// What a service's blocks are is told where they are.
type (
	Deployment     = rollout.Deployment
	CircuitBreaker = rollout.CircuitBreaker
	LoadBalancer   = attachment.LoadBalancer
)

type PlacementField struct {
	Type  *string `tfsdk:"type"`
	Field *string `tfsdk:"field"`
}

// Named is the service with its name filled in.
func (m *ECSService) Named(otherwise string) *ECSService {
	if m == nil {
		return nil
	}
	named := *m
	if named.Name == nil {
		named.Name = &otherwise
	}
	return &named
}

// SameName reports whether two services, one at least of which is there, are one by name.
func (m *ECSService) SameName(other *ECSService) bool {
	return m != nil && other != nil && row.Value(m.Name) == row.Value(other.Name) && EcsClusterName(row.Value(m.Cluster)) == EcsClusterName(row.Value(other.Cluster))
}

// SameService reports whether the one can be turned into the other, too: ECS changes neither the launch type nor the scheduling strategy
// of a service.
func (m *ECSService) SameService(other *ECSService) bool {
	return m.SameName(other) && row.Value(m.LaunchType) == row.Value(other.LaunchType) && m.isDaemon() == other.isDaemon()
}

// isDaemon reports whether ECS places a task on each container instance.
func (m *ECSService) isDaemon() bool {
	return row.Value(m.SchedulingStrategy) == string(ecstypes.SchedulingStrategyDaemon)
}

// ByCodeDeploy reports whether CodeDeploy, and not ECS, replaces the service's tasks: what they run is not the resource's to say then.
func (m *ECSService) ByCodeDeploy() bool {
	return m != nil && row.Value(m.DeploymentController) == string(ecstypes.DeploymentControllerTypeCodeDeploy)
}

// ReachesListener reports whether something is to reach the proxy's public listener, which has to be a mapped port then.
func (m *ECSService) ReachesListener() bool {
	return m != nil && (slices.ContainsFunc(m.LoadBalancers, func(b LoadBalancer) bool { return attachment.IsListener(b.ContainerName) }) ||
		slices.ContainsFunc(m.ServiceRegistries, func(r attachment.Registry) bool { return attachment.IsListener(r.ContainerName) }))
}

// IsAt reports whether the ARN, arn:aws:ecs:region:account:service/cluster/name, is the service's.
func (m *ECSService) IsAt(arn string) bool {
	return m != nil && strings.HasSuffix(arn, "/"+EcsClusterName(row.Value(m.Cluster))+"/"+row.Value(m.Name))
}

// LatestPlatform is ECS's default of Fargate's platform version.
const LatestPlatform = "LATEST"

func ECSServiceRow() schema.SingleNestedBlock {
	fields := row.Fields{
		"cluster":               ECSClusterRow("Name or ARN of the ECS cluster. Changing it moves the service: a new one is made, then the old one is deleted."),
		"name":                  ecsServiceName("Name of the ECS service. Default: the family. Changing it moves the service, as with `cluster`.", stringvalidator.RegexMatches(row.ValidFamily, row.FamilyRule)),
		"desired_count":         desiredCount(),
		"ignore_desired_count":  row.FlagOr(false, "Use `desired_count` when the service is made, and never again: autoscaling or others change it. Default `false`; the same as leaving `desired_count` out, but for the number to begin with."),
		"scheduling_strategy":   row.TextOr(string(ecstypes.SchedulingStrategyReplica), "`REPLICA`, or `DAEMON`: a task on each container instance, not on Fargate. Default `REPLICA`. Changing it deletes the service, then makes a new one.", row.OneOf(ecstypes.SchedulingStrategy("").Values()...)),
		"deployment_controller": row.TextOr(string(ecstypes.DeploymentControllerTypeEcs), "Who replaces the tasks: `ECS`, or `CODE_DEPLOY`. With CodeDeploy, Terraform registers revisions and a deployment of CodeDeploy brings them to the service, as well as changes of the network, the platform version and the load balancers. Default `ECS`.", row.OneOf(ecstypes.DeploymentControllerType("").Values()...)),
		"deployment":            rollout.Row(),
		"triggers":              row.TextMap("Any texts. When one changes, the service starts a new deployment, though nothing else has changed: for an image whose tag stays the same, for instance."),
		"availability_zone_rebalancing": row.Text("`ENABLED`: ECS moves tasks until the zones have equally many; `DISABLED`. Left out: ECS decides, which is `ENABLED` for new services that can.",
			row.OneOf(ecstypes.AvailabilityZoneRebalancing("").Values()...)),
		"health_check_grace_period_seconds": row.NumberOr(0, "Seconds in which a load balancer's verdict on a new task does not count.", row.AtLeast(0)),
		"enable_ecs_managed_tags":           row.FlagOr(false, "ECS's own tags on the tasks, such as the name of the ECS cluster. Default `false`."),
		"enable_execute_command":            row.FlagOr(false, "ECS Exec: whoever may call `ecs:ExecuteCommand` may run commands in the containers. The task role that is created is allowed the four `ssmmessages` actions that this takes; a given one has to be. AWS's agent in the container writes to `/var/lib/amazon` and `/var/log/amazon`: with `readonly_root_filesystem`, mount a volume at each. The mesh's own containers have a read-only root, unless `sidecars` says otherwise. Default `false`."),
		"wait_for_steady_state":             row.FlagOr(false, "Wait on create and update until the service runs what it should. Default `false`."),
		"volume_configuration":              attachment.VolumeRow(),
		"placement_constraint": row.Objects("Rules for the placement on container instances. Changing them makes no new tasks.", row.Fields{
			"type":       row.RequiredText("`memberOf` or `distinctInstance`.", row.OneOf(ecstypes.PlacementConstraintType("").Values()...)),
			"expression": row.Text("Expression of ECS's cluster query language, for `memberOf`."),
		}),
		"placement_strategy": row.Objects("How tasks are spread over container instances.", row.Fields{
			"type":  row.RequiredText("`spread`, `binpack` or `random`.", row.OneOf(ecstypes.PlacementStrategyType("").Values()...)),
			"field": row.Text("What to spread or pack by, such as `attribute:ecs.availability-zone`."),
		}),
	}
	maps.Copy(fields, attachment.Rows())
	maps.Copy(fields, NetworkFields(path.MatchRoot("ecs_service").AtName("capacity_provider_strategy")))
	return row.Object("ECS service that runs the task. It propagates the definition's tags to its tasks, as the mesh needs. Left out: another resource runs the task and sets `propagate_tags = \"TASK_DEFINITION\"`, or no service does (`standalone_task`).", fields)
}

// NetworkFields is where tasks run: launch type or capacity providers, and their network.
func NetworkFields(strategy path.Expression) row.Fields {
	return row.Fields{
		"subnets":          row.RequiredTextSet("IDs of the subnets.", setvalidator.SizeAtLeast(1)),
		"security_groups":  row.TextSet("IDs of the security groups. Default: the VPC's own."),
		"assign_public_ip": row.FlagOr(false, "A public address for every task, on Fargate. Default `false`."),
		"launch_type": row.Text("`FARGATE`, `EC2` or `MANAGED_INSTANCES`, one of `task.launch_types`. Default: the ECS cluster's capacity providers. Changing it deletes the service, then makes a new one.",
			stringvalidator.OneOf("EC2", "FARGATE", "MANAGED_INSTANCES"), stringvalidator.ConflictsWith(strategy)),
		"platform_version": row.TextOr(LatestPlatform, "Fargate's platform version. Default `LATEST`."),
		"capacity_provider_strategy": row.Objects("Capacity providers, instead of a launch type.", row.Fields{
			"capacity_provider": row.RequiredText("Name of the capacity provider."),
			"base":              row.NumberOr(0, "Number of tasks that this one gets first. Default 0.", row.AtLeast(0)),
			"weight":            row.NumberOr(0, "Share of the tasks beyond. Default 0.", row.AtLeast(0)),
		}),
	}
}
