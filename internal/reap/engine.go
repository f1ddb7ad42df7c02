// Package reap removes what dead tasks of an ECS cluster left in Consul: services of the synthetic node, and ACL tokens.
//
// [Memory.Decide] is the decision, from a look at the world to a plan, without a clock, a network or a log. [Engine] looks,
// decides and acts, over two small views of Consul and of ECS: of everything now and then (Sync), and of the tasks that
// events name (Handle), at a cost that does not grow with what else there is.
//
// What is promised:
//   - Nothing is removed that belongs to a task which has not stopped, to the controller's own task, or to no task of ECS.
//   - Nothing is written once the context of the call has ended. The caller ends it the moment it no longer leads.
//   - Of a stopped task nothing is left when Handle has called its event done, nor after the first Sync that ECS answers.
//   - Of a task that ECS does not know nothing is left after the first Sync that comes a minute or more after another one
//     which found it missing too; an event that named it may stand for the first.
//   - The brake alone may hold the latter back: for its hour, or until Release. It counts within one engine's life.
package reap

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"
)

const (
	// MaxDescribed is the most tasks that DescribeTasks takes at a time.
	MaxDescribed = 100

	// maxRemoved is how many tasks are removed before the engine tells of them and looks whether it may go on.
	maxRemoved = 200
)

// Catalog is what Consul holds for the tasks of the ECS cluster.
type Catalog interface {
	// All reads everything, by task ID. What has no ID of a task may be among it or not.
	All(ctx context.Context) (map[string]Holding, error)

	// Of reads what is held for the tasks, of which there may be hundreds, at a cost that does not depend on how many more
	// there are. It has to see what was written before it was called.
	Of(ctx context.Context, taskIDs []string) (map[string]Holding, error)

	// Remove takes services out of the catalog, then deletes tokens. What is gone already is no error, and a record that
	// cannot be removed does not keep the others. It writes nothing once ctx has ended. removed are those that nothing is
	// left of; it goes with the error.
	Remove(ctx context.Context, removals []Removal) (removed []Removal, err error)
}

// ECS is what ECS says of the ECS cluster's tasks.
type ECS interface {
	// Running lists the tasks with desired status RUNNING, to the last page.
	Running(ctx context.Context) (map[string]bool, error)

	// Describe gives the verdicts on 100 tasks at the most, in one call of DescribeTasks; see VerdictOf and VerdictOfFailure.
	Describe(ctx context.Context, ids []string) (map[string]Verdict, error)
}

// Engine keeps Consul clean of one ECS cluster's dead tasks. Its fields are not to be changed once it is in use. Its methods
// may be called from several goroutines: only the memory is shared, and is locked while a decision is made, not while Consul
// or ECS is asked. So two calls may remove the same task, which does no harm: an ID never comes back to life.
type Engine struct {
	Own      string // ID of the controller's own task, the witness that ECS sees the ECS cluster; empty if it runs in another one
	Catalog  Catalog
	ECS      ECS
	Urgent   ECS // asked about the tasks of events, which do not wait for a full look; nil: ECS
	Limits   Limits
	DryRun   bool // do everything but remove; what would be removed is told in the same way
	Observer Observer
	Now      func() time.Duration // since any fixed moment, by a monotonic clock; nil for that of the process

	// Listed hears what ECS lists in a Sync, before anything is removed, so that nobody has to list for something else. It may
	// be nil; where it is not, ECS lists even if Consul holds nothing. Its error is one of Sync's, which goes on.
	Listed func(ctx context.Context, running map[string]bool) error

	most    int // tasks of a call of DescribeTasks; 0: MaxDescribed
	mu      sync.Mutex
	memory  Memory
	witness string // where there is no own task: one that ECS last listed
}

// Sync looks at everything and removes what dead tasks left behind. It reads Consul first: whatever is there then belongs to
// a task that was born before ECS is asked. What ECS calls stopped is removed as its answers come in, which takes their batches
// one after the other; of tasks that ECS does not know it is decided when all answers are there, by the longest absence first.
func (e *Engine) Sync(ctx context.Context) error {
	return e.pass(ViaFullLook, func(p *Pass) error {
		look, rest, err := e.begin(ctx, e.Listed)
		if look.Held == nil {
			return err
		}
		removed := map[string]bool{}
		defer func() { p.Removed = len(removed) }()
		var failures []error
		describeErr := e.describe(ctx, p, e.ECS, rest, func(verdicts map[string]Verdict) {
			maps.Copy(look.Verdicts, verdicts)
			failures = append(failures, e.remove(ctx, look.stopped(slices.Sorted(maps.Keys(verdicts))), removed)...)
		})
		if ctx.Err() == nil { // else nothing is decided: that would spend the brake's room for nothing
			failures = append(failures, e.remove(ctx, missing(e.decide(p, look).Removals), removed)...)
		} else {
			failures = append(failures, ctx.Err())
		}
		return errors.Join(err, describeErr, few(failures))
	})
}

