package reap

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// The troubles that a history may have.
const (
	slowCalls       = "calls are slow"
	listFails       = "ListTasks fails"
	listEmpty       = "ListTasks shows nothing"
	listShort       = "ListTasks lacks tasks"
	listOld         = "ListTasks is late"
	describeFails   = "DescribeTasks fails"
	describeEmpty   = "DescribeTasks answers nothing"
	describeShort   = "DescribeTasks leaves tasks out"
	describeMissing = "DescribeTasks knows no task"
	blind           = "ECS sees another ECS cluster"
	blindLater      = "ECS sees another ECS cluster, but for a look's first description"
	describeOdd     = "DescribeTasks lists other failures"
	describeOld     = "DescribeTasks is late"
	readsFail       = "Consul's reads fail"
	removalsFail    = "Consul's writes fail"
	receiveFails    = "the queue is gone"
)

var troubles = []string{
	slowCalls, listFails, listEmpty, listShort, listOld, describeFails, describeEmpty, describeShort, describeMissing, describeOdd,
	describeOld, readsFail, removalsFail, receiveFails, blind, blind, blind, blindLater,
}

var (
	errTrouble = errors.New("injected")
	errKilled  = errors.New("killed")
)

// wait is half a call. It fails where the caller was killed or its context has ended meanwhile.
func (w *world) wait(ctx context.Context) error {
	longest := 40 * time.Millisecond
	if w.trouble(slowCalls) {
		longest = 4 * time.Second
	}
	if p := callerOf(ctx).process; !p.sleep(w.upTo(longest)) || p.dead {
		return errKilled
	}
	return ctx.Err()
}

// read is a call that answers with the world as it was in its middle.
func (w *world) read(ctx context.Context, trouble string, look func()) error {
	if err := w.wait(ctx); err != nil {
		return err
	}
	look()
	if err := w.wait(ctx); err != nil {
		return err
	}
	if w.trouble(trouble) {
		return fmt.Errorf("%s: %w", trouble, errTrouble)
	}
	return nil
}

// simECS is ECS as a controller reaches it.
type simECS struct{ w *world }

func (s simECS) Running(ctx context.Context) (map[string]bool, error) {
	return s.list(ctx, func(desired, _ string) bool { return desired == "RUNNING" })
}

func (s simECS) list(ctx context.Context, pick func(desired, last string) bool) (map[string]bool, error) {
	w, running := s.w, map[string]bool{}
	err := w.read(ctx, listFails, func() {
		if w.trouble(listEmpty) || w.trouble(blind) || w.trouble(blindLater) {
			return
		}
		when := w.now
		if w.trouble(listOld) {
			when -= w.upTo(20 * time.Second)
		}
		for _, t := range w.inOrder() {
			desired, last, known := t.statuses(when)
			if known && pick(desired, last) && w.shows(t) && !w.trouble(listShort) {
				running[t.id] = true
			}
		}
	})
	if err != nil {
		return nil, err
	}
	return running, nil
}

func (s simECS) Describe(ctx context.Context, ids []string) (map[string]Verdict, error) {
	return s.describe(ctx, ids, func(_, last string) string { return last })
}

func (s simECS) describe(ctx context.Context, ids []string, status func(desired, last string) string) (map[string]Verdict, error) {
	w, verdicts := s.w, map[string]Verdict{}
	later := false
	if who := callerOf(ctx); !who.handling {
		later = who.c.described
		who.c.described = true
		if who.c.removing {
			w.seen["described after a removal"]++
		}
	}
	distinct := slices.Compact(slices.Sorted(slices.Values(ids)))
	if len(ids) > 100 || len(ids) == 0 || len(distinct) < len(ids) || slices.ContainsFunc(ids, func(id string) bool { return !IsTaskID(id) }) {
		w.blame("call", "ECS refuses to describe %q", ids)
	}
	err := w.read(ctx, describeFails, func() {
		if w.trouble(describeEmpty) {
			return
		}
		nobody := w.trouble(describeMissing) || w.trouble(blind) || later && w.trouble(blindLater)
		when := w.now
		if w.trouble(describeOld) {
			when -= w.upTo(20 * time.Second)
		}
		for _, id := range ids {
			t := w.byID[id]
			desired, last, known := "", "", false
			if t != nil {
				desired, last, known = t.statuses(when)
				known = known && w.shows(t)
			}
			switch {
			case w.trouble(describeShort):
			case w.trouble(describeOdd):
				verdicts[id] = VerdictOfFailure("ACCESS_DENIED")
			case nobody || !known:
				verdicts[id] = VerdictOfFailure("MISSING")
			default:
				verdicts[id] = VerdictOf(status(desired, last))
			}
		}
	})
	if err != nil {
		return nil, err
	}
	return verdicts, nil
}

// shows reports whether an answer shows the task, which it may not do for nearly a minute from the task's birth.
func (w *world) shows(t *task) bool { return w.now >= t.visible || w.chance(t.glimpses) }

// inOrder are the tasks in an order that is always the same.
func (w *world) inOrder() []*task {
	all := make([]*task, 0, len(w.byID))
	for _, t := range w.byID {
		all = append(all, t)
	}
	slices.SortFunc(all, func(a, b *task) int {
		if a.id < b.id {
			return -1
		}
		return 1
	})
	return all
}

// simConsul is Consul as a controller reaches it.
type simConsul struct{ w *world }

