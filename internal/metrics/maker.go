package metrics

import "github.com/prometheus/client_golang/prometheus"

// maker registers metrics as it makes them.
type maker struct{ to prometheus.Registerer }

func made[C prometheus.Collector](m maker, c C) C {
	m.to.MustRegister(c)
	return c
}

func (m maker) gauge(name, help string) prometheus.Gauge {
	return made(m, prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help}))
}

func (m maker) vector(name, help string, labels ...string) *prometheus.GaugeVec {
	return made(m, prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels))
}

func (m maker) counter(name, help string) prometheus.Counter {
	return made(m, prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help}))
}

func (m maker) counters(name, help string, labels ...string) *prometheus.CounterVec {
	return made(m, prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels))
}

func (m maker) histogram(name, help string, buckets []float64) prometheus.Histogram {
	return made(m, prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}))
}

func (m maker) histograms(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	return made(m, prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels))
}

// every makes a counter for each combination of the labels' values.
func every(v *prometheus.CounterVec, values ...[]string) {
	labels := [][]string{nil}
	for _, of := range values {
		var longer [][]string
		for _, l := range labels {
			for _, value := range of {
				longer = append(longer, append(l[:len(l):len(l)], value))
			}
		}
		labels = longer
	}
	for _, l := range labels {
		v.WithLabelValues(l...)
	}
}
