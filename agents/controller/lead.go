package controller

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/consulecs/terraform-provider-consulecs/internal/consul/lock"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/reconcile"
)

const (
	// handOver is how long giving up the lock may take. SIGTERM leaves five seconds for it, and for logging out.
	handOver = 2 * time.Second

	lookTimeout = 10 * time.Minute // a first look after long absence has ten thousand tasks to remove
	lookRetry   = 5 * time.Second
	lookPause   = 15 * time.Second // between looks that fail: one trouble that stays must not slow the rest down for long

	// The intervals of full looks where the configuration says nothing. Without events the limit on calls of ECS does the rest.
	lookWithoutEvents = 5 * time.Second
	lookForAbsent     = 65 * time.Second // while tasks are missing: a second look after the minute that counts

	// deafAfter is how long the queue may not answer before full looks stand in for events.
	deafAfter = time.Minute

	// pulseLimit is how long a full look may last before the controller counts as stuck.
	pulseLimit = lookTimeout + time.Minute
)

// campaign leads whenever this controller is the one to, until ctx ends.
func (k *keeper) campaign(ctx context.Context) {
	for {
		lease, err := k.consul.Campaign(ctx, lock.Settings{
			Node: k.task.ClusterARN, Key: mesh.ControllerKey(k.task.ClusterARN), Holder: k.task.ARN, Address: k.task.Address.String(),
			MakeNode: k.prepare, Log: k.log,
		})
		if err != nil {
			return // ctx has ended
		}
		k.log.Info("leading", "ecs_cluster", k.task.ClusterARN)
		k.lead(lease.Context())
		k.log.Info("leading no more", "ecs_cluster", k.task.ClusterARN, "why", context.Cause(lease.Context()))
		if err := k.release(ctx, lease); err != nil {
			k.log.Warn("lock not handed over, others wait until it is old", "err", err)
		}
		if ctx.Err() != nil {
			return
		}
	}
}

func (k *keeper) release(ctx context.Context, lease *lock.Lease) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), handOver)
	defer cancel()
	return lease.Release(ctx)
}

// lead does the work until ctx ends, which it does with the lock.
func (k *keeper) lead(ctx context.Context) {
	for _, c := range k.clusters {
		c.engine.Forget() // what others saw meanwhile is not known here
	}
	k.stand(true)
	defer k.stand(false)
	var listening sync.WaitGroup
	defer listening.Wait()
	if k.queue != nil {
		k.state.set(func(s *standing) { s.heard = time.Now() })
		listening.Go(func() { k.listen(ctx) })
	}
	reconcile.Loop{
		Interval: k.interval, Retry: lookRetry, MaxPause: lookPause, Timeout: lookTimeout, Wake: k.wake, Log: k.log,
	}.Run(ctx, k.look)
}

func (k *keeper) stand(leading bool) {
	k.counts.Leads(leading)
	k.state.set(func(s *standing) { s.leading = leading })
}

// look compares all of Consul with all of ECS, one ECS cluster after the other. One that fails does not keep the others.
func (k *keeper) look(ctx context.Context) error {
	k.pulse.Beat()
	k.state.set(func(s *standing) { s.looking, s.waiting = true, 0 })
	defer k.state.set(func(s *standing) { s.looking = false })
	if !time.Now().Before(k.state.get().prepareAt) {
		if err := k.prepare(ctx); err != nil {
			return err
		}
	}
	var errs []error
	for _, c := range k.clusters {
		errs = append(errs, c.engine.Sync(ctx))
	}
	return errors.Join(errs...)
}

// lookNow has the next full look begin at once. It does not wait for the one that is under way.
func (k *keeper) lookNow() {
	select {
	case k.wake <- struct{}{}:
	default: // it was told already
	}
}

// interval is how far apart full looks are, as things stand.
func (k *keeper) interval() time.Duration {
	interval := pace(k.settings.SyncSeconds, k.state.get(), time.Now())
	k.counts.LooksEvery(interval)
	return interval
}

// pace decides on the interval between full looks: as configured, else long while events are heard of. Tasks that are missing
// want their second look soon.
func pace(configured *int, s standing, now time.Time) time.Duration {
	interval := lookWithoutEvents
	if configured != nil && (s.heard.IsZero() || now.Sub(s.heard) < deafAfter) {
		interval = time.Duration(*configured) * time.Second
	}
	if s.waiting > 0 {
		interval = min(interval, lookForAbsent)
	}
	return interval
}
