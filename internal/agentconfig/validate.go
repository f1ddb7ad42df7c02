package agentconfig

import (
	"fmt"
	"maps"
	"net/netip"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
)

// Problems lists what would make the agents or Consul refuse the configuration, all of it at once.
func (c Config) Problems() problem.List {
	var found problem.List
	checkRules(reflect.ValueOf(c), nil, &found)
	c.ConsulServers.check(&found)
	if c.Controller != nil {
		c.Controller.check(&found)
	}
	for _, pair := range c.Pairs("") {
		pair.Service.check(pair.at.service, &found)
		pair.Proxy.check(pair.at.proxy, &found)
	}
	c.checkServices(&found)
	checkMethodName(deref(c.ConsulLogin).Method, problem.At("consulLogin", "method"), &found)
	c.checkScopeNames(&found)
	c.checkReadinessProbes(&found)
	c.checkPorts(&found)
	if c.TransparentProxy != nil {
		c.TransparentProxy.check(&found)
	}
	c.checkNames(&found)
	if c.Locality != nil {
		c.Locality.check(&found)
	}
	for i, name := range c.HealthSyncContainers {
		if name == "" {
			found.Add(problem.At("healthSyncContainers", i), "is empty, want the name of a container")
		}
	}
	return found
}

func (s ConsulServers) check(found *problem.List) {
	path := problem.At("consulServers")
	if s.Hosts != "" {
		s.checkHosts(path, found)
	}
	if s.HTTP != nil && s.HTTP.TLS != nil && *s.HTTP.TLS != or(s.HTTP.HTTPS, true) {
		found.AddWith([]problem.Path{path.Child("http", "https")}, path.Child("http", "tls"),
			"is %t, but %s is %t and alone decides: set both alike or leave this one out", *s.HTTP.TLS, path.Child("http", "https"), or(s.HTTP.HTTPS, true))
	}
}

func (c Controller) check(found *problem.List) {
	path := problem.At("controller")
	checkMethodName(deref(c.AuthMethod).Name, path.Child("authMethod", "name"), found)
	if c.IAMRolePath != "" {
		if err := CheckRolePath(c.IAMRolePath); err != nil {
			found.Add(path.Child("iamRolePath"), "%v", err)
		}
	}
	if c.IAMRolePath == "/" && !c.TrustAllRoles {
		found.AddWith([]problem.Path{path.Child("trustAllRoles")}, path.Child("iamRolePath"),
			"is \"/\", below which every role of the account may log in: choose a narrower path, or set %s", path.Child("trustAllRoles"))
	}
	if c.HTTPAddress != "" {
		if _, err := netip.ParseAddrPort(c.HTTPAddress); err != nil {
			found.Add(path.Child("httpAddress"), "is %q, want an IP address and a port, such as 127.0.0.1:9102", c.HTTPAddress)
		}
	}
	c.checkECSClusters(path, found)
	checkScopeName(c.Partition, path.Child("partition"), found)
	if c.Partition != "" && !c.PartitionsEnabled {
		found.AddWith([]problem.Path{path.Child("partitionsEnabled")}, path.Child("partition"),
			"is %q, but %s is not true", c.Partition, path.Child("partitionsEnabled"))
	}
}

// checkECSClusters wants whole ARNs: a bare name says neither account nor Region, and Consul's nodes have the ARNs as their names.
func (c Controller) checkECSClusters(path problem.Path, found *problem.List) {
	for i, arn := range c.ECSClusters {
		if !validECSCluster.MatchString(arn) {
			found.Add(path.Child("ecsClusters", i), "is %q, want the ARN of an ECS cluster", arn)
		}
	}
}

var validECSCluster = regexp.MustCompile(`^arn:[a-z0-9-]+:ecs:[a-z0-9-]+:[0-9]{12}:cluster/[A-Za-z0-9_-]+$`)

// validRolePath is IAM's own rule for paths, but for their length: with that in it, the compiled expression would be a third of
// a megabyte in each agent.
var validRolePath = regexp.MustCompile(`^/([\x21-\x7e]*/)?$`)

const maxRolePath = 512

// CheckRolePath says why IAM would refuse a path of roles; nil means that it takes it.
func CheckRolePath(path string) error {
	if len(path) <= maxRolePath && validRolePath.MatchString(path) {
		return nil
	}
	return fmt.Errorf("is %q, want an IAM path that begins and ends with '/'", path)
}

