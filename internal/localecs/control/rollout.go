package control

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/engine"
	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/names"
	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/schedule"
)

const (
	// young is the age below which a task that dies slows its service's starts down. ECS throttles only tasks that never
	// reach RUNNING, but there a start takes half a minute; here it takes a second, and a crash loop would keep the
	// machine busy.
	young            = 10 * time.Second
	maxEvents        = 100
	maxRevisions     = 20 // described at once
	unsteadyFailures = 3  // in a row, before the service says that it cannot start tasks
)

// ECS's words for the status of a deployment.
const (
	primary = "PRIMARY"
	older   = "ACTIVE"
)

// deploy makes a new deployment of the service the primary one. Without a reason it is just in progress. The caller
// holds the lock.
func (c *Control) deploy(s *service, rev *revision, p placement, reason string, now time.Time) {
	id := names.DeploymentID()
	r := &rollout{Tags: rev.Tags, Platform: p.platformVersion, Monitoring: s.Monitoring, Deployment: ecstypes.Deployment{
		Id: &id, Status: aws.String(primary), TaskDefinition: rev.Definition.TaskDefinitionArn, LaunchType: p.launchType,
		CapacityProviderStrategy: p.providers, NetworkConfiguration: p.network, VolumeConfigurations: p.volumes,
		CreatedAt: aws.Time(now.UTC()), UpdatedAt: aws.Time(now.UTC()),
		RolloutState: ecstypes.DeploymentRolloutStateInProgress, RolloutStateReason: aws.String(cmp.Or(reason, "ECS deployment "+id+" in progress.")),
	}}
	s.PlatformVersion = nil
	if p.platformVersion != "" {
		s.PlatformVersion, r.PlatformVersion, r.PlatformFamily = &p.platformVersion, aws.String(p.platform()), aws.String("Linux")
	}
	if len(p.providers) > 0 {
		r.LaunchType = ""
	}
	for _, before := range s.Rollouts {
		before.Status = aws.String(older)
	}
	s.Rollouts = append([]*rollout{r}, s.Rollouts...)
	s.TaskDefinition, s.LaunchType, s.CapacityProviderStrategy = r.TaskDefinition, r.LaunchType, r.CapacityProviderStrategy
	s.NetworkConfiguration, s.PlatformFamily = r.NetworkConfiguration, r.PlatformFamily
	s.Steady = false
	c.touch()
}

// placement is where and how the deployment's tasks run.
func (r *rollout) placement() placement {
	return placement{r.LaunchType, r.CapacityProviderStrategy, r.Platform, r.NetworkConfiguration, r.VolumeConfigurations}
}

// advanceService does what is next for a service and returns when it wants to be looked at again even if nothing
// changes. The caller holds the lock.
func (c *Control) advanceService(s *service, now time.Time) (wake time.Time) {
	if *s.Status == inactive {
		return time.Time{}
	}
	tasks, wake := c.wanted(s, now)
	view := s.view()
	if slices.ContainsFunc(tasks, func(t schedule.Task) bool { return t.Deployment == view.Primary && t.Condition == schedule.Healthy }) {
		c.prove(s)
	}
	plan := schedule.Decide(view, tasks, now)
	c.startTasks(s, plan.Start, now)
	c.stopTasks(s, plan.Stop, now)
	c.breakCircuit(s, now)
	if plan.Start == 0 && len(plan.Stop) == 0 {
		c.settle(s, view, tasks, now)
	}
	if wake.IsZero() || !plan.Wake.IsZero() && plan.Wake.Before(wake) {
		wake = plan.Wake
	}
	return wake
}

func (s *service) view() schedule.Service {
	r := s.Rollouts[0]
	return schedule.Service{
		Desired: int(s.DesiredCount), Primary: *r.Id, NoStartBefore: r.NoStartBefore, Halted: r.RolloutState == ecstypes.DeploymentRolloutStateFailed,
		MinimumHealthyPercent: int(*s.DeploymentConfiguration.MinimumHealthyPercent), MaximumPercent: int(*s.DeploymentConfiguration.MaximumPercent),
	}
}

// wanted lists the tasks of a service that ought to run, and when a grace period among them ends.
func (c *Control) wanted(s *service, now time.Time) (tasks []schedule.Task, wake time.Time) {
	for _, t := range c.state.Tasks {
		if t.ServiceARN != *s.ServiceArn || *t.DesiredStatus == engine.StatusStopped {
			continue
		}
		condition, until := c.condition(t, time.Duration(aws.ToInt32(s.HealthCheckGracePeriodSeconds))*time.Second, now)
		if !until.IsZero() && (wake.IsZero() || until.Before(wake)) {
			wake = until
		}
		tasks = append(tasks, schedule.Task{ARN: *t.TaskArn, Deployment: aws.ToString(t.StartedBy), Condition: condition, CreatedAt: *t.CreatedAt})
	}
	slices.SortFunc(tasks, func(a, b schedule.Task) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ARN, b.ARN))
	})
	return tasks, wake
}

