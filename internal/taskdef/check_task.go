package taskdef

import (
	"slices"

	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
)

// fargateMemory is the memory in MiB that Fargate offers for each CPU size: from, to, step.
var fargateMemory = map[int]struct{ from, to, step int }{
	512:   {1024, 4096, 1024},
	1024:  {2048, 8192, 1024},
	2048:  {4096, 16384, 1024},
	4096:  {8192, 30720, 1024},
	8192:  {16384, 61440, 4096},
	16384: {32768, 122880, 8192},
}

// fargateMemory256 is the memory for a quarter of a core, which has no step.
var fargateMemory256 = []int{512, 1024, 2048}

// maxPlacementConstraints is ECS's limit for one task.
const maxPlacementConstraints = 10

// launchTypes that a mesh task may require.
var launchTypes = []ecstypes.Compatibility{ecstypes.CompatibilityEc2, ecstypes.CompatibilityFargate, ecstypes.CompatibilityManagedInstances}

func (t Task) check(found *problem.List) {
	path := problem.At("task")
	for i, launchType := range t.LaunchTypes {
		at := path.Child("launchTypes", i)
		switch {
		case launchType == ecstypes.CompatibilityExternal:
			found.Add(at, "is EXTERNAL, which has no awsvpc network: the mesh needs one")
		case !slices.Contains(launchTypes, launchType):
			found.Add(at, "is %q, want one of EC2, FARGATE, MANAGED_INSTANCES", launchType)
		case slices.Index(t.LaunchTypes, launchType) < i:
			found.Add(at, "%s is in the list twice", launchType)
		}
	}
	fargate := t.runsOn(ecstypes.CompatibilityFargate)
	if fargate {
		t.checkFargateSize(path, found)
	} else if cpu := t.cpu(); cpu < 128 || cpu > 196608 {
		found.Add(path.Child("cpu"), "is %d, want 128 to 196608", cpu)
	}
	if t.memory() < 4 {
		found.Add(path.Child("memory"), "is %d MiB, want at least 4", t.memory())
	}
	if p := t.RuntimePlatform; p != nil {
		p := *p
		if p.CpuArchitecture != "" && !slices.Contains(p.CpuArchitecture.Values(), p.CpuArchitecture) {
			found.Add(path.Child("runtimePlatform", "cpuArchitecture"), "is %q, want one of %s", p.CpuArchitecture, joined(p.CpuArchitecture.Values()))
		}
		if p.OperatingSystemFamily != "" && p.OperatingSystemFamily != ecstypes.OSFamilyLinux {
			found.Add(path.Child("runtimePlatform", "operatingSystemFamily"), "is %q, but the mesh's containers run on LINUX alone", p.OperatingSystemFamily)
		}
	}
	onlyLaunchTypes := []problem.Path{path.Child("launchTypes")}
	switch gib := t.EphemeralStorageGiB; {
	case gib == 0:
	case gib < 21 || gib > 200:
		found.Add(path.Child("ephemeralStorageGib"), "is %d, want 21 to 200", gib)
	case !fargate:
		found.AddWith(onlyLaunchTypes, path.Child("ephemeralStorageGib"), "is allowed on FARGATE alone")
	}
	t.where().CheckModes(t.PIDMode, t.IPCMode, found)
	if len(t.PlacementConstraints) > 0 && fargate {
		found.AddWith(onlyLaunchTypes, path.Child("placementConstraints"), "is not allowed on FARGATE")
	}
	if n := len(t.PlacementConstraints); n > maxPlacementConstraints {
		found.Add(path.Child("placementConstraints"), "has %d elements, want at most %d", n, maxPlacementConstraints)
	}
}

func (t Task) checkFargateSize(path problem.Path, found *problem.List) {
	cpu, memory := t.cpu(), t.memory()
	with := []problem.Path{path.Child("launchTypes"), path.Child("cpu")}
	if cpu == 256 {
		if !slices.Contains(fargateMemory256, memory) {
			found.AddWith(with, path.Child("memory"), "is %d MiB, which FARGATE does not offer with 256 CPU units: want 512, 1024 or 2048", memory)
		}
		return
	}
	offer, ok := fargateMemory[cpu]
	if !ok {
		found.AddWith(with, path.Child("cpu"), "is %d, which FARGATE does not offer: want 256, 512, 1024, 2048, 4096, 8192 or 16384", cpu)
		return
	}
	if memory < offer.from || memory > offer.to || memory%offer.step != 0 {
		found.AddWith(with, path.Child("memory"), "is %d MiB, which FARGATE does not offer with %d CPU units: want %d to %d in steps of %d",
			memory, cpu, offer.from, offer.to, offer.step)
	}
}

// noAgentImage is what is said where neither the configuration nor the provider's own version tells the agents' image.
const noAgentImage = "is missing, and only a release of the provider has an image of its own: set it here or in the provider's agent_image"

func (s Spec) checkSidecars(found *problem.List) {
	path := problem.At("sidecars")
	if s.Sidecars.Image == "" {
		found.Add(path.Child("image"), noAgentImage)
	}
	checkImage(s.Sidecars.Image, path.Child("image"), found)
	gates := []ReadyGate{"", ReadyGateAuto, ReadyGateOn, ReadyGateOff}
	if !slices.Contains(gates, s.Sidecars.ReadyGate) {
		found.Add(path.Child("readyGate"), "is %q, want auto, on or off", s.Sidecars.ReadyGate)
	}
	checkLog(log(s.Sidecars.LogConfiguration), path.Child("logConfiguration"), s.Task, found)
	for _, each := range []struct {
		key     string
		sidecar Sidecar
		stays   bool
	}{
		{"meshInit", s.Sidecars.MeshInit, false},
		{"dataplane", s.Sidecars.Dataplane, true},
		{"meshReady", s.Sidecars.MeshReady, false},
		{"healthSync", s.Sidecars.HealthSync, true},
	} {
		at := path.Child(each.key)
		each.sidecar.check(at, s.Task, found)
		if !each.stays && each.sidecar.RestartPolicy != nil {
			found.Add(at.Child("restartPolicy"), "is for containers that stay: this one ends when its work is done")
		}
	}
	s.checkStopTimes(found)
}

