package consul

import (
	"context"
	"errors"
	"fmt"

	"github.com/hashicorp/consul/api"
)

// Register puts the service, then the proxy into the catalog, each together with its checks in one write. Whatever is
// there already is brought to what r says. A transaction of both is out of reach: Consul's takes neither upstreams nor
// the proxy's configuration nor the locality. Nobody sees the state between the two, as other services find this one by
// its proxy.
func (c *Connection) Register(ctx context.Context, r Registration) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	for _, service := range []*api.AgentService{&r.service, &r.proxy} {
		if _, err := c.http.Catalog().Register(r.entry(service, r.Checks), write(ctx)); err != nil {
			return fmt.Errorf("register %s: %w", service.ID, registrationRefusal(err))
		}
	}
	return nil
}

// SetChecks writes the checks, which may belong to the service and to the proxy, in one write.
func (c *Connection) SetChecks(ctx context.Context, r Registration, checks []Check) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	_, err := c.http.Catalog().Register(r.entry(nil, checks), write(ctx))
	if err != nil {
		return fmt.Errorf("set checks of %s: %w", r.ServiceID, checkRefusal(err))
	}
	return nil
}

// Deregister takes the service and the proxy, and with them their checks, out of the catalog in one transaction. What is
// gone already is no error.
func (c *Connection) Deregister(ctx context.Context, r Registration) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	ok, resp, _, err := c.http.Txn().Txn(r.operations(api.ServiceDelete), query(ctx))
	switch {
	case err != nil:
		return fmt.Errorf("deregister %s: %w", r.ServiceID, err)
	case !ok:
		return fmt.Errorf("deregister %s: %w", r.ServiceID, rolledBack(resp))
	}
	return nil
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

// operations are those that do the verb to the service and to the proxy.
func (r Registration) operations(verb api.ServiceOp) api.TxnOps {
	var ops api.TxnOps
	for _, s := range []api.AgentService{r.service, r.proxy} {
		ops = append(ops, &api.TxnOp{Service: &api.ServiceTxnOp{Verb: verb, Node: r.Node, Service: api.AgentService{
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
