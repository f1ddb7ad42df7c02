// Package undelivered has Envoy try requests elsewhere that no application has got.
//
// It changes what Consul configures: callers retry where no connection came about or the receiver says that nothing was
// delivered, and leave out instances that cannot be reached; receivers say it, by a header. A request that may have been
// delivered is never sent twice. Whatever a user has set in Consul stays. Everything is decided from one resource at a time, but
// for the services that a failover leads to: its clusters tell them, which come before the routes.
//
// Numbers and their reasons are measurements: see docs/design/undelivered.md.
package undelivered

import (
	"errors"
	"time"

	"github.com/consulecs/terraform-provider-consulecs/internal/clustername"
	"github.com/consulecs/terraform-provider-consulecs/internal/wire"
)

// Header is what a receiver's Envoy answers with where it could not hand a request to its application; its value is the
// receiver's service. Envoy takes it out of everything that an application sends.
const Header = "x-consulecs-undelivered"

// Types of the resources that are changed.
const (
	typeCluster  = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
	typeListener = "type.googleapis.com/envoy.config.listener.v3.Listener"
	typeRoutes   = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"
)

// Shape tells how resources of a type are changed for the proxy of a service, whose protocol is what Consul has when the proxy
// starts; nil for those that stay as they are.
func Shape(service, protocol string) func(typeURL string) (change func(resource *wire.Message) error) {
	known := &failovers{to: map[string]map[string]string{}}
	changeCluster := func(cluster *wire.Message) error {
		if (protocol == protocolTCP || protocol == "") && cluster.Text(clusterName) == application {
			return refuseWhileAbsent(cluster)
		}
		return errors.Join(known.note(cluster), Cluster(cluster))
	}
	changes := map[string]func(*wire.Message) error{
		typeCluster:  changeCluster,
		typeListener: func(listener *wire.Message) error { return changeListener(listener, service, known.services) },
		typeRoutes:   func(routes *wire.Message) error { return changeRoutes(routes, known.services) },
	}
	return func(typeURL string) func(*wire.Message) error { return changes[typeURL] }
}

const (
	application = "local_app" // Consul's name of the cluster that is the proxy's own application
	protocolTCP = "tcp"       // Consul's default
)

// What callers do. Retries have to outlast a moment in which nobody is there, such as five seconds without a network.
const (
	retryOn         = "connect-failure,refused-stream,reset-before-request,retriable-headers"
	retries         = 16
	firstPause      = 50 * time.Millisecond
	longestPause    = time.Second
	keptOfABody     = 64 << 10 // bytes: Envoy holds that much of each request under way, and its 1 MiB is a GiB of a thousand
	otherHosts      = 5        // picks of a host that was not tried
	priorityEvery   = 2        // tries, after which the next target of a failover is asked
	retriesAtOnce   = 1024     // Envoy's 3 would leave most requests without a second try
	connectAttempts = 6        // of a TCP connection: Envoy may pick the same instance again
	connectPause    = 25 * time.Millisecond
	connectTimeout  = 2 * time.Second // with TLS; a lost packet of it is sent again after one
	consulsTimeout  = 5 * time.Second // Consul's default, which cannot be told from somebody's choice

	// The other end of a connection that acknowledges nothing is given up after ten seconds. It may have been without a network
	// for five, and TCP sends again what was lost after twice as long at the latest. Pings, on connections between two Envoys
	// that speak HTTP/2, see to it that there is something to acknowledge; that one is not answered takes longer to be believed.
	pingEvery      = 3 * time.Second
	pingAnswer     = 12 * time.Second
	probeAfter     = 4 // seconds
	probeEvery     = 2 // seconds
	probesInARow   = 3
	unacknowledged = 10 * time.Second
)

// Fields of what Consul configures, from Envoy's API v3.
const (
	clusterName           wire.Number = 1
	clusterConnectTimeout wire.Number = 4
	clusterDiscovery      wire.Number = 2
	clusterBreakers       wire.Number = 10
	clusterOutliers       wire.Number = 19
	clusterBind           wire.Number = 21
	clusterBalancing      wire.Number = 27
	clusterConnection     wire.Number = 30
	clusterProtocols      wire.Number = 36
	clusterCustom         wire.Number = 38

	breakersThresholds wire.Number = 1
	thresholdPriority  wire.Number = 1
	thresholdRetries   wire.Number = 5
	thresholdBudget    wire.Number = 8

	connectionKeepalive wire.Number = 1
	keepaliveProbes     wire.Number = 1
	keepaliveTime       wire.Number = 2
	keepaliveInterval   wire.Number = 3

	bindOptions     wire.Number = 3
	optionNamed     wire.Number = 1
	optionLevel     wire.Number = 2
	optionName      wire.Number = 3
	optionValue     wire.Number = 4
	levelTCP                    = 6
	nameUserTimeout             = 18 // TCP_USER_TIMEOUT, in milliseconds

	mapKey             wire.Number = 1
	mapValue           wire.Number = 2
	optionsExplicit    wire.Number = 3
	explicitHTTP2      wire.Number = 2
	http2Keepalive     wire.Number = 15
	keepalivePing      wire.Number = 1
	keepalivePingLimit wire.Number = 2

	discoveryStrictDNS  = 1
	discoveryLogicalDNS = 2
	discoveryEDS        = 3
	defaultPriority     = 0

	typeProtocols = "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
	aggregate     = "envoy.clusters.aggregate"
)

