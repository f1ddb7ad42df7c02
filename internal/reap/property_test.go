package reap

import (
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// mutant puts a fault into a controller's engine. It is nil for the real one.
type mutant func(*controller)

// play lets the history happen, then lets all trouble end, and checks the promises all the while.
func play(h history, broken mutant) *world {
	w := &world{
		history: h, broken: broken, rng: rand.New(rand.NewPCG(h.seed, 2)),
		tasks: map[int]*task{}, byID: map[string]*task{}, seen: map[string]int{},
	}
	w.records = []*record{
		{id: "by-hand"}, {id: "odd", taskID: "../../x"}, {id: "a-token", token: true, taskID: "web"},
		{id: "elsewhere", taskID: "e0000000000000000000000000000000", other: true},
		{id: "elsewhere-token", token: true, taskID: "00000000000000000000000000000064", other: true}, // its ID is that of task 0, too
	}
	for i := range w.controllers {
		w.controllers[i] = &controller{w: w, name: "controller " + strconv.Itoa(i)}
		w.controllers[i].start()
	}
	w.controllers[0].win()
	for _, i := range []int{heard, unheard} {
		w.birth(step{who: i})
	}
	for _, s := range h.steps {
		w.at(s.at, func() { verbs[s.verb](w, s) })
	}
	w.runUntil(h.end())
	w.settle()
	for _, c := range w.controllers {
		for _, p := range c.processes {
			p.kill()
		}
	}
	return w
}

// settle checks what is promised for the time after all trouble.
func (w *world) settle() {
	const slack = 30 * time.Second
	look := w.interval*12/10 + slack // within it there is a full look from its beginning to its end
	c := w.controllers[0]
	c.inARemoval, w.controllers[1].inARemoval = nil, nil
	w.runUntil(w.now + time.Minute) // whoever crashed a moment ago is back
	w.controllers[1].lose()
	c.win()
	w.runUntil(w.now + time.Minute) // ECS shows the controller's own task now
	from := w.now
	w.end(step{who: heard, events: []time.Duration{time.Second}})
	w.end(step{who: unheard})
	w.runUntil(from + 15*time.Second)
	w.expectGone("after an event", func(t *task) bool { return t == w.tasks[heard] })
	w.runUntil(from + look)
	w.expectGone("after a full look", func(t *task) bool { return t.dead <= from && t.forgone > w.now })
	w.runUntil(from + time.Minute + 2*look)
	heldBack := map[string]bool{}
	if c.plan != nil {
		for _, r := range c.plan.HeldBack {
			heldBack[r.TaskID] = true
		}
	}
	w.expectGone("after a minute and two looks, and not held back", func(t *task) bool { return !heldBack[t.id] })
	if len(heldBack) > 0 && w.limits.BrakeTasks > 0 && w.interval >= 30*time.Second && w.seed%4 == 0 {
		w.seen["an hour waited for the brake"]++
		w.runUntil(w.now + time.Duration(1+len(heldBack)/w.limits.BrakeTasks)*brakeWindow)
	} else if n := c.engine.Release(); n != len(heldBack) {
		w.blame("brake", "%d tasks were released, %d held back", n, len(heldBack))
	}
	w.runUntil(w.now + look)
	w.expectGone("after the brake's time or a release", func(*task) bool { return true })
	w.quiet, w.queue = true, nil
	w.runUntil(w.now + look)
	if n := len(c.engine.memory.absences); n > 0 && w.violation == nil {
		w.blame("memory", "%d absences are remembered of tasks that Consul does not know", n)
	}
}

func (w *world) expectGone(when string, of func(*task) bool) {
	for _, r := range w.records {
		if r.owner != nil && r.owner.dead <= w.now && !r.gone && of(r.owner) {
			w.blame("bound", "%s: %s is there, its task is dead since %v and known to ECS until %v", when, r.id, r.owner.dead, r.owner.forgone)
		}
	}
}

// firstFailure plays histories on all processors. It returns the one with the lowest number that breaks the promise, or any
// where that is empty, and adds up what was seen.
func firstFailure(base uint64, histories int, broken mutant, promise string) (h history, failed bool, seen map[string]int) {
	var next, first atomic.Int64
	var mu sync.Mutex
	seen = map[string]int{}
	first.Store(int64(histories))
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for i := next.Add(1) - 1; i < first.Load(); i = next.Add(1) - 1 {
				w := play(randomHistory(base+uint64(i)), broken)
				mu.Lock()
				for what, n := range w.seen {
					seen[what] += n
				}
				mu.Unlock()
				if w.violation == nil || promise != "" && w.violation.promise != promise {
					continue
				}
				for lowest := first.Load(); i < lowest && !first.CompareAndSwap(lowest, i); lowest = first.Load() {
				}
			}
		})
	}
	workers.Wait()
	return randomHistory(base + uint64(first.Load())), first.Load() < int64(histories), seen
}

func number(t *testing.T, variable string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", variable, err)
	}
	return n
}

// TestNoHistoryHarmsALivingTaskOrLeavesADeadOne plays random histories. REAP_SEED and REAP_HISTORIES repeat some of them.
func TestNoHistoryHarmsALivingTaskOrLeavesADeadOne(t *testing.T) {
	seed := number(t, "REAP_SEED", rand.Uint64()>>1)
	histories := number(t, "REAP_HISTORIES", 10_000)
	t.Logf("REAP_SEED=%d REAP_HISTORIES=%d", seed, histories)
	h, failed, seen := firstFailure(seed, int(histories), nil, "")
	t.Logf("seen: %v", seen)
	if failed {
		short, v := shrink(h, nil)
		t.Errorf("%v\nREAP_SEED=%d REAP_HISTORIES=1 repeats it. The shortest history found that fails so, of %d steps:\n%v", v, h.seed, len(h.steps), short)
		return
	}
	for _, what := range sights {
		if seen[what] == 0 && histories >= 10_000 {
			t.Errorf("no history has %q: what is random here has become too tame", what)
		}
	}
}

// sights are what some histories have to have.
var sights = []string{
	"stopped, event", "stopped, full look", "missing, full look", "missing, released", string(GuardOwnTask), string(GuardUnknown), string(GuardNotConfirmed),
	string(GuardAbsence), string(GuardBrake), string(GuardForeign), "two lead", "lock lost in a pass", "lock lost in a removal", "killed in a removal",
	"a removal fails", "removed twice", "an event is set aside", "an hour waited for the brake", "in another ECS cluster, stopped", "in another ECS cluster, missing",
	"described after a removal",
}

func TestAHistoryRepeatsItself(t *testing.T) {
	t.Parallel()
	for seed := range uint64(50) {
		h := randomHistory(seed)
		first, second := play(h, nil), play(randomHistory(seed), nil)
		if diff := cmp.Diff(first.seen, second.seen); diff != "" || first.seq != second.seq || first.now != second.now {
			t.Fatalf("history %d played twice (-first +second):\n%s", seed, diff)
		}
	}
}
