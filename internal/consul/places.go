package consul

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"

	"github.com/hashicorp/consul/api"
)

// Place is where an instance of a service is, as it was registered.
type Place struct {
	Address      netip.Addr
	Region, Zone string // both empty where nobody has said
}

// PlacesOnNode tells where all instances on a node are, which is the whole fleet where the node stands for an ECS cluster. Proxies are
// asked for alone: they are what others connect to.
func (c *Connection) PlacesOnNode(ctx context.Context, node string) ([]Place, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	options := query(ctx)
	options.AllowStale, options.Filter = true, fmt.Sprintf("Kind == %q", api.ServiceKindConnectProxy)
	list, _, err := c.http.Catalog().NodeServiceList(node, options)
	if err != nil {
		return nil, fmt.Errorf("read services of node %s: %w", node, err)
	}
	var all []Place
	if list == nil {
		return nil, nil
	}
	for _, s := range list.Services {
		all = add(all, s.Address, s.Locality)
	}
	return all, nil
}

// PlacesOf tells where the instances of a service are that others connect to.
func (c *Connection) PlacesOf(ctx context.Context, namespace, service string) ([]Place, error) {
	ctx, cancel := context.WithTimeout(c.inNamespace(ctx, namespace), callTimeout)
	defer cancel()
	options := query(ctx)
	options.AllowStale = true
	entries, _, err := c.http.Health().Connect(service, "", false, options)
	if err != nil {
		return nil, fmt.Errorf("read instances of service %s: %w", service, err)
	}
	var all []Place
	for _, e := range entries {
		at := e.Service.Locality
		if at == nil {
			at = e.Node.Locality
		}
		all = add(all, cmp.Or(e.Service.Address, e.Node.Address), at)
	}
	return all, nil
}

// add adds an instance, if it has an address by which it can be known.
func add(all []Place, address string, at *api.Locality) []Place {
	addr, err := netip.ParseAddr(address)
	if err != nil {
		return all
	}
	p := Place{Address: addr.Unmap()}
	if at != nil {
		p.Region, p.Zone = at.Region, at.Zone
	}
	return append(all, p)
}

// Place is where the task says that it is.
func (r Registration) Place() (region, zone string) {
	if at := r.service.Locality; at != nil {
		region, zone = at.Region, at.Zone
	}
	return region, zone
}

// Address is the task's own.
func (r Registration) Address() string { return r.address }
