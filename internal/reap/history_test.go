package reap

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// history is all that happens to a world from outside. A history is worth nothing without its seed, from which follow the
// durations of calls and what trouble hits.
type history struct {
	seed      uint64
	interval  time.Duration // of full looks
	limits    Limits
	most      int    // tasks that ECS describes at a time, a witness included; 0: as many as the real one
	elsewhere bool   // the controllers do not know that their tasks run in this ECS cluster
	steps     []step // in the order of their times
}

// step is one thing that happens.
type step struct {
	at      time.Duration
	verb    string // see verbs
	who     int    // the task, or the controller
	d       time.Duration
	e       time.Duration
	n       int
	events  []time.Duration // how long after its end the task's events arrive
	trouble string
}

// verbs are what may happen.
var verbs = map[string]func(w *world, s step){
	"birth":  (*world).birth,
	"end":    (*world).end,
	"stray":  func(w *world, s step) { w.send(w.strayID(s), 0) },
	"replay": (*world).replay,
	"purge":  func(w *world, _ step) { w.queue = nil },
	"trouble": func(w *world, s step) {
		w.windows = append(w.windows, s)
	},
	"win":   func(w *world, s step) { w.controllers[s.who].win() },
	"lose":  func(w *world, s step) { w.controllers[s.who].lose() },
	"crash": (*world).crash,
	"pause": func(w *world, s step) { w.controllers[s.who].pausedUntil = w.now + s.d },
	"jump":  func(w *world, s step) { w.controllers[s.who].wallOffset += s.e },

	"lose in a removal":  (*world).loseInARemoval,
	"crash in a removal": func(w *world, s step) { w.controllers[s.who].inARemoval = func() { w.crash(s) } },
}

func (s step) String() string {
	switch s.verb {
	case "birth":
		return fmt.Sprintf("%v: task %d is born, is in Consul after %v, and surely visible in ECS after %v, in %d %% of its answers before", s.at, s.who, s.d, s.e, s.n)
	case "end":
		return fmt.Sprintf("%v: task %d drains for %v, removes %d %% itself, is forgotten by ECS after %v, events after %v", s.at, s.who, s.d, s.n, s.e, s.events)
	case "trouble":
		return fmt.Sprintf("%v: %s for %v, at %d %%", s.at, s.trouble, s.d, s.n)
	case "stray":
		return fmt.Sprintf("%v: an event calls task %d stopped (%d)", s.at, s.who, s.n)
	case "replay", "purge":
		return fmt.Sprintf("%v: %s of the events", s.at, s.verb)
	case "crash", "pause", "crash in a removal":
		return fmt.Sprintf("%v: controller %d: %s, for %v", s.at, s.who, s.verb, s.d)
	case "jump":
		return fmt.Sprintf("%v: controller %d: its wall clock jumps by %v", s.at, s.who, s.e)
	}
	return fmt.Sprintf("%v: controller %d: %s", s.at, s.who, s.verb)
}

func (h history) String() string {
	lines := []string{fmt.Sprintf("full looks every %v, brake %+v, %d tasks described at a time, controllers of another ECS cluster: %v", h.interval, h.limits, h.most, h.elsewhere)}
	for _, s := range h.steps {
		lines = append(lines, s.String())
	}
	return strings.Join(lines, "\n")
}

// end is when the last step is over with all that follows from it, but for late events.
func (h history) end() time.Duration {
	end := time.Duration(0)
	for _, s := range h.steps {
		end = max(end, s.at+s.d)
	}
	return end + 10*time.Second
}

func (w *world) birth(s step) {
	t := &task{id: fmt.Sprintf("%032x", s.who+100), born: w.now, visible: w.now + s.e, glimpses: s.n, stopping: never, dead: never, forgone: never}
	if s.who%4 == 3 {
		t.id = fmt.Sprintf("%08x-0000-4000-8000-%012x", s.who, s.who)
	}
	w.tasks[s.who], w.byID[t.id] = t, t
	hold := func(after time.Duration, token bool) {
		w.at(w.now+after, func() {
			if w.now < t.dead || w.now < t.dead+3*time.Second { // a write may be under way when the task dies
				w.hold(t, token)
			}
		})
	}
	hold(s.d/2, true)
	hold(s.d, false)
	hold(s.d, false)
	hold(s.d*2, true) // a second login
}

func (w *world) end(s step) {
	t := w.tasks[s.who]
	if t == nil || t.stopping != never {
		return
	}
	t.stopping = w.now
	w.at(w.now+s.d, func() {
		for _, r := range w.records {
			if r.owner == t && w.chance(s.n) { // its own goodbye
				r.gone = true
			}
		}
		t.dead, t.forgone = w.now, never
		if s.e > 0 {
			t.forgone = w.now + s.e
		}
		for _, after := range s.events {
			w.emitted = append(w.emitted, t.id)
			w.send(t.id, after)
		}
	})
}

func (w *world) strayID(s step) string {
	switch t := w.tasks[s.who]; {
	case s.n == 0:
		return w.controllers[s.who%2].own.id
	case s.n == 1 || t == nil:
		return "no task's ID"
	default:
		return t.id
	}
}

