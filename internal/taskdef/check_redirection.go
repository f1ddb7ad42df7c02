package taskdef

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
)

// checkRedirection wants mesh-init to be allowed what transparent proxy needs, and nobody to be let past it by mistake.
func (s Spec) checkRedirection(found *problem.List) {
	cfg, path := AgentConfig(s), problem.At("transparentProxy")
	if !cfg.RedirectsTraffic() {
		checkNothingExcluded(s.TransparentProxy, path, found)
		return
	}
	if s.Task.runsOn(ecstypes.CompatibilityFargate) {
		found.AddWith([]problem.Path{problem.At("task", "launchTypes")}, path.Child("enabled"),
			"is true, but FARGATE does not grant the capability %s that redirecting traffic takes: set %s to EC2, MANAGED_INSTANCES or both, or use %s, which takes none",
			capNetAdmin, problem.At("task", "launchTypes"), problem.At("names"))
	}
	if cfg.ResolvesNames() && aws.ToBool(s.Sidecars.MeshInit.ReadonlyRoot) {
		found.AddWith([]problem.Path{path.Child("consulDNS", "enabled")}, problem.At("sidecars", "meshInit", "readonlyRoot"),
			"is true, but with Consul DNS mesh-init writes /etc/resolv.conf")
	}
	checkBlocks(s.TransparentProxy.ExcludeOutboundCIDRs, path.Child("excludeOutboundCIDRs"), found)
	s.checkUsers(found)
}

// checkNothingExcluded reports exclusions of a task whose traffic nobody redirects: whoever wrote them expects otherwise.
func checkNothingExcluded(t agentconfig.TransparentProxy, path problem.Path, found *problem.List) {
	for _, list := range []struct {
		key string
		set bool
	}{
		{"excludeInboundPorts", len(t.ExcludeInboundPorts) > 0},
		{"excludeOutboundPorts", len(t.ExcludeOutboundPorts) > 0},
		{"excludeOutboundCIDRs", len(t.ExcludeOutboundCIDRs) > 0},
		{"excludeUIDs", len(t.ExcludeUIDs) > 0},
	} {
		if list.set {
			found.AddWith([]problem.Path{path.Child("enabled")}, path.Child(list.key), "is set, but %s is not true: no traffic is redirected", path.Child("enabled"))
		}
	}
}

// checkBlocks reports a block of addresses that is there twice under two spellings; of one spelling, the agents'
// configuration tells.
func checkBlocks(cidrs []string, path problem.Path, found *problem.List) {
	first := map[netip.Prefix]int{}
	for i, cidr := range cidrs {
		block, err := netip.ParsePrefix(cidr)
		if addr, notAddress := netip.ParseAddr(cidr); notAddress == nil {
			block, err = addr.Prefix(addr.BitLen())
		}
		if err != nil {
			continue
		}
		block = block.Masked()
		if j, twice := first[block]; twice && cidrs[j] != cidr {
			found.AddWith([]problem.Path{path.Child(j)}, path.Child(i), "%q is in the list already, as %q", cidr, cidrs[j])
			continue
		}
		first[block] = i
	}
}

// checkUsers wants no container of the user's to have the user or group whose traffic is left alone: the proxy's own must not
// come back to it. The doctor is the agents' own, wherever it runs.
func (s Spec) checkUsers(found *problem.List) {
	users := []string{strconv.Itoa(mesh.UIDDataplane), strconv.Itoa(mesh.UIDHealthSync)}
	for i, c := range s.Containers {
		own := aws.ToString(c.Definition.User)
		if aws.ToString(c.Definition.Image) == s.Sidecars.Image {
			continue
		}
		if user, group, _ := strings.Cut(own, ":"); slices.Contains(users, user) || group == strconv.Itoa(mesh.UIDMeshInit) {
			found.AddWith([]problem.Path{problem.At("transparentProxy", "enabled"), problem.At("containers", i, "image"), problem.At("sidecars", "image")}, problem.At("containers", i, "user"),
				"is %s, which belongs to the mesh's own containers, whose traffic is not redirected: choose another", own)
		}
	}
}

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
	for _, pair := range s.pairs() {
		if expose := pair.proxy.Expose; expose != nil {
			for i, p := range expose.Paths {
				s.checkNamesPort(p.LocalPathPort, pair.proxyAt.Child("expose", "paths", i, "localPathPort"), found)
			}
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
