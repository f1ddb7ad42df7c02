package undelivered

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/consulecs/terraform-provider-consulecs/internal/wire"
)

// Fields of Envoy's Cluster and of its TLS.
const (
	clusterSocket wire.Number = 24
	socketConfig  wire.Number = 3
	tlsServerName wire.Number = 2

	typeTLS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"
)

const domain = ".4a8c2ef0-97c1-4a7d-8e0c-6d53bff1d8f3.consul"

// cluster is one as Consul sends it for a service: each of its parts is there, and empty.
func cluster(name string, discovery uint64) *wire.Message {
	return new(wire.Message).SetText(clusterName, name).SetUint(clusterDiscovery, discovery).
		SetDuration(clusterConnectTimeout, consulsTimeout).
		Set(clusterBreakers, new(wire.Message)).Set(clusterOutliers, new(wire.Message))
}

// route leads to clusters: one, or several by weight.
func route(clusters ...string) *wire.Message {
	action := new(wire.Message)
	if len(clusters) == 1 {
		action.SetText(actionCluster, clusters[0])
	} else {
		weighted := new(wire.Message)
		for _, c := range clusters {
			weighted.Add(weightedClusters, new(wire.Message).SetText(weightedName, c))
		}
		action.Set(actionWeighted, weighted)
	}
	return new(wire.Message).Set(routeAction, action)
}

func routes(host *wire.Message, of ...*wire.Message) *wire.Message {
	for _, r := range of {
		host.Add(hostRoutes, r)
	}
	return new(wire.Message).Add(routesHosts, host)
}

// routesAlone changes routes without a word of failovers.
func routesAlone(routes *wire.Message) error { return changeRoutes(routes, nil) }

// same tells whether a change leaves a message as it is.
func same(t *testing.T, what string, m *wire.Message, change func(*wire.Message) error) {
	t.Helper()
	before := m.Bytes()
	if err := change(m); err != nil {
		t.Errorf("%s: %v", what, err)
	}
	if diff := cmp.Diff(before, m.Bytes()); diff != "" {
		t.Errorf("%s is changed (-before +after):\n%s", what, diff)
	}
}

func TestClustersThatAreNoServicesStayAsTheyAre(t *testing.T) {
	for _, name := range []string{"local_app", "original-destination", "consul-dataplane", "passthrough~10.1.2.3"} {
		same(t, name, cluster(name, discoveryEDS), Cluster)
	}
	const static, originalDestination = 0, 4
	for _, discovery := range []uint64{static, originalDestination} {
		same(t, "discovery", cluster("api.default.dc1.internal"+domain, discovery), Cluster)
	}
}

func TestWhatIsConfiguredInConsulStays(t *testing.T) {
	mine := cluster("api.default.dc1.internal"+domain, discoveryEDS)
	mine.SetDuration(clusterConnectTimeout, 2500*time.Millisecond)
	mine.Set(clusterOutliers, new(wire.Message).SetWrapped(1, 7)) // consecutive errors
	mine.Set(clusterBreakers, new(wire.Message).Add(breakersThresholds, new(wire.Message).SetWrapped(2, 7).SetWrapped(thresholdRetries, 5)))
	mine.Set(clusterConnection, new(wire.Message).Set(connectionKeepalive, new(wire.Message).SetWrapped(keepaliveTime, 60)))
	mine.Set(clusterBind, new(wire.Message).SetText(1, "127.0.0.1"))
	same(t, "a cluster with settings of its own", mine, Cluster)

	app := new(wire.Message).SetText(clusterName, application).Set(clusterOutliers, new(wire.Message).SetWrapped(1, 7))
	same(t, "an application with ejection of its own", app, Shape("web", "tcp")(typeCluster))

	own := new(wire.Message).SetWrapped(policyRetries, 4)
	r := route("api.default.dc1.internal" + domain)
	if err := r.Edit(routeAction, func(a *wire.Message) error { a.Set(actionRetries, own); return nil }); err != nil {
		t.Fatal(err)
	}
	same(t, "a route with retries of its own", routes(new(wire.Message), r).AddText(routesStrip, Header), routesAlone)
	same(t, "a host with retries of its own", routes(new(wire.Message).Set(hostRetries, own), route("api.default.dc1.internal"+domain)).AddText(routesStrip, Header), routesAlone)
	same(t, "a redirect", routes(new(wire.Message), new(wire.Message).SetText(3, "elsewhere")).AddText(routesStrip, Header), routesAlone)
}

