// Package rollout is how ECS replaces the tasks of a service: the block ecs_service.deployment, its rules, and the way to the SDK's
// DeploymentConfiguration and back.
package rollout

import (
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/hashicorp/terraform-plugin-framework-validators/float64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/setvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"

	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

// Deployment is the block. It mirrors the SDK's DeploymentConfiguration.
type Deployment struct {
	Strategy              *string         `tfsdk:"strategy"`
	MinimumHealthyPercent *int32          `tfsdk:"minimum_healthy_percent"`
	MaximumPercent        *int32          `tfsdk:"maximum_percent"`
	BakeTimeInMinutes     *int32          `tfsdk:"bake_time_in_minutes"`
	CircuitBreaker        *CircuitBreaker `tfsdk:"circuit_breaker" spec:"DeploymentCircuitBreaker"`
	Alarms                *Alarms         `tfsdk:"alarms"`
	CanaryConfiguration   *Canary         `tfsdk:"canary_configuration"`
	LinearConfiguration   *Linear         `tfsdk:"linear_configuration"`
	EarlySuccessCriteria  *EarlySuccess   `tfsdk:"early_success_criteria"`
	LifecycleHooks        []Hook          `tfsdk:"lifecycle_hook"`
}

// CircuitBreaker gives up deployments whose tasks do not start.
type CircuitBreaker struct {
	Enable                 *bool      `tfsdk:"enable"`
	Rollback               *bool      `tfsdk:"rollback"`
	ResetOnHealthyTask     *bool      `tfsdk:"reset_on_healthy_task"`
	ThresholdConfiguration *Threshold `tfsdk:"threshold_configuration"`
}

// Threshold is how many tasks may fail.
type Threshold struct {
	Type  *string `tfsdk:"type"`
	Value *int32  `tfsdk:"value"`
}

// Alarms give up deployments while they ring.
type Alarms struct {
	AlarmNames []string `tfsdk:"alarm_names"`
	Enable     *bool    `tfsdk:"enable"`
	Rollback   *bool    `tfsdk:"rollback"`
}

// Canary is how the strategy CANARY shifts the traffic.
type Canary struct {
	CanaryPercent           *float64 `tfsdk:"canary_percent"`
	CanaryBakeTimeInMinutes *int32   `tfsdk:"canary_bake_time_in_minutes"`
}

// Linear is how the strategy LINEAR shifts the traffic.
type Linear struct {
	StepPercent           *float64 `tfsdk:"step_percent"`
	StepBakeTimeInMinutes *int32   `tfsdk:"step_bake_time_in_minutes"`
}

// EarlySuccess ends a rolling deployment before all tasks are replaced.
type EarlySuccess struct {
	Enable                       *bool   `tfsdk:"enable"`
	HealthyPercent               *int32  `tfsdk:"healthy_percent"`
	SourceServiceRevisionCleanup *string `tfsdk:"source_service_revision_cleanup"`
}

// Hook runs a function at stages of a deployment, or stops there. Its details are a document to the SDK, and a text here.
type Hook struct {
	TargetType           *string      `tfsdk:"target_type"`
	HookTargetArn        *string      `tfsdk:"hook_target_arn"`
	RoleArn              *string      `tfsdk:"role_arn"`
	LifecycleStages      []string     `tfsdk:"lifecycle_stages"`
	HookDetails          *string      `tfsdk:"hook_details" spec:"-"`
	TimeoutConfiguration *HookTimeout `tfsdk:"timeout_configuration"`
}

// HookTimeout is how long a hook is waited for.
type HookTimeout struct {
	Action           *string `tfsdk:"action"`
	TimeoutInMinutes *int32  `tfsdk:"timeout_in_minutes"`
}

// ECS's defaults.
const (
	defaultStrategy       = "ROLLING"
	defaultMinimumHealthy = 100 // percent
	defaultMaximum        = 200 // percent
	defaultBake           = 15  // minutes, of the strategies that shift traffic
	defaultThresholdType  = "BOUNDED_PERCENT"
	defaultThreshold      = 50
	defaultCanaryPercent  = 5
	defaultCanaryBake     = 10 // minutes
	defaultStepPercent    = 10
	defaultStepBake       = 6 // minutes
	defaultHookTarget     = "AWS_LAMBDA"
	defaultTimeoutAction  = "ROLLBACK"
	defaultTimeout        = 1440 // minutes
)

// longestBake is the longest time that ECS waits between steps, in minutes: a day.
const longestBake = 1440

// Row is the block's schema.
func Row() schema.SingleNestedBlock {
	return row.Object("How tasks are replaced.", row.Fields{
		"strategy":                row.TextOr(defaultStrategy, "`ROLLING`, `BLUE_GREEN`, `LINEAR` or `CANARY`. Default `ROLLING`. The others start the new tasks beside the old ones and then shift the traffic of the load balancer; what reaches the service through the mesh is shared among old and new tasks meanwhile.", row.OneOf(ecstypes.DeploymentStrategy("").Values()...)),
		"minimum_healthy_percent": row.NumberOr(defaultMinimumHealthy, "Share of `desired_count` that keeps running. Default 100; 0 with `scheduling_strategy` `DAEMON`.", row.AtLeast(0)),
		"maximum_percent":         row.NumberOr(defaultMaximum, "Share of `desired_count` that may run at once. Default 200; with `DAEMON`, ECS decides.", row.AtLeast(0)),
		"bake_time_in_minutes":    row.Number("Minutes in which old and new tasks run side by side once all traffic goes to the new ones, 0 to 1440; also in which `alarms` are watched. Left out: ECS decides. `wait_for_steady_state` waits for it.", row.Between(0, longestBake)),
		"circuit_breaker":         circuitBreakerRow(),
		"alarms": row.Object("CloudWatch alarms that give a deployment up while they ring.", row.Fields{
			"alarm_names": row.RequiredTextSet("Names of the alarms.", setvalidator.SizeAtLeast(1), setvalidator.ValueStringsAre(stringvalidator.LengthAtLeast(1))),
			"enable":      row.RequiredFlag("Whether to."),
			"rollback":    row.FlagOr(false, "Go back to the last deployment that worked. Default `false`."),
		}),
		"canary_configuration": row.Object("For the strategy `CANARY`: a part of the traffic first, then the rest.", row.Fields{
			"canary_percent":              row.DecimalOr(defaultCanaryPercent, "Share of the traffic that goes to the new tasks first, 0.1 to 100 in steps of 0.1. Default 5.", float64validator.Between(0.1, 100)),
			"canary_bake_time_in_minutes": row.NumberOr(defaultCanaryBake, "Minutes until the rest follows, 0 to 1440. Default 10.", row.Between(0, longestBake)),
		}),
		"linear_configuration": row.Object("For the strategy `LINEAR`: equal parts of the traffic, one after the other.", row.Fields{
			"step_percent":              row.DecimalOr(defaultStepPercent, "Share of the traffic that each step shifts, 3 to 100 in steps of 0.1. Default 10.", float64validator.Between(3, 100)),
			"step_bake_time_in_minutes": row.NumberOr(defaultStepBake, "Minutes between two steps, 0 to 1440. Default 6.", row.Between(0, longestBake)),
		}),
		"early_success_criteria": row.Object("For the strategy `ROLLING`: a deployment that ECS takes for done before all of its tasks run.", row.Fields{
			"enable":                          row.RequiredFlag("Whether to."),
			"healthy_percent":                 row.Number("Share of `desired_count` that has to be healthy, from `minimum_healthy_percent` to 100.", row.Between(0, 100)),
			"source_service_revision_cleanup": row.Text("`BLOCKING`: the old tasks are stopped before the deployment is done; `DEFERRED`: after it.", row.OneOf(ecstypes.ServiceRevisionCleanup("").Values()...)),
		}),
		"lifecycle_hook": row.Objects("Functions that ECS calls at stages of a deployment, or pauses.", hookFields()),
	})
}

func circuitBreakerRow() schema.SingleNestedBlock {
	return row.Object("Gives a deployment up whose tasks do not start.", row.Fields{
		"enable":                row.RequiredFlag("Whether to."),
		"rollback":              row.FlagOr(false, "Go back to the last deployment that worked. Default `false`."),
		"reset_on_healthy_task": row.FlagOr(true, "A healthy task sets the count of failures back to 0. Default `true`."),
		"threshold_configuration": row.Object("How many tasks may fail. Default: half of `desired_count`, at least 3 and at most 200.", row.Fields{
			"type":  row.RequiredText("`COUNT`: `value` is a number of tasks; `BOUNDED_PERCENT`: a share of `desired_count`, at least 3 and at most 200 tasks; `UNBOUNDED_PERCENT`: a share.", row.OneOf(ecstypes.ThresholdType("").Values()...)),
			"value": row.RequiredNumber("Number of tasks, or percent.", row.AtLeast(1)),
		}),
	})
}

func hookFields() row.Fields {
	return row.Fields{
		"target_type":      row.TextOr(defaultHookTarget, "`AWS_LAMBDA` or `PAUSE`, which waits for ECS's ContinueServiceDeployment. Default `AWS_LAMBDA`.", row.OneOf(ecstypes.DeploymentLifecycleHookTargetType("").Values()...)),
		"hook_target_arn":  row.Text("ARN of the Lambda function; not for `PAUSE`."),
		"role_arn":         row.Text("ARN of the role with which ECS calls the function; not for `PAUSE`."),
		"lifecycle_stages": row.RequiredTextSet("Stages at which the hook runs, such as `POST_TEST_TRAFFIC_SHIFT`.", setvalidator.SizeAtLeast(1), setvalidator.ValueStringsAre(row.OneOf(ecstypes.DeploymentLifecycleHookStage("").Values()...))),
		"hook_details":     row.Text("A JSON object that the function gets with each call, such as `jsonencode({ suite = \"smoke\" })`.", row.JsonObject{}),
		"timeout_configuration": row.Object("How long ECS waits for the hook.", row.Fields{
			"action":             row.TextOr(defaultTimeoutAction, "What ECS does when the time is over: `ROLLBACK` or `CONTINUE`. Default `ROLLBACK`.", row.OneOf(ecstypes.DeploymentLifecycleHookAction("").Values()...)),
			"timeout_in_minutes": row.NumberOr(defaultTimeout, "Minutes until then. Default 1440, a day.", row.AtLeast(1)),
		}),
	}
}
