package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/client"

	"github.com/consulecs/terraform-provider-consulecs/internal/sleep"
)

// pollInterval is how soon an event that was lost is made up for.
const pollInterval = 10 * time.Second

// watch turns Docker's events into hints. When the stream breaks it looks at everything before it goes on.
func (e *Engine) watch(ctx context.Context) {
	filters := worldFilter(e.cfg.World).Add("type", "container").
		Add("event", "start", "die", "oom", "health_status", "destroy")
	for ctx.Err() == nil {
		stream := e.docker.Events(ctx, client.EventsListOptions{Filters: filters})
		e.look(ctx)
		for broken := false; !broken; {
			select {
			case m := <-stream.Messages:
				if r := e.run(m.Actor.Attributes[labelTask]); r != nil {
					if m.Action == events.ActionOOM {
						r.oom(m.Actor.ID)
					}
					r.hint(m.Actor.ID)
				}
			case err := <-stream.Err:
				broken = true
				if ctx.Err() == nil {
					e.log.Warn("Docker's event stream broke, reconnecting", "err", err)
				}
			}
		}
		sleep.For(ctx, time.Second)
	}
}

// poll is the backstop.
func (e *Engine) poll(ctx context.Context) {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			e.look(ctx)
			e.sweepVolumes(ctx)
			e.forget(time.Now())
		case <-ctx.Done():
			return
		}
	}
}

// look compares what Docker runs with what the engine believes, has every difference inspected, and removes containers
// that belong to no task.
func (e *Engine) look(ctx context.Context) {
	runs, owning := e.current()
	list, err := e.docker.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: worldFilter(e.cfg.World)})
	if err != nil {
		if ctx.Err() == nil {
			e.log.Warn("containers not listed, will retry", "err", err)
		}
		return
	}
	seen := map[string]container.Summary{}
	for _, c := range list.Items {
		seen[c.ID] = c
		if r := e.run(c.Labels[labelTask]); owning && (r == nil || r.over()) {
			e.removeContainer(ctx, c.ID)
			e.log.Debug("container without a living task removed", "container_id", c.ID, "task_arn", c.Labels[labelTask])
		}
	}
	for _, r := range runs {
		for _, id := range r.differing(seen) {
			r.hint(id)
		}
	}
}

// current returns the tasks that have not ended.
func (e *Engine) current() (runs map[string]*taskRun, owning bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	runs = map[string]*taskRun{}
	for arn, r := range e.runs {
		if !r.over() {
			runs[arn] = r
		}
	}
	return runs, e.owning
}

// differing lists the containers that are not, or no longer, what the engine believes.
func (r *taskRun) differing(seen map[string]container.Summary) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var ids []string
	if r.state.progress == up && seen[r.state.pauseID].State != container.StateRunning {
		ids = append(ids, r.state.pauseID)
	}
	for _, m := range r.state.members {
		now, there := seen[m.id]
		believed := m.phase == running || m.phase == created
		runs := now.State == container.StateRunning
		if believed && (!there || runs != (m.phase == running) || runs && listedHealth(now) != string(m.health)) {
			ids = append(ids, m.id)
		}
	}
	return ids
}

// listedHealth reads the health out of the words that docker ps shows.
func listedHealth(c container.Summary) string {
	switch {
	case strings.Contains(c.Status, "(healthy)"):
		return "HEALTHY"
	case strings.Contains(c.Status, "(unhealthy)"):
		return "UNHEALTHY"
	default:
		return "UNKNOWN"
	}
}

// sweepVolumes removes volumes whose task has ended.
func (e *Engine) sweepVolumes(ctx context.Context) {
	_, owning := e.current()
	if !owning {
		return
	}
	list, err := e.docker.VolumeList(ctx, client.VolumeListOptions{Filters: worldFilter(e.cfg.World)})
	if err != nil {
		return // the next poll asks again
	}
	runs, _ := e.current() // after the list: a task begun meanwhile is known by now
	for _, v := range list.Items {
		if arn, ok := v.Labels[labelTask]; ok && runs[arn] == nil {
			_, err := e.docker.VolumeRemove(ctx, v.Name, client.VolumeRemoveOptions{Force: true})
			if err != nil && !cerrdefs.IsNotFound(err) {
				e.log.Debug("volume not removed yet", "volume", v.Name, "err", err)
			}
		}
	}
}

// forget drops tasks that stopped long ago.
func (e *Engine) forget(now time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for arn, r := range e.runs {
		if r.over() && r.stoppedBefore(now.Add(-keptFor)) {
			delete(e.runs, arn)
		}
	}
}

