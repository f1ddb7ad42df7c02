package remote

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/hashicorp/consul/api"

	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
)

// Names of the check that keeps an instance out of traffic: those of Consul's own maintenance mode, which its tools know.
const (
	maintenanceName = "Service Maintenance Mode"
	maintenanceType = "maintenance"
)

// maintenanceCheck is the ID of that check of an instance.
func maintenanceCheck(serviceID string) string { return api.ServiceMaintPrefix + serviceID }

// ErrGone means that Consul does not have an instance any more.
var ErrGone = errors.New("not in Consul's catalog any more")

// InMaintenance reports whether the instance is kept out of traffic.
func (s Service) InMaintenance() bool {
	_, is := s.Checks[maintenanceCheck(s.ID)]
	return is
}

// Maintain keeps instances on a node out of traffic, in one transaction: each gets a critical check that is none of health-sync's, which
// so leaves it alone. It goes with the instance, or by Resume. reason is for people.
func (c *Client) Maintain(ctx context.Context, node string, services []Service, reason string) error {
	return c.turn(ctx, api.CheckSet, node, services, reason)
}

// Resume takes that check away. An instance without one is left as it is.
func (c *Client) Resume(ctx context.Context, node string, services []Service) error {
	var kept []Service
	for _, s := range services {
		if s.InMaintenance() {
			kept = append(kept, s)
		}
	}
	return c.turn(ctx, api.CheckDelete, node, kept, "")
}

func (c *Client) turn(ctx context.Context, verb api.CheckOp, node string, services []Service, reason string) error {
	var ops api.TxnOps
	var ids []string
	for _, s := range services {
		check := api.HealthCheck{
			Node: node, CheckID: maintenanceCheck(s.ID), Name: maintenanceName, Type: maintenanceType, Status: api.HealthCritical, Notes: reason,
			ServiceID: s.ID, ServiceName: s.Name,
		}
		if c.partition != "" {
			check.Namespace, check.Partition = s.Namespace, c.partition
		}
		ops, ids = append(ops, &api.TxnOp{Check: &api.CheckTxnOp{Verb: verb, Check: check}}), append(ids, s.ID)
	}
	if len(ops) == 0 {
		return nil
	}
	what := fmt.Sprintf("%s the maintenance check of %s", verb, strings.Join(ids, " and "))
	ok, answer, _, err := c.api.Txn().Txn(ops, (&api.QueryOptions{}).WithContext(ctx))
	if err != nil {
		return c.explain(what, err)
	}
	if ok {
		return nil
	}
	var why []error
	for _, e := range answer.Errors {
		switch {
		case strings.Contains(e.What, "Permission denied"):
			why = append(why, fmt.Errorf("%s\nhint: the token needs service:write on %s: see consul.token of the provider, or CONSUL_HTTP_TOKEN", e.What, services[e.OpIndex].Name))
		case strings.Contains(e.What, "Missing service registration"), strings.Contains(e.What, "Unknown service"), strings.Contains(e.What, "Missing node registration"):
			why = append(why, fmt.Errorf("%s: %w", services[e.OpIndex].ID, ErrGone))
		default:
			why = append(why, errors.New(e.What))
		}
	}
	return fmt.Errorf("%s: Consul at %s: %w", what, c.address, errors.Join(why...))
}

// Leader is the task whose controller leads in an ECS cluster; "" where none does, or the token may not read it.
func (c *Client) Leader(ctx context.Context, ecsClusterARN string) string {
	leader, found, err := c.conn.Leader(ctx, mesh.ControllerKey(ecsClusterARN))
	if err != nil || !found {
		return ""
	}
	return leader.Holder
}
