package reap

import (
	"cmp"
	"context"
	"testing"
	"time"
)

// mutants are faults that the property has to find, each by the promise that it breaks. They are put around what an engine
// calls, so that the engine itself is the real one.
var mutants = map[string]struct {
	promise string
	put     mutant
}{
	"reaping on desiredStatus": {"live", func(c *controller) { c.engine.ECS = desiredStatus{simECS{c.w}} }},
	"trusting an empty page":   {"live", func(c *controller) { c.engine.ECS = &trustedList{simECS{c.w}, c.own.id, false} }},
	"no own task in an answer": {"live", func(c *controller) {
		c.engine.Own, c.engine.ECS = c.own.id, noOwnTask{simECS{c.w}, c.own.id}
	}},
	"no witness elsewhere": {"live", func(c *controller) {
		c.engine.Own, c.engine.ECS = "", noOwnTask{simECS{c.w}, anyTask}
	}},
	"events are not confirmed": {"live", func(c *controller) { c.engine.ECS = believedEvents{simECS{c.w}, c.own.id} }},
	"deleting after a lost lock": {"lock", func(c *controller) {
		c.engine.Catalog = deafCatalog{simConsul{c.w}}
	}},
	"absence by the wall clock": {"live", func(c *controller) {
		c.engine.Now = func() time.Duration { return c.w.now + c.wallOffset }
	}},
	"silence is absence":           {"live", func(c *controller) { c.engine.ECS = silenceIsStopped{simECS{c.w}} }},
	"what is nobody's is a task's": {"foreign", func(c *controller) { c.engine.Catalog = greedyCatalog{simConsul{c.w}} }},
	"no brake":                     {"brake", func(c *controller) { c.engine.Limits.BrakeTasks = 1000 }},
	"missing tasks are kept":       {"bound", func(c *controller) { c.engine.ECS = missingIsAlive{simECS{c.w}} }},
	"one answer's proof stands for the next": {"live", func(c *controller) {
		c.engine.Own, c.engine.ECS = c.own.id, &lastingProof{simECS{c.w}, c.own.id, false}
	}},
	"a look is decided on in parts": {"bound", func(c *controller) { c.look = inParts(c.engine) }},
	"failed removals are done":      {"event", func(c *controller) { c.engine.Catalog = optimisticCatalog{simConsul{c.w}} }},
}

// desiredStatus judges tasks by what ECS means them to do.
type desiredStatus struct{ simECS }

func (e desiredStatus) Describe(ctx context.Context, ids []string) (map[string]Verdict, error) {
	return e.describe(ctx, ids, func(desired, _ string) string { return desired })
}

// trustedList takes a list without tasks for what it says: that all have stopped.
type trustedList struct {
	simECS
	own   string
	empty bool
}

func (e *trustedList) Running(ctx context.Context) (map[string]bool, error) {
	running, err := e.simECS.Running(ctx)
	e.empty = err == nil && len(running) == 0
	return running, err
}

func (e *trustedList) Describe(ctx context.Context, ids []string) (map[string]Verdict, error) {
	if e.empty && !callerOf(ctx).handling {
		return allStopped(ids, e.own), nil
	}
	return e.simECS.Describe(ctx, ids)
}

func allStopped(ids []string, own string) map[string]Verdict {
	verdicts := map[string]Verdict{}
	for _, id := range ids {
		verdicts[id] = Stopped
	}
	verdicts[own] = Alive
	return verdicts
}

// anyTask stands for the witness.
const anyTask = ""

// noOwnTask does not ask for the controller's own task, or for another witness, which is the last that a batch names.
type noOwnTask struct {
	simECS
	own string
}

func (e noOwnTask) Describe(ctx context.Context, ids []string) (map[string]Verdict, error) {
	verdicts, err := e.simECS.Describe(ctx, ids)
	if err == nil {
		verdicts[cmp.Or(e.own, ids[len(ids)-1])] = Alive
	}
	return verdicts, err
}

// believedEvents takes an event's word.
type believedEvents struct {
	simECS
	own string
}

