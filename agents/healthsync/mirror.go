package healthsync

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentlog"
	"github.com/consulecs/terraform-provider-consulecs/internal/consul"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskmeta"
)

const (
	slowPoll  = 2 * time.Second        // ECS's own health checks are five seconds apart at the least
	fastPoll  = 250 * time.Millisecond // while something is happening; ECS throttles at 40 requests a second and task
	healEvery = 30 * time.Second       // between two looks at our own registration
	maxPause  = 10 * time.Second       // between calls of Consul that fail

	fastAtStart = 2 * time.Minute // until every check has passed once, at the longest
	fastAfter   = 5 * time.Second // after each change
)

// mirror copies the task's health to Consul. Its verbs are functions, so that its loops run in tests on a clock of theirs.
type mirror struct {
	log          hclog.Logger
	registration consul.Registration

	task         func(context.Context) (taskmeta.Task, error)
	proxyProblem func(context.Context) string // "" when the proxy is ready
	lookup       func(context.Context, consul.Registration) (map[string]consul.Check, bool, error)
	register     func(context.Context, consul.Registration) error
	setChecks    func(context.Context, consul.Registration, []consul.Check) error
	deregister   func(context.Context, consul.Registration) error
	probes       probes
	passed       func() // called when Consul first holds every check as passing

	suspected chan struct{} // holds one element when somebody else may have changed the registration
	held      ledger        // what Consul holds
	whole     bool          // the registration is all there
	started   bool          // every check has passed once
	nextLook  time.Time     // at the registration
	retryAt   time.Time     // after a call that failed; zero else
	pause     time.Duration // before retryAt
}

// run mirrors until ctx ends. It writes when a check changes, and at no other time.
func (m *mirror) run(ctx context.Context) {
	var task taskmeta.Task
	fastUntil := time.Now().Add(fastAtStart)
	failing := false
	var heard time.Time // when callers have heard of the instance
	for ctx.Err() == nil {
		seen, err := m.task(ctx)
		if err == nil {
			if task.ARN == "" {
				heard = heardBy(seen, time.Now())
			}
			task = seen
		} else if !failing && ctx.Err() == nil {
			m.log.Warn("task metadata not read: its last answer stands", agentlog.Fields(err)...)
		}
		failing = err != nil
		if task.ARN != "" {
			want := judge(m.registration.Checks, task, m.proxyProblem(ctx), m.probes.ask(ctx, task))
			if early := time.Until(heard); early > 0 && allPass(want) {
				m.rest(ctx, min(early, fastPoll))
				continue
			}
			changed := m.mend(ctx, want)
			if first := !m.started && m.held.passing(want); first || m.started && changed {
				if first {
					m.passed()
				}
				m.started, fastUntil = true, time.Now().Add(fastAfter)
			}
		}
		switch {
		case !time.Now().Before(fastUntil):
			m.rest(ctx, slowPoll)
		case m.probes.pending():
			m.rest(ctx, probePoll)
		default:
			m.rest(ctx, fastPoll)
		}
	}
}

// suspect makes the mirror look at the registration now. It never blocks.
func (m *mirror) suspect() {
	select {
	case m.suspected <- struct{}{}:
	default: // it will look anyway
	}
}

// rest waits for d, or until the registration is suspected to be another than it was: then it is time to look at it, and
// no pause after an earlier failure counts.
func (m *mirror) rest(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-m.suspected:
		m.nextLook, m.retryAt = time.Time{}, time.Time{}
	}
}

// mend brings Consul to want and reports whether it wrote. While calls fail, the pauses between them grow.
func (m *mirror) mend(ctx context.Context, want []consul.Check) bool {
	if time.Now().Before(m.retryAt) {
		return false
	}
	wrote, err := m.try(ctx, want)
	if err == nil {
		m.pause, m.retryAt = 0, time.Time{}
		return wrote
	}
	m.pause = min(max(2*m.pause, fastPoll), maxPause)
	wait := m.pause/2 + rand.N(m.pause)
	m.retryAt = time.Now().Add(wait)
	if ctx.Err() == nil {
		m.log.Warn("will retry", append([]any{"retry_in", wait.Round(time.Millisecond).String()}, agentlog.Fields(err)...)...)
	}
	return false
}

func (m *mirror) try(ctx context.Context, want []consul.Check) (wrote bool, err error) {
	if now := time.Now(); now.After(m.nextLook) {
		if err := m.look(ctx); err != nil {
			return false, err
		}
		m.nextLook = now.Add(healEvery*3/4 + rand.N(healEvery/2))
	}
	if !m.whole {
		return true, m.heal(ctx, want)
	}
	pause := outputPause
	if !m.started {
		pause = outputPauseAtStart
	}
	due := m.held.due(want, time.Now(), pause)
	if len(due) == 0 {
		return false, nil
	}
	err = m.setChecks(ctx, m.registration, due)
	switch {
	case errors.Is(err, consul.ErrUnregistered):
		return true, m.heal(ctx, want)
	case err != nil:
		return false, err
	}
	m.held.note(due, time.Now())
	for _, c := range due {
		m.log.Info("check written", "check_id", c.ID, "status", string(c.Status), "output", c.Output)
	}
	return true, nil
}

// look compares what we believe Consul to hold with what it holds.
func (m *mirror) look(ctx context.Context) error {
	checks, whole, err := m.lookup(ctx, m.registration)
	if err != nil {
		return err
	}
	m.whole = whole
	found := slices.Collect(maps.Values(checks))
	maps.DeleteFunc(m.held.checks, func(id string, _ consul.Check) bool { _, still := checks[id]; return !still })
	m.held.note(found, time.Now())
	return nil
}

// heal registers service and proxy again, with the checks as they should be.
func (m *mirror) heal(ctx context.Context, want []consul.Check) error {
	m.log.Warn("the registration is not whole in Consul's catalog: registering again")
	m.whole = false
	again := m.registration
	again.Checks = want
	if err := m.register(ctx, again); err != nil {
		return err
	}
	m.whole = true
	m.held.note(want, time.Now())
	return nil
}
