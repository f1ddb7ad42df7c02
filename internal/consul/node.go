package consul

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"github.com/hashicorp/consul/api"

	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
)

// maxTxnOps is the most operations that Consul takes in one transaction.
const maxTxnOps = 128

// NodeService is a service instance on the synthetic node. TaskID is "" where it is not a task's.
type NodeService struct {
	ID, Name, TaskID string
}

// NodeServices lists the service instances on the node, proxies among them. Without the node, found is false.
func (c *Connection) NodeServices(ctx context.Context, node string) (services []NodeService, found bool, err error) {
	err = c.callACL(ctx, func(client *api.Client) (err error) {
		services, found, err = nodeServices(ctx, client, node)
		return err
	})
	return services, found, err
}

func nodeServices(ctx context.Context, client *api.Client, node string) (services []NodeService, found bool, err error) {
	list, _, err := client.Catalog().NodeServiceList(node, query(ctx))
	if err != nil {
		return nil, false, fmt.Errorf("list services of node %s: %w", node, err)
	}
	if list == nil || list.Node == nil {
		return nil, false, nil
	}
	for _, s := range list.Services {
		services = append(services, NodeService{ID: s.ID, Name: s.Service, TaskID: s.Meta[mesh.MetaTaskID]})
	}
	return services, true, nil
}

// EnsureNode makes sure that the synthetic node is in the catalog, as nothing else lets a task's service token register
// a service on it. Meta of an operator stays. It reports whether it wrote.
func (c *Connection) EnsureNode(ctx context.Context, node string, address netip.Addr) (wrote bool, err error) {
	err = c.callACL(ctx, func(client *api.Client) (err error) {
		wrote, err = ensureNode(ctx, client, node, address)
		return err
	})
	return wrote, err
}

func ensureNode(ctx context.Context, client *api.Client, node string, address netip.Addr) (wrote bool, err error) {
	list, _, err := client.Catalog().NodeServiceList(node, query(ctx))
	if err != nil {
		return false, fmt.Errorf("read node %s: %w", node, err)
	}
	registration := api.CatalogRegistration{Node: node, Address: address.String(), NodeMeta: map[string]string{}}
	if list != nil && list.Node != nil {
		have := list.Node
		if have.Address == registration.Address && have.Meta[mesh.NodeMetaSynthetic] == mesh.NodeMetaSyntheticValue {
			return false, nil
		}
		registration.ID, registration.TaggedAddresses, registration.Locality = have.ID, have.TaggedAddresses, have.Locality
		maps.Copy(registration.NodeMeta, have.Meta)
	}
	registration.NodeMeta[mesh.NodeMetaSynthetic] = mesh.NodeMetaSyntheticValue
	if _, err := client.Catalog().Register(&registration, write(ctx)); err != nil {
		return false, fmt.Errorf("register node %s: %w", node, err)
	}
	return true, nil
}

// DeregisterServices takes services off the node, as many as fit in one transaction at a time. Those that Consul refuses
// do not keep the others, and those that are gone already are no error.
func (c *Connection) DeregisterServices(ctx context.Context, node string, services []NodeService) error {
	var errs []error
	for batch := range slices.Chunk(services, maxTxnOps) {
		errs = append(errs, c.callACL(ctx, func(client *api.Client) error { return deregister(ctx, client, node, batch) }))
	}
	return errors.Join(errs...)
}

// deregister applies one transaction. Consul applies all of it or nothing, so it is sent again without the operations
// that were refused.
func deregister(ctx context.Context, client *api.Client, node string, batch []NodeService) error {
	var refusals []error
	for len(batch) > 0 {
		ok, response, _, err := client.Txn().Txn(deletions(node, batch), query(ctx))
		if err != nil {
			return errors.Join(append(refusals, fmt.Errorf("deregister %d services of node %s: %w", len(batch), node, err))...)
		}
		if ok {
			break
		}
		refused := map[int]string{}
		for _, e := range response.Errors {
			refused[e.OpIndex] = e.What
		}
		if len(refused) == 0 {
			return errors.Join(append(refusals, fmt.Errorf("deregister %d services of node %s: refused without a reason", len(batch), node))...)
		}
		var rest []NodeService
		for i, s := range batch {
			if what, bad := refused[i]; bad {
				refusals = append(refusals, fmt.Errorf("deregister service %s of node %s: %s", s.ID, node, what))
				continue
			}
			rest = append(rest, s)
		}
		batch = rest
	}
	return errors.Join(refusals...)
}

func deletions(node string, services []NodeService) api.TxnOps {
	var ops api.TxnOps
	for _, s := range services {
		ops = append(ops, &api.TxnOp{Service: &api.ServiceTxnOp{
			Verb: api.ServiceDelete, Node: node, Service: api.AgentService{ID: s.ID, Service: s.Name},
		}})
	}
	return ops
}
