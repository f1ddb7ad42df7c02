// Package zonefinder finds out in which zones endpoints are, so that calls can stay in the caller's.
package zonefinder

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/consul/proto-public/pbdataplane"
	"github.com/hashicorp/go-hclog"
	"golang.org/x/sync/errgroup"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/agentlog"
	"github.com/consulecs/terraform-provider-consulecs/internal/consul"
	"github.com/consulecs/terraform-provider-consulecs/internal/dataplanefile"
	"github.com/consulecs/terraform-provider-consulecs/internal/metrics"
	"github.com/consulecs/terraform-provider-consulecs/internal/sleep"
	"github.com/consulecs/terraform-provider-consulecs/internal/undelivered"
	"github.com/consulecs/terraform-provider-consulecs/internal/wire"
	"github.com/consulecs/terraform-provider-consulecs/internal/xds"
	"github.com/consulecs/terraform-provider-consulecs/internal/zones"
)

const (
	// fewServices are asked for one by one, which is cheaper than a look at the whole fleet.
	fewServices = 8
	// fleetPause is between two looks at the whole fleet: what one of them has not told, the services tell.
	fleetPause = time.Minute
	// callsAtOnce bounds how many services are asked for at the same time.
	callsAtOnce = 4
	// findWithin bounds one search: what it has not found by then is looked for again later.
	findWithin = 15 * time.Second
	// gather is how long a search waits for more endpoints, which come service by service.
	gather = 50 * time.Millisecond
)

// Finder finds out in which zones endpoints are. It does so beside Envoy's stream, which never waits for it.
type Finder struct {
	own   zones.Locality
	atlas *zones.Atlas
	conn  *consul.Connection // nil: nobody can be asked
	node  string             // of the fleet
	proxy *xds.Proxy
	log   hclog.Logger
	wake  chan struct{}

	fleetAt time.Time // of the last look at it

	mu     sync.Mutex
	silent bool            // Consul did not answer the last call
	low    map[string]bool // services of which was said that too few instances may be left out
}

// Start makes a finder for the proxy of a task that prefers its own zone, and has it look until ctx ends; nil where the task does not, or
// does not know it.
func Start(ctx context.Context, l *dataplanefile.Locality, conn *consul.Connection, proxy *xds.Proxy, params *pbdataplane.GetEnvoyBootstrapParamsResponse,
	own *metrics.Dataplane, log hclog.Logger) (*Finder, error) {
	if l == nil {
		return nil, nil
	}
	networks, err := zones.ParseNetworks(l.Zones)
	if err != nil {
		return nil, fmt.Errorf("locality.zones: %w", err)
	}
	f := &Finder{
		own: zones.Locality{Region: l.Region, Zone: l.Zone}, node: params.GetNodeName(), proxy: proxy, log: log,
		wake: make(chan struct{}, 1), low: map[string]bool{},
	}
	if addr, err := netip.ParseAddr(l.Address); err == nil {
		if at, ok := networks.Of(addr.Unmap()); ok {
			f.own = at
		}
	}
	if f.own.Zone == "" {
		log.Warn("no zone is preferred: the task's own is not known", "hint", "ECS has not told the task's availability zone; locality.zones can name the zone of the task's network")
		return nil, nil
	}
	if l.HTTP != nil {
		f.conn = conn
	}
	partition := params.GetPartition()
	if partition == "default" {
		partition = ""
	}
	f.atlas = zones.New(zones.Settings{
		Own: f.own, Full: l.Spill == agentconfig.SpillFull, Networks: networks, Datacenter: params.GetDatacenter(), Partition: partition,
		Low: f.tooLow, Wanted: f.wanted,
	})
	proxy.Own(zones.TypeEndpoints, xds.Owner{Gone: f.atlas.Forget})
	own.WatchZones(f.endpoints)
	go f.run(ctx)
	log.Info("calls prefer a zone", "zone", f.own.Zone, "spill", l.Spill)
	return f, nil
}

