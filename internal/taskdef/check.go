package taskdef

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
)

// Check lists everything that ECS, Consul or the agents would refuse, or that would leave the task dead in the mesh. Values
// that are not known yet, as in a Terraform plan, are left empty in s; what follows from them is for List.Without to leave out.
func Check(s Spec) problem.List {
	var found problem.List
	checkFamily(s.Family, &found)
	s.checkService(&found)
	s.checkScopes(&found)
	s.checkAgentConfig(&found)
	s.Servers.checkSecrets(&found)
	s.Task.check(&found)
	s.checkRedirection(&found)
	s.checkNames(&found)
	s.checkLocality(&found)
	s.checkVolumes(&found)
	s.checkContainers(&found)
	s.checkVolumesFrom(&found)
	s.checkSidecars(&found)
	s.checkRouters(&found)
	roleARN.check(s.TaskRoleARN, problem.At("taskRoleArn"), &found)
	roleARN.check(s.ExecutionRoleARN, problem.At("executionRoleArn"), &found)
	checkTags(s.Tags, len(s.meshTags()), &found)
	if d, err := s.definition(); err != nil {
		found.Add(problem.At("proxy", "config"), "%v", err)
	} else {
		checkSums(d, s.Task, s.reservations(), &found)
		checkSize(d, &found)
	}
	return found
}

// CheckController is Check for a controller.
func CheckController(s ControllerSpec) problem.List {
	var found problem.List
	checkFamily(s.family(), &found)
	cfg := ControllerAgentConfig(s)
	cfg.ConsulLogin = nil // it says what the auth method does
	addConfigProblems(cfg, &found)
	s.Servers.checkSecrets(&found)
	s.Task.check(&found)
	if s.Image == "" && s.Container.Image == "" {
		found.Add(problem.At("image"), noAgentImage)
	}
	checkImage(s.Image, problem.At("image"), &found)
	s.checkRights(&found)
	s.Container.check(problem.At("container"), s.Task, &found)
	if log := s.Container.LogConfiguration; log != nil && log.LogDriver == ecstypes.LogDriverAwsfirelens {
		found.Add(problem.At("container", "logConfiguration", "logDriver"), "is awsfirelens, but a controller has its task to itself: there is no log router")
	}
	roleARN.check(s.TaskRoleARN, problem.At("taskRoleArn"), &found)
	roleARN.check(s.ExecutionRoleARN, problem.At("executionRoleArn"), &found)
	checkTags(s.Tags, 0, &found)
	if d, err := s.definition(); err != nil {
		found.Add(problem.At(), "%v", err)
	} else {
		checkSums(d, s.Task, []problem.Path{problem.At("container", "memory"), problem.At("container", "memoryReservation")}, &found)
		checkSize(d, &found)
	}
	return found
}

// CheckOutside is what is wrong with a task that is not in the mesh, and whose one container, as d has it, its user does not write: with
// the frame, the roles and the tags. Image and log of the container are those of the sidecars.
func CheckOutside(s Spec, d *Definition) problem.List {
	var found problem.List
	checkFamily(s.Family, &found)
	s.Task.check(&found)
	s.checkVolumes(&found)
	checkImage(s.Sidecars.Image, problem.At("image"), &found)
	checkLog(log(s.Sidecars.LogConfiguration), problem.At("logConfiguration"), s.Task, &found)
	if log := s.Sidecars.LogConfiguration; log != nil && log.LogDriver == ecstypes.LogDriverAwsfirelens {
		found.Add(problem.At("logConfiguration", "logDriver"), "is awsfirelens, but the container has its task to itself: there is no log router")
	}
	roleARN.check(s.TaskRoleARN, problem.At("taskRoleArn"), &found)
	roleARN.check(s.ExecutionRoleARN, problem.At("executionRoleArn"), &found)
	checkTags(s.Tags, 0, &found)
	checkSums(d, s.Task, nil, &found)
	checkSize(d, &found)
	return found
}

