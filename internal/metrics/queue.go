package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Queue is what has come of the messages of a queue of events, since whoever counts them began; and how the queue is now.
type Queue struct {
	Received   int64 // messages that came, each time they came
	Ignored    int64 // those that tell of nothing to act on
	Poison     int64 // those that are no event of ECS
	Exhausted  int64 // those that came too often without success
	Duplicates int64 // those of a task that was in their batch already
	Undeleted  int64 // those that SQS did not delete when asked

	Waiting int64         // messages in the queue, as SQS estimates it
	Lag     time.Duration // how long the oldest of the messages that came last had waited
}

// WatchQueue adds what now tells at each gathering. It is called once. Where counts begin anew, so do the metrics.
func (c *Controller) WatchQueue(now func() Queue) {
	c.to.MustRegister(queue{
		received: prometheus.NewDesc("events_received_total", "Messages of the queue of events that came, each time they came.", nil, nil),
		setAside: prometheus.NewDesc("events_set_aside_total", "Messages that led to nothing, by reason.", []string{"reason"}, nil),
		waiting:  prometheus.NewDesc("queue_messages", "How many messages wait in the queue of events, as SQS estimates it.", nil, nil),
		age:      prometheus.NewDesc("queue_oldest_message_age_seconds", "How long the oldest of the messages that came last had waited.", nil, nil),
		now:      now,
	})
}

// queue reads counts as metrics.
type queue struct {
	received, setAside, waiting, age *prometheus.Desc
	now                              func() Queue
}

// Describe is of a prometheus.Collector.
func (q queue) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{q.received, q.setAside, q.waiting, q.age} {
		to <- d
	}
}

// Collect is of a prometheus.Collector.
func (q queue) Collect(to chan<- prometheus.Metric) {
	now := q.now()
	to <- prometheus.MustNewConstMetric(q.received, prometheus.CounterValue, float64(now.Received))
	for reason, n := range map[string]int64{
		"ignored": now.Ignored, "poison": now.Poison, "exhausted": now.Exhausted, "duplicate": now.Duplicates, "undeleted": now.Undeleted,
	} {
		to <- prometheus.MustNewConstMetric(q.setAside, prometheus.CounterValue, float64(n), reason)
	}
	to <- prometheus.MustNewConstMetric(q.waiting, prometheus.GaugeValue, float64(now.Waiting))
	to <- prometheus.MustNewConstMetric(q.age, prometheus.GaugeValue, max(now.Lag.Seconds(), 0))
}