// condition counts a task as healthy once it runs and, where its essential containers have health checks, is HEALTHY.
// ECS waits 40 s more where they have none; here that would only be waiting.
func (c *Control) condition(t *task, grace time.Duration, now time.Time) (schedule.Condition, time.Time) {
	switch {
	case *t.LastStatus != engine.StatusRunning:
		return schedule.Pending, time.Time{}
	case !c.hasHealthChecks(t) || t.HealthStatus == ecstypes.HealthStatusHealthy:
		return schedule.Healthy, time.Time{}
	case t.HealthStatus != ecstypes.HealthStatusUnhealthy:
		return schedule.Pending, time.Time{}
	}
	if t.StartedAt != nil {
		if end := t.StartedAt.Add(grace); now.Before(end) {
			return schedule.Pending, end
		}
	}
	return schedule.Unhealthy, time.Time{}
}

func (c *Control) hasHealthChecks(t *task) bool {
	r := c.revision(t.TaskDefinitionArn)
	return r != nil && slices.ContainsFunc(r.Definition.ContainerDefinitions, func(d ecstypes.ContainerDefinition) bool {
		return aws.ToBool(d.Essential) && d.HealthCheck != nil
	})
}

func (c *Control) startTasks(s *service, n int, now time.Time) {
	r := s.Rollouts[0]
	rev, cl := c.revision(r.TaskDefinition), c.state.Clusters[names.Last(*s.ClusterArn)]
	if n == 0 || rev == nil || cl == nil {
		return
	}
	placed := r.placement()
	placed.launchType = cmp.Or(placed.launchType, providerKind(placed.provider(), &rev.Definition))
	var ids []string
	for range n {
		t := c.launch(order{
			cluster: cl, revision: rev, placement: placed, tags: s.taskTags(cl), group: "service:" + *s.ServiceName, startedBy: *r.Id,
			serviceARN: *s.ServiceArn, execute: s.EnableExecuteCommand,
		}, now)
		ids = append(ids, "(task "+names.Last(*t.TaskArn)+")")
	}
	c.tell(s, now, "has started %d tasks: %s.", n, strings.Join(ids, " "))
	s.Steady = false
}

// taskTags are the tags of a service's tasks: propagated ones, then ECS's own.
func (s *service) taskTags(cl *cluster) []ecstypes.Tag {
	var tags []ecstypes.Tag
	switch s.PropagateTags {
	case ecstypes.PropagateTagsService:
		tags = s.Tags
	case ecstypes.PropagateTagsTaskDefinition:
		tags = s.Rollouts[0].Tags
	}
	if s.EnableECSManagedTags {
		tags = mergeTags(tags, []ecstypes.Tag{
			{Key: aws.String("aws:ecs:clusterName"), Value: cl.ClusterName}, {Key: aws.String("aws:ecs:serviceName"), Value: s.ServiceName}})
	}
	return tags
}

func (c *Control) stopTasks(s *service, stops []schedule.Stop, now time.Time) {
	var ids []string
	for _, stop := range stops {
		t, id := c.state.Tasks[stop.ARN], "(task "+names.Last(stop.ARN)+")"
		reason := fmt.Sprintf("Scaling activity initiated by (deployment %s)", *s.Rollouts[0].Id)
		if stop.Why == schedule.FailedHealthChecks {
			reason = "Task failed container health checks"
			c.tell(s, now, "%s failed container health checks.", id)
			s.noteFailure(aws.ToString(t.StartedBy))
		}
		c.stop(t, ecstypes.TaskStopCodeServiceSchedulerInitiated, reason)
		ids = append(ids, id)
	}
	if len(ids) > 0 {
		c.tell(s, now, "has stopped %d running tasks: %s.", len(ids), strings.Join(ids, " "))
		s.Steady = false
	}
}

// noteEnd lets a service learn from a task that ends by itself: one that never ran, or hardly, slows its next starts
// down. The caller holds the lock.
func (c *Control) noteEnd(t *task, now time.Time) {
	s, ok := c.state.Services[t.ServiceARN]
	if !ok || t.StopCode == ecstypes.TaskStopCodeUserInitiated || t.StopCode == ecstypes.TaskStopCodeServiceSchedulerInitiated {
		return
	}
	s.Steady = false
	r := s.Rollouts[0]
	if *r.Id != aws.ToString(t.StartedBy) {
		return
	}
	s.noteFailure(*r.Id)
	if t.StartedAt != nil && now.Sub(*t.StartedAt) >= young {
		r.DiedYoung, r.NoStartBefore = 0, time.Time{}
		return
	}
	r.DiedYoung++
	r.NoStartBefore = now.Add(schedule.Delay(r.DiedYoung))
	if r.DiedYoung == unsteadyFailures {
		c.tell(s, now, "is unable to consistently start tasks successfully.")
	}
}

