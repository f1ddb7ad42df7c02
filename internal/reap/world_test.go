package reap

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"time"
)

const never = time.Duration(math.MaxInt64)

// world is ECS, Consul, the queue of events and two controllers in memory, on a time of its own. Everything in it happens
// one after another in an order that follows from the history alone: the controllers' engines run as coroutines that give
// way in each call of Consul and ECS, so that whatever else there is may happen in the middle of their work.
type world struct {
	history
	broken mutant
	rng    *rand.Rand
	now    time.Duration
	agenda agenda
	seq    int

	tasks       map[int]*task // by their numbers in the history
	byID        map[string]*task
	records     []*record
	queue       []*message
	emitted     []string // IDs of all events so far
	windows     []step   // of trouble
	controllers [2]*controller
	known       int // the most tasks that a controller was shown in Consul

	quiet     bool           // no event arrives any more
	violation *violation     // the first
	seen      map[string]int // what happened how often
}

// violation is a promise that was broken.
type violation struct {
	promise string // "live", "foreign", "lock", "brake", "event", "bound", "memory" or "call"
	text    string
}

func (v *violation) String() string { return v.promise + ": " + v.text }

func (w *world) blame(promise, format string, args ...any) {
	if w.violation == nil {
		w.violation = &violation{promise, fmt.Sprintf("after %v: ", w.now) + fmt.Sprintf(format, args...)}
	}
}

// task is one of ECS. Its times are those at which it enters the next state.
type task struct {
	id                                     string
	born, visible, stopping, dead, forgone time.Duration
	glimpses                               int // percent of the answers that show it before it is visible
}

// statuses are those that ECS knew at a time.
func (t *task) statuses(when time.Duration) (desired, last string, known bool) {
	switch {
	case when < t.born || when >= t.forgone:
		return "", "", false
	case when >= t.dead:
		return "STOPPED", "STOPPED", true
	case when >= t.stopping:
		return "STOPPED", "DEACTIVATING", true
	case when < t.born+5*time.Second:
		return "RUNNING", "PROVISIONING", true
	}
	return "RUNNING", "RUNNING", true
}

// record is a service or a token in Consul.
type record struct {
	id      string
	token   bool
	taskID  string // that it is held for
	other   bool   // of another ECS cluster's task
	owner   *task  // nil for nobody's
	created time.Duration
	gone    bool
}

// message is an event in the queue.
type message struct {
	taskID   string
	visible  time.Duration
	received int
}

// appointment is something that happens at a time.
type appointment struct {
	at  time.Duration
	seq int
	do  func()
}

type agenda []appointment

func (a agenda) Len() int { return len(a) }
func (a agenda) Less(i, j int) bool {
	return a[i].at < a[j].at || a[i].at == a[j].at && a[i].seq < a[j].seq
}
func (a agenda) Swap(i, j int) { a[i], a[j] = a[j], a[i] }
func (a *agenda) Push(x any)   { *a = append(*a, x.(appointment)) }
func (a *agenda) Pop() any {
	last := (*a)[len(*a)-1]
	*a = (*a)[:len(*a)-1]
	return last
}

func (w *world) at(when time.Duration, do func()) {
	w.seq++
	heap.Push(&w.agenda, appointment{max(when, w.now), w.seq, do})
}

// runUntil lets the world go on to a time, or until a promise is broken.
func (w *world) runUntil(end time.Duration) {
	for w.violation == nil && len(w.agenda) > 0 && w.agenda[0].at <= end {
		next := heap.Pop(&w.agenda).(appointment)
		w.now = next.at
		next.do()
	}
	w.now = max(w.now, end)
}

// upTo is a random time below d.
func (w *world) upTo(d time.Duration) time.Duration { return time.Duration(w.rng.Int64N(int64(d) + 1)) }

func (w *world) chance(percent int) bool { return w.rng.IntN(100) < percent }

// trouble reports whether there is trouble of a kind now.
func (w *world) trouble(kind string) bool {
	for _, s := range w.windows {
		if s.trouble == kind && w.now < s.at+s.d && w.chance(s.n) {
			return true
		}
	}
	return false
}

// process is a coroutine of a controller.
type process struct {
	c     *controller
	next  func() (struct{}, bool)
	stop  func()
	yield func(struct{}) bool
	dead  bool
}

func (c *controller) spawn(run func(*process)) *process {
	p := &process{c: c}
	p.next, p.stop = iter.Pull(func(yield func(struct{}) bool) {
		p.yield = yield
		run(p)
	})
	c.w.at(c.w.now, p.resume)
	return p
}

func (p *process) resume() {
	switch {
	case p.dead:
	case p.c.pausedUntil > p.c.w.now:
		p.c.w.at(p.c.pausedUntil, p.resume)
	default:
		p.next()
	}
}

// kill ends the process in the middle of what it does.
func (p *process) kill() {
	p.dead = true
	p.stop()
}

// sleep gives way for so long. It reports false if the process was killed meanwhile.
func (p *process) sleep(d time.Duration) bool {
	if p.dead {
		return false
	}
	p.c.w.at(p.c.w.now+d, p.resume)
	return p.yield(struct{}{})
}