// Consul's one rule for the opaque configuration of a proxy.
const (
	keySocketFolder = "envoy_hcp_metrics_bind_socket_dir"
	maxSocketFolder = 70
)

func (p Proxy) check(path problem.Path, found *problem.List) {
	checkAddress(p.LocalServiceAddress, path.Child("localServiceAddress"), found)
	if port := p.PublicListenerPort; port != mesh.PortEnvoyAdmin && slices.Contains(mesh.ReservedPorts(), port) { // the admin port: see checkPorts
		found.Add(path.Child("publicListenerPort"), "is %d, which belongs to Consul or Envoy", port)
	}
	if port := p.HealthCheckPort; port == mesh.PortDNS {
		found.Add(path.Child("healthCheckPort"), "is %d, which belongs to Consul", port)
	}
	if dir, _ := p.Config[keySocketFolder].(string); len(dir) > maxSocketFolder {
		found.Add(path.Child("config", keySocketFolder), "has %d bytes, want at most %d", len(dir), maxSocketFolder)
	}
	first := map[[6]string]int{}
	for i, u := range p.Upstreams {
		at := path.Child("upstreams", i)
		checkAddress(u.LocalBindAddress, at.Child("localBindAddress"), found)
		checkDestination(u.DestinationName, at.Child("destinationName"), found)
		if j, twice := first[u.destination()]; twice {
			with := slices.Concat(destinationPaths(path.Child("upstreams", j)), destinationPaths(at))
			found.AddWith(with, at.Child("destinationName"),
				"%q is already the destination of %s: Consul takes each destination once", u.DestinationName, path.Child("upstreams", j))
			continue
		}
		if u.DestinationName != "" {
			first[u.destination()] = i
		}
	}
	if p.Expose != nil {
		p.Expose.check(path.Child("expose", "paths"), found)
	}
}

// destination is what Consul tells upstreams apart by.
func (u Upstream) destination() [6]string {
	kind := u.DestinationType
	if kind == "" {
		kind = "service"
	}
	return [6]string{kind, u.DestinationName, u.DestinationNamespace, u.DestinationPartition, u.DestinationPeer, u.Datacenter}
}

// destinationPaths are the places that destination reads, of the upstream at path.
func destinationPaths(path problem.Path) []problem.Path {
	var paths []problem.Path
	for _, key := range []string{"destinationType", "destinationName", "destinationNamespace", "destinationPartition", "destinationPeer", "datacenter"} {
		paths = append(paths, path.Child(key))
	}
	return paths
}

// checkScopeNames checks the Enterprise scopes of the service and of its upstreams.
func (c Config) checkScopeNames(found *problem.List) {
	service, path := deref(c.Service), problem.At("service")
	checkScopeName(service.Namespace, path.Child("namespace"), found)
	checkScopeName(service.Partition, path.Child("partition"), found)
	for _, pair := range c.Pairs("") {
		for i, u := range pair.Proxy.Upstreams {
			at := pair.at.proxy.Child("upstreams", i)
			checkScopeName(u.DestinationNamespace, at.Child("destinationNamespace"), found)
			checkScopeName(u.DestinationPartition, at.Child("destinationPartition"), found)
		}
	}
}

