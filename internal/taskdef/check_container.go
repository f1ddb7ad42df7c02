package taskdef

import (
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/launchtype"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
)

func (s Spec) checkContainers(found *problem.List) {
	path := problem.At("containers")
	if len(s.Containers) == 0 {
		found.Add(path, "is missing: want at least one")
	}
	s.checkCount(path, found)
	first := map[string]int{}
	for i, c := range s.Containers {
		name := aws.ToString(c.Definition.Name)
		if j, twice := first[name]; twice && name != "" {
			found.AddWith([]problem.Path{path.Child(j, "name")}, path.Child(i, "name"), "%q is already the name of %s", name, path.Child(j))
		} else {
			first[name] = i
		}
		s.checkContainer(c, path.Child(i), found)
	}
	s.checkEssential(path, found)
	s.checkProbes(found)
	s.checkPortMappings(path, found)
	s.checkOrder(path, found)
	var definitions []ecstypes.ContainerDefinition
	for _, c := range s.Containers {
		definitions = append(definitions, c.Definition)
	}
	s.Task.where().CheckResources(definitions, path, found)
}

// checkCount counts the task's containers: the ready gate gives way by itself unless it is asked for.
func (s Spec) checkCount(path problem.Path, found *problem.List) {
	ours := len(mesh.InjectedContainers())
	if !s.hasReadyGate() {
		ours--
	}
	n := len(s.Containers) + ours
	if n <= maxContainers {
		return
	}
	if s.Sidecars.ReadyGate == ReadyGateOn && n-1 <= maxContainers {
		found.Add(problem.At("sidecars", "readyGate"), "is on, but the task would have %d containers, want at most %d: set auto or off", n, maxContainers)
		return
	}
	found.AddWith([]problem.Path{problem.At("sidecars", "readyGate")}, path, "has %d containers, and %d with the mesh's own: ECS takes at most %d", len(s.Containers), n, maxContainers)
}

// checkEssential wants the task to end with its application. Without an essential container of the user's, the mesh's own
// would keep the task running for nothing.
func (s Spec) checkEssential(path problem.Path, found *problem.List) {
	var with []problem.Path
	for i, c := range s.Containers {
		if c.essential() {
			return
		}
		with = append(with, path.Child(i, "essential"))
	}
	if len(s.Containers) > 0 {
		found.AddWith(with, path, "has no essential one: the task would go on when the application has ended")
	}
}

