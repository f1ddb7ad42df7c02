package taskdef

import (
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
)

// unprivileged has the kernel let users other than root listen at every port of the task: Envoy at those for names, the agent at DNS's.
// ECS takes it for the whole task, whichever container has it.
var unprivileged = ecstypes.SystemControl{Namespace: aws.String(mesh.UnprivilegedPortStart), Value: aws.String("0")}

// needsResolver reports whether mesh-init writes /etc/resolv.conf, which takes a root that can be written.
func needsResolver(cfg agentconfig.Config) bool { return cfg.ResolvesNames() || cfg.CallsByName() }

// checkNames wants mesh-init to be allowed what names take, and nothing else of the task to be where Envoy listens for them. What the agents'
// configuration tells of the ports is checked there.
func (s Spec) checkNames(found *problem.List) {
	path := problem.At("names")
	enabled := []problem.Path{path.Child("enabled")}
	if !aws.ToBool(s.Names.Enabled) {
		if len(s.Names.Ports) > 0 {
			found.AddWith(enabled, path.Child("ports"), "is set, but %s is not true: nothing is called by name", enabled[0])
		}
		return
	}
	if aws.ToBool(s.Sidecars.MeshInit.ReadonlyRoot) {
		found.AddWith(enabled, problem.At("sidecars", "meshInit", "readonlyRoot"), "is true, but with %s mesh-init writes /etc/resolv.conf", enabled[0])
	}
	for i, c := range s.Containers {
		at := problem.At("containers", i)
		checkPortStart(c.Definition.SystemControls, at.Child("systemControls"), enabled, found)
		s.checkNamesBeside(c.Definition.PortMappings, at.Child("portMappings"), found)
	}
	for i, p := range s.ReadinessProbes {
		s.checkNamesPort(p.Port, problem.At("readinessProbes", i, "port"), found)
	}
	if expose := s.Proxy.Expose; expose != nil {
		for i, p := range expose.Paths {
			s.checkNamesPort(p.LocalPathPort, problem.At("proxy", "expose", "paths", i, "localPathPort"), found)
		}
	}
	s.warnOfListed(enabled, found)
}

// checkPortStart refuses another value of the parameter that names take: which of two values the task gets is decided by the order in which
// its containers start.
func checkPortStart(controls []ecstypes.SystemControl, path problem.Path, with []problem.Path, found *problem.List) {
	for i, control := range controls {
		at := path.Child(i)
		if aws.ToString(control.Namespace) == mesh.UnprivilegedPortStart && aws.ToString(control.Value) != *unprivileged.Value {
			found.AddWith(append(with, at.Child("namespace")), at.Child("value"), "is %q, but with %s the task needs %s of %s, which counts for all of its containers: leave it out",
				aws.ToString(control.Value), with[0], *unprivileged.Value, mesh.UnprivilegedPortStart)
		}
	}
}

// namesPorts are the ports at which Envoy listens for names.
func (s Spec) namesPorts() []int { return AgentConfig(s).NamesSettings().Ports }

// checkNamesPort refuses a port of the application at which Envoy listens for names: Envoy is first, and the application could not listen.
func (s Spec) checkNamesPort(port int, at problem.Path, found *problem.List) {
	ports := problem.At("names", "ports")
	if slices.Contains(s.namesPorts(), port) {
		found.AddWith([]problem.Path{problem.At("names", "enabled"), ports}, at, "is %d, where Envoy listens for names: choose other %s, or another port for the application", port, ports)
	}
}

// checkNamesBeside is checkNamesPort for a container's mappings, single ports and ranges, and for the port of the task's name server.
func (s Spec) checkNamesBeside(mappings []ecstypes.PortMapping, path problem.Path, found *problem.List) {
	enabled, ports := problem.At("names", "enabled"), problem.At("names", "ports")
	for i, m := range mappings {
		at := path.Child(i)
		key, first, last := "containerPort", aws.ToInt32(m.ContainerPort), aws.ToInt32(m.ContainerPort)
		if m.ContainerPortRange != nil {
			var ok bool
			if first, last, ok = portRange(*m.ContainerPortRange); !ok {
				continue
			}
			key = "containerPortRange"
		}
		within := func(port int) bool { return int(first) <= port && port <= int(last) }
		with := []problem.Path{enabled, ports, at.Child("protocol")}
		if j := slices.IndexFunc(s.namesPorts(), within); j >= 0 && protocol(m) == ecstypes.TransportProtocolTcp {
			found.AddWith(with, at.Child(key), "has port %d, where Envoy listens for names: choose other %s, or another port for the application", s.namesPorts()[j], ports)
		}
		if within(mesh.PortResolver) {
			found.AddWith(with, at.Child(key), "has port %d, where with %s the task's name server listens", mesh.PortResolver, enabled)
		}
	}
}

// warnOfListed says which services are called by their ports alone: Consul leaves a listed upstream out of what it tells of names.
func (s Spec) warnOfListed(with []problem.Path, found *problem.List) {
	for i, u := range s.Proxy.Upstreams {
		if at := problem.At("proxy", "upstreams", i); u.DestinationName != "" && u.DestinationType != "prepared_query" {
			found.Warn(with, at.Child("destinationName"), "is %q, which is then reached at %s alone and not by name, though %s is true: leave the upstream out to call the service by name", u.DestinationName, at.Child("localBindPort"), with[0])
		}
	}
}
