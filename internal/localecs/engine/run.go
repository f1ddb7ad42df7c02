package engine

import (
	"context"
	"errors"
	"io"
	"reflect"
	"sync"
	"syscall"
	"time"

	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	cerrdefs "github.com/containerd/errdefs"
	"github.com/hashicorp/go-hclog"
	"github.com/moby/moby/client"

	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/engine/roles"
	"github.com/consulecs/terraform-provider-consulecs/internal/sleep"
)

// taskRun is one task's life. Its loop alone changes the state; whatever takes time runs beside it and posts what to
// change. Readers take the lock.
type taskRun struct {
	e             *Engine
	log           hclog.Logger
	credentialsID string      // names the task's credentials in their URL
	taskRole      *roles.Role // nil for a task without one

	mu           sync.Mutex
	state        state
	secretValues map[string][]string // NAME=value by container
	inspected    map[string]bool     // containers being inspected; true = once more after that
	killsBefore  map[string]int64    // the kernel's count of kills before the containers' last starts
	logs         map[string][]byte   // what is left of the containers' output once they are removed

	mailMu sync.Mutex
	mail   []func(*state)
	wakeUp chan struct{}
}

// post has f change the state from the task's loop. It never blocks.
func (r *taskRun) post(f func(*state)) {
	r.mailMu.Lock()
	r.mail = append(r.mail, f)
	r.mailMu.Unlock()
	select {
	case r.wakeUp <- struct{}{}:
	default:
	}
}

// loop lives as long as the task does, or until ctx ends.
func (r *taskRun) loop(ctx context.Context) {
	var told Status
	for {
		steps, wake, over := r.turn()
		told = r.tell(told)
		for _, st := range steps {
			r.e.spawn(func(ctx context.Context) { r.act(ctx, st) })
		}
		if over {
			return
		}
		var timer <-chan time.Time
		if !wake.IsZero() {
			timer = time.After(time.Until(wake))
		}
		select {
		case <-r.wakeUp:
		case <-timer:
		case <-ctx.Done():
			return
		}
	}
}

// turn applies what was posted and decides what is next.
func (r *taskRun) turn() (steps []step, wake time.Time, over bool) {
	r.mailMu.Lock()
	mail := r.mail
	r.mail = nil
	r.mailMu.Unlock()

	order := r.e.stopOrder() // before the lock: the engine's comes first
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.state.stopping {
		r.state.stopOrder = order
	}
	for _, f := range mail {
		f(&r.state)
	}
	now := time.Now()
	if r.state.startedAt == nil && r.state.begun() {
		r.state.startedAt = &now
	}
	steps, wake = r.state.next(now)
	return steps, wake, r.state.progress == gone
}

// tell reports the state if it differs from what was told last, passing through every status in between.
func (r *taskRun) tell(told Status) Status {
	r.mu.Lock()
	words := statusPath(r.state.lastStatus, r.state.statusNow(), r.state.startedAt != nil)
	reports := make([]Status, 0, len(words)+1)
	for _, w := range words {
		r.state.lastStatus = w
		reports = append(reports, r.state.report())
	}
	if len(words) == 0 {
		reports = append(reports, r.state.report())
	}
	r.mu.Unlock()
	for _, s := range reports {
		if !reflect.DeepEqual(s, told) {
			told = s
			r.e.cfg.Changed(s)
		}
	}
	return told
}

// act carries out one step and posts the outcome.
func (r *taskRun) act(ctx context.Context, st step) {
	switch st.verb {
	case create:
		r.create(ctx, st.member)
	case start:
		r.start(ctx, st.member)
	case stop:
		r.stop(ctx, st.member)
	case teardown:
		r.teardown(ctx)
	}
}

func (r *taskRun) create(ctx context.Context, m *member) {
	r.mu.Lock()
	opts := r.containerOptions(m)
	r.mu.Unlock()
	id, err := r.e.createContainer(ctx, opts)
	r.post(func(s *state) {
		if err == nil {
			m.id, m.createdAt, m.labels = id, time.Now(), opts.Config.Labels
		}
		switch {
		case m.phase != creating: // the task has given it up meanwhile
		case err != nil:
			s.failed(m, "CannotCreateContainerError: "+err.Error(), time.Now())
		default:
			m.phase = created
		}
	})
}

func (r *taskRun) start(ctx context.Context, m *member) {
	r.noteStart(m.id)
	err := retry(ctx, func() error {
		_, err := r.e.docker.ContainerStart(ctx, m.id, client.ContainerStartOptions{})
		return err
	})
	if err != nil {
		r.post(func(s *state) {
			if m.phase == starting {
				s.failed(m, "CannotStartContainerError: "+err.Error(), time.Now())
			}
		})
		return
	}
	r.inspect(ctx, m)
}