// Handle looks at the tasks that events call stopped, and removes what those left behind that ECS calls stopped too. done
// are the IDs that their events have nothing more to give for; it goes with the error:
//   - what the task held is gone, or there was nothing,
//   - ECS does not know the task: that counts as a first look, the rest is for Sync,
//   - it is no ID of a task, or the controller's own.
//
// The events of other IDs are to stay in the queue, which shows them again later, and sets them aside after a few times:
//   - ECS calls the task alive: the event is wrong, or ECS lags behind its own events,
//   - ECS gave no answer, or none that is relied on, or Consul did not do its part.
//
// An event that was set aside is made up for by Sync.
func (e *Engine) Handle(ctx context.Context, ids []string) (done []string, err error) {
	err = e.pass(ViaEvent, func(p *Pass) error {
		var tasks []string
		for _, id := range slices.Compact(slices.Sorted(slices.Values(ids))) {
			if id == e.Own || !IsTaskID(id) {
				done = append(done, id)
				p.Trips[GuardForeign]++
			} else {
				tasks = append(tasks, id)
			}
		}
		handled, err := e.handle(ctx, p, tasks)
		done = append(done, handled...)
		return err
	})
	return done, err
}

// Release lets through what the brake holds back now: the next Sync removes it, unless ECS knows it again. It says how many
// tasks that are.
func (e *Engine) Release() (tasks int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.memory.Release()
}

// Forget ends all absences, for a controller that has not looked for a while: another one may have seen the tasks meanwhile.
// What the brake let through counts on.
func (e *Engine) Forget() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.memory.Forget()
}

// Look looks at everything, as Sync does.
func (e *Engine) Look(ctx context.Context) (Look, error) {
	look, rest, err := e.begin(ctx, nil)
	if look.Held == nil {
		return look, err
	}
	return look, e.describe(ctx, &Pass{Trips: map[Guard]int{}}, e.ECS, rest, func(verdicts map[string]Verdict) { maps.Copy(look.Verdicts, verdicts) })
}

func (e *Engine) handle(ctx context.Context, p *Pass, tasks []string) (done []string, err error) {
	look := Look{At: e.now(), Own: e.Own, Verdicts: map[string]Verdict{}}
	err = e.describe(ctx, p, e.urgent(), tasks, func(verdicts map[string]Verdict) { maps.Copy(look.Verdicts, verdicts) })
	byVerdict := map[Verdict][]string{}
	for _, id := range tasks {
		byVerdict[look.Verdicts[id]] = append(byVerdict[look.Verdicts[id]], id)
	}
	p.Trips[GuardNotConfirmed] += len(byVerdict[Alive])
	p.Trips[GuardUnknown] += len(byVerdict[Unknown])
	done = byVerdict[Missing]
	stopped := byVerdict[Stopped]
	if len(stopped) > 0 {
		held, heldErr := e.Catalog.Of(ctx, stopped)
		if heldErr != nil {
			err = errors.Join(err, heldErr)
			held, stopped = nil, nil
		}
		look.Held = held
	}
	removed := map[string]bool{}
	failures := e.remove(ctx, e.decide(p, look).Removals, removed)
	p.Removed = len(removed)
	for _, id := range stopped {
		if _, held := look.Held[id]; !held || removed[id] {
			done = append(done, id)
		}
	}
	return done, errors.Join(err, few(failures))
}

// urgent is the ECS that is asked about the tasks of events.
func (e *Engine) urgent() ECS {
	if e.Urgent != nil {
		return e.Urgent
	}
	return e.ECS
}

// pass does the work and tells of it.
func (e *Engine) pass(via Via, work func(*Pass) error) error {
	began := e.now()
	p := Pass{Via: via, Trips: map[Guard]int{}}
	p.Err = work(&p)
	p.Took = e.now() - began
	maps.DeleteFunc(p.Trips, func(_ Guard, n int) bool { return n == 0 })
	if e.Observer.Finished != nil {
		e.Observer.Finished(p)
	}
	return p.Err
}