// caller is who calls Consul or ECS: a process in a term of leadership.
type caller struct {
	*process
	term     int
	handling bool // events
}

type callerKey struct{}

func callerOf(ctx context.Context) caller { return ctx.Value(callerKey{}).(caller) }

// controller is one that runs in the world.
type controller struct {
	w           *world
	name        string
	own         *task
	engine      *Engine
	look        func(context.Context) error // a full one
	described   bool                        // by the full look that is under way, or was the last one
	removing    bool                        // begun by that look
	processes   []*process
	pausedUntil time.Duration
	wallOffset  time.Duration // of its wall clock from the time that has passed
	inARemoval  func()        // happens in the middle of its next removal

	leading bool
	term    int
	lead    context.Context
	lost    context.CancelFunc

	plan   *Plan                    // of the last full look
	passed map[string]time.Duration // when a missing task was removed that no operator had let through
}

// start starts the controller as a new process in a new task. It remembers nothing.
func (c *controller) start() {
	w := c.w
	w.seq++
	c.own = &task{
		id: fmt.Sprintf("c0%030x", w.seq), born: w.now, visible: w.now + w.upTo(50*time.Second), glimpses: 50,
		stopping: never, dead: never, forgone: never,
	}
	w.byID[c.own.id] = c.own
	w.hold(c.own, true)
	began := w.now
	c.passed = map[string]time.Duration{}
	c.engine = &Engine{
		Own: c.own.id, Catalog: simConsul{w}, ECS: simECS{w}, Limits: w.limits,
		Now:      func() time.Duration { return w.now - began },
		Observer: Observer{Removed: c.removed, Finished: c.finished}, most: w.most,
	}
	c.look = c.engine.Sync
	if w.elsewhere {
		c.engine.Own = ""
	}
	if w.broken != nil {
		w.broken(c)
	}
	c.processes = []*process{c.spawn(c.sync), c.spawn(c.handle)}
}

// crash ends the controller without a goodbye.
func (c *controller) crash() {
	c.lose()
	for _, p := range c.processes {
		p.kill()
	}
	c.processes = nil
	c.own.stopping, c.own.dead = c.w.now, c.w.now
}

func (c *controller) win() {
	if !c.leading && c.processes != nil {
		c.leading = true
		if c.w.controllers[0].leading && c.w.controllers[1].leading {
			c.w.seen["two lead"]++
		}
		c.term++
		c.lead, c.lost = context.WithCancel(context.Background())
	}
}

func (c *controller) lose() {
	if c.leading {
		c.leading = false
		c.lost()
	}
}

func (c *controller) context(p *process, handling bool) context.Context {
	return context.WithValue(c.lead, callerKey{}, caller{p, c.term, handling})
}

// sync is the loop of full looks.
func (c *controller) sync(p *process) {
	for {
		if c.leading {
			c.described, c.removing = false, false
			_ = c.look(c.context(p, false))
		}
		if !p.sleep(c.pause(c.w.interval*8/10 + c.w.upTo(c.w.interval*4/10))) {
			return
		}
	}
}

// pause is how long a loop sleeps: so long while the controller leads, else until the next look whether it does.
func (c *controller) pause(leading time.Duration) time.Duration {
	if c.leading {
		return leading
	}
	return 10 * time.Second
}

// handle is the loop of events.
func (c *controller) handle(p *process) {
	for p.sleep(c.pause(3 * time.Second)) {
		for c.leading && !p.dead {
			var ids []string
			received := c.w.receive()
			if len(received) == 0 {
				break
			}
			for _, m := range received {
				ids = append(ids, m.taskID)
			}
			began := c.w.now
			done, _ := c.engine.Handle(c.context(p, true), ids)
			if p.dead {
				return
			}
			c.w.delete(received, done, began)
		}
	}
}

func (c *controller) finished(p Pass) {
	if p.Via == ViaFullLook && p.Plan != nil {
		c.plan = p.Plan
	}
	for guard, n := range p.Trips {
		c.w.seen[string(guard)] += n
	}
	if errors.Is(p.Err, context.Canceled) {
		c.w.seen["lock lost in a pass"]++
	}
}

// removed checks the brake.
func (c *controller) removed(r Removal) {
	w := c.w
	if r.Evidence.Released {
		w.seen["missing, released"]++
		return
	}
	w.seen[r.Evidence.Verdict.String()+", "+string(r.Evidence.Via)]++
	if w.elsewhere {
		w.seen["in another ECS cluster, "+r.Evidence.Verdict.String()]++
	}
	if r.Evidence.Verdict != Missing {
		return
	}
	c.passed[r.TaskID] = w.now
	within := 0
	for _, at := range c.passed {
		if at > w.now-brakeWindow+2*time.Minute { // it counts from the decision, which is a little earlier
			within++
		}
	}
	if limit := max(w.limits.BrakeTasks, w.known*w.limits.BrakePercent/100); within > limit {
		w.blame("brake", "%s removed %d missing tasks within the hour, the limit is %d of %d", c.name, within, limit, w.known)
	}
}
