package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// Prefix begins the name of each metric of the dataplane's own.
const Prefix = "consul_dataplane_"

// Streams is how Envoy's configuration streams fare.
type Streams struct {
	Open     int            // now
	Ended    map[string]int // how many ended, by status
	Refusals map[string]int // how often Envoy refused a configuration, by its type
	Refusing map[string]int // how many resources it refuses now, by their type
}

// Dataplane are the metrics of a dataplane. They are gathered when they are asked for.
type Dataplane struct {
	*prometheus.Registry
	steps map[string]prometheus.Summary
}

// The steps whose durations are kept, by the names that dashboards know.
const (
	StepConnect  = "connect"
	StepDiscover = "discover_servers"
	StepLogin    = "login"
)

// NewDataplane makes them; those of Envoy and Consul come with Watch.
func NewDataplane() *Dataplane {
	d := &Dataplane{Registry: prometheus.NewRegistry(), steps: map[string]prometheus.Summary{}}
	own := d.prefixed()
	own.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	for step, help := range map[string]string{
		StepConnect:  "How long it took to get connected to Consul, in milliseconds.",
		StepDiscover: "How long it took to find Consul's servers, in milliseconds.",
		StepLogin:    "How long it took to log in to Consul, in milliseconds.",
	} {
		d.steps[step] = prometheus.NewSummary(prometheus.SummaryOpts{Name: step + "_duration", Help: help})
		own.MustRegister(d.steps[step])
	}
	return d
}

func (d *Dataplane) prefixed() prometheus.Registerer {
	return prometheus.WrapRegistererWithPrefix(Prefix, d.Registry)
}

// Took notes how long a step took.
func (d *Dataplane) Took(step string, t time.Duration) {
	d.steps[step].Observe(float64(t) / float64(time.Millisecond))
}

// Watch adds what streams and connected tell at each gathering. It is called once.
func (d *Dataplane) Watch(streams func() Streams, connected func() bool) {
	own := d.prefixed()
	own.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "envoy_connected", Help: "Whether Envoy has a configuration stream to Consul."},
			func() float64 { return truth(streams().Open > 0) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "consul_connected", Help: "Whether the dataplane has a connection to a Consul server."},
			func() float64 { return truth(connected()) }),
		counts{prometheus.NewDesc("connection_errors", "How many configuration streams ended with an error.", []string{"error_code"}, nil),
			prometheus.CounterValue, func() map[string]int { return streams().Ended }},
		counts{prometheus.NewDesc("configuration_refusals_total", "How often Envoy has refused a configuration.", []string{"type"}, nil),
			prometheus.CounterValue, func() map[string]int { return streams().Refusals }},
		counts{prometheus.NewDesc("configuration_refused", "How many resources of its configuration Envoy refuses.", []string{"type"}, nil),
			prometheus.GaugeValue, func() map[string]int { return streams().Refusing }},
	)
}

// Names is how a dataplane fares whose application calls services by name.
type Names struct {
	Services int      `json:"services"` // that can be called
	Ports    []uint16 `json:"ports"`    // where Envoy listens for names
	Taken    []uint16 `json:"taken"`    // where another program of the task does, or did a moment ago
}

// WatchNames adds what names tells at each gathering. It is called once.
func (d *Dataplane) WatchNames(names func() Names) {
	d.prefixed().MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "names_services", Help: "How many services can be called by name."},
			func() float64 { return float64(names().Services) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "names_ports", Help: "At how many ports Envoy listens for names."},
			func() float64 { return float64(len(names().Ports)) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "names_ports_taken", Help: "How many ports for names another program of the task has, or had less than five minutes ago."},
			func() float64 { return float64(len(names().Taken)) }),
	)
}

// counts is a metric with one label, as it is when it is asked for.
type counts struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	now  func() map[string]int
}

// Describe is of a prometheus.Collector.
func (c counts) Describe(to chan<- *prometheus.Desc) { to <- c.desc }

// Collect is of a prometheus.Collector.
func (c counts) Collect(to chan<- prometheus.Metric) {
	for label, n := range c.now() {
		to <- prometheus.MustNewConstMetric(c.desc, c.kind, float64(n), label)
	}
}
