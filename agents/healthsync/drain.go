package healthsync

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentlog"
	"github.com/consulecs/terraform-provider-consulecs/internal/consul"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/sleep"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskmeta"
)

// raced is how long after the critical write we look whether it still stands: an earlier write that was on its way when
// the task was stopped may have landed after it.
const raced = time.Second

// The pauses between tries to turn the checks critical double from the first to the longest: each moment counts, but a server
// that refuses fast would get four tries a second from every task that stops.
const (
	firstLatchPause = fastPoll
	maxLatchPause   = 2 * time.Second
)

// drain takes the task out of the mesh. The checks turn critical at once, so that no new traffic comes; service and proxy
// leave the catalog once the proxy has stopped, or after wait, since until then connections may still use it, or as soon as
// again tells of a second signal. ctx bounds it all. There is no way back: a draining task stays critical.
func (m *mirror) drain(ctx context.Context, wait time.Duration, again <-chan struct{}) error {
	hurried, hurry := context.WithCancel(ctx)
	defer hurry()
	go func() {
		select {
		case <-hurried.Done():
		case <-again:
			m.log.Warn("told to stop again: deregistering at once")
			hurry()
		}
	}()
	// A server that is silent holds a write up for seconds. Whatever ends the wait is seen meanwhile.
	work, stop := context.WithCancel(hurried)
	defer stop()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		m.keepCritical(work)
	}()
	m.awaitProxy(hurried, wait)
	stop()
	<-ended // so that no write of ours is under way
	err := consul.Retry(ctx, m.log, "deregister the task", func(ctx context.Context) error { return m.deregister(ctx, m.registration) })
	if err == nil {
		m.log.Info("task deregistered")
	}
	return err
}

// awaitProxy returns once the proxy has stopped, after wait, or when ctx ends.
func (m *mirror) awaitProxy(ctx context.Context, wait time.Duration) {
	end := time.Now().Add(wait)
	for ctx.Err() == nil {
		switch {
		case m.proxyStopped(ctx):
			m.log.Info("the proxy has stopped")
			return
		case time.Now().After(end):
			m.log.Warn("the proxy has not stopped in time: deregistering under it", "waited", wait.String())
			return
		}
		sleep.For(ctx, min(fastPoll, max(time.Until(end), time.Millisecond)))
	}
}

// keepCritical turns the checks critical, and looks once whether they stay so. It returns when they do, or when ctx ends.
func (m *mirror) keepCritical(ctx context.Context) {
	want := drained(m.registration.Checks)
	for pause := firstLatchPause; ctx.Err() == nil; {
		if !m.latch(ctx, want) {
			sleep.For(ctx, pause/2+rand.N(pause))
			pause = min(2*pause, maxLatchPause)
			continue
		}
		if !sleep.For(ctx, raced) || m.stands(ctx, want) {
			return
		}
	}
}

// latch writes the critical checks and reports whether they stand. Where nothing is registered, there is nothing to turn.
func (m *mirror) latch(ctx context.Context, want []consul.Check) bool {
	err := m.setChecks(ctx, m.registration, want)
	switch {
	case err == nil:
		m.log.Info("checks are critical: the task is stopping")
	case ctx.Err() != nil:
		return false
	case !errors.Is(err, consul.ErrUnregistered):
		m.log.Warn("checks not turned critical, will retry", agentlog.Fields(err)...)
		return false
	}
	return true
}

// stands reports whether the checks are still critical, as far as Consul tells.
func (m *mirror) stands(ctx context.Context, want []consul.Check) bool {
	checks, _, err := m.lookup(ctx, m.registration)
	return err != nil || !slices.ContainsFunc(want, func(w consul.Check) bool {
		have, found := checks[w.ID]
		return found && have.Status != consul.Critical
	})
}

// proxyStopped reports whether the dataplane's container has ended for good. One that the metadata do not list has not,
// but where ECS has taken the metadata away, it has taken the containers down before.
func (m *mirror) proxyStopped(ctx context.Context) bool {
	task, err := m.task(ctx)
	if err != nil {
		return errors.Is(err, taskmeta.ErrGone)
	}
	c, found := task.Container(mesh.ContainerDataplane)
	return found && c.Stopped()
}