// noteFailure counts for the circuit breaker, as long as the deployment has not proven itself.
func (s *service) noteFailure(deployment string) {
	for _, r := range s.Rollouts {
		if *r.Id == deployment && !r.Proven && r.RolloutState == ecstypes.DeploymentRolloutStateInProgress {
			r.FailedTasks++
		}
	}
}

// prove notes that the primary deployment has a healthy task.
func (c *Control) prove(s *service) {
	r, breaker := s.Rollouts[0], s.DeploymentConfiguration.DeploymentCircuitBreaker
	if r.Proven || breaker.ResetOnHealthyTask != nil && !*breaker.ResetOnHealthyTask {
		return
	}
	r.Proven, r.FailedTasks = true, 0
	c.dirty = true
}

// breakCircuit ends a deployment whose tasks keep failing, and returns to the last good one if that is asked for.
func (c *Control) breakCircuit(s *service, now time.Time) {
	r, breaker := s.Rollouts[0], s.DeploymentConfiguration.DeploymentCircuitBreaker
	if !breaker.Enable || *s.Status != active || r.RolloutState != ecstypes.DeploymentRolloutStateInProgress || int(r.FailedTasks) < threshold(breaker, int(s.DesiredCount)) {
		return
	}
	r.RolloutState, r.UpdatedAt = ecstypes.DeploymentRolloutStateFailed, aws.Time(now.UTC())
	r.RolloutStateReason = aws.String("ECS deployment circuit breaker: tasks failed to start.")
	c.tell(s, now, "(deployment %s) deployment failed: tasks failed to start.", *r.Id)
	c.touch()
	good := s.LastGood
	if !breaker.Rollback || good == nil {
		return
	}
	rev := c.revision(good.TaskDefinition)
	if rev == nil {
		return
	}
	c.tell(s, now, "rolling back to deployment %s.", *good.Id)
	s.Monitoring = good.Monitoring
	c.deploy(s, rev, good.placement(), "ECS deployment circuit breaker: rolling back to deploymentId "+*good.Id+".", now)
}

func threshold(b *ecstypes.DeploymentCircuitBreaker, desired int) int {
	t := b.ThresholdConfiguration
	switch {
	case t == nil:
		return schedule.Threshold(desired, 50)
	case t.Type == ecstypes.ThresholdTypeCount:
		return int(t.Value)
	case t.Type == ecstypes.ThresholdTypeUnboundedPercent:
		return (desired*int(t.Value) + 99) / 100
	}
	return schedule.Threshold(desired, int(t.Value))
}

// settle drops the deployments whose last task is gone, completes the one that is done, and ends a drained service.
func (c *Control) settle(s *service, view schedule.Service, tasks []schedule.Task, now time.Time) {
	left := map[string]int{}
	for _, t := range c.state.Tasks {
		if t.ServiceARN == *s.ServiceArn && !t.hasStopped() {
			left[aws.ToString(t.StartedBy)]++
		}
	}
	if ended := func(r *rollout) bool { return *r.Status == older && left[*r.Id] == 0 }; slices.ContainsFunc(s.Rollouts, ended) {
		s.Rollouts = slices.DeleteFunc(slices.Clone(s.Rollouts), ended)
		c.touch()
	}
	if *s.Status == draining {
		if len(left) == 0 {
			s.Status, s.InactiveAt = aws.String(inactive), aws.Time(now)
			c.touch()
		}
		return
	}
	if s.Steady || len(s.Rollouts) > 1 || view.Halted || !schedule.Settled(view, tasks) {
		return
	}
	r := s.Rollouts[0]
	if r.RolloutState == ecstypes.DeploymentRolloutStateInProgress {
		r.RolloutState, r.UpdatedAt = ecstypes.DeploymentRolloutStateCompleted, aws.Time(now.UTC())
		r.RolloutStateReason, r.Proven, r.FailedTasks = aws.String("ECS deployment "+*r.Id+" completed."), true, 0
		good := *r
		s.LastGood = &good
		c.tell(s, now, "(deployment %s) deployment completed.", *r.Id)
	}
	s.Steady = true
	c.tell(s, now, "has reached a steady state.")
}