// checkRights wants the controller to get its rights in Consul in one way: by a token, by logins for which the controller itself
// prepares Consul at first, or by logins for which an operator has. Only where there are no ACLs it needs none.
func (s ControllerSpec) checkRights(found *problem.List) {
	token, first := problem.At("tokenSecretArn"), problem.At("controller", "firstTokenSecretArn")
	login, manages, acls := problem.At("logsIn"), problem.At("controller", "manageACL"), problem.At("acls")
	with := []problem.Path{token, first, login, manages, acls}
	managesACL := s.Controller.ManageACL == nil || *s.Controller.ManageACL
	hasFirst := s.Controller.FirstTokenSecretARN != ""
	if s.NoACLs {
		for _, set := range []struct {
			at problem.Path
			is bool
		}{{token, s.TokenSecretARN != ""}, {first, hasFirst}, {login, s.LogsIn}} {
			if set.is {
				found.AddWith(with, set.at, "is set, but %s is false, and without ACLs Consul wants no token: leave it out", acls)
			}
		}
		return
	}
	switch {
	case s.TokenSecretARN != "" && s.LogsIn:
		found.AddWith(with, login, "is true, but %s has the controller work with that token: leave one of them out", token)
	case s.TokenSecretARN != "" && hasFirst:
		found.AddWith(with, first, "is set, but %s has the controller work with that token from first to last: leave one of them out", token)
	case s.TokenSecretARN != "":
	case !s.LogsIn && hasFirst:
		found.AddWith(with, login, "is not true, but the token in %s is for the first start alone, and afterwards the controller logs in: set it to true", first)
	case !s.LogsIn:
		found.AddWith(with, token, "is missing: set it to the secret with the ACL token that the controller works with; or %s to true, beside %s or %s = false; or, where Consul's ACL system is off, %s to false",
			login, first, manages, acls)
	case managesACL && !hasFirst:
		found.AddWith(with, first, "is missing: the controller logs in, and at first somebody has to let it. Set it to the secret with a token for the first start, or %s to false where consulecs-agent bootstrap has prepared Consul", manages)
	case !managesACL && hasFirst:
		found.AddWith(with, first, "is set, but %s is false, as where consulecs-agent bootstrap has prepared Consul: nothing would read it, so leave one of them out", manages)
	}
}

var validFamily = regexp.MustCompile(`^[A-Za-z0-9_-]{1,255}$`)

func checkFamily(family string, found *problem.List) {
	if !validFamily.MatchString(family) {
		found.Add(problem.At("family"), "is %q, want 1 to 255 letters, digits, '-' and '_'", family)
	}
}

// reservedLoginMeta are the meta keys by which controllers find the task of a token.
var reservedLoginMeta = []string{mesh.LoginMetaTaskID, mesh.LoginMetaCluster}

func (s Spec) checkService(found *problem.List) {
	service := s.Service
	if service.Port == 0 && !s.OutboundOnly {
		found.AddWith([]problem.Path{problem.At("outboundOnly")}, problem.At("service", "port"),
			"is missing: set the port that the application listens on, or %s for a task that only calls others", problem.At("outboundOnly"))
	}
	if service.Name == "" && validFamily.MatchString(s.Family) {
		if err := mesh.CheckServiceName(strings.ToLower(s.Family)); err != nil {
			found.AddWith([]problem.Path{problem.At("service", "name")}, problem.At("family"), "gives the service its name: %v", err)
		}
	}
	checkMeta(service.Meta, mesh.ServiceMeta(), problem.At("service", "meta"), found)
	s.checkServices(found)
	checkMeta(s.Login.Meta, reservedLoginMeta, problem.At("login", "meta"), found)
}

func checkMeta(meta map[string]string, reserved []string, path problem.Path, found *problem.List) {
	for _, key := range slices.Sorted(maps.Keys(meta)) {
		if slices.Contains(reserved, key) {
			found.Add(path.Child(problem.Key(key)), "is set by the mesh: choose another key")
		}
	}
}

// configPaths are the sections of the agents' configuration that bear another name in a Spec.
var configPaths = map[string]string{"consulServers": "servers", "consulLogin": "login"}

func (s Spec) checkAgentConfig(found *problem.List) {
	cfg := AgentConfig(s)
	if s.Service.Name == "" {
		cfg.Service.Name = "" // a name from the family is checked as such
	}
	addConfigProblems(cfg, found)
}

// addConfigProblems reports what is wrong with the agents' configuration at the places of the Spec that it comes from.
func addConfigProblems(cfg agentconfig.Config, found *problem.List) {
	for _, p := range cfg.Problems() {
		if !namesContainer(p.Path) { // follows from the names of containers, which are checked themselves
			*found = append(*found, p.In(inSpec))
		}
	}
}

