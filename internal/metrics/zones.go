package metrics

import "github.com/prometheus/client_golang/prometheus"

// Endpoints is how many endpoints of a service are where, as a caller in one zone sees it.
type Endpoints struct{ Near, Far, Unknown int }

// WatchZones adds where the endpoints are of the services that are called, at each gathering. It is called once.
func (d *Dataplane) WatchZones(now func() map[string]Endpoints) {
	d.prefixed().MustRegister(endpoints{prometheus.NewDesc("zone_endpoints",
		"How many endpoints of a service are in the zone of the proxy (near), in another (far), or nobody knows where (unknown); Envoy calls the last two after the first.",
		[]string{"service", "place"}, nil), now})
}

// endpoints is a metric with a service and a place.
type endpoints struct {
	desc *prometheus.Desc
	now  func() map[string]Endpoints
}

// Describe is of a prometheus.Collector.
func (e endpoints) Describe(to chan<- *prometheus.Desc) { to <- e.desc }

// Collect is of a prometheus.Collector.
func (e endpoints) Collect(to chan<- prometheus.Metric) {
	for service, n := range e.now() {
		for place, count := range map[string]int{"near": n.Near, "far": n.Far, "unknown": n.Unknown} {
			to <- prometheus.MustNewConstMetric(e.desc, prometheus.GaugeValue, float64(count), service, place)
		}
	}
}
