package block

import (
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/hashicorp/terraform-plugin-framework-validators/setvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"

	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

func EcsTags(tags map[string]string) []ecstypes.Tag {
	var list []ecstypes.Tag
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		list = append(list, ecstypes.Tag{Key: aws.String(key), Value: aws.String(tags[key])})
	}
	return list
}

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
	Cluster                       *string               `tfsdk:"cluster"`
	Name                          *string               `tfsdk:"name"`
	DesiredCount                  *int32                `tfsdk:"desired_count"`
	Deployment                    *Deployment           `tfsdk:"deployment"`
	HealthCheckGracePeriodSeconds *int32                `tfsdk:"health_check_grace_period_seconds"`
	EnableExecuteCommand          *bool                 `tfsdk:"enable_execute_command"`
	WaitForSteadyState            *bool                 `tfsdk:"wait_for_steady_state"`
	LoadBalancers                 []LoadBalancer        `tfsdk:"load_balancer"`
	PlacementConstraints          []PlacementExpression `tfsdk:"placement_constraint"`
	PlacementStrategy             []PlacementField      `tfsdk:"placement_strategy"`
	Network
}

type Deployment struct {
	MinimumHealthyPercent *int32          `tfsdk:"minimum_healthy_percent"`
	MaximumPercent        *int32          `tfsdk:"maximum_percent"`
	CircuitBreaker        *CircuitBreaker `tfsdk:"circuit_breaker" spec:"DeploymentCircuitBreaker"`
}

type CircuitBreaker struct {
	Enable   *bool `tfsdk:"enable"`
	Rollback *bool `tfsdk:"rollback"`
}

type LoadBalancer struct {
	TargetGroupArn *string `tfsdk:"target_group_arn"`
	ContainerName  *string `tfsdk:"container_name"`
	ContainerPort  *int32  `tfsdk:"container_port"`
}

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

// SameService reports whether the one can be turned into the other, too: ECS does not change the launch type of a service.
func (m *ECSService) SameService(other *ECSService) bool {
	return m.SameName(other) && row.Value(m.LaunchType) == row.Value(other.LaunchType)
}

// IsAt reports whether the ARN, arn:aws:ecs:region:account:service/cluster/name, is the service's.
func (m *ECSService) IsAt(arn string) bool {
	return m != nil && strings.HasSuffix(arn, "/"+EcsClusterName(row.Value(m.Cluster))+"/"+row.Value(m.Name))
}

func (m *ECSService) CreateInput(definitionARN string, tags map[string]string) *ecs.CreateServiceInput {
	u := m.UpdateInput(definitionARN)
	input := &ecs.CreateServiceInput{
		ServiceName: u.Service, Cluster: u.Cluster, TaskDefinition: u.TaskDefinition, DesiredCount: u.DesiredCount,
		CapacityProviderStrategy: u.CapacityProviderStrategy, DeploymentConfiguration: u.DeploymentConfiguration,
		EnableExecuteCommand: row.Value(m.EnableExecuteCommand), HealthCheckGracePeriodSeconds: u.HealthCheckGracePeriodSeconds,
		LoadBalancers: u.LoadBalancers, NetworkConfiguration: u.NetworkConfiguration, PlacementConstraints: u.PlacementConstraints,
		PlacementStrategy: u.PlacementStrategy, PlatformVersion: u.PlatformVersion, PropagateTags: u.PropagateTags,
		LaunchType: ecstypes.LaunchType(row.Value(m.LaunchType)), Tags: EcsTags(tags),
	}
	if input.DesiredCount == nil {
		input.DesiredCount = aws.Int32(1)
	}
	return input
}