// inSpec is the place in a Spec of a place in the agents' configuration. Mesh gateways have but a mode, which is all that a
// user writes of them.
func inSpec(path problem.Path) problem.Path {
	if len(path) == 0 {
		return path
	}
	if n := len(path) - 1; n > 0 && path[n] == "mode" && path[n-1] == "meshGateway" {
		path = path[:n]
	}
	name, isName := path[0].(string)
	if to, ok := configPaths[name]; isName && ok {
		return problem.At(to).Child(path[1:]...)
	}
	return path
}

// namesContainer reports whether a place in the agents' configuration holds the name of a container.
func namesContainer(path problem.Path) bool {
	return path.Within(problem.At("healthSyncContainers")) || path.Within(problem.At("readinessProbes")) && path[len(path)-1] == "container"
}

func (s Servers) checkSecrets(found *problem.List) {
	path := problem.At("servers")
	tls := []problem.Path{path.Child("defaults", "tls"), path.Child("http", "https"), path.Child("http", "tls"), path.Child("grpc", "tls")}
	resolved := s.resolved()
	for _, secret := range []struct {
		key, arn string
		used     bool
	}{
		{"caSecretArn", s.CASecretARN, *resolved.HTTP.HTTPS || *resolved.GRPC.TLS},
		{"grpcCaSecretArn", s.GRPCCASecretARN, *resolved.GRPC.TLS},
		{"httpsCaSecretArn", s.HTTPSCASecretARN, *resolved.HTTP.HTTPS},
	} {
		if secret.arn != "" && !secret.used {
			found.AddWith(tls, path.Child(secret.key), "is set, but TLS is off: nothing would read it")
		}
	}
}

// checkSums compares what the containers ask for together with what the task has. with are the places that it depends on
// besides the task's.
func checkSums(d *Definition, task Task, with []problem.Path, found *problem.List) {
	var cpu, memory int
	for _, c := range d.ContainerDefinitions {
		cpu += int(c.Cpu)
		if c.MemoryReservation != nil {
			memory += int(*c.MemoryReservation)
		} else {
			memory += int(aws.ToInt32(c.Memory))
		}
	}
	// A container that by itself has more than the task is reported as such.
	alone := func(c ecstypes.ContainerDefinition) bool { return int(aws.ToInt32(c.Memory)) > task.memory() }
	if cpu > task.cpu() {
		found.AddWith(with, problem.At("task", "cpu"), "is %d, but the containers ask for %d together", task.cpu(), cpu)
	}
	if memory > task.memory() && !slices.ContainsFunc(d.ContainerDefinitions, alone) {
		found.AddWith(with, problem.At("task", "memory"), "is %d MiB, but the containers ask for %d together, %d of them for the mesh's own",
			task.memory(), memory, meshMemory(d.ContainerDefinitions))
	}
}

// reservations are the places whose absence can make the sum of the containers' memory larger.
func (s Spec) reservations() []problem.Path {
	paths := []problem.Path{problem.At("sidecars", "readyGate")}
	for i := range s.Containers {
		paths = append(paths, problem.At("containers", i, "memoryReservation"))
	}
	for _, key := range sidecarKeys {
		paths = append(paths, problem.At("sidecars", key, "memory"), problem.At("sidecars", key, "memoryReservation"))
	}
	return paths
}

func meshMemory(containers []ecstypes.ContainerDefinition) int {
	var memory int
	for _, c := range containers {
		if slices.Contains(mesh.InjectedContainers(), aws.ToString(c.Name)) {
			memory += int(aws.ToInt32(c.MemoryReservation))
		}
	}
	return memory
}

// checkServices checks of further services what the agents' configuration does not say.
func (s Spec) checkServices(found *problem.List) {
	if len(s.Services) > 0 && s.OutboundOnly {
		found.AddWith([]problem.Path{problem.At("services")}, problem.At("outboundOnly"), "is true, but the task is several services, and each of them is there to be called: leave it out")
	}
	first := mesh.ServiceName("", s.Family)
	for i, further := range s.Services {
		if further.Service == nil {
			continue
		}
		at := problem.At("services", i, "service")
		checkMeta(further.Service.Meta, mesh.ServiceMeta(), at.Child("meta"), found)
		if s.Service.Name == "" && further.Service.Name == first && first != "" {
			found.AddWith([]problem.Path{problem.At("family"), problem.At("service", "name")}, at.Child("name"), "is %q, which %s gives the first service as its name: give each a name of its own", first, problem.At("family"))
		}
	}
}
