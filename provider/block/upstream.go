package block

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskdef"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

// ReadUpstreams are the upstreams of all proxies of a task, the first one's first.
func ReadUpstreams(cfg agentconfig.Config) ([]Upstream, error) {
	all, err := readUpstreams(row.Value(cfg.Proxy).Upstreams, nil)
	if err != nil {
		return nil, err
	}
	for _, further := range cfg.Services {
		name := row.Value(further.Service).Name
		carried, err := readUpstreams(row.Value(further.Proxy).Upstreams, &name)
		if err != nil {
			return nil, err
		}
		all = append(all, carried...)
	}
	return all, nil
}

func readUpstreams(cfg []agentconfig.Upstream, service *string) ([]Upstream, error) {
	var all []Upstream
	for _, u := range cfg {
		m := Upstream{Service: service}
		row.FromSpec(&m, u)
		if u.MeshGateway != nil {
			row.FromSpec(&m.MeshGatewayMode, u.MeshGateway.Mode)
		}
		var err error
		if m.Config, err = importObject(u.Config); err != nil {
			return nil, fmt.Errorf("upstream %s: %w", u.DestinationName, err)
		}
		all = append(all, m)
	}
	return all, nil
}

// Carried are the upstreams of a task, of which each belongs to the proxy of one of its services.
type Carried struct {
	upstreams []Upstream
	services  []string // by name, the first one first
}

// CarriedBy are upstreams of a task of the named services.
func CarriedBy(upstreams []Upstream, services []string) Carried { return Carried{upstreams, services} }

// carrier is the number of the service whose proxy carries an upstream, counted from 0: the first, where none is named, or where none has
// the name, of which Check tells.
func (c Carried) carrier(u Upstream) int {
	return max(0, slices.Index(c.services, row.Value(u.Service)))
}

// Give gives each proxy of the task its upstreams. Proxies that have some are not changed, but replaced.
func (c Carried) Give(to *taskdef.Spec) {
	for _, u := range c.upstreams {
		n := c.carrier(u)
		if n == 0 {
			to.Proxy.Upstreams = append(to.Proxy.Upstreams, u.Spec())
			continue
		}
		proxy := row.Value(to.Services[n-1].Proxy)
		proxy.Upstreams = append(proxy.Upstreams, u.Spec())
		to.Services[n-1].Proxy = &proxy
	}
}

// At finds upstreams at places of a Spec, each in the list of its proxy, in the list of all. What is wrong with one depends on
// whose it is, and that on the names of the services.
func (c Carried) At(found problem.List) problem.List {
	found = found.In(c.inList)
	for i, p := range found {
		for _, at := range slices.Concat(p.With, []problem.Path{p.Path}) {
			if len(at) < 3 || !at.Within(upstreamPlace) {
				continue
			}
			found[i].With = append(found[i].With, at[:3].Child("service"))
			if index, _ := at[2].(int); index < len(c.upstreams) && c.upstreams[index].Service != nil {
				found[i].With = append(found[i].With, c.names()...)
			}
		}
	}
	return found
}

// names are the places in a Spec that say the names of the services.
func (c Carried) names() []problem.Path {
	places := []problem.Path{problem.At("family"), problem.At("service", "name"), problem.At("services")}
	for n := range c.services[1:] {
		places = append(places, problem.At("services", n, "service", "name"))
	}
	return places
}

// upstreamPlace is where a Spec has the upstreams of its first proxy, and a model all of them.
var upstreamPlace = problem.At("proxy", "upstreams")

// inList is the place in the list of all upstreams.
func (c Carried) inList(at problem.Path) problem.Path {
	n, below := 0, at
	if len(at) > 2 && at[0] == "services" {
		index, _ := at[1].(int)
		n, below = index+1, at[2:]
	}
	if len(below) < 2 || !below.Within(upstreamPlace) {
		return at
	}
	if len(below) == 2 {
		return upstreamPlace
	}
	index, _ := below[2].(int)
	for i, u := range c.upstreams {
		if c.carrier(u) != n {
			continue
		}
		if index == 0 {
			return upstreamPlace.Child(i).Child(below[3:]...)
		}
		index--
	}
	return at
}

// Check wants the services of upstreams to be the task's.
func (c Carried) Check(found *problem.List) {
	for i, u := range c.upstreams {
		if u.Service != nil && !slices.Contains(c.services, *u.Service) {
			found.AddWith(c.names(), upstreamPlace.Child(i, "service"), "is %q, want the name of a service of the task: %s", *u.Service, strings.Join(c.services, ", "))
		}
	}
}

type Upstream struct {
	DestinationName      *string `tfsdk:"destination_name"`
	LocalBindPort        *int32  `tfsdk:"local_bind_port"`
	LocalBindAddress     *string `tfsdk:"local_bind_address"`
	DestinationType      *string `tfsdk:"destination_type"`
	DestinationNamespace *string `tfsdk:"destination_namespace"`
	DestinationPartition *string `tfsdk:"destination_partition"`
	DestinationPeer      *string `tfsdk:"destination_peer"`
	Datacenter           *string `tfsdk:"datacenter"`
	MeshGatewayMode      *string `tfsdk:"mesh_gateway_mode" spec:"-" at:"meshGateway"`
	Config               *string `tfsdk:"config" spec:"-"`
	Service              *string `tfsdk:"service" spec:"-"`
}

func (m Upstream) Spec() agentconfig.Upstream {
	var u agentconfig.Upstream
	row.ToSpec(&u, m)
	u.Config = parsedObject(m.Config)
	u.MeshGateway = meshGateway(m.MeshGatewayMode)
	return u
}

func meshGateway(mode *string) *agentconfig.MeshGateway {
	if mode == nil {
		return nil
	}
	return &agentconfig.MeshGateway{Mode: *mode}
}

// parsedObject parses an object that the schema has found to be one.
func parsedObject(text *string) map[string]any {
	var parsed map[string]any
	if text != nil && json.Unmarshal([]byte(*text), &parsed) != nil {
		return nil
	}
	return parsed
}

func UpstreamFields() row.Fields {
	return row.Fields{
		"destination_name":      row.RequiredText("Name of the Consul service (or prepared query) to reach."),
		"local_bind_port":       row.RequiredNumber("Port at which the proxy listens for the application."),
		"local_bind_address":    row.Text("Address at which the proxy listens. Default `127.0.0.1`."),
		"destination_type":      row.Text("`service` (default) or `prepared_query`."),
		"destination_namespace": row.Text("Consul Enterprise: namespace of the service. Default: Consul's, `default`."),
		"destination_partition": row.Text("Consul Enterprise: admin partition of the service. Default: Consul's, `default`. With `destination_peer` it can only be the task's own."),
		"destination_peer":      row.Text("Name of the cluster peering that the service is imported through. Not with `datacenter`."),
		"datacenter":            row.Text("Datacenter of the service. Default: the task's. Only from and to the admin partition `default`."),
		"mesh_gateway_mode":     row.Text("How traffic leaves the datacenter: `none`, `local` or `remote`."),
		"service":               row.Text("Name of the service of the task whose proxy carries it, so that callees see that service as the caller. Default: the first service."),
		"config":                row.Text("Opaque configuration of the upstream, a JSON object such as `jsonencode({connect_timeout_ms = 500})`.", row.JsonObject{}),
	}
}