// stop sends SIGTERM (or what the image says), and SIGKILL after the container's stopTimeout. Docker does the waiting;
// where it does not get the container down, it is told again.
func (r *taskRun) stop(ctx context.Context, m *member) {
	grace := 30
	if m.def.StopTimeout != nil {
		grace = int(*m.def.StopTimeout)
	}
	for ctx.Err() == nil {
		err := retry(ctx, func() error {
			_, err := r.e.docker.ContainerStop(ctx, m.id, client.ContainerStopOptions{Timeout: &grace})
			return err
		})
		if err == nil || cerrdefs.IsNotFound(err) {
			break
		}
		r.log.Warn("container not stopped, will retry", "container", m.name(), "err", err)
		grace = 0
		sleep.For(ctx, time.Second)
	}
	r.inspect(ctx, m)
}

// oom notes that a container's memory was not enough. Docker may tell so after it has told of the container's end.
func (r *taskRun) oom(dockerID string) {
	r.post(func(s *state) {
		for _, m := range s.members {
			if m.id == dockerID {
				m.outOfMemory()
			}
		}
	})
}

// hint says that something happened to a container; what it was is looked up.
func (r *taskRun) hint(dockerID string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if dockerID == r.state.pauseID {
		r.e.spawn(func(ctx context.Context) { r.inspectPause(ctx, dockerID) })
		return
	}
	for _, m := range r.state.members {
		if m.id == dockerID && m.phase != stopped {
			r.e.spawn(func(ctx context.Context) { r.inspect(ctx, m) })
		}
	}
}

// inspect looks a container up and posts what it is now. One look at a time per container, so that none overtakes another.
func (r *taskRun) inspect(ctx context.Context, m *member) {
	if !r.enter(m.id) {
		return
	}
	for {
		found, err := r.lookUp(ctx, m.id)
		if err == nil {
			r.mendMemory(ctx, m, found.Container)
		}
		switch {
		case err == nil && found.Container.State != nil:
			r.post(func(s *state) { s.observe(m, *found.Container.State) })
		case cerrdefs.IsNotFound(err):
			r.post(func(s *state) { s.vanished(m, time.Now()) })
		case ctx.Err() == nil:
			r.log.Warn("container not inspected, will be looked at again", "container", m.name(), "err", err)
		}
		if !r.leave(m.id) {
			return
		}
	}
}

func (r *taskRun) lookUp(ctx context.Context, dockerID string) (found client.ContainerInspectResult, err error) {
	err = retry(ctx, func() (err error) {
		found, err = r.e.docker.ContainerInspect(ctx, dockerID, client.ContainerInspectOptions{})
		return err
	})
	return found, err
}

// enter reports whether the caller may inspect; if another does, that one will look once more.
func (r *taskRun) enter(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, busy := r.inspected[id]; busy {
		r.inspected[id] = true
		return false
	}
	r.inspected[id] = false
	return true
}

// leave reports whether the caller is to look once more.
func (r *taskRun) leave(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.inspected[id] {
		r.inspected[id] = false
		return true
	}
	delete(r.inspected, id)
	return false
}

// inspectPause ends the task if its pause container does not run: with it goes the task's address.
func (r *taskRun) inspectPause(ctx context.Context, id string) {
	found, err := r.e.docker.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
	if err != nil && !cerrdefs.IsNotFound(err) {
		return // the poll asks again
	}
	if err == nil && found.Container.State != nil && found.Container.State.Running {
		return
	}
	r.post(func(s *state) {
		if s.progress == up {
			s.stop(ecstypes.TaskStopCodeEssentialContainerExited, essentialExit, time.Now())
		}
	})
}

// over reports whether the task has ended.
func (r *taskRun) over() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state.progress == gone
}

func (r *taskRun) stoppedBefore(t time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state.stoppedAt != nil && r.state.stoppedAt.Before(t)
}

// retry repeats a call to Docker that failed for a reason that passes: for ever while the daemon is away, a few times
// while it has trouble of its own. Answers about the request itself stand.
func retry(ctx context.Context, call func() error) error {
	const patience = 5
	for attempt := 1; ; attempt++ {
		err := call()
		trouble := cerrdefs.IsInternal(err) || cerrdefs.IsUnavailable(err)
		if err == nil || ctx.Err() != nil || !away(err) && !(trouble && attempt < patience) {
			return err
		}
		if !sleep.For(ctx, min(time.Duration(attempt)*100*time.Millisecond, 2*time.Second)) {
			return err
		}
	}
}

// away reports whether a call ended because the daemon is not there, or went away meanwhile.
func away(err error) bool {
	return client.IsErrConnectionFailed(err) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET)
}
