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
