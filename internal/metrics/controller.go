package metrics

import (
	"net/http"
	"slices"
	"strings"
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

// Reasons for which a guard leaves something alone.
const (
	GuardBrake        = "held_back"          // too many tasks that ECS does not know
	GuardOwnTask      = "own_task_not_shown" // the answer of ECS does not show the controller's own task
	GuardUnknown      = "unknown"            // ECS gave no answer about the task
	GuardNotConfirmed = "not_confirmed"      // an event called the task stopped, and ECS calls it alive
	GuardAbsence      = "absence_too_short"  // ECS does not know the task, but not for long enough
	GuardForeign      = "foreign"            // it belongs to no task
	GuardNotLeading   = "not_leading"        // the lock was lost before the removal
)

var (
	kinds     = []string{KindService, KindToken}
	evidences = []string{EvidenceEvent, EvidenceLook, EvidenceAbsence}
	guards    = []string{GuardBrake, GuardOwnTask, GuardUnknown, GuardNotConfirmed, GuardAbsence, GuardForeign, GuardNotLeading, other}
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

	to                                      prometheus.Registerer // with the prefix and the ECS cluster
	lag                                     prometheus.Histogram
	removals, guards                        *prometheus.CounterVec
	heldBack                                prometheus.Gauge
	awsCalls, awsErrors                     *prometheus.CounterVec
	consulCalls, consulErrors               *prometheus.CounterVec
	leader                                  prometheus.Gauge
	leaderChanges                           prometheus.Counter
	looks, batches                          *prometheus.HistogramVec
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
	c.to = prometheus.WrapRegistererWith(prometheus.Labels{"ecs_cluster": about.ECSCluster}, prometheus.WrapRegistererWithPrefix(ControllerPrefix, c.Registry))
	m := maker{c.to}
	m.to.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.vector("build_info", "1, with the version of the program.", "version").WithLabelValues(about.Version).Set(1)

	c.lag = m.histogram("removal_lag_seconds", "From the time of an event to its task's services and tokens being gone.", lagBuckets)
	c.removals = m.counters("removals_total", "What was removed from Consul, by kind and by the evidence for it.", "kind", "evidence")
	c.heldBack = m.gauge("held_back_tasks", "Tasks whose removal the brake holds back.")
	c.guards = m.counters("guard_trips_total", "What guards left alone, by reason, each time it was looked at.", "reason")
	c.awsCalls = m.counters("aws_requests_total", "Requests to AWS, repeated ones counted each.", "service", "operation")
	c.awsErrors = m.counters("aws_request_errors_total", "Requests to AWS that failed, by reason.", "service", "operation", "reason")
	c.consulCalls = m.counters("consul_requests_total", "Requests to Consul's HTTP API.", "access")
	c.consulErrors = m.counters("consul_request_errors_total", "Requests to Consul's HTTP API that failed, by reason; throttled is status 429.", "access", "reason")
	c.leader = m.gauge("leader", "1 while this controller leads, else 0.")
	c.leaderChanges = m.counter("leader_changes_total", "How often this controller began or ceased to lead.")
	c.looks = m.histograms("full_look_duration_seconds", "How long full looks at ECS and Consul took, by result.", passBuckets, "result")
	c.batches = m.histograms("event_batch_duration_seconds", "How long batches of events took, by result.", passBuckets, "result")
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
	every(c.removals, kinds, evidences)
	every(c.guards, guards)
	every(c.consulCalls, accesses)
	every(c.consulErrors, accesses, failures)
	for _, r := range results {
		c.looks.WithLabelValues(r)
		c.batches.WithLabelValues(r)
	}
}

// Removed notes that something is gone from Consul.
func (c *Controller) Removed(kind, evidence string, n int) {
	c.removals.WithLabelValues(kind, evidence).Add(float64(n))
}

// Lag notes how long after an event its task's things were gone.
func (c *Controller) Lag(d time.Duration) { c.lag.Observe(d.Seconds()) }

// HeldBack notes how many tasks the brake holds back now.
func (c *Controller) HeldBack(tasks int) { c.heldBack.Set(float64(tasks)) }

// GuardTripped notes that a guard left so many things alone, by one of the Guard reasons; blanks count as the lines in these.
func (c *Controller) GuardTripped(reason string, times int) {
	reason = strings.ReplaceAll(reason, " ", "_")
	if !slices.Contains(guards, reason) {
		reason = other
	}
	c.guards.WithLabelValues(reason).Add(float64(times))
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
	if good {
		c.lastPass.SetToCurrentTime()
	}
	c.looks.WithLabelValues(result(good)).Observe(took.Seconds())
}

// Handled notes a batch of events that was worked on, and whether that went well.
func (c *Controller) Handled(took time.Duration, good bool) {
	c.batches.WithLabelValues(result(good)).Observe(took.Seconds())
}

func result(good bool) string {
	if good {
		return results[0]
	}
	return results[1]
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