func (s Spec) stopTimeoutPaths() []problem.Path {
	var paths []problem.Path
	for i := range s.Containers {
		paths = append(paths, problem.At("containers", i, "stopTimeout"))
	}
	return paths
}

// checkStopTimes wants the dataplane to outlast the application and to end before ECS kills it, and health-sync, which says
// good-bye to Consul, to be there last.
func (s Spec) checkStopTimes(found *problem.List) {
	dataplane := problem.At("sidecars", "dataplane", "stopTimeout")
	with := append(s.stopTimeoutPaths(), dataplane, problem.At("task", "launchTypes"))
	if n := s.Sidecars.Dataplane.StopTimeout; n > 0 && n < s.longestStop() {
		found.AddWith(with, dataplane, "is %d seconds, but a container of the task may take %d to stop: the mesh has to outlast it", n, s.longestStop())
	}
	if n := s.Sidecars.HealthSync.StopTimeout; n > 0 && n < s.dataplaneStop() {
		found.AddWith(with, problem.At("sidecars", "healthSync", "stopTimeout"), "is %d seconds, but the dataplane may take %d to stop, and health-sync deregisters it then", n, s.dataplaneStop())
	}
	if d := s.Proxy.Dataplane; d != nil && d.StopWithinSeconds >= int(s.dataplaneStop()) {
		found.AddWith(with, problem.At("proxy", "dataplane", "stopWithinSeconds"), "is %d, want less than the dataplane's stop timeout of %d", d.StopWithinSeconds, s.dataplaneStop())
	}
}

// reservedVariables are the environment variables that carry the agents' configuration and secrets.
var reservedVariables = []string{mesh.ConfigVariable, mesh.VariableToken, mesh.VariableGRPCCACert, mesh.VariableHTTPSCACert}

func (c Sidecar) check(path problem.Path, task Task, found *problem.List) {
	for _, name := range reservedVariables {
		if _, ok := c.Environment[name]; ok {
			found.Add(path.Child("environment", problem.Key(name)), "is set by the mesh")
		}
	}
	if c.CPU < 0 {
		found.Add(path.Child("cpu"), "is %d, want 0 or more", c.CPU)
	}
	checkImage(c.Image, path.Child("image"), found)
	checkMemory(optionalInt(c.Memory), optionalInt(c.MemoryReservation), path, found)
	checkFitsTask(c.Memory, path, task, found)
	checkStop(optionalInt(c.StopTimeout), path, task, found)
	checkLog(log(c.LogConfiguration), path.Child("logConfiguration"), task, found)
	checkRestartPolicy(c.RestartPolicy, path.Child("restartPolicy"), found)
}

func optionalInt(n int32) *int32 {
	if n == 0 {
		return nil
	}
	return &n
}

// minMemory is what ECS asks of a container, in MiB.
const minMemory = 6

func checkMemory(limit, reservation *int32, path problem.Path, found *problem.List) {
	if limit != nil && *limit < minMemory {
		found.Add(path.Child("memory"), "is %d MiB, want at least %d", *limit, minMemory)
	}
	if reservation != nil && *reservation < minMemory {
		found.Add(path.Child("memoryReservation"), "is %d MiB, want at least %d", *reservation, minMemory)
	}
	if limit != nil && reservation != nil && *reservation > *limit {
		found.AddWith([]problem.Path{path.Child("memory")}, path.Child("memoryReservation"), "is %d MiB, above the limit of %d", *reservation, *limit)
	}
}

// checkFitsTask wants a container's limit, if it has one, to lie within the task's.
func checkFitsTask(memory int32, path problem.Path, task Task, found *problem.List) {
	if memory != 0 && int(memory) > task.memory() {
		found.AddWith([]problem.Path{problem.At("task", "memory")}, path.Child("memory"), "is %d MiB, above the task's %d", memory, task.memory())
	}
}

func checkStop(timeout *int32, path problem.Path, task Task, found *problem.List) {
	switch {
	case timeout == nil:
	case *timeout < 0:
		found.Add(path.Child("stopTimeout"), "is %d seconds, want 0 or more", *timeout)
	case *timeout > maxFargateStop && task.runsOn(ecstypes.CompatibilityFargate):
		found.AddWith([]problem.Path{problem.At("task", "launchTypes")}, path.Child("stopTimeout"), "is %d seconds, but FARGATE takes at most %d", *timeout, maxFargateStop)
	}
}

func checkRestartPolicy(p *ecstypes.ContainerRestartPolicy, path problem.Path, found *problem.List) {
	if p == nil {
		return
	}
	if p.Enabled == nil {
		found.Add(path.Child("enabled"), "is missing")
	}
	checkRange(p.RestartAttemptPeriod, 60, 1800, path.Child("restartAttemptPeriod"), found)
	if n := len(p.IgnoredExitCodes); n > 50 {
		found.Add(path.Child("ignoredExitCodes"), "has %d elements, want at most 50", n)
	}
}

func checkRange(n *int32, from, to int32, path problem.Path, found *problem.List) {
	if n != nil && (*n < from || *n > to) {
		found.Add(path, "is %d, want %d to %d", *n, from, to)
	}
}
