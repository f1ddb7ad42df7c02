// Package attachment is what the tasks of an ECS service are attached to beside their network: load balancers, service registries,
// VPC Lattice, gateways, volumes and metrics. Each block has its rules, and the way to the SDK's types and back.
package attachment

import (
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/hashicorp/terraform-plugin-framework-validators/int32validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/setvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"

	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

// LoadBalancer is a target group that the tasks are registered with.
type LoadBalancer struct {
	TargetGroupArn        *string       `tfsdk:"target_group_arn"`
	ContainerName         *string       `tfsdk:"container_name"`
	ContainerPort         *int32        `tfsdk:"container_port"`
	AdvancedConfiguration *TrafficShift `tfsdk:"advanced_configuration"`
}

// TrafficShift is what a load balancer shifts between the old and the new tasks of a deployment.
type TrafficShift struct {
	AlternateTargetGroupArn *string `tfsdk:"alternate_target_group_arn"`
	ProductionListenerRule  *string `tfsdk:"production_listener_rule"`
	TestListenerRule        *string `tfsdk:"test_listener_rule"`
	RoleArn                 *string `tfsdk:"role_arn"`
}

// Registry is a service of Cloud Map.
type Registry struct {
	RegistryArn   *string `tfsdk:"registry_arn"`
	ContainerName *string `tfsdk:"container_name"`
	ContainerPort *int32  `tfsdk:"container_port"`
	Port          *int32  `tfsdk:"port"`
}

// Lattice is a target group of VPC Lattice.
type Lattice struct {
	PortName              *string       `tfsdk:"port_name"`
	RoleArn               *string       `tfsdk:"role_arn"`
	TargetGroupArn        *string       `tfsdk:"target_group_arn"`
	AdvancedConfiguration *LatticeShift `tfsdk:"advanced_configuration"`
}

// LatticeShift is TrafficShift for VPC Lattice, whose role is that of the target group.
type LatticeShift struct {
	AlternateTargetGroupArn *string `tfsdk:"alternate_target_group_arn"`
	ProductionListenerRule  *string `tfsdk:"production_listener_rule"`
	TestListenerRule        *string `tfsdk:"test_listener_rule"`
}

// Gateway leads a gateway's traffic to a port.
type Gateway struct {
	PortName    *string             `tfsdk:"port_name"`
	Filters     *GatewayFilters     `tfsdk:"filters"`
	HealthCheck *GatewayHealthCheck `tfsdk:"health_check"`
}

// GatewayFilters are the ways into a gateway that count.
type GatewayFilters struct {
	AccessTypes []string `tfsdk:"access_types"`
}

// GatewayHealthCheck is how a gateway knows which tasks are healthy.
type GatewayHealthCheck struct {
	HealthCheckIntervalSeconds *int32          `tfsdk:"health_check_interval_seconds"`
	HealthCheckPath            *string         `tfsdk:"health_check_path"`
	HealthCheckPort            *int32          `tfsdk:"health_check_port"`
	HealthCheckProtocol        *string         `tfsdk:"health_check_protocol"`
	HealthCheckTimeoutSeconds  *int32          `tfsdk:"health_check_timeout_seconds"`
	HealthyThresholdCount      *int32          `tfsdk:"healthy_threshold_count"`
	UnhealthyThresholdCount    *int32          `tfsdk:"unhealthy_threshold_count"`
	Matcher                    *GatewayMatcher `tfsdk:"matcher"`
}

// GatewayMatcher is which answers of a health check are good.
type GatewayMatcher struct {
	GrpcCode *string `tfsdk:"grpc_code"`
	HttpCode *string `tfsdk:"http_code"`
}

// Monitoring is how often the service's metrics are taken.
type Monitoring struct {
	MetricConfigurations []Metric `tfsdk:"metric_configuration"`
}

// Metric is the resolution of metrics.
type Metric struct {
	MetricNames       []string `tfsdk:"metric_names"`
	ResolutionSeconds *int32   `tfsdk:"resolution_seconds"`
}

// Connect says whether ECS's Service Connect is on.
type Connect struct {
	Enabled *bool `tfsdk:"enabled"`
}

// Rows are the schemas of the blocks, but for volumes.
func Rows() row.Fields {
	return row.Fields{
		"load_balancer": loadBalancerRow(),
		"service_registry": row.Objects("Service of Cloud Map that the tasks are registered with, one at most. What calls the tasks by it goes around the mesh.", row.Fields{
			"registry_arn":   row.RequiredText("ARN of the Cloud Map service."),
			"container_name": row.Text("For SRV records: name of the container, with `container_port`."),
			"container_port": row.Number("For SRV records: port of the container.", row.Between(1, 65535)),
			"port":           row.Number("For SRV records, instead of the container: the port.", row.Between(1, 65535)),
		}),
		"vpc_lattice_configuration": row.Objects("Target groups of VPC Lattice that the tasks are registered with. What comes by them goes around the mesh.", row.Fields{
			"port_name":        row.RequiredText("`name` of a `port_mapping`."),
			"role_arn":         row.RequiredText("ARN of the role with which ECS registers the tasks.", row.RoleARN()),
			"target_group_arn": row.RequiredText("ARN of the target group."),
			"advanced_configuration": row.Object("What is shifted between old and new tasks, for the strategies that do so.", row.Fields{
				"alternate_target_group_arn": row.RequiredText("ARN of the target group of the new tasks."),
				"production_listener_rule":   row.RequiredText("ARN of the listener or its rule with the traffic that counts."),
				"test_listener_rule":         row.Text("ARN of the listener or its rule with test traffic."),
			}),
		}),
		"gateway_connector": row.Objects("Gateway that leads traffic to the tasks, one at most. What comes by it goes around the mesh. A change made elsewhere shows as one of `monitoring` does.", gatewayFields()),
		"monitoring": row.Object("How often CloudWatch gets the service's metrics. A change made elsewhere shows in a plan while no deployment is under way, to whoever may call `ecs:DescribeServiceRevisions`.", row.Fields{
			"metric_configuration": row.Objects("Metrics and their resolution.", row.Fields{
				"metric_names":       row.RequiredTextSet("`CPUUtilization`, `MemoryUtilization` or both.", setvalidator.SizeAtLeast(1), setvalidator.ValueStringsAre(stringvalidator.OneOf(metrics...))),
				"resolution_seconds": row.RequiredNumber("Seconds between two values: 20 or 60.", int32validator.OneOf(20, defaultResolution)),
			}),
		}),
		"service_connect_configuration": row.Object("ECS's Service Connect, which cannot be on beside the mesh: both put a proxy into the task. The block is there to say so, and to turn off what was on.", row.Fields{
			"enabled": row.RequiredFlag("`false`: with `upstream`, the mesh does what Service Connect would."),
		}),
	}
}

// metrics are the names of a service's metrics.
var metrics = []string{"CPUUtilization", "MemoryUtilization"}

// defaultResolution is ECS's, in seconds.
const defaultResolution = 60

// DefaultMonitoring is what a service has that says nothing of its metrics.
func DefaultMonitoring() *ecstypes.MonitoringConfiguration {
	resolution := int32(defaultResolution)
	return &ecstypes.MonitoringConfiguration{MetricConfigurations: []ecstypes.MetricConfiguration{{MetricNames: metrics, ResolutionSeconds: &resolution}}}
}

func loadBalancerRow() schema.ListNestedBlock {
	return row.Objects("Target groups that the tasks are registered with, five at most.", row.Fields{
		"target_group_arn": row.RequiredText("ARN of the target group, of target type `ip`."),
		"container_name": row.RequiredText("Name of the container. `consul-dataplane`: the proxy's public listener, which takes connections with a certificate of the mesh alone; " +
			"the target group is one of a network load balancer that passes TLS through, with a health check by TCP."),
		"container_port": row.RequiredNumber("Port of the container, one of its `port_mapping`; of `consul-dataplane`, `proxy.public_listener_port`.", row.Between(1, 65535)),
		"advanced_configuration": row.Object("What the load balancer shifts between old and new tasks, for the strategies that do so.", row.Fields{
			"alternate_target_group_arn": row.RequiredText("ARN of the target group of the new tasks."),
			"production_listener_rule":   row.RequiredText("ARN of the listener rule (of a network load balancer: of the listener) with the traffic that counts."),
			"test_listener_rule":         row.Text("ARN of the listener rule, or the listener, with test traffic."),
			"role_arn":                   row.RequiredText("ARN of the role with which ECS changes the load balancer.", row.RoleARN()),
		}),
	})
}

func gatewayFields() row.Fields {
	return row.Fields{
		"port_name": row.RequiredText("`name` of a `port_mapping`."),
		"filters": row.Object("Which ways into the gateway count. Default: all.", row.Fields{
			"access_types": row.TextSet("`PUBLIC`, `PRIVATE`.", setvalidator.ValueStringsAre(row.OneOf(ecstypes.AccessType("").Values()...))),
		}),
		"health_check": row.Object("How the gateway knows which tasks are healthy. What is left out is the gateway's default.", row.Fields{
			"health_check_interval_seconds": row.Number("Seconds between two checks.", row.AtLeast(1)),
			"health_check_path":             row.Text("Path that is asked for."),
			"health_check_port":             row.Number("Port that is asked.", row.Between(1, 65535)),
			"health_check_protocol":         row.Text("`HTTP` or `HTTPS`.", row.OneOf(ecstypes.GatewayConnectorHealthCheckProtocol("").Values()...)),
			"health_check_timeout_seconds":  row.Number("Seconds until no answer is a failure.", row.AtLeast(1)),
			"healthy_threshold_count":       row.Number("Good answers in a row that make a task healthy.", row.AtLeast(1)),
			"unhealthy_threshold_count":     row.Number("Failures in a row that make it unhealthy.", row.AtLeast(1)),
			"matcher": row.Object("Which answers are good.", row.Fields{
				"grpc_code": row.Text("Codes of gRPC, such as `0`."),
				"http_code": row.Text("Codes of HTTP, such as `200-299`."),
			}),
		}),
	}
}
