package consul

import (
	"context"
	"errors"
	"fmt"

	"github.com/hashicorp/consul/api"
	"golang.org/x/sync/errgroup"
)

// departures is how many services are taken off a node at a time, as many as idle sockets are kept.
const departures = 4

// DeregisterOneByOne takes services off the node with no other right than to write the node. It takes a write for each: in a
// transaction, which takes many, Consul wants a right to write each service. Those that are gone already are no error.
func (c *Connection) DeregisterOneByOne(ctx context.Context, node string, services []NodeService) error {
	var group errgroup.Group
	group.SetLimit(departures)
	errs := make([]error, len(services))
	for i, s := range services {
		group.Go(func() error {
			errs[i] = c.callACL(ctx, func(client *api.Client) error {
				_, err := client.Catalog().Deregister(&api.CatalogDeregistration{Node: node, ServiceID: s.ID}, write(ctx))
				return err
			})
			if errs[i] != nil {
				errs[i] = fmt.Errorf("deregister service %s of node %s: %w", s.ID, node, errs[i])
			}
			return nil
		})
	}
	_ = group.Wait() // the errors are in errs, each for itself
	return errors.Join(errs...)
}
