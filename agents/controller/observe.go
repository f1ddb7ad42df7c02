package controller

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/consulecs/terraform-provider-consulecs/internal/consul/lock"
	"github.com/consulecs/terraform-provider-consulecs/internal/controllerhttp"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/metrics"
	"github.com/consulecs/terraform-provider-consulecs/internal/reap"
)

// engine is what removes the dead tasks of one ECS cluster, and tells of it.
func (k *keeper) engine(view ecsView) *reap.Engine {
	own := ""
	if view.Cluster == k.task.ClusterARN {
		own = k.task.ID
	}
	e := &reap.Engine{
		Own: own, ECS: view, Urgent: view.forEvents(), Catalog: &catalog{keeper: k, node: view.Cluster}, DryRun: k.settings.DryRun,
		Limits:   reap.Limits{BrakeTasks: *k.settings.Brake.Tasks, BrakePercent: *k.settings.Brake.Percent},
		Observer: reap.Observer{Removed: k.removed, Finished: k.finished},
	}
	if k.makesNamespaces() {
		e.Listed = func(ctx context.Context, running map[string]bool) error {
			return k.ensureNamespaces(ctx, view, running)
		}
	}
	return e
}

// removed writes the one line that says what was removed of a task, and why.
func (k *keeper) removed(r reap.Removal) {
	var services, accessors []string
	for _, s := range r.Services {
		services = append(services, s.ID)
	}
	for _, t := range r.Tokens {
		accessors = append(accessors, t.AccessorID)
	}
	e := r.Evidence
	line := "dead task removed"
	if k.settings.DryRun {
		line = "dead task would be removed, but this is a dry run"
	}
	k.log.Info(line, "task_id", r.TaskID, "service_ids", services, "accessor_ids", accessors,
		"ecs_says", e.Verdict.String(), "seen_by", string(e.Via), "looks", e.Looks, "absent_for", e.AbsentFor.Round(time.Second).String(), "released", e.Released)
	if k.settings.DryRun {
		return
	}
	evidence := evidenceOf(e)
	k.counts.Removed(metrics.KindService, evidence, len(services))
	k.counts.Removed(metrics.KindToken, evidence, len(accessors))
}

func evidenceOf(e reap.Evidence) string {
	switch {
	case e.Verdict == reap.Missing:
		return metrics.EvidenceAbsence
	case e.Via == reap.ViaEvent:
		return metrics.EvidenceEvent
	}
	return metrics.EvidenceLook
}

// finished tells of a look.
func (k *keeper) finished(p reap.Pass) {
	for guard, n := range p.Trips {
		k.counts.GuardTripped(string(guard), n)
	}
	if p.Via != reap.ViaFullLook {
		k.counts.Handled(p.Took, p.Err == nil)
		return
	}
	k.counts.Looked(p.Took, p.Err == nil)
	if p.Plan == nil {
		return
	}
	held := len(p.Plan.HeldBack)
	k.state.set(func(s *standing) { s.waiting += len(p.Plan.Waiting) + held })
	k.counts.HeldBack(held)
	if held > 0 {
		k.log.Warn("removals held back: ECS does not know more tasks than the brake lets through in an hour", "tasks", held, "first_task_id", p.Plan.HeldBack[0].TaskID,
			"hint", "if they are dead, let them through: consulecs-agent release in the controller's task, see ConsulECSControllerBrakeHoldsBack in the guide to the controller")
	}
}

var errNotLeading = errors.New("this controller does not lead: ask the one that does, which /readyz names")

// answers is what the controller says over HTTP.
func (k *keeper) answers() controllerhttp.Controller {
	return controllerhttp.Controller{Metrics: k.counts, Log: k.log, Ready: k.readiness, Health: k.health, Release: k.letThrough}
}

// reapsTokens reports whether tokens are the controller's to delete: not where Consul has no ACLs, nor where it may not, and
// tokens end by themselves.
func (k *keeper) reapsTokens() bool { return k.rights.managesACL && !k.state.get().open }

// known is what Consul held for an ECS cluster at the last full look of it.
type known struct {
	metrics.Holdings
	tokens  int             // of the auth method, whosever they are
	foreign map[string]bool // IDs of the services that belong to no task
}

// knows tells what Consul holds for the tasks of an ECS cluster; others is how many tokens of the auth method are not theirs.
// Services of nobody are told of when they are seen for the first time.
func (k *keeper) knows(ecsCluster string, held map[string]reap.Holding, others int) {
	now, before := known{tokens: others, foreign: map[string]bool{}}, k.known[ecsCluster]
	var untold []string
	for id, of := range held {
		now.tokens += len(of.Tokens)
		if reap.IsTaskID(id) {
			now.Tasks++
			now.Services += len(of.Services)
			now.Tokens += len(of.Tokens)
			continue
		}
		for _, s := range of.Services {
			now.foreign[s.ID] = true
			if !before.foreign[s.ID] {
				untold = append(untold, s.ID)
			}
		}
	}
	k.known[ecsCluster] = now
	if len(untold) > 0 {
		slices.Sort(untold)
		k.log.Info("services on the synthetic node belong to no task of ECS and are left alone", "ecs_cluster", ecsCluster, "service_ids", untold)
	}
	k.counts.Knows(k.allKnown(now.tokens))
}

// allKnown sums up what is known of all ECS clusters, whose tasks share an auth method with so many tokens.
func (k *keeper) allKnown(tokens int) (h metrics.Holdings) {
	for _, of := range k.known {
		h.Tasks += of.Tasks
		h.Services += of.Services
		h.Tokens += of.Tokens
		h.ForeignServices += len(of.foreign)
	}
	h.ForeignTokens = max(0, tokens-h.Tokens)
	return h
}

// leader is who leads.
func (k *keeper) leader(ctx context.Context) (lock.Leader, bool, error) {
	return k.consul.Leader(ctx, mesh.ControllerKey(k.task.ClusterARN))
}

// health is that of full looks. Whatever else the controller does is waiting.
func (k *keeper) health() error {
	if !k.state.get().looking {
		return nil
	}
	return k.pulse.Health()
}

func (k *keeper) readiness() controllerhttp.Readiness {
	s := k.state.get()
	r := controllerhttp.Readiness{Ready: s.ready, Leading: s.leading}
	if !s.ready {
		r.Missing = "Consul is not prepared yet"
		return r
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if leader, found, err := k.leader(ctx); err == nil && found {
		r.Leader = leader.Holder
	}
	return r
}

// letThrough lets go of what the brake holds back, and begins a full look that removes it.
func (k *keeper) letThrough(context.Context) (tasks int, err error) {
	if !k.state.get().leading {
		return 0, errNotLeading
	}
	for _, c := range k.clusters {
		tasks += c.engine.Release()
	}
	k.lookNow()
	return tasks, nil
}