// tell adds an event to a service, the newest first.
func (c *Control) tell(s *service, now time.Time, format string, args ...any) {
	message := "(service " + *s.ServiceName + ") " + fmt.Sprintf(format, args...)
	event := ecstypes.ServiceEvent{Id: aws.String(names.UUID()), CreatedAt: aws.Time(now.UTC()), Message: &message}
	s.Events = append([]ecstypes.ServiceEvent{event}, s.Events[:min(len(s.Events), maxEvents-1)]...)
	c.log.Debug("service event", "service", *s.ServiceName, "message", message)
	c.touch()
}

// describeService adds the counts and the deployments.
func (c *Control) describeService(s *service) *ecstypes.Service {
	out := s.Service
	counts := map[string]*ecstypes.Deployment{}
	out.Deployments = make([]ecstypes.Deployment, len(s.Rollouts))
	for i, r := range s.Rollouts {
		out.Deployments[i] = r.Deployment
		if *r.Status == primary {
			out.Deployments[i].DesiredCount, out.Deployments[i].VpcLatticeConfigurations = s.DesiredCount, s.Lattice
		}
		counts[*r.Id] = &out.Deployments[i]
	}
	if *s.Status == inactive {
		out.Deployments = []ecstypes.Deployment{}
	}
	for _, t := range c.state.Tasks {
		d := counts[aws.ToString(t.StartedBy)]
		if t.ServiceARN != *s.ServiceArn || d == nil {
			continue
		}
		switch {
		case *t.LastStatus == engine.StatusRunning:
			d.RunningCount, out.RunningCount = d.RunningCount+1, out.RunningCount+1
		case *t.DesiredStatus == engine.StatusRunning:
			d.PendingCount, out.PendingCount = d.PendingCount+1, out.PendingCount+1
		}
	}
	out.CurrentServiceRevisions = s.currentRevisions(out.Deployments)
	return &out
}

// revisionARN names the service revision that a deployment brings: arn:aws:ecs:region:account:service-revision/cluster/service/number.
func (s *service) revisionARN(r *rollout) string {
	return strings.Replace(*s.ServiceArn, ":service/", ":service-revision/", 1) + "/" + names.Last(*r.Id)
}

// currentRevisions are those that a service's deployments are of, with the tasks that described counts.
func (s *service) currentRevisions(described []ecstypes.Deployment) (all []ecstypes.ServiceCurrentRevisionSummary) {
	for i, d := range described {
		all = append(all, ecstypes.ServiceCurrentRevisionSummary{
			Arn: aws.String(s.revisionARN(s.Rollouts[i])), RequestedTaskCount: d.DesiredCount, RunningTaskCount: d.RunningCount, PendingTaskCount: d.PendingCount,
		})
	}
	return all
}

// DescribeServiceRevisions describes up to twenty service revisions, of the deployments that there still are.
func (c *Control) DescribeServiceRevisions(in *ecs.DescribeServiceRevisionsInput) (*ecs.DescribeServiceRevisionsOutput, error) {
	if n := len(in.ServiceRevisionArns); n == 0 || n > maxRevisions {
		return nil, badParameter("Between 1 and %d service revisions can be described, not %d.", maxRevisions, n)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	out := &ecs.DescribeServiceRevisionsOutput{ServiceRevisions: []ecstypes.ServiceRevision{}, Failures: []ecstypes.Failure{}}
	for _, arn := range in.ServiceRevisionArns {
		if revision := c.serviceRevision(arn); revision != nil {
			out.ServiceRevisions = append(out.ServiceRevisions, *revision)
		} else {
			out.Failures = append(out.Failures, missing(arn))
		}
	}
	return out, nil
}

// serviceRevision finds a service revision. The caller holds the lock.
func (c *Control) serviceRevision(arn string) *ecstypes.ServiceRevision {
	for _, s := range c.state.Services {
		i := slices.IndexFunc(s.Rollouts, func(r *rollout) bool { return s.revisionARN(r) == arn })
		if i < 0 {
			continue
		}
		r := s.Rollouts[i]
		return &ecstypes.ServiceRevision{
			ServiceRevisionArn: &arn, ServiceArn: s.ServiceArn, ClusterArn: s.ClusterArn, CreatedAt: r.CreatedAt, TaskDefinition: r.TaskDefinition, LaunchType: r.LaunchType,
			CapacityProviderStrategy: r.CapacityProviderStrategy, NetworkConfiguration: r.NetworkConfiguration, PlatformVersion: r.PlatformVersion, PlatformFamily: r.PlatformFamily,
			VolumeConfigurations: r.VolumeConfigurations, Monitoring: r.Monitoring, LoadBalancers: s.LoadBalancers, ServiceRegistries: s.ServiceRegistries, VpcLatticeConfigurations: s.Lattice,
		}
	}
	return nil
}