func (w *world) replay(step) {
	for _, id := range w.emitted {
		w.send(id, w.upTo(20*time.Second))
	}
}

func (w *world) crash(s step) {
	c := w.controllers[s.who]
	if c.processes == nil {
		return
	}
	c.crash()
	w.at(w.now+s.d, c.start)
}

// loseInARemoval has the controller lose the lock in the middle of its next removal, to the other one sooner or later.
func (w *world) loseInARemoval(s step) {
	w.controllers[s.who].inARemoval = func() {
		w.controllers[s.who].lose()
		w.at(w.now+s.d, w.controllers[1-s.who].win)
	}
}

// The tasks that no step touches, and that die once all trouble is over: one with an event, one without.
const (
	heard   = 1000
	unheard = 1001
)

// randomHistory makes the history of a seed.
func randomHistory(seed uint64) history {
	g := generator{rand.New(rand.NewPCG(seed, 1)), history{seed: seed}}
	h := &g.history
	h.interval = pick(g.Rand, 5*time.Second, 15*time.Second, 30*time.Second, 30*time.Second, time.Minute, 3*time.Minute)
	h.limits = Limits{BrakeTasks: pick(g.Rand, 0, 1, 2, 50), BrakePercent: pick(g.Rand, 0, 0, 25, 100)}
	h.elsewhere = g.IntN(5) == 0
	h.most = pick(g.Rand, 0, 2, 3, 4)
	length := pick(g.Rand, time.Minute, 3*time.Minute, 10*time.Minute)
	for i := range 1 + g.IntN(8) {
		born := g.upTo(length)
		g.add(step{
			at: born, verb: "birth", who: i, e: pick(g.Rand, 0, g.upTo(20*time.Second), g.upTo(59*time.Second), 59900*time.Millisecond),
			d: pick(g.Rand, 0, g.upTo(5*time.Second), g.upTo(90*time.Second)), n: pick(g.Rand, 0, 50),
		})
		if g.IntN(4) == 0 { // while ECS may not show it
			g.add(step{at: born + g.upTo(50*time.Second), verb: "jump", who: g.IntN(2), e: g.upTo(2*time.Hour) - time.Hour/2})
		}
		if g.IntN(4) > 0 {
			g.add(g.anEnd(i, born+g.upTo(length)))
		}
	}
	for range g.IntN(6) {
		g.add(step{
			at: g.upTo(length), verb: "trouble", d: pick(g.Rand, g.upTo(20*time.Second), g.upTo(3*time.Minute)), n: pick(g.Rand, 30, 100, 100),
			trouble: pick(g.Rand, troubles...),
		})
	}
	for range g.IntN(4) {
		first := g.IntN(2)
		at := g.upTo(length)
		g.add(step{at: at, verb: "lose", who: first})
		g.add(step{at: max(0, at-10*time.Second+g.upTo(30*time.Second)), verb: "win", who: 1 - first}) // two lead, or nobody does
	}
	for range g.IntN(8) {
		g.add(step{
			at: g.upTo(length), verb: pick(g.Rand, "crash", "pause", "stray", "stray", "replay", "purge", "lose in a removal", "crash in a removal"),
			who: g.IntN(2), d: g.upTo(40 * time.Second), n: g.IntN(6),
		})
	}
	slices.SortStableFunc(h.steps, func(a, b step) int { return cmp.Compare(a.at, b.at) })
	return *h
}

type generator struct {
	*rand.Rand
	history
}

func (g *generator) add(s step) { g.steps = append(g.steps, s) }

func (g *generator) upTo(d time.Duration) time.Duration {
	return time.Duration(g.Int64N(int64(d) + 1)).Round(time.Millisecond)
}

// anEnd is with or without a goodbye, with events that come once, never, late or again.
func (g *generator) anEnd(who int, at time.Duration) step {
	s := step{at: at, verb: "end", who: who, d: pick(g.Rand, 0, g.upTo(40*time.Second), g.upTo(2*time.Minute)), n: pick(g.Rand, 0, 0, 50)}
	s.e = pick(g.Rand, 0, 0, time.Hour, time.Millisecond, g.upTo(3*time.Minute)) // 0: beyond the history's end
	for range g.IntN(3) {
		s.events = append(s.events, pick(g.Rand, 0, g.upTo(5*time.Second), g.upTo(5*time.Minute)))
	}
	return s
}

func pick[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

// shrink takes steps out of the history as long as it fails in the same way without them.
func shrink(h history, broken mutant) (history, *violation) {
	found := play(h, broken).violation
	for size := max(1, len(h.steps)/2); ; size /= 2 {
		for from := 0; from < len(h.steps); {
			shorter := h
			shorter.steps = slices.Delete(slices.Clone(h.steps), from, min(from+size, len(h.steps)))
			if v := play(shorter, broken).violation; v != nil && v.promise == found.promise {
				h, found = shorter, v
			} else {
				from += size
			}
		}
		if size <= 1 {
			return h, found
		}
	}
}