// UpdateInput leaves the desired count alone where the user leaves it to others. All else that the user no longer sets goes back to
// ECS's default, which for lists takes an empty one: each update says everything. What an update cannot say without a look at the
// service is set by ResetInput, and the capacity providers, for which one has to look at the ECS cluster, by who looks there.
func (m *ECSService) UpdateInput(definitionARN string) *ecs.UpdateServiceInput {
	input := &ecs.UpdateServiceInput{
		Service: m.Name, Cluster: m.Cluster, TaskDefinition: &definitionARN, DesiredCount: m.DesiredCount,
		EnableExecuteCommand: aws.Bool(row.Value(m.EnableExecuteCommand)), HealthCheckGracePeriodSeconds: nonzero(m.HealthCheckGracePeriodSeconds),
		PlatformVersion: m.PlatformVersion, PropagateTags: Propagated,
		NetworkConfiguration: &ecstypes.NetworkConfiguration{AwsvpcConfiguration: m.awsvpc()},
		LoadBalancers:        []ecstypes.LoadBalancer{}, PlacementConstraints: []ecstypes.PlacementConstraint{}, PlacementStrategy: []ecstypes.PlacementStrategy{},
		DeploymentConfiguration: &ecstypes.DeploymentConfiguration{
			MinimumHealthyPercent: aws.Int32(defaultMinimumHealthy), MaximumPercent: aws.Int32(defaultMaximum),
			DeploymentCircuitBreaker: &ecstypes.DeploymentCircuitBreaker{},
		},
	}
	row.ToSpec(&input.CapacityProviderStrategy, m.CapacityProviderStrategy)
	row.ToSpec(&input.LoadBalancers, m.LoadBalancers)
	row.ToSpec(&input.PlacementConstraints, m.PlacementConstraints)
	row.ToSpec(&input.PlacementStrategy, m.PlacementStrategy)
	if m.Deployment != nil {
		row.ToSpec(input.DeploymentConfiguration, m.Deployment)
	}
	return input
}

// ResetInput sets what ECS would keep, as the update does not say it, though the user no longer asks for it. It is not said
// otherwise: a grace period is refused where nothing checks the health, a platform version where it is not Fargate's.
func (m *ECSService) ResetInput(input *ecs.UpdateServiceInput, is ecstypes.Service) {
	if row.Value(m.HealthCheckGracePeriodSeconds) == 0 && aws.ToInt32(is.HealthCheckGracePeriodSeconds) != 0 {
		input.HealthCheckGracePeriodSeconds = aws.Int32(0)
	}
	if version := aws.ToString(is.PlatformVersion); m.PlatformVersion == nil && version != "" && version != latestPlatform {
		input.PlatformVersion = aws.String(latestPlatform)
	}
}

// nonzero leaves a 0 unsaid.
func nonzero(n *int32) *int32 {
	if row.Value(n) == 0 {
		return nil
	}
	return n
}

// latestPlatform is ECS's default of Fargate's platform version.
const latestPlatform = "LATEST"

// ECS's defaults, in percent.
const (
	defaultMinimumHealthy = 100
	defaultMaximum        = 200
)

func (m *ECSService) awsvpc() *ecstypes.AwsVpcConfiguration {
	v := &ecstypes.AwsVpcConfiguration{Subnets: m.Subnets, SecurityGroups: m.SecurityGroups, AssignPublicIp: ecstypes.AssignPublicIpDisabled}
	if row.Value(m.AssignPublicIP) {
		v.AssignPublicIp = ecstypes.AssignPublicIpEnabled
	}
	return v
}