// Own is the task's own zone, the zero value for no finder.
func (f *Finder) Own() zones.Locality {
	if f == nil {
		return zones.Locality{}
	}
	return f.own
}

// Shape splits endpoints by their zones.
func (f *Finder) Shape(typeURL string) func(*wire.Message) error { return f.atlas.Shape(typeURL) }

func (f *Finder) endpoints() map[string]metrics.Endpoints {
	all := map[string]metrics.Endpoints{}
	for service, n := range f.atlas.Counts() {
		all[service] = metrics.Endpoints{Near: n.Near, Far: n.Far - n.Unknown, Unknown: n.Unknown}
	}
	return all
}

// tooLow warns, once a service, that Envoy may have to go on calling instances that are gone.
func (f *Finder) tooLow(service string, percent uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.low[service] {
		return
	}
	f.low[service] = true
	f.log.Warn("fewer instances may be left out than a zone has: if it is lost, calls go there until Consul knows", "upstream", service, "max_ejection_percent", percent,
		"hint", fmt.Sprintf("set MaxEjectionPercent of the passive health check of this upstream to %d, in the service-defaults or proxy-defaults, or leave the passive health check out", undelivered.EjectAtMost))
}

func (f *Finder) wanted() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// run finds what is wanted until ctx ends.
func (f *Finder) run(ctx context.Context) {
	if f.conn == nil {
		return
	}
	for ctx.Err() == nil {
		services, apart, wait := f.atlas.Due(time.Now())
		if len(services)+len(apart) > 0 {
			f.find(ctx, services, apart)
			continue
		}
		var timer <-chan time.Time // never
		if wait >= 0 {
			timer = time.After(wait)
		}
		select {
		case <-ctx.Done():
		case <-f.wake:
			sleep.For(ctx, gather)
		case <-timer:
		}
	}
}

// find asks Consul where the instances of some services are: for the whole fleet if they are many, then service by service, as for
// those apart.
func (f *Finder) find(ctx context.Context, services, apart []zones.Service) {
	ctx, cancel := context.WithTimeout(ctx, findWithin)
	defer cancel()
	var news atomic.Bool
	defer func() {
		if news.Load() { // once for all services: it takes a look at the endpoints of every one
			f.proxy.Reshape(zones.TypeEndpoints)
		}
	}()
	if len(services) > fewServices && time.Since(f.fleetAt) >= fleetPause {
		f.fleetAt = time.Now()
		places, err := f.conn.PlacesOnNode(ctx, f.node)
		f.told(ctx, places, err, &news)
		services = f.atlas.Missing(services)
	}
	var calls errgroup.Group
	calls.SetLimit(callsAtOnce)
	for _, s := range slices.Concat(services, apart) {
		calls.Go(func() error {
			places, err := f.conn.PlacesOf(ctx, s.Namespace, s.Name)
			f.told(ctx, places, err, &news)
			return nil
		})
	}
	_ = calls.Wait()
}

// told takes in what Consul has answered, and whether it is news. Until it answers, calls go on as without a preference: that is said once.
func (f *Finder) told(ctx context.Context, places []consul.Place, err error, news *atomic.Bool) {
	if err == nil {
		found := map[netip.Addr]zones.Locality{}
		for _, p := range places {
			found[p.Address] = zones.Locality{Region: p.Region, Zone: p.Zone}
		}
		if f.atlas.Learn(found) {
			news.Store(true)
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	switch failed := err != nil; {
	case failed && context.Cause(ctx) == context.Canceled: // the agent ends
	case failed && !f.silent:
		f.silent = true
		f.log.Warn("zones of instances not known, will ask again", append(agentlog.Fields(err),
			"hint", "the task has to reach the HTTP API of Consul's servers, and its token has to read services and nodes, as one of a service identity may; locality.zones names zones without a call")...)
	case failed:
		f.log.Debug("zones of instances not known, will ask again", agentlog.Fields(err)...)
	case f.silent:
		f.silent = false
		f.log.Info("zones of instances known again")
	}
}
