package consul

import (
	"fmt"
	"maps"
	"slices"

	"github.com/hashicorp/consul/api"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskmeta"
)

// CheckStatus is Consul's verdict on a check.
type CheckStatus string

// The verdicts that the agents give.
const (
	Passing  CheckStatus = "passing"
	Critical CheckStatus = "critical"
)

// Check is one check of the task's service or of its proxy.
type Check struct {
	ID, Name               string
	ServiceID, ServiceName string // the registration it hangs on
	Container              string // whose health it mirrors
	Status                 CheckStatus
	Output                 string // the reason of the status, for people
}

// Registration is what a task holds in Consul's catalog: its service, the service's proxy, further services with theirs, and the
// checks of all.
type Registration struct {
	Node                   string // the ARN of the ECS cluster
	ServiceID, ServiceName string
	ProxyID, ProxyName     string
	Checks                 []Check
	Further                []Pair

	address        string
	service, proxy api.AgentService
}

// Pair is a service of a task and its proxy.
type Pair struct {
	ServiceID, ServiceName string
	ProxyID, ProxyName     string

	service, proxy api.AgentService
}

// Pairs are all services of the task, each with its proxy.
func (r Registration) Pairs() []Pair {
	first := Pair{r.ServiceID, r.ServiceName, r.ProxyID, r.ProxyName, r.service, r.proxy}
	return append([]Pair{first}, r.Further...)
}

// entries are all services and proxies of the task, each service before its proxy.
func (r Registration) entries() []api.AgentService {
	var all []api.AgentService
	for _, p := range r.Pairs() {
		all = append(all, p.service, p.proxy)
	}
	return all
}

// taggedVirtual is Consul's name for the address under which an application may call the service.
const taggedVirtual = "virtual"

// NewRegistration is the registration of the task as its configuration asks for it. Its checks are born critical. region
// is for the locality, the task's own if "".
func NewRegistration(cfg agentconfig.Config, task taskmeta.Task, region string) (Registration, error) {
	if !task.Address.IsValid() {
		return Registration{}, fmt.Errorf("the task has no IP address of its own (network mode %q)\nhint: mesh tasks need networkMode awsvpc", task.NetworkMode)
	}
	if region == "" {
		region = task.Region
	}
	var all []Pair
	for _, pair := range cfg.Pairs(task.Family) {
		all = append(all, pairEntries(cfg, pair, task, region))
	}
	first := all[0]
	for _, f := range all[1:] {
		if f.ServiceName == first.ServiceName { // whose name may follow from the task family
			return Registration{}, fmt.Errorf("two services of the task are named %q\nhint: give the first one or the other a name of its own, in service.name or services", f.ServiceName)
		}
	}
	r := Registration{
		Node:      task.ClusterARN,
		ServiceID: first.ServiceID, ServiceName: first.ServiceName, ProxyID: first.ProxyID, ProxyName: first.ProxyName,
		Further: all[1:], address: task.Address.String(), service: first.service, proxy: first.proxy,
	}
	for _, f := range all {
		r.Checks = append(r.Checks, bornChecks(cfg, f)...)
	}
	return r, nil
}

// pairEntries are a service of the task and its proxy as the catalog has them.
func pairEntries(cfg agentconfig.Config, pair agentconfig.Pair, task taskmeta.Task, region string) Pair {
	s, address := pair.Service, task.Address.String()
	id := mesh.ServiceID(s.Name, task.ID)
	f := Pair{ServiceID: id, ServiceName: s.Name, ProxyID: mesh.ProxyID(id), ProxyName: mesh.ProxyName(s.Name)}
	f.service = api.AgentService{
		ID: f.ServiceID, Service: f.ServiceName, Address: address, Port: s.Port,
		Tags: s.Tags, Meta: meta(s.Meta, task), Weights: weights(s.Weights), EnableTagOverride: s.EnableTagOverride,
		Namespace: s.Namespace, Partition: s.Partition,
		Locality: &api.Locality{Region: region, Zone: task.AvailabilityZone},
	}
	if cfg.RedirectsTraffic() { // under this address, too, traffic for the service is known
		f.service.TaggedAddresses = map[string]api.ServiceAddress{taggedVirtual: {Address: address, Port: s.Port}}
	}
	f.proxy = f.service
	f.proxy.Kind, f.proxy.ID, f.proxy.Service, f.proxy.Port = api.ServiceKindConnectProxy, f.ProxyID, f.ProxyName, pair.Proxy.PublicListenerPort
	f.proxy.Proxy = proxyConfig(pair.Proxy, f, s.Port)
	// For the sake of names the mode is that of the first proxy alone, which carries what the task calls. Its service has no tagged address,
	// as nothing is redirected: callers that know the task's address go on to reach the application there.
	if cfg.RedirectsTraffic() || cfg.CallsByName() && !pair.Further() {
		f.proxy.Proxy.Mode = api.ProxyModeTransparent
	}
	return f
}

