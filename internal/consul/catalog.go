package consul

import (
	"context"
	"errors"
	"fmt"

	"github.com/hashicorp/consul/api"
)

// Register puts the service, then the proxy into the catalog, each together with its checks in one write, and so each further pair. Whatever is
// there already is brought to what r says. A transaction of both is out of reach: Consul's takes neither upstreams nor
// the proxy's configuration nor the locality. Nobody sees the state between the two, as other services find this one by
// its proxy.
func (c *Connection) Register(ctx context.Context, r Registration) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	for i, service := range r.entries() {
		if _, err := c.http.Catalog().Register(r.entry(&service, r.Checks), write(ctx)); err != nil {
			return fmt.Errorf("register %s: %w", service.ID, furtherRefusal(registrationRefusal(err), i/2))
		}
	}
	return nil
}

// SetChecks writes the checks, which may belong to different services and proxies of the task, in one write.
func (c *Connection) SetChecks(ctx context.Context, r Registration, checks []Check) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	_, err := c.http.Catalog().Register(r.entry(nil, checks), write(ctx))
	if err != nil {
		return fmt.Errorf("set checks of %s: %w", r.ServiceID, checkRefusal(err))
	}
	return nil
}

// Deregister takes all services and proxies, and with them their checks, out of the catalog in one transaction. What is
// gone already is no error.
func (c *Connection) Deregister(ctx context.Context, r Registration) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	refused, err := c.delete(ctx, r.operations(api.ServiceDelete))
	switch {
	case err != nil:
		return fmt.Errorf("deregister %s: %w", r.ServiceID, err)
	case refused == nil:
		return nil
	case len(r.Further) == 0:
		return fmt.Errorf("deregister %s: %w", r.ServiceID, refused)
	}
	return c.deregisterPairs(ctx, r)
}

// deregisterPairs is Deregister with a transaction a pair: that Consul refuses one service of a task must not keep the others.
func (c *Connection) deregisterPairs(ctx context.Context, r Registration) error {
	var errs []error
	for _, p := range r.Pairs() {
		refused, err := c.delete(ctx, operations(r.Node, api.ServiceDelete, p.service, p.proxy))
		if err = errors.Join(refused, err); err != nil {
			errs = append(errs, fmt.Errorf("deregister %s: %w", p.ServiceID, err))
		}
	}
	return errors.Join(errs...)
}

// delete applies a transaction, and tells why Consul refused it.
func (c *Connection) delete(ctx context.Context, ops api.TxnOps) (refused, err error) {
	ok, resp, _, err := c.http.Txn().Txn(ops, query(ctx))
	if err != nil || ok {
		return nil, err
	}
	return rolledBack(resp), nil
}

// Lookup reads the checks of the registration as they are in the catalog, by ID. complete is false when the service, the
// proxy or a check is not there. It is one request, and a read: nothing enters Consul's log.
func (c *Connection) Lookup(ctx context.Context, r Registration) (checks map[string]Check, complete bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	ops := r.operations(api.ServiceGet)
	byID := map[string]Check{}
	for _, check := range r.Checks {
		byID[check.ID] = check
		ops = append(ops, &api.TxnOp{Check: &api.CheckTxnOp{Verb: api.CheckGet, Check: api.HealthCheck{
			Node: r.Node, CheckID: check.ID, ServiceID: check.ServiceID, ServiceName: check.ServiceName,
			Namespace: r.service.Namespace, Partition: r.service.Partition,
		}}})
	}
	ok, resp, _, err := c.http.Txn().Txn(ops, query(ctx))
	if err != nil {
		return nil, false, fmt.Errorf("look up %s: %w", r.ServiceID, err)
	}
	checks = map[string]Check{}
	for _, result := range resp.Results {
		if result.Check == nil {
			continue
		}
		check := byID[result.Check.CheckID]
		check.Status, check.Output = CheckStatus(result.Check.Status), result.Check.Output
		checks[check.ID] = check
	}
	return checks, ok && len(resp.Results) == len(ops), nil
}

// operations are those that do the verb to every service and proxy.
func (r Registration) operations(verb api.ServiceOp) api.TxnOps {
	return operations(r.Node, verb, r.entries()...)
}

func operations(node string, verb api.ServiceOp, services ...api.AgentService) api.TxnOps {
	var ops api.TxnOps
	for _, s := range services {
		ops = append(ops, &api.TxnOp{Service: &api.ServiceTxnOp{Verb: verb, Node: node, Service: api.AgentService{
			ID: s.ID, Service: s.Service, Namespace: s.Namespace, Partition: s.Partition,
		}}})
	}
	return ops
}

// rolledBack says why a transaction was not applied.
func rolledBack(resp *api.TxnResponse) error {
	var errs []error
	for _, e := range resp.Errors {
		errs = append(errs, explainCatalog(errors.New(e.What), 0, e.What))
	}
	return errors.Join(errs...)
}
