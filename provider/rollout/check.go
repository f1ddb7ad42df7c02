package rollout

import (
	"cmp"
	"math"
	"slices"

	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

// ShiftsTraffic reports whether the new tasks get the load balancer's traffic after they have started, instead of one by one.
func (m *Deployment) ShiftsTraffic() bool {
	return cmp.Or(row.Value(row.Value(m).Strategy), defaultStrategy) != defaultStrategy
}

// MostPercent is the share of the desired count that may run at once.
func (m *Deployment) MostPercent() int32 {
	if most := row.Value(m).MaximumPercent; most != nil {
		return *most
	}
	return defaultMaximum
}

// Check lists what ECS would refuse, or what could never be deployed, at a place and below. daemon says that ECS places a task on each
// container instance.
func (m *Deployment) Check(at problem.Path, daemon bool, found *problem.List) {
	if m == nil {
		return
	}
	least := int32(defaultMinimumHealthy)
	if daemon {
		least = 0
	}
	row.ToSpec(&least, m.MinimumHealthyPercent)
	minimum := at.Child("minimum_healthy_percent")
	if most := m.MostPercent(); least >= 100 && most <= 100 {
		found.AddWith([]problem.Path{minimum}, at.Child("maximum_percent"), "is %d with a minimum of %d: no task could ever be replaced", most, least)
	}
	m.checkStrategy(at, found)
	if e := m.EarlySuccessCriteria; e != nil && row.Value(e.Enable) {
		place := at.Child("early_success_criteria")
		switch {
		case e.HealthyPercent == nil:
			found.Add(place.Child("healthy_percent"), "is missing: ECS takes the share of healthy tasks from it")
		case *e.HealthyPercent < least:
			found.AddWith([]problem.Path{minimum}, place.Child("healthy_percent"), "is %d, below %s of %d, which keeps running anyway", *e.HealthyPercent, minimum, least)
		}
		if e.SourceServiceRevisionCleanup == nil {
			found.Add(place.Child("source_service_revision_cleanup"), "is missing: want BLOCKING or DEFERRED")
		}
	}
	for i, hook := range m.LifecycleHooks {
		hook.check(at.Child("lifecycle_hook", i), found)
	}
}

// checkStrategy refuses settings of another strategy than the chosen one.
func (m *Deployment) checkStrategy(at problem.Path, found *problem.List) {
	strategy, place := cmp.Or(row.Value(m.Strategy), defaultStrategy), at.Child("strategy")
	for _, of := range []struct {
		key  string
		set  bool
		only ecstypes.DeploymentStrategy
	}{
		{"canary_configuration", m.CanaryConfiguration != nil, ecstypes.DeploymentStrategyCanary},
		{"linear_configuration", m.LinearConfiguration != nil, ecstypes.DeploymentStrategyLinear},
		{"early_success_criteria", m.EarlySuccessCriteria != nil, ecstypes.DeploymentStrategyRolling},
	} {
		if of.set && strategy != string(of.only) {
			found.AddWith([]problem.Path{place}, at.Child(of.key), "is not allowed together with %s %s: it is for %s", place, strategy, of.only)
		}
	}
	if c := m.CanaryConfiguration; c != nil {
		checkTenths(c.CanaryPercent, at.Child("canary_configuration", "canary_percent"), found)
	}
	if l := m.LinearConfiguration; l != nil {
		checkTenths(l.StepPercent, at.Child("linear_configuration", "step_percent"), found)
	}
}

// checkTenths wants what ECS can count: tenths of a percent.
func checkTenths(percent *float64, at problem.Path, found *problem.List) {
	if tenths := row.Value(percent) * 10; math.Abs(tenths-math.Round(tenths)) > 1e-6 {
		found.Add(at, "is %v, want a multiple of 0.1", *percent)
	}
}

func (h Hook) check(at problem.Path, found *problem.List) {
	kind, place := cmp.Or(row.Value(h.TargetType), defaultHookTarget), at.Child("target_type")
	pause := kind == string(ecstypes.DeploymentLifecycleHookTargetTypePause)
	for _, of := range []struct {
		key string
		is  *string
	}{{"hook_target_arn", h.HookTargetArn}, {"role_arn", h.RoleArn}} {
		switch {
		case pause && of.is != nil:
			found.AddWith([]problem.Path{place}, at.Child(of.key), "is not allowed together with %s PAUSE, which calls nothing", place)
		case !pause && row.Value(of.is) == "":
			found.AddWith([]problem.Path{place}, at.Child(of.key), "is missing: a hook of %s %s calls a function, with a role", place, kind)
		}
	}
	if !pause {
		return
	}
	if h.HookDetails != nil {
		found.AddWith([]problem.Path{place}, at.Child("hook_details"), "is not allowed together with %s PAUSE, which calls nothing", place)
	}
	for _, stage := range []ecstypes.DeploymentLifecycleHookStage{ecstypes.DeploymentLifecycleHookStageTestTrafficShift, ecstypes.DeploymentLifecycleHookStageProductionTrafficShift} {
		if slices.Contains(h.LifecycleStages, string(stage)) {
			found.AddWith([]problem.Path{place}, at.Child("lifecycle_stages"), "has %s, at which ECS cannot pause: choose the stage before or after it", stage)
		}
	}
}
