package dataplane

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/consulecs/terraform-provider-consulecs/internal/envoy"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/process"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskmeta"
)

const (
	drainWithin = 5 * time.Second // at the most, for what is still in flight
	dumpWithin  = 5 * time.Second
	killAfter   = 2 * time.Second // Envoy ends within milliseconds of SIGTERM, or not at all

	drainPoll = 50 * time.Millisecond
)

// stop ends Envoy once the application has stopped and the grace period is over. It takes as long as the file allows, or
// until a second signal; signalled says that there has been a first.
func (a *agent) stop(ctx context.Context, child *process.Child, signalled bool) error {
	total := seconds(a.file.Envoy.StopWithinSeconds)
	drain, kill := min(drainWithin, total/4), min(killAfter, total/4)
	deadline := time.Now().Add(total)

	// The agent outlives what ended ctx.
	patient, hurry := context.WithCancel(context.WithoutCancel(ctx))
	defer hurry()
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, os.Interrupt)
	defer signal.Stop(signals)
	go hurryOn(patient, signals, hurry, signalled)
	go func() { // an Envoy that is gone need not be waited for
		select {
		case <-child.Done():
			hurry()
		case <-patient.Done():
		}
	}()
	a.log.Info("told to stop: envoy serves until the application has stopped", "at_most", (total - drain - kill).String())
	admin := envoy.NewAdmin(a.file.Envoy.Admin())
	if a.file.Envoy.DumpEnvoyConfigOnExitEnabled {
		a.dump(patient, admin, min(dumpWithin, total/4))
	}
	grace := time.Now().Add(seconds(a.file.Envoy.ShutdownGracePeriodSeconds)) // begins after the dump: that can take a while
	drained := a.file.Envoy.ShutdownDrainListenersEnabled && a.drain(patient, admin)
	a.awaitApplication(patient, deadline.Add(-drain-kill))
	sleepUntil(patient, grace, deadline.Add(-drain-kill))
	if drained || patient.Err() == nil && a.drain(patient, admin) {
		a.awaitInbound(patient, admin, deadline.Add(-kill))
	}
	select {
	case <-child.Done():
		return unexpected(child)
	default:
	}
	a.envoyLog.ExpectEnd()
	if err := child.Stop(context.WithoutCancel(ctx), kill); err != nil {
		a.log.Warn("envoy did not end by itself", "err", err)
	}
	a.log.Info("envoy stopped")
	return nil
}

func seconds(n int) time.Duration { return time.Duration(n) * time.Second }

// hurryOn calls hurry at a signal, or at the second if none has been yet: whoever asked to stop by a request will
// have ECS stop the task afterwards.
func hurryOn(ctx context.Context, signals <-chan os.Signal, hurry func(), signalled bool) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-signals:
			if signalled {
				hurry()
			}
			signalled = true
		}
	}
}

// sleepUntil returns at the earlier time, or when ctx ends.
func sleepUntil(ctx context.Context, times ...time.Time) {
	ctx, cancel := context.WithDeadline(ctx, slices.MinFunc(times, time.Time.Compare))
	defer cancel()
	<-ctx.Done()
}

// dump prints Envoy's configuration to stdout.
func (a *agent) dump(ctx context.Context, admin *envoy.Admin, within time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	if err := admin.DumpConfig(ctx, a.stdout); err != nil {
		a.log.Warn("configuration of envoy not printed", "err", err)
	}
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
	switch running, err := metadata.AwaitStopped(ctx, mesh.InjectedContainers()...); {
	case err == nil:
		a.log.Info("application has stopped")
	case errors.Is(err, taskmeta.ErrGone):
		a.log.Info("task metadata are gone: the application is taken to have stopped")
	default:
		a.log.Warn("application not seen to stop", "running", running)
	}
}

// drain sends the peers away and reports whether it could.
func (a *agent) drain(ctx context.Context, admin *envoy.Admin) bool {
	if err := admin.Drain(ctx); err != nil {
		a.log.Warn("listeners not drained", "err", err)
		return false
	}
	return true
}

// awaitInbound returns when nothing of the peers' is in flight, at the deadline, or when ctx ends.
func (a *agent) awaitInbound(ctx context.Context, admin *envoy.Admin, deadline time.Time) {
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
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
