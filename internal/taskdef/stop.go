package taskdef

import (
	"cmp"
	"slices"

	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/launchtype"
)

// Stop timeouts, in seconds. ECS may send SIGTERM to all containers at once, so the mesh's containers get longer than
// any of the user's: the proxy serves until the application has stopped.
const (
	defaultStopTimeout = 30 // ECS's own
	maxFargateStop     = launchtype.MaxFargateTimeout
	stopMargin         = 15 // what the mesh's containers get beyond the user's
	stopReserve        = 5  // what remains between the agent's own end and ECS's SIGKILL
)

// longestStop is how long the slowest of the user's containers may take to stop.
func (s Spec) longestStop() int32 {
	longest := int32(0)
	for _, c := range s.Containers {
		longest = max(longest, stopTimeout(c.Definition))
	}
	return longest
}

func stopTimeout(c ecstypes.ContainerDefinition) int32 {
	if c.StopTimeout == nil {
		return defaultStopTimeout
	}
	return *c.StopTimeout
}

// dataplaneStop is the dataplane's stop timeout.
func (s Spec) dataplaneStop() int32 {
	derived := s.longestStop() + stopMargin
	if s.Task.runsOn(ecstypes.CompatibilityFargate) {
		derived = min(derived, maxFargateStop)
	}
	return cmp.Or(s.Sidecars.Dataplane.StopTimeout, derived)
}

// healthSyncStop is health-sync's: it deregisters when the dataplane has gone, or has had its time.
func (s Spec) healthSyncStop() int32 {
	return cmp.Or(s.Sidecars.HealthSync.StopTimeout, s.dataplaneStop())
}

// dataplane tells the dataplane agent to be gone before ECS kills it.
func (s Spec) dataplane() *agentconfig.Dataplane {
	var d agentconfig.Dataplane
	if s.Proxy.Dataplane != nil {
		d = *s.Proxy.Dataplane
	}
	d.StopWithinSeconds = cmp.Or(d.StopWithinSeconds, int(max(1, min(maxFargateStop, s.dataplaneStop()-stopReserve))))
	return &d
}

func (t Task) launchTypes() []ecstypes.Compatibility {
	if len(t.LaunchTypes) == 0 {
		return []ecstypes.Compatibility{ecstypes.CompatibilityEc2, ecstypes.CompatibilityFargate}
	}
	return slices.Sorted(slices.Values(t.LaunchTypes))
}

// where is where the task may run.
func (t Task) where() launchtype.Types { return t.launchTypes() }

func (t Task) runsOn(launchType ecstypes.Compatibility) bool {
	return slices.Contains(t.launchTypes(), launchType)
}
