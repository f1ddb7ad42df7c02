package metrics

import (
	"net/http"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// ControllerPrefix begins the name of each metric of a controller's own.
const ControllerPrefix = "consulecs_controller_"

// other stands for every value of a label that is not one of its known ones: a label must not grow.
const other = "other"

// Kinds of what a controller removes from Consul.
const (
	KindService = "service"
	KindToken   = "token"
)

// Evidence on which a controller removes something.
const (
	EvidenceEvent   = "event"     // an event said that the task stopped, and ECS confirmed it
	EvidenceLook    = "full_look" // a full look found the task stopped
	EvidenceAbsence = "absence"   // ECS has not known the task in look after look
)

// Why an event led to nothing.
const (
	EventIgnored     = "ignored"     // it tells of nothing that a controller acts on
	EventPoison      = "poison"      // it cannot be read, or was handed out too often
	EventUnconfirmed = "unconfirmed" // ECS does not say the same when it is asked
)

// Reasons for which a guard keeps a controller from removing.
const (
	GuardBrake       = "brake"           // too many tasks that ECS does not know
	GuardOwnTask     = "own_task_unseen" // the answer of ECS does not show the controller's own task
	GuardNoAnswer    = "no_answer"       // ECS gave no answer about a task, or one without a meaning
	GuardNotLeading  = "not_leading"     // the lock was lost before the removal
	GuardUnconfirmed = "unconfirmed"     // an event, or one look, alone
)

var (
	kinds     = []string{KindService, KindToken}
	evidences = []string{EvidenceEvent, EvidenceLook, EvidenceAbsence}
	setAside  = []string{EventIgnored, EventPoison, EventUnconfirmed}
	guards    = []string{GuardBrake, GuardOwnTask, GuardNoAnswer, GuardNotLeading, GuardUnconfirmed, other}
	results   = []string{"good", "failed"}
	accesses  = []string{"read", "write"}
	failures  = []string{"throttled", "refused", "server", "unreachable"}
)

// About says whose metrics they are.
type About struct {
	ECSCluster string // name of the controller's own ECS cluster: the label ecs_cluster of every metric
	Version    string // of the program
}

// Controller are the metrics of a controller. Its methods may be called at any time, from anywhere.
type Controller struct {
	*prometheus.Registry

	lag                                     prometheus.Histogram
	queueMessages, queueAge                 prometheus.Gauge
	received                                prometheus.Counter
	setAside, removals, guards              *prometheus.CounterVec
	heldBack                                prometheus.Gauge
	awsCalls, awsErrors                     *prometheus.CounterVec
	consulCalls, consulErrors               *prometheus.CounterVec
	leader                                  prometheus.Gauge
	leaderChanges                           prometheus.Counter
	passes                                  *prometheus.HistogramVec
	lastPass, interval                      prometheus.Gauge
	knownTasks, knownServices, knownTokens  prometheus.Gauge
	foreignServices, foreignTokens, aclKept prometheus.Gauge
	aclWritten                              prometheus.Counter
	dryRun                                  prometheus.Gauge
}

// lagBuckets reach from an event that is worked on at once to what only a late full look finds.
var lagBuckets = []float64{0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800}

// passBuckets are for full looks, which take as long as the calls that they are allowed.
var passBuckets = []float64{0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300}

// NewController makes them. Every label has all of its values from the start, at 0, so that the first of something is a
// growth that an alert can see; the operations of AWS come with their first call.
func NewController(about About) *Controller {
	c := &Controller{Registry: prometheus.NewRegistry()}
	m := maker{prometheus.WrapRegistererWith(prometheus.Labels{"ecs_cluster": about.ECSCluster}, prometheus.WrapRegistererWithPrefix(ControllerPrefix, c.Registry))}
	m.to.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.vector("build_info", "1, with the version of the program.", "version").WithLabelValues(about.Version).Set(1)

	c.lag = m.histogram("removal_lag_seconds", "From the time of an event to its task's services and tokens being gone.", lagBuckets)
	c.queueMessages = m.gauge("queue_messages", "How many messages wait in the queue of events, as SQS estimates it.")
	c.queueAge = m.gauge("queue_oldest_message_age_seconds", "How long the oldest message of the last that were received had waited.")
	c.received = m.counter("events_received_total", "Events that were received.")
	c.setAside = m.counters("events_set_aside_total", "Events that led to nothing, by reason.", "reason")
	c.removals = m.counters("removals_total", "What was removed from Consul, by kind and by the evidence for it.", "kind", "evidence")
	c.heldBack = m.gauge("held_back_tasks", "Tasks whose removal the brake holds back.")
	c.guards = m.counters("guard_trips_total", "Removals that a guard kept from being made, by reason.", "reason")
	c.awsCalls = m.counters("aws_requests_total", "Requests to AWS, repeated ones counted each.", "service", "operation")
	c.awsErrors = m.counters("aws_request_errors_total", "Requests to AWS that failed, by reason.", "service", "operation", "reason")
	c.consulCalls = m.counters("consul_requests_total", "Requests to Consul's HTTP API.", "access")
	c.consulErrors = m.counters("consul_request_errors_total", "Requests to Consul's HTTP API that failed, by reason; throttled is status 429.", "access", "reason")
	c.leader = m.gauge("leader", "1 while this controller leads, else 0.")
	c.leaderChanges = m.counter("leader_changes_total", "How often this controller began or ceased to lead.")
	c.passes = m.histograms("full_look_duration_seconds", "How long full looks at ECS and Consul took, by result.", passBuckets, "result")
	c.lastPass = m.gauge("last_full_look_timestamp_seconds", "When the last full look that was good ended, or the controller began to lead; 0 while it never has.")
	c.interval = m.gauge("full_look_interval_seconds", "How far apart full looks shall be.")
	c.knownTasks = m.gauge("known_tasks", "Tasks for which Consul holds something.")
	c.knownServices = m.gauge("known_services", "Services of tasks in Consul.")
	c.knownTokens = m.gauge("known_tokens", "ACL tokens of tasks in Consul.")
	c.foreignServices = m.gauge("foreign_services", "Services on the synthetic node that belong to no task, and are left alone.")
	c.foreignTokens = m.gauge("foreign_tokens", "ACL tokens of the auth method that belong to no task of the ECS cluster, and are left alone.")
	c.aclWritten = m.counter("acl_objects_written_total", "ACL objects that were written: missing, or not as they have to be.")
	c.aclKept = m.gauge("acl_objects_kept", "ACL objects that differ from the controller's own because somebody changed them, and were kept.")
	c.dryRun = m.gauge("dry_run", "1 if nothing is removed, else 0.")
	c.fill()
	return c
}

// fill gives every label its values.
func (c *Controller) fill() {
	every(c.setAside, setAside)
	every(c.removals, kinds, evidences)
	every(c.guards, guards)
	every(c.consulCalls, accesses)
	every(c.consulErrors, accesses, failures)
	for _, r := range results {
		c.passes.WithLabelValues(r)
	}
}

// Removed notes that something is gone from Consul.
func (c *Controller) Removed(kind, evidence string, n int) {
	c.removals.WithLabelValues(kind, evidence).Add(float64(n))
}

// Lag notes how long after an event its task's things were gone.
func (c *Controller) Lag(d time.Duration) { c.lag.Observe(d.Seconds()) }

// Queue notes how many messages wait in the queue.
func (c *Controller) Queue(messages int) { c.queueMessages.Set(float64(messages)) }

// OldestMessage notes how long the oldest of the messages had waited that were received just now; 0 where none came.
func (c *Controller) OldestMessage(age time.Duration) { c.queueAge.Set(max(age.Seconds(), 0)) }

// EventsReceived notes that events were received.
func (c *Controller) EventsReceived(n int) { c.received.Add(float64(n)) }

// EventsSetAside notes events that led to nothing: EventIgnored, EventPoison or EventUnconfirmed.
func (c *Controller) EventsSetAside(reason string, n int) {
	c.setAside.WithLabelValues(reason).Add(float64(n))
}

// HeldBack notes how many tasks the brake holds back now.
func (c *Controller) HeldBack(tasks int) { c.heldBack.Set(float64(tasks)) }

// GuardTripped notes that a guard kept so many tasks from being removed, by one of the Guard reasons.
func (c *Controller) GuardTripped(reason string, n int) {
	if !slices.Contains(guards, reason) {
		reason = other
	}
	c.guards.WithLabelValues(reason).Add(float64(n))
}

// AWSRequest notes a request to AWS. reason is "" for one that went well. It is what awsapi.Config takes as Count.
func (c *Controller) AWSRequest(service, operation, reason string) {
	c.awsCalls.WithLabelValues(service, operation).Inc()
	if reason != "" {
		c.awsErrors.WithLabelValues(service, operation, reason).Inc()
	}
}

// ConsulRequest notes a request to Consul's HTTP API by its method and the status of the answer, 0 where none came.
func (c *Controller) ConsulRequest(method string, status int) {
	access := "write"
	if method == http.MethodGet || method == http.MethodHead {
		access = "read"
	}
	c.consulCalls.WithLabelValues(access).Inc()
	switch {
	case status == 0:
		c.consulErrors.WithLabelValues(access, "unreachable").Inc()
	case status == http.StatusTooManyRequests:
		c.consulErrors.WithLabelValues(access, "throttled").Inc()
	case status >= 500:
		c.consulErrors.WithLabelValues(access, "server").Inc()
	case status >= 400 && status != http.StatusNotFound: // what is gone already is no trouble
		c.consulErrors.WithLabelValues(access, "refused").Inc()
	}
}

// Leads notes that this controller began to lead, or ceased to.
func (c *Controller) Leads(leads bool) {
	c.leader.Set(truth(leads))
	c.leaderChanges.Inc()
	if leads { // the look of another one may be long ago: its age counts from here
		c.lastPass.SetToCurrentTime()
	}
}

// Looked notes a full look that has ended, and whether it was good.
func (c *Controller) Looked(took time.Duration, good bool) {
	result := "failed"
	if good {
		result = "good"
		c.lastPass.SetToCurrentTime()
	}
	c.passes.WithLabelValues(result).Observe(took.Seconds())
}

// LooksEvery notes how far apart full looks shall be.
func (c *Controller) LooksEvery(d time.Duration) { c.interval.Set(d.Seconds()) }

// Holdings are what Consul held at a full look.
type Holdings struct {
	Tasks, Services, Tokens        int
	ForeignServices, ForeignTokens int // that belong to no task of the ECS cluster
}

// Knows notes what Consul holds.
func (c *Controller) Knows(h Holdings) {
	c.knownTasks.Set(float64(h.Tasks))
	c.knownServices.Set(float64(h.Services))
	c.knownTokens.Set(float64(h.Tokens))
	c.foreignServices.Set(float64(h.ForeignServices))
	c.foreignTokens.Set(float64(h.ForeignTokens))
}

// ACLPrepared notes how many ACL objects were written and how many, changed by somebody, were kept.
func (c *Controller) ACLPrepared(written, kept int) {
	c.aclWritten.Add(float64(written))
	c.aclKept.Set(float64(kept))
}

// DryRun notes whether the controller removes nothing.
func (c *Controller) DryRun(dry bool) { c.dryRun.Set(truth(dry)) }
