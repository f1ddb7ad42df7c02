package dataplane

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/consulecs/terraform-provider-consulecs/internal/envoy"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/process"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskmeta"
)

const (
	drainWithin = 5 * time.Second // at the most, for what is still in flight
	killAfter   = 2 * time.Second // Envoy ends within milliseconds of SIGTERM, or not at all

	appsPoll  = 200 * time.Millisecond // ECS throttles the metadata endpoint at 40 requests a second
	drainPoll = 50 * time.Millisecond
)

// stop ends Envoy once the application has stopped. It takes as long as the file allows, or until a second signal.
func (a *agent) stop(ctx context.Context, child *process.Child) error {
	total := time.Duration(a.file.Envoy.StopWithinSeconds) * time.Second
	drain, kill := min(drainWithin, total/4), min(killAfter, total/4)
	deadline := time.Now().Add(total)

	// The agent outlives the signal that ended ctx. One that comes after this line is the second.
	patient, hurry := signal.NotifyContext(context.WithoutCancel(ctx), syscall.SIGTERM, os.Interrupt)
	defer hurry()
	go func() { // an Envoy that is gone need not be waited for
		select {
		case <-child.Done():
			hurry()
		case <-patient.Done():
		}
	}()
	a.log.Info("told to stop: envoy serves until the application has stopped", "at_most", (total - drain - kill).String())
	a.awaitApplication(patient, deadline.Add(-drain-kill))
	a.drain(patient, deadline.Add(-kill))
	select {
	case <-child.Done():
		return unexpected(child)
	default:
	}
	if err := child.Stop(context.WithoutCancel(ctx), kill); err != nil {
		a.log.Warn("envoy did not end by itself", "err", err)
	}
	a.log.Info("envoy stopped")
	return nil
}

// awaitApplication returns when every container of the application has stopped, at the deadline, or when ctx ends.
func (a *agent) awaitApplication(ctx context.Context, deadline time.Time) {
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	metadata, err := taskmeta.New(a.getenv(taskmeta.Variable))
	if err != nil {
		a.log.Warn("cannot tell whether the application runs: not waiting for it", "err", err)
		return
	}
	tick := time.NewTicker(appsPoll)
	defer tick.Stop()
	var runs []string // as far as is known
	for {
		task, err := metadata.Task(ctx)
		if err == nil {
			runs = task.Unstopped(mesh.InjectedContainers()...)
		}
		switch {
		case errors.Is(err, taskmeta.ErrGone):
			a.log.Info("task metadata are gone: the application is taken to have stopped")
			return
		case err != nil:
			a.log.Debug("task metadata not read", "err", err)
		case len(runs) == 0:
			a.log.Info("application has stopped")
			return
		}
		select {
		case <-ctx.Done():
			a.log.Warn("application not seen to stop", "running", runs)
			return
		case <-tick.C:
		}
	}
}

// drain sends the peers away and returns when nothing of theirs is in flight, at the deadline, or when ctx ends.
func (a *agent) drain(ctx context.Context, deadline time.Time) {
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	if ctx.Err() != nil {
		return
	}
	admin := envoy.NewAdmin(a.file.Envoy.Admin())
	if err := admin.Drain(ctx); err != nil {
		a.log.Warn("listeners not drained", "err", err)
		return
	}
	tick := time.NewTicker(drainPoll)
	defer tick.Stop()
	for {
		inFlight, err := admin.Inbound(ctx)
		if err == nil && inFlight == 0 {
			return
		}
		select {
		case <-ctx.Done():
			a.log.Warn("not waiting any longer for what is in flight", "in_flight", inFlight)
			return
		case <-tick.C:
		}
	}
}