var validContainerName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,255}$`)

func (s Spec) checkContainer(c Container, path problem.Path, found *problem.List) {
	d := c.Definition
	switch name := aws.ToString(d.Name); {
	case slices.Contains(mesh.InjectedContainers(), name):
		found.Add(path.Child("name"), "is %q, which the mesh adds itself", name)
	case !validContainerName.MatchString(name):
		found.Add(path.Child("name"), "is %q, want 1 to 255 letters, digits, '-' and '_'", name)
	}
	if aws.ToString(d.Image) == "" {
		found.Add(path.Child("image"), "is missing")
	}
	checkImage(aws.ToString(d.Image), path.Child("image"), found)
	if d.Cpu < 0 {
		found.Add(path.Child("cpu"), "is %d, want 0 or more", d.Cpu)
	}
	s.checkHealthSync(c, path, found)
	s.checkShutdownDelay(c, path, found)
	checkMemory(d.Memory, d.MemoryReservation, path, found)
	checkStop(d.StopTimeout, path, s.Task, found)
	checkRestartPolicy(d.RestartPolicy, path.Child("restartPolicy"), found)
	if d.HealthCheck != nil {
		checkHealthCheck(*d.HealthCheck, path.Child("healthCheck"), found)
	}
	checkFitsTask(aws.ToInt32(d.Memory), path, s.Task, found)
	checkLog(d.LogConfiguration, path.Child("logConfiguration"), s.Task, found)
	s.checkVariables(d, path, found)
	checkFiles(d, path, found)
	checkUlimits(d.Ulimits, path.Child("ulimits"), found)
	if r := d.RepositoryCredentials; r != nil {
		pullSecretARN.check(aws.ToString(r.CredentialsParameter), path.Child("repositoryCredentials", "credentialsParameter"), found)
	}
	checkCredentialSpecs(d.CredentialSpecs, s.Task, path.Child("credentialSpecs"), found)
	launchtype.CheckSystemControls(d.SystemControls, s.Task.IPCMode, path.Child("systemControls"), found)
	s.Task.where().CheckContainer(d, path, found)
}

// checkHealthSync wants what is copied to Consul to come from somewhere, and what is asked for to be copied.
func (s Spec) checkHealthSync(c Container, path problem.Path, found *problem.List) {
	if c.HealthSync == nil {
		return
	}
	switch at, probed := path.Child("healthSync"), s.probes(c); {
	case *c.HealthSync && c.Definition.HealthCheck == nil && !probed:
		found.AddWith([]problem.Path{path.Child("healthCheck"), path.Child("name"), problem.At("readinessProbes")}, at, "is true, but the container has no health check to copy")
	case !*c.HealthSync && probed:
		found.AddWith([]problem.Path{path.Child("name"), problem.At("readinessProbes")}, at, "is false, but the container has a readiness probe, whose answers are for Consul: leave one of them out")
	}
}

// namePaths are the places of the containers' names.
func (s Spec) namePaths() []problem.Path {
	var paths []problem.Path
	for i := range s.Containers {
		paths = append(paths, problem.At("containers", i, "name"))
	}
	return paths
}

// checkProbes wants each probe to have its container. What a probe says is checked with the agents' configuration.
func (s Spec) checkProbes(found *problem.List) {
	with := append(s.namePaths(), problem.At("containers"))
	for i, p := range s.ReadinessProbes {
		at := problem.At("readinessProbes", i, "container")
		named := func(c Container) bool { return aws.ToString(c.Definition.Name) == p.Container }
		switch {
		case !slices.ContainsFunc(s.Containers, named):
			found.AddWith(with, at, "is %q, which is no container of the task", p.Container)
		case slices.ContainsFunc(s.ReadinessProbes[:i], func(other agentconfig.ReadinessProbe) bool { return other.Container == p.Container }):
			found.Add(at, "%q has a probe already", p.Container)
		}
	}
}

func checkHealthCheck(h ecstypes.HealthCheck, path problem.Path, found *problem.List) {
	if len(h.Command) < 2 || h.Command[0] != "CMD" && h.Command[0] != "CMD-SHELL" {
		found.AddWith([]problem.Path{path.Child("command", 0)}, path.Child("command"), "wants CMD or CMD-SHELL first, then the command: ECS knows by that word how to run it")
	}
	checkRange(h.Interval, 5, 300, path.Child("interval"), found)
	checkRange(h.Timeout, 2, 60, path.Child("timeout"), found)
	checkRange(h.Retries, 1, 10, path.Child("retries"), found)
	checkRange(h.StartPeriod, 0, 300, path.Child("startPeriod"), found)
}

// checkVariables wants each name once among the environment and the secrets, and none that is the mesh's: an import would
// take the container for one of the mesh's own. A container of the agents' image may be the doctor, who reads the same.
func (s Spec) checkVariables(d ecstypes.ContainerDefinition, path problem.Path, found *problem.List) {
	isAgent := aws.ToString(d.Image) == s.Sidecars.Image
	seen := map[string]problem.Path{}
	check := func(list, name string) {
		at := path.Child(list, problem.Key(name))
		switch other, twice := seen[name]; {
		case name == "":
			found.Add(at, "is a variable without a name")
		case name == mesh.ConfigVariable && !isAgent:
			found.AddWith([]problem.Path{path.Child("image"), problem.At("sidecars", "image")}, at, "is set by the mesh, in its own containers: choose another name")
		case twice:
			found.AddWith([]problem.Path{other}, at, "is set already at %s", other)
		}
		seen[name] = at
	}
	for _, variable := range d.Environment {
		check("environment", aws.ToString(variable.Name))
	}
	for _, secret := range d.Secrets {
		check("secrets", aws.ToString(secret.Name))
		checkReference(aws.ToString(secret.ValueFrom), path.Child("secrets", problem.Key(aws.ToString(secret.Name))), found)
	}
}

// checkImage refuses what no registry has: a blank, left over from a template or a file.
func checkImage(image string, path problem.Path, found *problem.List) {
	if strings.ContainsFunc(image, unicode.IsSpace) {
		found.Add(path, "is %q, which has a blank: want a reference such as registry.example/app:1.0", image)
	}
}

// unlimited is how Docker writes that there is no limit.
const unlimited = -1

func checkUlimits(limits []ecstypes.Ulimit, path problem.Path, found *problem.List) {
	for i, limit := range limits {
		soft, hard := limit.SoftLimit, limit.HardLimit
		if hard != unlimited && (soft > hard || soft == unlimited) {
			found.AddWith([]problem.Path{path.Child(i, "hardLimit")}, path.Child(i, "softLimit"), "is %d, above %s of %d", soft, path.Child(i, "hardLimit"), hard)
		}
	}
}
