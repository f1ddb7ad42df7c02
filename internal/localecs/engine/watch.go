package engine

import (
	"context"
	"strings"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
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
					r.hint(m.Actor.ID)
				}
			case err := <-stream.Err:
				broken = true
				if ctx.Err() == nil {
					e.log.Warn("Docker's event stream broke, reconnecting", "err", err)
				}
			}
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
		}
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
		if runs[c.Labels[labelTask]] == nil && owning && e.run(c.Labels[labelTask]) == nil {
			e.log.Warn("container without a task removed", "container_id", c.ID)
			e.removeContainer(ctx, c.ID)
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
	if r.state.stage == up && seen[r.state.pauseID].State != container.StateRunning {
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
