package dataplane

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/consulecs/terraform-provider-consulecs/internal/consul"
	"github.com/consulecs/terraform-provider-consulecs/internal/envoy"
	"github.com/consulecs/terraform-provider-consulecs/internal/metrics"
)

// company is what the agents of one task have in common: one for each of its proxies, most often one alone.
type company struct {
	conn      *consul.Connection
	startBy   time.Time
	stop      func()      // all of them
	signalled func() bool // there has been a signal

	failing sync.Once
	failed  chan struct{} // closed when one of them has failed
	metered []uint16      // ports at which Envoys that have started show their metrics
}

// run runs the agents. They start one by one, so that the first of two that want the same port always gets it. own are the metrics of
// the first, who has connected.
func (c *company) run(ctx context.Context, all []*agent, own *metrics.Dataplane) error {
	var group errgroup.Group
	for i, a := range all {
		if i > 0 {
			own = metrics.NewDataplane()
		}
		started := make(chan struct{})
		group.Go(func() error {
			err := a.run(ctx, c, own, started)
			if err != nil {
				c.failing.Do(func() { close(c.failed) })
			}
			return err
		})
		select {
		case <-started:
		case <-c.failed:
		case <-ctx.Done():
		}
		if c.hasFailed() || ctx.Err() != nil {
			break
		}
	}
	return group.Wait() // the first failure is the cause of the others' ends
}

func (c *company) hasFailed() bool {
	select {
	case <-c.failed:
		return true
	default:
		return false
	}
}

// ending is the failure of an agent, which ends the others: ECS then starts all of them again.
func (c *company) ending() ending { return ending{c.failed, func() error { return nil }} }

// claim leaves out those of the proxy's listeners for metrics whose port an earlier one has. Envoy would share it, and who asks
// would get the metrics of the one or of the other. Such ports come from proxy-defaults, which are for all proxies.
func (c *company) claim(a *agent, central *envoy.Central) {
	var own []uint16
	for _, l := range []struct {
		key  string
		addr *netip.AddrPort
	}{{"envoy_prometheus_bind_addr", &central.Prometheus}, {"envoy_stats_bind_addr", &central.Stats}} {
		port := l.addr.Port()
		switch {
		case !l.addr.IsValid():
		case slices.Contains(c.metered, port):
			a.log.Warn("metrics of this proxy are not shown: another proxy of the task has the port", "key", l.key, "port", port,
				"hint", "give "+l.key+" a port of its own, in the service-defaults of the service or in the proxy's configuration")
			*l.addr = netip.AddrPort{}
		default:
			own = append(own, port)
		}
	}
	c.metered = append(c.metered, own...)
}
