package taskdef

import (
	"regexp"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
)

// maxPortRanges is ECS's limit for one container.
const maxPortRanges = 100

// socket is a port that containers share, as they share one network.
type socket struct {
	port     int32
	protocol ecstypes.TransportProtocol
}

// checkPortMappings wants every port once: all containers of a task share one network.
func (s Spec) checkPortMappings(path problem.Path, found *problem.List) {
	cfg := AgentConfig(s)
	seen := map[socket]problem.Path{}
	for i, pair := range cfg.Pairs(s.Family) {
		proxy := problem.At("proxy")
		if i > 0 {
			proxy = problem.At("services", i-1, "proxy")
		}
		seen[socket{int32(pair.Proxy.PublicListenerPort), ecstypes.TransportProtocolTcp}] = proxy.Child("publicListenerPort")
		seen[socket{int32(pair.Proxy.HealthCheckPort), ecstypes.TransportProtocolTcp}] = proxy.Child("healthCheckPort")
		seen[socket{int32(pair.AdminPort), ecstypes.TransportProtocolTcp}] = proxy // Envoy's admin interface
		for j, u := range pair.Proxy.Upstreams {
			seen[socket{int32(u.LocalBindPort), ecstypes.TransportProtocolTcp}] = proxy.Child("upstreams", j, "localBindPort")
		}
	}
	for i, c := range s.Containers {
		for j, mapping := range c.Definition.PortMappings {
			if mapping.ContainerPort != nil {
				checkPort(mapping, path.Child(i, "portMappings", j), seen, found)
			}
		}
		checkRanges(c.Definition.PortMappings, path.Child(i, "portMappings"), found)
	}
}

func checkPort(mapping ecstypes.PortMapping, path problem.Path, seen map[socket]problem.Path, found *problem.List) {
	at, key := path.Child("containerPort"), socket{*mapping.ContainerPort, protocol(mapping)}
	if key.port < 1 || key.port > 65535 {
		found.Add(at, "is %d, want 1 to 65535", key.port)
		return
	}
	if other, taken := seen[key]; taken {
		found.AddWith([]problem.Path{other, path.Child("protocol")}, at, "is %d, which %s has taken", key.port, other)
		return
	}
	seen[key] = at
	if mapping.HostPort != nil && *mapping.HostPort != 0 && *mapping.HostPort != key.port {
		found.AddWith([]problem.Path{at}, path.Child("hostPort"), "is %d, want the container's port %d or none: the task has an address of its own", *mapping.HostPort, key.port)
	}
}

// protocol is ECS's default where the mapping has none.
func protocol(m ecstypes.PortMapping) ecstypes.TransportProtocol {
	if m.Protocol == "" {
		return ecstypes.TransportProtocolTcp
	}
	return m.Protocol
}

// ports are those of one mapping of a container, first to last.
type ports struct {
	first, last int32
	protocol    ecstypes.TransportProtocol
	path        problem.Path
	with        []problem.Path
}

// checkRanges checks the ranges among a container's mappings: each port may be in one mapping alone. Single ports among
// themselves are checked for the whole task.
func checkRanges(mappings []ecstypes.PortMapping, path problem.Path, found *problem.List) {
	var seen []ports
	ranges := 0
	for i, m := range mappings {
		at := path.Child(i)
		own := ports{aws.ToInt32(m.ContainerPort), aws.ToInt32(m.ContainerPort), protocol(m), at.Child("containerPort"), []problem.Path{at.Child("protocol")}}
		if m.ContainerPortRange != nil {
			ranges++
			own.path = at.Child("containerPortRange")
			if m.ContainerPort != nil {
				found.AddWith([]problem.Path{at.Child("containerPort")}, own.path, "is not allowed together with %s: make a mapping for each", at.Child("containerPort"))
				continue
			}
			var ok bool
			if own.first, own.last, ok = portRange(*m.ContainerPortRange); !ok {
				found.Add(own.path, "is %q, want two ports of 1 to 65535, the smaller first, such as 8000-8010", *m.ContainerPortRange)
				continue
			}
		}
		for _, other := range seen {
			single := own.first == own.last && other.first == other.last
			if !single && own.protocol == other.protocol && own.first <= other.last && other.first <= own.last {
				found.AddWith(append(own.with, append(other.with, other.path)...), own.path, "has ports of %s: each may be in one mapping alone", other.path)
				break
			}
		}
		seen = append(seen, own)
	}
	if ranges > maxPortRanges {
		found.Add(path, "has %d ranges, want at most %d", ranges, maxPortRanges)
	}
}

var validPortRange = regexp.MustCompile(`^(\d{1,5})-(\d{1,5})$`)

func portRange(text string) (first, last int32, ok bool) {
	m := validPortRange.FindStringSubmatch(text)
	if m == nil {
		return 0, 0, false
	}
	from, _ := strconv.Atoi(m[1]) // digits, by the pattern
	to, _ := strconv.Atoi(m[2])
	return int32(from), int32(to), 1 <= from && from < to && to <= 65535
}