// validScopeName is a label of a DNS name, which is what Consul wants of the names of partitions and namespaces.
var validScopeName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]{0,62}[A-Za-z0-9])?$`)

// CheckScopeName says why Consul would refuse the name of a partition or a namespace; nil means that it takes it, or that there is none.
func CheckScopeName(name string) error {
	if name == "" || validScopeName.MatchString(name) {
		return nil
	}
	return fmt.Errorf("is %q, want 1 to 64 letters, digits and '-', beginning and ending with a letter or digit", name)
}

func checkScopeName(name string, path problem.Path, found *problem.List) {
	if err := CheckScopeName(name); err != nil {
		found.Add(path, "%v", err)
	}
}

func (e Expose) check(path problem.Path, found *problem.List) {
	first := map[string]int{}
	for i, p := range e.Paths {
		if p.Path != "" && !strings.HasPrefix(p.Path, "/") {
			found.Add(path.Child(i, "path"), "is %q, want a path that begins with '/'", p.Path)
		}
		if j, twice := first[p.Path]; twice {
			found.AddWith([]problem.Path{path.Child(j, "path")}, path.Child(i, "path"), "%q is already exposed by %s", p.Path, path.Child(j))
			continue
		}
		first[p.Path] = i
	}
}

// checkAddress wants an IP address, since Envoy resolves no name where these addresses go.
func checkAddress(address string, path problem.Path, found *problem.List) {
	if address == "" {
		return
	}
	if _, err := netip.ParseAddr(address); err != nil {
		found.Add(path, "is %q, want an IP address", address)
	}
}

func (t TransparentProxy) check(found *problem.List) {
	path := problem.At("transparentProxy")
	checkPortList(t.ExcludeInboundPorts, path.Child("excludeInboundPorts"), found)
	checkPortList(t.ExcludeOutboundPorts, path.Child("excludeOutboundPorts"), found)
	for i, cidr := range t.ExcludeOutboundCIDRs {
		_, notPrefix := netip.ParsePrefix(cidr)
		_, notAddress := netip.ParseAddr(cidr)
		if notPrefix != nil && notAddress != nil {
			found.Add(path.Child("excludeOutboundCIDRs", i), "is %q, want a CIDR block or an IP address", cidr)
		}
	}
	for i, uid := range t.ExcludeUIDs {
		if _, err := strconv.ParseUint(uid, 10, 32); err != nil {
			found.Add(path.Child("excludeUIDs", i), "is %q, want the number of a user", uid)
		}
	}
	if t.ConsulDNS != nil && or(t.ConsulDNS.Enabled, false) && !or(t.Enabled, false) {
		found.AddWith([]problem.Path{path.Child("enabled")}, path.Child("consulDNS", "enabled"), "is true, but %s is not", path.Child("enabled"))
	}
}

func checkPortList(ports []int, path problem.Path, found *problem.List) {
	for i, port := range ports {
		if port < 1 || port > 65535 {
			found.Add(path.Child(i), "is %d, want 1 to 65535", port)
		}
	}
}

// CheckNetwork says why a CIDR block cannot be told a zone by; "" means that it can.
func CheckNetwork(cidr string) string {
	prefix, err := netip.ParsePrefix(cidr)
	switch {
	case err != nil:
		return "want a CIDR block, such as 10.0.1.0/24"
	case prefix != prefix.Masked():
		return "has bits beyond its prefix: want " + prefix.Masked().String()
	case prefix.Addr().Is4In6():
		return "is IPv4 in the form of IPv6: want it in its own"
	}
	return ""
}

// CheckZone says why a name cannot be that of a zone; "" means that it can. Blanks around it would make it another zone than Consul's.
func CheckZone(name string) string {
	switch trimmed := strings.TrimSpace(name); {
	case trimmed == "":
		return "is empty, want the name of a zone, such as eu-west-1a"
	case trimmed != name:
		return fmt.Sprintf("is %q, want it without the blanks around it: %q", name, trimmed)
	}
	return ""
}

func (l Locality) check(found *problem.List) {
	path := problem.At("locality")
	if !or(l.PreferZone, false) {
		for _, of := range []struct {
			key string
			set bool
		}{{"spill", l.Spill != ""}, {"zones", len(l.Zones) > 0}} {
			if of.set {
				found.AddWith([]problem.Path{path.Child("preferZone")}, path.Child(of.key), "is set, but %s is not true: no zone is preferred", path.Child("preferZone"))
			}
		}
	}
	first := map[netip.Prefix]string{}
	for _, cidr := range slices.Sorted(maps.Keys(l.Zones)) {
		at := path.Child("zones", problem.Key(cidr))
		if why := CheckNetwork(cidr); why != "" {
			found.Add(at, "is for the network %q, which %s", cidr, why)
			continue
		}
		prefix := netip.MustParsePrefix(cidr)
		if other, twice := first[prefix]; twice {
			found.AddWith([]problem.Path{path.Child("zones", problem.Key(other))}, at, "is for the network %q, which is there already as %q", cidr, other)
		} else if why := CheckZone(l.Zones[cidr]); why != "" {
			found.Add(at, "%s", why)
		}
		first[prefix] = cidr
	}
}