func (e believedEvents) Describe(ctx context.Context, ids []string) (map[string]Verdict, error) {
	if callerOf(ctx).handling {
		return allStopped(ids, e.own), nil
	}
	return e.simECS.Describe(ctx, ids)
}

// silenceIsStopped takes no answer for a task that has stopped.
type silenceIsStopped struct{ simECS }

func (e silenceIsStopped) Describe(ctx context.Context, ids []string) (map[string]Verdict, error) {
	verdicts, err := e.simECS.Describe(ctx, ids)
	for _, id := range ids {
		if err == nil && verdicts[id] == Unknown {
			verdicts[id] = Stopped
		}
	}
	return verdicts, err
}

// missingIsAlive never finds a task missing.
type missingIsAlive struct{ simECS }

func (e missingIsAlive) Describe(ctx context.Context, ids []string) (map[string]Verdict, error) {
	verdicts, err := e.simECS.Describe(ctx, ids)
	for id, v := range verdicts {
		if v == Missing {
			verdicts[id] = Alive
		}
	}
	return verdicts, err
}

// lastingProof shows the own task in all answers of a look once one has shown it.
type lastingProof struct {
	simECS
	own    string
	proven bool
}

func (e *lastingProof) Running(ctx context.Context) (map[string]bool, error) {
	e.proven = false
	return e.simECS.Running(ctx)
}

func (e *lastingProof) Describe(ctx context.Context, ids []string) (map[string]Verdict, error) {
	verdicts, err := e.simECS.Describe(ctx, ids)
	if err != nil || callerOf(ctx).handling {
		return verdicts, err
	}
	e.proven = e.proven || verdicts[e.own] == Alive
	if e.proven {
		verdicts[e.own] = Alive
	}
	return verdicts, nil
}

// inParts looks at everything as Sync does, but takes the tasks of each answer for all that there are.
func inParts(e *Engine) func(context.Context) error {
	return func(ctx context.Context) error {
		return e.pass(ViaFullLook, func(p *Pass) error {
			look, rest, err := e.begin(ctx, nil)
			if err != nil {
				return err
			}
			return e.describe(ctx, p, e.ECS, rest, func(verdicts map[string]Verdict) {
				part := Look{At: look.At, Full: true, Own: look.Own, Held: map[string]Holding{}, Verdicts: verdicts}
				for id := range verdicts {
					part.Held[id] = look.Held[id]
				}
				if ctx.Err() == nil {
					_ = e.remove(ctx, e.decide(p, part).Removals, map[string]bool{})
				}
			})
		})
	}
}

// deafCatalog does not hear that the lock is lost.
type deafCatalog struct{ simConsul }

func (d deafCatalog) Remove(ctx context.Context, removals []Removal) ([]Removal, error) {
	return d.simConsul.Remove(context.WithoutCancel(ctx), removals)
}

// greedyCatalog gives what is held for nobody to the first task that it removes.
type greedyCatalog struct{ simConsul }

func (g greedyCatalog) Remove(ctx context.Context, removals []Removal) ([]Removal, error) {
	removals[0].Services = append(removals[0].Services, Service{ID: "by-hand"})
	return g.simConsul.Remove(ctx, removals)
}

// optimisticCatalog calls everything removed.
type optimisticCatalog struct{ simConsul }

func (o optimisticCatalog) Remove(ctx context.Context, removals []Removal) ([]Removal, error) {
	_, err := o.simConsul.Remove(ctx, removals)
	return removals, err
}

func TestThePropertyFindsFaults(t *testing.T) {
	t.Parallel()
	const histories = 2000
	for name, m := range mutants {
		t.Run(name, func(t *testing.T) {
			h, failed, _ := firstFailure(1, histories, m.put, m.promise)
			if !failed {
				t.Fatalf("%d histories, and the promise %q is never broken", histories, m.promise)
			}
			short, v := shrink(h, m.put)
			if other := play(short, nil).violation; other != nil {
				t.Errorf("the engine without the fault fails too: %v", other)
			}
			t.Logf("found in history %d, shrunk from %d steps to %d:\n%v\n%v", h.seed, len(h.steps), len(short.steps), short, v)
		})
	}
}