// Cluster changes the cluster of a service that is called: its retries, its timeout and whom it leaves out. Others stay as they are.
func Cluster(cluster *wire.Message) error {
	if _, ok := clustername.Parse(cluster.Text(clusterName)); !ok {
		return nil
	}
	custom, err := cluster.Message(clusterCustom)
	if err != nil {
		return err
	}
	switch cluster.Uint(clusterDiscovery) {
	case discoveryEDS, discoveryLogicalDNS, discoveryStrictDNS:
	default:
		if custom.Text(1) == aggregate { // a failover's own breaker counts, not those of its targets
			return allowRetries(cluster)
		}
		return nil
	}
	for _, change := range []func(*wire.Message) error{allowRetries, connectSooner, keepAlive, giveUp, pingEnvoys, Eject} {
		if err := change(cluster); err != nil {
			return err
		}
	}
	return nil
}

// allowRetries has the cluster's breaker let retries through. They load no application, as none got the request.
func allowRetries(cluster *wire.Message) error {
	return cluster.Edit(clusterBreakers, func(breakers *wire.Message) error {
		found := false
		err := breakers.EditEach(breakersThresholds, func(t *wire.Message) (bool, error) {
			if t.Uint(thresholdPriority) == defaultPriority {
				found = true
				if !t.Has(thresholdRetries) && !t.Has(thresholdBudget) {
					t.SetWrapped(thresholdRetries, retriesAtOnce)
				}
			}
			return true, nil
		})
		if err == nil && !found {
			breakers.Add(breakersThresholds, new(wire.Message).SetWrapped(thresholdRetries, retriesAtOnce))
		}
		return err
	})
}

// connectSooner gives up sooner on an instance that does not answer, as there are others.
func connectSooner(cluster *wire.Message) error {
	timeout, err := cluster.Duration(clusterConnectTimeout)
	if err == nil && timeout == consulsTimeout {
		cluster.SetDuration(clusterConnectTimeout, connectTimeout)
	}
	return err
}

// keepAlive has the kernel find out that the other end of an idle connection is gone.
func keepAlive(cluster *wire.Message) error {
	return cluster.Edit(clusterConnection, func(options *wire.Message) error {
		if !options.Has(connectionKeepalive) {
			options.Set(connectionKeepalive, new(wire.Message).
				SetWrapped(keepaliveProbes, probesInARow).SetWrapped(keepaliveTime, probeAfter).SetWrapped(keepaliveInterval, probeEvery))
		}
		return nil
	})
}

// giveUp has the kernel end a connection whose other end does not acknowledge what it was sent: probes are for idle ones, and
// without a limit that takes a quarter of an hour.
func giveUp(cluster *wire.Message) error {
	if !cluster.Has(clusterBind) {
		cluster.Set(clusterBind, new(wire.Message).Add(bindOptions, new(wire.Message).SetText(optionNamed, "TCP_USER_TIMEOUT").
			SetUint(optionLevel, levelTCP).SetUint(optionName, nameUserTimeout).SetUint(optionValue, uint64(unacknowledged.Milliseconds()))))
	}
	return nil
}

// pingEnvoys has Envoy ask the Envoy at the other end of an HTTP/2 connection whether it is still there. Requests on such a
// connection share its fate.
func pingEnvoys(cluster *wire.Message) error {
	return cluster.EditEach(clusterProtocols, func(entry *wire.Message) (bool, error) {
		return true, entry.Edit(mapValue, func(value *wire.Message) error {
			return value.EditAny(typeProtocols, func(options *wire.Message) error {
				if explicit, err := options.Message(optionsExplicit); err != nil || !explicit.Has(explicitHTTP2) {
					return err
				}
				return options.Edit(optionsExplicit, func(explicit *wire.Message) error {
					return explicit.Edit(explicitHTTP2, func(http2 *wire.Message) error {
						if !http2.Has(http2Keepalive) {
							http2.Set(http2Keepalive, new(wire.Message).SetDuration(keepalivePing, pingEvery).SetDuration(keepalivePingLimit, pingAnswer))
						}
						return nil
					})
				})
			})
		})
	})
}