// TestAnApplicationIsLeftOutOnlyByItsTCPProxy: requests have the mark, and can be tried again at once when the application is back.
func TestAnApplicationIsLeftOutOnlyByItsTCPProxy(t *testing.T) {
	for protocol, want := range map[string]bool{"tcp": true, "": true, "http": false, "http2": false, "grpc": false} {
		app := new(wire.Message).SetText(clusterName, application)
		if err := Shape("web", protocol)(typeCluster)(app); err != nil {
			t.Fatal(err)
		}
		balancing, err := app.Message(clusterBalancing)
		if err != nil || app.Has(clusterOutliers) != want || balancing.Has(balancingPanic) != want {
			t.Errorf("protocol %q: left out %v, without panic %v (%v)", protocol, app.Has(clusterOutliers), balancing.Has(balancingPanic), err)
		}
	}
}

// TestABodyIsKeptOnlyWhereItMayBeSentAgain: a user's own retries may need more of it.
func TestABodyIsKeptOnlyWhereItMayBeSentAgain(t *testing.T) {
	ours, own := route("api.default.dc1.internal"+domain), route("api.default.dc1.internal"+domain)
	if err := own.Edit(routeAction, func(a *wire.Message) error {
		a.Set(actionRetries, new(wire.Message).SetWrapped(policyRetries, 4))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	table := routes(new(wire.Message), ours, own)
	if err := routesAlone(table); err != nil {
		t.Fatal(err)
	}
	var limited []bool
	for _, host := range messages(t, table, routesHosts) {
		for _, r := range messages(t, host, hostRoutes) {
			limited = append(limited, r.Has(routeBuffer))
		}
	}
	if diff := cmp.Diff([]bool{true, false}, limited); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestABreakerWithOtherLimitsLetsRetriesThrough(t *testing.T) {
	c := cluster("api.default.dc1.internal"+domain, discoveryEDS)
	const maxConnections, highPriority = 2, 1
	high := new(wire.Message).SetUint(thresholdPriority, highPriority)
	c.Set(clusterBreakers, new(wire.Message).Add(breakersThresholds, high).Add(breakersThresholds, new(wire.Message).SetWrapped(maxConnections, 7)))
	if err := Cluster(c); err != nil {
		t.Fatal(err)
	}
	breakers, err := c.Message(clusterBreakers)
	if err != nil {
		t.Fatal(err)
	}
	want := new(wire.Message).Add(breakersThresholds, high).
		Add(breakersThresholds, new(wire.Message).SetWrapped(maxConnections, 7).SetWrapped(thresholdRetries, retriesAtOnce))
	if diff := cmp.Diff(want.Bytes(), breakers.Bytes()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAFailoverHasRetriesOfItsOwnAndNothingElse(t *testing.T) {
	c := new(wire.Message).SetText(clusterName, "api.default.dc1.internal"+domain).Set(clusterCustom, new(wire.Message).SetText(1, aggregate))
	want := new(wire.Message).SetText(clusterName, "api.default.dc1.internal"+domain).Set(clusterCustom, new(wire.Message).SetText(1, aggregate)).
		Set(clusterBreakers, new(wire.Message).Add(breakersThresholds, new(wire.Message).SetWrapped(thresholdRetries, retriesAtOnce)))
	if err := Cluster(c); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want.Bytes(), c.Bytes()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestOnlyTheMarkOfTheRoutesOwnServicesIsBelieved(t *testing.T) {
	for name, tc := range map[string]struct {
		clusters, want []string
	}{
		"one":                {[]string{"api.default.dc1.internal" + domain}, []string{"api"}},
		"subsets of one":     {[]string{"v1.api.default.dc1.internal" + domain, "v2.api.default.dc1.internal" + domain}, []string{"api"}},
		"a split":            {[]string{"api.default.dc1.internal" + domain, "pay.default.peer.external" + domain}, []string{"api", "pay"}},
		"something unknown":  {[]string{"another"}, nil},
		"partly unknown":     {[]string{"another", "api.default.dc1.internal" + domain}, []string{"api"}},
		"a cluster's absent": {[]string{""}, nil},
	} {
		table := routes(new(wire.Message), route(tc.clusters...))
		if err := routesAlone(table); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(tc.want, believed(t, table)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// TestTheMarkOfAFailoversTargetsIsBelieved: clusters come first, and name the services that they lead to by their TLS.
func TestTheMarkOfAFailoversTargetsIsBelieved(t *testing.T) {
	api, spare := "api.default.dc1.internal"+domain, "spare.default.dc2.internal"+domain
	shape := Shape("web", "http")
	for name, serverName := range map[string]string{"failover-target~0~" + api: api, "failover-target~1~" + api: spare, "other.default.dc1.internal" + domain: spare} {
		tls := new(wire.Message).SetText(tlsServerName, serverName)
		c := cluster(name, discoveryEDS).Set(clusterSocket, new(wire.Message).Set(socketConfig, wire.Any(typeTLS, tls)))
		if err := shape(typeCluster)(c); err != nil {
			t.Fatal(err)
		}
	}
	table := routes(new(wire.Message), route(api), route("other.default.dc1.internal"+domain))
	if err := shape(typeRoutes)(table); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"api", "spare", "other"}, believed(t, table)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestATargetThatIsReplacedIsNotBelieved: a resolver that is changed has another service in the place of the last one.
func TestATargetThatIsReplacedIsNotBelieved(t *testing.T) {
	api := "api.default.dc1.internal" + domain
	shape := Shape("web", "http")
	for _, service := range []string{"spare", "other"} {
		tls := new(wire.Message).SetText(tlsServerName, strings.Replace(api, "api", service, 1))
		c := cluster("failover-target~1~"+api, discoveryEDS).Set(clusterSocket, new(wire.Message).Set(socketConfig, wire.Any(typeTLS, tls)))
		if err := shape(typeCluster)(c); err != nil {
			t.Fatal(err)
		}
	}
	table := routes(new(wire.Message), route(api))
	if err := shape(typeRoutes)(table); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"api", "other"}, believed(t, table)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// believed are the services whose mark counts, route by route.
func believed(t *testing.T, table *wire.Message) (services []string) {
	t.Helper()
	for _, host := range messages(t, table, routesHosts) {
		for _, r := range messages(t, host, hostRoutes) {
			for _, a := range messages(t, r, routeAction) {
				for _, p := range messages(t, a, actionRetries) {
					for _, h := range messages(t, p, policyHeaders) {
						for _, text := range messages(t, h, matcherText) {
							services = append(services, text.Text(textExact))
						}
					}
				}
			}
		}
	}
	return services
}

func messages(t *testing.T, m *wire.Message, number wire.Number) []*wire.Message {
	t.Helper()
	list, err := m.Messages(number)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestConnectionsToServicesAloneAreTriedAgain(t *testing.T) {
	api := "api.default.dc1.internal" + domain
	weighted := new(wire.Message).Add(weightedClusters, new(wire.Message).SetText(weightedName, api))
	for name, tc := range map[string]struct {
		tcp  *wire.Message
		want bool
	}{
		"a service":         {new(wire.Message).SetText(tcpCluster, api), true},
		"services":          {new(wire.Message).Set(tcpWeighted, weighted), true},
		"what goes through": {new(wire.Message).SetText(tcpCluster, "original-destination"), false},
	} {
		filter := new(wire.Message).Set(filterConfig, wire.Any(typeTCP, tc.tcp))
		listener := new(wire.Message).SetUint(listenerDirection, outbound).Add(listenerChains, new(wire.Message).Add(chainFilters, filter))
		before := listener.Bytes()
		if err := changeListener(listener, "web", nil); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if changed := !cmp.Equal(before, listener.Bytes()); changed != tc.want {
			t.Errorf("%s: changed %v", name, changed)
		}
	}
}

// TestTheSameComesOutTheSame: Envoy's stream may break and come back, and Consul's versions are kept.
func TestTheSameComesOutTheSame(t *testing.T) {
	table := routes(new(wire.Message), route("api.default.dc1.internal"+domain))
	c := cluster("api.default.dc1.internal"+domain, discoveryEDS)
	for _, change := range []struct {
		m    *wire.Message
		make func(*wire.Message) error
	}{{table, routesAlone}, {c, Cluster}} {
		if err := change.make(change.m); err != nil {
			t.Fatal(err)
		}
		same(t, "what was changed before", change.m, change.make)
	}
}

func FuzzAnyConfigurationIsTaken(f *testing.F) {
	f.Add([]byte{}, byte(0))
	f.Add(cluster("api.default.dc1.internal"+domain, discoveryEDS).Bytes(), byte(0))
	f.Add(routes(new(wire.Message), route("api.default.dc1.internal"+domain)).Bytes(), byte(2))
	f.Add(new(wire.Message).SetUint(listenerDirection, inbound).Add(listenerChains, new(wire.Message).Add(chainFilters,
		new(wire.Message).Set(filterConfig, wire.Any(typeManager, new(wire.Message))))).Bytes(), byte(1))
	f.Fuzz(func(t *testing.T, data []byte, kind byte) {
		m, err := wire.Parse(data)
		if err != nil {
			return
		}
		change := Shape("api", "tcp")([]string{typeCluster, typeListener, typeRoutes, "another"}[kind%4])
		if change == nil || change(m) != nil {
			return
		}
		if _, err := wire.Parse(m.Bytes()); err != nil {
			t.Errorf("what came out cannot be read: %v", err)
		}
	})
}
