package actions

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/consulecs/terraform-provider-consulecs/internal/reap"
	"github.com/consulecs/terraform-provider-consulecs/internal/sleep"
)

// secondLook is how long after the first look the second one is, for tasks that ECS does not know: a minute has to lie between them.
const secondLook = 65 * time.Second

// reaping is one run of an engine: one full look, and another one where a task is missing.
type reaping struct {
	say    progress
	engine *reap.Engine
}

// seen is what is left to be said of a run.
type seen struct {
	heldBack, waiting []string // IDs of tasks
	unknown           int
}

func (r reaping) run(ctx context.Context) (seen, error) {
	var pass reap.Pass
	removed := 0
	r.engine.Observer = reap.Observer{
		Finished: func(p reap.Pass) { pass, removed = p, removed+p.Removed },
		Removed: func(one reap.Removal) {
			verb := "Removed"
			if r.engine.DryRun {
				verb = "Would remove"
			}
			r.say("%s what task %s left: %s. %s.", verb, one.TaskID, leavings(one.Holding), why(one.Evidence))
		},
	}
	if err := r.engine.Sync(ctx); err != nil {
		return seenOf(pass), err
	}
	if n := len(pass.Plan.Waiting); n > 0 && !r.engine.DryRun {
		r.say("ECS does not know %s. Whether it is so a minute later decides: waiting %v.", tasks(n), secondLook)
		if !sleep.For(ctx, secondLook) {
			return seenOf(pass), fmt.Errorf("wait for the second look: %w", context.Cause(ctx))
		}
		if err := r.engine.Sync(ctx); err != nil {
			return seenOf(pass), err
		}
	}
	if foreign := pass.Plan.Foreign; foreign > 0 {
		r.say("Left alone what Consul has on the node and is no task's.")
	}
	if r.engine.DryRun {
		r.say("A dry run: nothing was removed. What %s left would be.", tasks(removed))
	} else {
		r.say("Removed what %s left, of %s that Consul knew.", tasks(removed), tasks(pass.Plan.Known))
	}
	return seenOf(pass), nil
}

func seenOf(p reap.Pass) (s seen) {
	if p.Plan == nil {
		return s
	}
	for _, r := range p.Plan.HeldBack {
		s.heldBack = append(s.heldBack, r.TaskID)
	}
	for _, r := range p.Plan.Waiting {
		s.waiting = append(s.waiting, r.TaskID)
	}
	s.unknown = p.Plan.Unknown
	return s
}

// why says what a removal rests on.
func why(e reap.Evidence) string {
	if e.Verdict == reap.Stopped {
		return "ECS says that it has stopped"
	}
	return fmt.Sprintf("ECS has not known it for %v", e.AbsentFor.Round(time.Second))
}

// leavings names the services of a task. Tokens are told by their number: a controller's log names them.
func leavings(h reap.Holding) string {
	var parts []string
	for _, s := range h.Services {
		parts = append(parts, s.ID)
	}
	slices.Sort(parts)
	switch n := len(h.Tokens); n {
	case 0:
	case 1:
		parts = append(parts, "1 token")
	default:
		parts = append(parts, fmt.Sprintf("%d tokens", n))
	}
	return strings.Join(parts, ", ")
}

func tasks(n int) string {
	if n == 1 {
		return "1 task"
	}
	return fmt.Sprintf("%d tasks", n)
}

// few names some of many tasks.
func few(ids []string) string {
	const shown = 5
	if more := len(ids) - shown; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(ids[:shown], ", "), more)
	}
	return strings.Join(ids, ", ")
}