// bornChecks are the checks of a service and its proxy. Each service has those of all tracked containers: nobody says which of them
// it is for.
func bornChecks(cfg agentconfig.Config, f Pair) []Check {
	var all []Check
	for _, container := range slices.DeleteFunc(slices.Clone(cfg.HealthSyncContainers), func(c string) bool { return c == mesh.ContainerDataplane }) {
		all = append(all, born(mesh.CheckNameContainer, container, f.ServiceID, f.ServiceName))
	}
	return append(all,
		born(mesh.CheckNameDataplane, mesh.ContainerDataplane, f.ServiceID, f.ServiceName),
		born(mesh.CheckNameDataplane, mesh.ContainerDataplane, f.ProxyID, f.ProxyName))
}

// born is a check before anyone has looked.
func born(name, container, serviceID, serviceName string) Check {
	return Check{
		ID: mesh.CheckID(serviceID, container), Name: name, ServiceID: serviceID, ServiceName: serviceName, Container: container,
		Status: Critical, Output: "Service " + serviceName + " is not ready",
	}
}

// meta is the user's, under which the mesh's three keys cannot be changed: by them the controller finds the task.
func meta(users map[string]string, task taskmeta.Task) map[string]string {
	m := maps.Clone(users)
	if m == nil {
		m = map[string]string{}
	}
	m[mesh.MetaTaskID], m[mesh.MetaTaskARN], m[mesh.MetaSource] = task.ID, task.ARN, mesh.Source
	return m
}

// weights spells Consul's default out, so that a second registration equals what Consul has stored.
func weights(w *agentconfig.Weights) api.AgentWeights {
	if w == nil || *w == (agentconfig.Weights{}) {
		return api.AgentWeights{Passing: 1, Warning: 1}
	}
	return api.AgentWeights{Passing: w.Passing, Warning: w.Warning}
}

func proxyConfig(p agentconfig.Proxy, f Pair, servicePort int) *api.AgentServiceConnectProxyConfig {
	c := &api.AgentServiceConnectProxyConfig{
		DestinationServiceName: f.ServiceName, DestinationServiceID: f.ServiceID,
		LocalServicePort: servicePort, LocalServiceAddress: p.LocalServiceAddress,
		Config: p.Config, MeshGateway: meshGateway(p.MeshGateway),
	}
	for _, u := range p.Upstreams {
		c.Upstreams = append(c.Upstreams, api.Upstream{
			DestinationType:      api.UpstreamDestType(u.DestinationType),
			DestinationPartition: u.DestinationPartition, DestinationNamespace: u.DestinationNamespace,
			DestinationPeer: u.DestinationPeer, DestinationName: u.DestinationName, Datacenter: u.Datacenter,
			LocalBindAddress: u.LocalBindAddress, LocalBindPort: u.LocalBindPort,
			Config: u.Config, MeshGateway: meshGateway(u.MeshGateway),
		})
	}
	if p.Expose != nil {
		c.Expose.Checks = p.Expose.Checks
		for _, path := range p.Expose.Paths {
			c.Expose.Paths = append(c.Expose.Paths, api.ExposePath{
				ListenerPort: path.ListenerPort, Path: path.Path, LocalPathPort: path.LocalPathPort, Protocol: path.Protocol,
			})
		}
	}
	return c
}

func meshGateway(g *agentconfig.MeshGateway) api.MeshGatewayConfig {
	if g == nil {
		return api.MeshGatewayConfig{}
	}
	return api.MeshGatewayConfig{Mode: api.MeshGatewayMode(g.Mode)}
}

// entry is the catalog's form of a service and of those checks that hang on it; without a service, of all the checks.
func (r Registration) entry(service *api.AgentService, checks []Check) *api.CatalogRegistration {
	e := &api.CatalogRegistration{
		Node: r.Node, SkipNodeUpdate: true, // the controller owns the node
		Service: service, Partition: r.service.Partition,
	}
	if service != nil {
		e.Address = r.address
		e.NodeMeta = map[string]string{mesh.NodeMetaSynthetic: mesh.NodeMetaSyntheticValue}
	}
	for _, c := range checks {
		if service != nil && c.ServiceID != service.ID {
			continue
		}
		e.Checks = append(e.Checks, &api.HealthCheck{
			Node: r.Node, CheckID: c.ID, Name: c.Name, Type: mesh.CheckType, Status: string(c.Status), Output: c.Output,
			ServiceID: c.ServiceID, ServiceName: c.ServiceName, Namespace: r.service.Namespace, Partition: r.service.Partition,
		})
	}
	return e
}