// Adopt takes over the given tasks after a restart: what still runs goes on, what does not is reported as stopped,
// and containers and volumes of the world that belong to none of them are removed. It is called once, before Run, also
// when there are no tasks: from then on what belongs to no task is swept. Tasks that were stopping are to be stopped again.
func (e *Engine) Adopt(ctx context.Context, tasks []Task) error {
	list, err := e.docker.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: worldFilter(e.cfg.World)})
	if err != nil {
		return fmt.Errorf("list the containers of world %s: %w", e.cfg.World, err)
	}
	byTask := map[string]map[string]container.Summary{}
	for _, c := range list.Items {
		arn := c.Labels[labelTask]
		if byTask[arn] == nil {
			byTask[arn] = map[string]container.Summary{}
		}
		byTask[arn][c.Labels[labelContainer]] = c
	}
	var errs []error
	for _, t := range tasks {
		if err := e.adopt(ctx, t, byTask[t.ARN]); err != nil {
			errs = append(errs, fmt.Errorf("adopt task %s: %w", t.ARN, err))
		}
	}
	if len(errs) > 0 {
		return errors.Join(errs...) // nothing is swept while it is not known what belongs to whom
	}
	e.mu.Lock()
	e.owning = true
	e.mu.Unlock()
	e.look(ctx) // also for what happened while this went on
	e.sweepVolumes(ctx)
	return nil
}

// adopt rebuilds a task's state from its containers. A task without a running pause container has lost its address:
// it is wound up.
func (e *Engine) adopt(ctx context.Context, t Task, there map[string]container.Summary) error {
	pause := there[pauseName]
	r := e.newRun(t, cmp.Or(pause.Labels[labelCredentials], newUUID()))
	s := &r.state
	s.pauseID, s.prepared, s.progress = pause.ID, true, up
	s.pullStarted, s.pullStopped = &t.CreatedAt, &t.CreatedAt
	for _, m := range s.members {
		c, ok := there[m.name()]
		if !ok {
			continue
		}
		r.noteStart(c.ID) // of what was killed before, only Docker can tell why
		found, err := e.docker.ContainerInspect(ctx, c.ID, client.ContainerInspectOptions{})
		if err != nil && !cerrdefs.IsNotFound(err) {
			return err
		}
		if err == nil && found.Container.State != nil {
			m.id, m.phase, m.labels, m.imageID = c.ID, created, c.Labels, c.ImageID
			m.createdAt = parseDockerTime(found.Container.Created)
			s.observe(m, *found.Container.State)
		}
	}
	if pause.State != container.StateRunning {
		s.stop(ecstypes.TaskStopCodeEssentialContainerExited, essentialExit, time.Now())
	} else if err := r.regain(ctx); err != nil {
		return err
	}
	s.resume()
	if e.enter(r) {
		e.spawn(r.loop)
	}
	return nil
}

// regain finds again what a running task knew: its address, and the secrets if containers are yet to be created.
func (r *taskRun) regain(ctx context.Context) (err error) {
	s := &r.state
	if s.eni, err = r.e.interfaceOf(ctx, s.pauseID); err != nil {
		return err
	}
	if !slices.ContainsFunc(s.members, func(m *member) bool { return m.phase == pulled }) {
		return nil
	}
	if r.secretValues, err = r.secrets(ctx); err != nil {
		s.stop(ecstypes.TaskStopCodeTaskFailedToStart, "ResourceInitializationError: "+err.Error(), time.Now())
	}
	return nil
}

// resume takes the task to be where it is, so that its way there is not told a second time.
func (s *state) resume() {
	if s.begun() {
		var last time.Time
		for _, m := range s.members {
			if len(m.runs) > 0 && m.runs[0].Started.After(last) {
				last = m.runs[0].Started
			}
		}
		s.startedAt = &last
	}
	s.lastStatus = s.statusNow()
}

// observe takes in what Docker says of a container. What is known already changes nothing.
func (s *state) observe(m *member, d container.State) {
	startedAt := parseDockerTime(d.StartedAt)
	if m.phase == stopped || startedAt.IsZero() {
		return
	}
	if run := m.lastRun(); run == nil || startedAt.After(run.Started) {
		m.runs, m.oom = append(m.runs, OneRun{Started: startedAt}), false
		m.phase = running
		m.setHealth(ecstypes.HealthStatusUnknown, startedAt)
	}
	run := m.lastRun()
	if run.Finished != nil {
		return // of a run that has ended already
	}
	if d.Health != nil {
		m.observeHealth(*d.Health)
	}
	if !d.Running && !d.Paused {
		s.exited(m, int32(d.ExitCode), parseDockerTime(d.FinishedAt), d.OOMKilled || m.oom)
	}
}

func (m *member) observeHealth(h container.Health) {
	if n := len(h.Log); n > 0 {
		m.healthExit, m.healthOutput = h.Log[n-1].ExitCode, h.Log[n-1].Output
	}
	at := time.Now()
	switch h.Status {
	case container.Healthy:
		m.setHealth(ecstypes.HealthStatusHealthy, at)
	case container.Unhealthy:
		m.setHealth(ecstypes.HealthStatusUnhealthy, at)
	}
}

// vanished ends a container that somebody removed.
func (s *state) vanished(m *member, now time.Time) {
	if m.phase == stopped {
		return
	}
	if run := m.lastRun(); run != nil && run.Finished == nil {
		run.Finished, run.ExitCode = &now, aws.Int32(killedCode)
	}
	m.conclude("the container was removed from outside")
}