// begin asks Consul, and then ECS for its list. Held is nil where the look is worth nothing. ListTasks, at 100 tasks a call, shows
// nearly all tasks to be alive; only the rest is to be described.
func (e *Engine) begin(ctx context.Context, listed func(context.Context, map[string]bool) error) (look Look, rest []string, err error) {
	held, err := e.Catalog.All(ctx)
	if err != nil {
		return Look{}, nil, err
	}
	if held == nil {
		held = map[string]Holding{}
	}
	look = Look{At: e.now(), Full: true, Own: e.Own, Held: held, Verdicts: map[string]Verdict{}}
	var ids []string
	for id := range held {
		if id != e.Own && IsTaskID(id) {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 && listed == nil {
		return look, nil, nil
	}
	running, err := e.ECS.Running(ctx)
	if err != nil {
		return Look{}, nil, err
	}
	if listed != nil {
		err = listed(ctx, running)
	}
	e.choose(running)
	for _, id := range ids {
		if running[id] {
			look.Verdicts[id] = Alive
		} else {
			rest = append(rest, id)
		}
	}
	slices.Sort(rest)
	return look, rest, err
}

// describe asks ECS about the tasks, and in each batch about a witness too. An answer that does not show the controller's own
// task alive comes from an ECS that does not see the ECS cluster as it is, and is no evidence of anything. Where there is no
// own task, an answer has to show the other witness before it counts that ECS does not know a task; what ECS describes
// outright is told by that. A batch without an answer leaves its tasks unknown and does not keep the others. told hears the verdicts
// of each batch before ECS is asked about the next one.
func (e *Engine) describe(ctx context.Context, p *Pass, of ECS, ids []string, told func(map[string]Verdict)) error {
	var failures []error
	witness := e.chosen()
	for batch := range slices.Chunk(ids, cmp.Or(e.most, MaxDescribed)-1) {
		if ctx.Err() != nil {
			failures = append(failures, ctx.Err())
			break
		}
		asked := batch
		if witness != "" && !slices.Contains(batch, witness) {
			asked = append(slices.Clone(batch), witness)
		}
		answer, err := of.Describe(ctx, asked)
		if err != nil {
			failures = append(failures, err)
		}
		verdicts := map[string]Verdict{}
		proven := answer[witness] == Alive || e.Own == "" && answer[witness] == Stopped
		untold := 0
		for _, id := range batch {
			switch {
			case proven, e.Own == "" && answer[id] != Missing:
				verdicts[id] = answer[id]
			default:
				untold++
			}
		}
		if untold > 0 && err == nil {
			p.Trips[GuardOwnTask] += untold
			failures = append(failures, fmt.Errorf("describe %d tasks: ECS's answer %s", len(batch), e.doubt(witness)))
		}
		told(verdicts)
	}
	return few(failures)
}

// doubt is why an answer of ECS is not relied on.
func (e *Engine) doubt(witness string) string {
	const hint = "\nhint: this passes where that task is less than a minute old; else ECS is asked about another ECS cluster, or at another endpoint"
	switch {
	case e.Own != "":
		return "does not show the controller's own task " + e.Own + " alive, so it is not relied on" + hint
	case witness != "":
		return "does not show the task " + witness + ", which ECS listed, so that it does not know others is not relied on" + hint
	}
	return "does not know tasks, and ECS has listed none, so nothing shows that it sees the ECS cluster"
}

// choose picks a witness from the list, for where there is no own task. Where nothing is listed the last one stays: ECS knows
// it for an hour after its end.
func (e *Engine) choose(running map[string]bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(running) > 0 && !running[e.witness] {
		e.witness = slices.Min(slices.Collect(maps.Keys(running)))
	}
}

func (e *Engine) chosen() string {
	if e.Own != "" {
		return e.Own
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.witness
}

// few joins errors that are likely all the same.
func few(errs []error) error {
	const shown = 3
	if more := len(errs) - shown; more > 0 {
		errs = append(slices.Clone(errs[:shown]), fmt.Errorf("and %d more such failures", more))
	}
	return errors.Join(errs...)
}

// decide decides on a look that is complete, and tells of it.
func (e *Engine) decide(p *Pass, look Look) Plan {
	e.mu.Lock()
	plan := e.memory.Decide(look, e.Limits)
	e.mu.Unlock()
	p.Plan = &plan
	p.Trips[GuardUnknown] += plan.Unknown
	p.Trips[GuardAbsence] += len(plan.Waiting)
	p.Trips[GuardBrake] += len(plan.HeldBack)
	p.Trips[GuardForeign] += plan.Foreign
	return plan
}

// remove removes, and adds to removed the tasks that nothing is left of.
func (e *Engine) remove(ctx context.Context, removals []Removal, removed map[string]bool) (failures []error) {
	for batch := range slices.Chunk(removals, maxRemoved) {
		if ctx.Err() != nil {
			return append(failures, ctx.Err())
		}
		gone := batch
		if !e.DryRun {
			var err error
			if gone, err = e.Catalog.Remove(ctx, batch); err != nil {
				failures = append(failures, err)
			}
		}
		for _, r := range gone {
			removed[r.TaskID] = true
			if e.Observer.Removed != nil {
				e.Observer.Removed(r)
			}
		}
	}
	return failures
}

// started is the moment that the process's own clock counts from.
var started = time.Now()

func (e *Engine) now() time.Duration {
	if e.Now != nil {
		return e.Now()
	}
	return time.Since(started)
}