func ECSServiceRow() schema.SingleNestedBlock {
	fields := row.Fields{
		"cluster":       ECSClusterRow("Name or ARN of the ECS cluster. Changing it moves the service: a new one is made, then the old one is deleted."),
		"name":          ecsServiceName("Name of the ECS service. Default: the family. Changing it moves the service, as with `cluster`.", stringvalidator.RegexMatches(row.ValidFamily, row.FamilyRule)),
		"desired_count": desiredCount(),
		"deployment": row.Object("How tasks are replaced.", row.Fields{
			"minimum_healthy_percent": row.NumberOr(defaultMinimumHealthy, "Share of `desired_count` that keeps running. Default 100.", row.AtLeast(0)),
			"maximum_percent":         row.NumberOr(defaultMaximum, "Share of `desired_count` that may run at once. Default 200.", row.AtLeast(0)),
			"circuit_breaker": row.Object("Gives a deployment up whose tasks do not start.", row.Fields{
				"enable":   row.RequiredFlag("Whether to."),
				"rollback": row.FlagOr(false, "Go back to the last deployment that worked. Default `false`."),
			}),
		}),
		"health_check_grace_period_seconds": row.NumberOr(0, "Seconds in which a load balancer's verdict on a new task does not count.", row.AtLeast(0)),
		"enable_execute_command":            row.FlagOr(false, "ECS Exec: whoever may call `ecs:ExecuteCommand` may run commands in the containers. The task role that is created is allowed the four `ssmmessages` actions that this takes; a given one has to be. AWS's agent in the container writes to `/var/lib/amazon` and `/var/log/amazon`: with `readonly_root_filesystem`, mount a volume at each. The mesh's own containers have a read-only root, unless `sidecars` says otherwise. Default `false`."),
		"wait_for_steady_state":             row.FlagOr(false, "Wait on create and update until the service runs what it should. Default `false`."),
		"load_balancer": row.Objects("Target groups that the tasks are registered with.", row.Fields{
			"target_group_arn": row.RequiredText("ARN of the target group, of target type `ip`."),
			"container_name":   row.RequiredText("Name of the container."),
			"container_port":   row.RequiredNumber("Port of the container.", row.Between(1, 65535)),
		}),
		"placement_constraint": row.Objects("Rules for the placement on container instances. Changing them makes no new tasks.", row.Fields{
			"type":       row.RequiredText("`memberOf` or `distinctInstance`.", row.OneOf(ecstypes.PlacementConstraintType("").Values()...)),
			"expression": row.Text("Expression of ECS's cluster query language, for `memberOf`."),
		}),
		"placement_strategy": row.Objects("How tasks are spread over container instances.", row.Fields{
			"type":  row.RequiredText("`spread`, `binpack` or `random`.", row.OneOf(ecstypes.PlacementStrategyType("").Values()...)),
			"field": row.Text("What to spread or pack by, such as `attribute:ecs.availability-zone`."),
		}),
	}
	maps.Copy(fields, NetworkFields(path.MatchRoot("ecs_service").AtName("capacity_provider_strategy")))
	return row.Object("ECS service that runs the task. It propagates the definition's tags to its tasks, as the mesh needs. Left out: another resource runs the task and sets `propagate_tags = \"TASK_DEFINITION\"`.", fields)
}

// NetworkFields is where tasks run: launch type or capacity providers, and their network.
func NetworkFields(strategy path.Expression) row.Fields {
	return row.Fields{
		"subnets":          row.RequiredTextSet("IDs of the subnets.", setvalidator.SizeAtLeast(1)),
		"security_groups":  row.TextSet("IDs of the security groups. Default: the VPC's own."),
		"assign_public_ip": row.FlagOr(false, "A public address for every task, on Fargate. Default `false`."),
		"launch_type": row.Text("`FARGATE`, `EC2` or `MANAGED_INSTANCES`, one of `task.launch_types`. Default: the ECS cluster's capacity providers. Changing it deletes the service, then makes a new one.",
			stringvalidator.OneOf("EC2", "FARGATE", "MANAGED_INSTANCES"), stringvalidator.ConflictsWith(strategy)),
		"platform_version": row.TextOr(latestPlatform, "Fargate's platform version. Default `LATEST`."),
		"capacity_provider_strategy": row.Objects("Capacity providers, instead of a launch type.", row.Fields{
			"capacity_provider": row.RequiredText("Name of the capacity provider."),
			"base":              row.NumberOr(0, "Number of tasks that this one gets first. Default 0.", row.AtLeast(0)),
			"weight":            row.NumberOr(0, "Share of the tasks beyond. Default 0.", row.AtLeast(0)),
		}),
	}
}