func (s simConsul) All(ctx context.Context) (map[string]Holding, error) {
	return s.holdings(ctx, func(string) bool { return true })
}

func (s simConsul) Of(ctx context.Context, taskIDs []string) (map[string]Holding, error) {
	return s.holdings(ctx, func(id string) bool { return slices.Contains(taskIDs, id) })
}

func (s simConsul) holdings(ctx context.Context, pick func(taskID string) bool) (map[string]Holding, error) {
	held := map[string]Holding{}
	err := s.w.read(ctx, readsFail, func() {
		for _, r := range s.w.records {
			if r.gone || r.other || !pick(r.taskID) {
				continue
			}
			h := held[r.taskID]
			h.TaskID = r.taskID
			if r.token {
				h.Tokens = append(h.Tokens, Token{AccessorID: r.id})
			} else {
				h.Services = append(h.Services, Service{ID: r.id})
			}
			held[r.taskID] = h
		}
	})
	if err != nil {
		return nil, err
	}
	s.w.known = max(s.w.known, len(held))
	return held, nil
}

func (s simConsul) Remove(ctx context.Context, removals []Removal) (removed []Removal, err error) {
	if ctx.Err() != nil {
		s.w.blame("lock", "%s begins to remove after it lost the lock", callerOf(ctx).c.name)
	}
	if who := callerOf(ctx); !who.handling {
		who.c.removing = true
	}
	var errs []error
	for _, r := range removals {
		failed := len(errs)
		for _, service := range r.Services {
			errs = s.remove(ctx, service.ID, r, errs)
		}
		for _, token := range r.Tokens {
			errs = s.remove(ctx, token.AccessorID, r, errs)
		}
		if len(errs) == failed {
			removed = append(removed, r)
		}
	}
	return removed, errors.Join(errs...)
}

// remove writes, unless ctx has ended. An answer that is lost is an error although the record is gone.
func (s simConsul) remove(ctx context.Context, id string, why Removal, errs []error) []error {
	if c := callerOf(ctx).c; c.inARemoval != nil {
		s.w.at(s.w.now+s.w.upTo(60*time.Millisecond), c.inARemoval)
		c.inARemoval = nil
	}
	err := s.w.wait(ctx)
	if err == nil && s.w.trouble(removalsFail) {
		err = errTrouble
	}
	if err == nil {
		s.w.written(callerOf(ctx), id, why)
		err = s.w.wait(ctx)
	}
	switch {
	case errors.Is(err, context.Canceled):
		s.w.seen["lock lost in a removal"]++
	case errors.Is(err, errKilled):
		s.w.seen["killed in a removal"]++
	case err != nil:
		s.w.seen["a removal fails"]++
	}
	if err != nil {
		errs = append(errs, fmt.Errorf("remove %s: %w", id, err))
	}
	return errs
}

// written checks a removal against what is promised, and makes it.
func (w *world) written(who caller, id string, why Removal) {
	if !who.c.leading || who.c.term != who.term {
		w.blame("lock", "%s removes %s after it lost the lock", who.c.name, id)
	}
	for _, r := range w.records {
		if r.id != id {
			continue
		}
		switch {
		case r.gone:
			w.seen["removed twice"]++
			return
		case r.other || r.owner == nil:
			w.blame("foreign", "%s removes %s, which is no task's of the ECS cluster: %v", who.c.name, id, why.Evidence)
		case w.now < r.owner.dead:
			desired, last, _ := r.owner.statuses(w.now)
			w.blame("live", "%s removes %s, whose task is %s (desired %s) and %v old: %v", who.c.name, id, last, desired, w.now-r.owner.born, why.Evidence)
		}
		r.gone = true
	}
}

// hold puts a service or a token into Consul.
func (w *world) hold(t *task, token bool) {
	w.seq++
	w.records = append(w.records, &record{id: fmt.Sprintf("%s-%d", t.id, w.seq), token: token, taskID: t.id, owner: t, created: w.now})
}

// send puts an event into the queue.
func (w *world) send(taskID string, after time.Duration) {
	w.at(w.now+after, func() {
		if !w.quiet {
			w.queue = append(w.queue, &message{taskID: taskID, visible: w.now})
		}
	})
}

// receive takes up to ten events. They are shown again after half a minute, and set aside after four times.
func (w *world) receive() []*message {
	if len(w.queue) == 0 || w.trouble(receiveFails) {
		return nil
	}
	var received []*message
	waiting := len(w.queue)
	w.queue = slices.DeleteFunc(w.queue, func(m *message) bool { return m.visible <= w.now && m.received >= 4 })
	w.seen["an event is set aside"] += waiting - len(w.queue)
	for _, m := range w.queue {
		if m.visible <= w.now && len(received) < 10 {
			m.visible = w.now + 30*time.Second
			m.received++
			received = append(received, m)
		}
	}
	return received
}

// delete takes events out of the queue, and checks that they were worked off.
func (w *world) delete(received []*message, done []string, began time.Duration) {
	w.queue = slices.DeleteFunc(w.queue, func(m *message) bool { return slices.Contains(received, m) && slices.Contains(done, m.taskID) })
	for _, r := range w.records {
		if r.owner == nil || r.gone || r.created >= began || !slices.Contains(done, r.taskID) {
			continue
		}
		if t := r.owner; t.dead < began && t.born+time.Minute < began && w.now < t.forgone {
			w.blame("event", "the event of task %s, dead since %v, is called done, but %s is there", t.id, t.dead, r.id)
		}
	}
}
