package reap

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

const (
	// minAbsence is how long ECS must not have known a task, in look after look, before that counts: a task that was just
	// started may not be visible everywhere in ECS yet, and one that has stopped is described as such for an hour. An absence
	// begins with a look, so two of them at least have found the task missing by then.
	minAbsence = time.Minute

	// brakeWindow is the time that the brake's limits are meant for. It rolls.
	brakeWindow = time.Hour

	// maxNamed bounds the absences that are kept of tasks which events named, until a full look tells which of them Consul
	// knows: a day of old events must not fill the memory. What is not noted costs the task one more look.
	maxNamed = 10_000
)

// Service is an instance of a Consul service on the synthetic node of the ECS cluster.
type Service struct{ ID, Name, Namespace string }

// Token is an ACL token that a task got by logging in, told by its name. Its SecretID is nobody's business here.
type Token struct{ AccessorID, Namespace string }

// Holding is what Consul holds for a task.
type Holding struct {
	TaskID   string
	Services []Service
	Tokens   []Token
}

// Verdict is what ECS says of a task. The zero value is the safe one.
type Verdict int

// The verdicts. Unknown stands for no answer, an answer that is not relied on, or one that says neither of the others.
const (
	Unknown Verdict = iota // leave the task alone
	Alive                  // ECS knows the task, and it has not stopped
	Stopped                // ECS says outright that the task has stopped
	Missing                // ECS does not know the task
)

func (v Verdict) String() string {
	switch v {
	case Alive:
		return "alive"
	case Stopped:
		return "stopped"
	case Missing:
		return "missing"
	}
	return "unknown"
}

// VerdictOf reads the last status of a task that DescribeTasks shows. The desired status says nothing: a task that ECS
// means to stop is alive, and drains, until it has stopped. Nor do tags.
func VerdictOf(lastStatus string) Verdict {
	switch lastStatus {
	case "":
		return Unknown
	case "STOPPED":
		return Stopped
	}
	return Alive
}

// VerdictOfFailure reads the reason of a failure that DescribeTasks lists in place of a task.
func VerdictOfFailure(reason string) Verdict {
	if reason == "MISSING" {
		return Missing
	}
	return Unknown
}

// IsTaskID reports whether id has the shape of the IDs that ECS gives: 32 hexadecimal digits, once 36 characters with
// dashes. What is held for anything else is nobody's here, a service that an operator hung on the node for one; and ECS
// refuses a whole call for one ID that is not.
func IsTaskID(id string) bool {
	if len(id) != 32 && len(id) != 36 {
		return false
	}
	for i := range len(id) {
		c := id[i]
		switch {
		case len(id) == 36 && (i == 8 || i == 13 || i == 18 || i == 23):
			if c != '-' {
				return false
			}
		case (c < '0' || c > '9') && (c < 'a' || c > 'f'):
			return false
		}
	}
	return true
}

// Look is the world at a moment: what Consul holds, and then what ECS says of it.
type Look struct {
	At       time.Duration      // when Consul had been read and ECS was not yet asked, by a clock that cannot jump
	Full     bool               // of everything that Consul holds for the ECS cluster, else of some tasks
	Own      string             // ID of the controller's own task, which is never touched; empty if that runs in another ECS cluster
	Held     map[string]Holding // by task ID
	Verdicts map[string]Verdict // by task ID; a task without one is Unknown
}

// Limits are those of the brake: how many tasks may be removed within an hour of which ECS does not say that they have
// stopped. Whichever of the two is more counts.
type Limits struct {
	BrakeTasks   int
	BrakePercent int // of the tasks that Consul knows
}

func (l Limits) of(known int) int { return max(0, l.BrakeTasks, known*l.BrakePercent/100) }

// Via is the way by which a task came to be looked at.
type Via string

// The ways: an event named the task, or everything was looked at.
const (
	ViaEvent    Via = "event"
	ViaFullLook Via = "full look"
)

// Evidence is why a task counts as dead, or is suspected to be.
type Evidence struct {
	Verdict   Verdict
	Via       Via
	Looks     int           // that found it so, with none between them that found it otherwise
	AbsentFor time.Duration // since the first look that found it missing
	Released  bool          // an operator let it pass the brake
}

func (e Evidence) String() string {
	if e.Verdict != Missing {
		return fmt.Sprintf("ECS says that the task has %v (%s)", e.Verdict, e.Via)
	}
	released := ""
	if e.Released {
		released = ", let through by an operator"
	}
	return fmt.Sprintf("ECS has not known the task for %v, in %d looks (%s%s)", e.AbsentFor, e.Looks, e.Via, released)
}

// Removal is what is to be taken out of Consul, and why.
type Removal struct {
	Holding
	Evidence Evidence
}

// Plan is what follows from a look. Its lists are in the order in which they are to be worked off.
type Plan struct {
	Removals []Removal
	HeldBack []Removal // by the brake, until its hour has room or an operator lets them through
	Waiting  []Removal // missing, but not for long enough or not in enough looks

	Known   int // tasks of ECS that Consul holds something for, the controller's own apart
	Unknown int // of them, those that ECS gave no answer about
	Foreign int // what is held under something that is no ID of a task
}

// Memory is what has to be remembered between looks. The zero value is ready. It is not safe for concurrent use. It keeps
// nothing about tasks that neither Consul holds nor an event has named since the last full look, but for the hour's removals.
type Memory struct {
	absences map[string]absence
	passed   map[string]time.Duration // when the brake let a missing task through, while that is within its window
}

// absence is that of a task which ECS does not know.
type absence struct {
	since    time.Duration // the first look that found it missing
	looks    int           // that found it missing since then
	heldBack bool          // by the brake
	released bool          // by an operator
}

// Decide says what to remove, and remembers the look. Besides the memory it depends on nothing but its arguments.
//
// A task that ECS calls stopped is removed at once. One that is missing in a full look is removed if it has been so for a
// minute and in two looks at least, and if the brake lets it; in a look of some tasks it is only noted. A look that shows a
// task ends its absence, no answer does not. Everything else is left alone.
func (m *Memory) Decide(look Look, limits Limits) Plan {
	m.note(look)
	plan := Plan{}
	var lost []Removal
	for id, holding := range look.Held {
		switch {
		case !IsTaskID(id):
			plan.Foreign++
			continue
		case id == look.Own:
			continue
		}
		plan.Known++
		holding.TaskID = id
		switch look.Verdicts[id] {
		case Stopped:
			plan.Removals = append(plan.Removals, look.stopped([]string{id})...)
		case Missing:
			r := m.suspicion(look, id, holding)
			if !look.Full || r.Evidence.AbsentFor < minAbsence {
				plan.Waiting = append(plan.Waiting, r)
			} else {
				lost = append(lost, r)
			}
		case Unknown:
			plan.Unknown++
		}
	}
	slices.SortFunc(plan.Removals, longestFirst)
	slices.SortFunc(plan.Waiting, longestFirst)
	slices.SortFunc(lost, longestFirst)
	m.brake(&plan, lost, look.At, limits.of(plan.Known))
	return plan
}

// stopped are the removals of those of the tasks that ECS calls stopped, in their order. That is ECS's own word: it takes neither
// memory nor brake, and so no other task's verdict.
func (l Look) stopped(ids []string) (removals []Removal) {
	for _, id := range ids {
		holding, held := l.Held[id]
		if held && l.Verdicts[id] == Stopped && id != l.Own && IsTaskID(id) {
			holding.TaskID = id
			removals = append(removals, Removal{holding, Evidence{Verdict: Stopped, Via: l.via(), Looks: 1}})
		}
	}
	return removals
}

// missing are those of tasks that ECS does not know.
func missing(removals []Removal) []Removal {
	return slices.DeleteFunc(slices.Clone(removals), func(r Removal) bool { return r.Evidence.Verdict != Missing })
}

// Release lets through what the brake holds back now, as long as ECS goes on not to know it. It says how many tasks that are.
func (m *Memory) Release() (tasks int) {
	for id, a := range m.absences {
		if a.heldBack {
			a.heldBack, a.released = false, true
			m.absences[id] = a
			tasks++
		}
	}
	return tasks
}

// Forget ends all absences. The hour of the brake goes on.
func (m *Memory) Forget() { clear(m.absences) }

// note keeps the absences in step with the look.
func (m *Memory) note(look Look) {
	if m.absences == nil {
		m.absences, m.passed = map[string]absence{}, map[string]time.Duration{}
	}
	if look.Full {
		for id := range m.absences {
			if _, held := look.Held[id]; !held {
				delete(m.absences, id)
			}
		}
	}
	for id, verdict := range look.Verdicts {
		switch verdict {
		case Alive, Stopped:
			delete(m.absences, id)
		case Missing:
			a, noted := m.absences[id]
			_, held := look.Held[id]
			switch {
			case noted:
			case id == look.Own || !held && (look.Full || len(m.absences) >= maxNamed):
				continue
			default:
				a.since = look.At
			}
			a.looks++
			m.absences[id] = a
		}
	}
}

// suspicion is the removal of a task that is missing, should it come to that.
func (m *Memory) suspicion(look Look, id string, holding Holding) Removal {
	a := m.absences[id]
	return Removal{holding, Evidence{
		Verdict: Missing, Via: look.via(), Looks: a.looks, AbsentFor: max(0, look.At-a.since), Released: a.released,
	}}
}

// brake sorts those that are lost into what may go and what is held back. A task that was let through and is still there,
// because Consul failed, counts once, from now on; one that an operator let through is not counted at all.
func (m *Memory) brake(plan *Plan, lost []Removal, now time.Duration, limit int) {
	for id, at := range m.passed {
		if now-at >= brakeWindow {
			delete(m.passed, id)
		}
	}
	room := limit - len(m.passed)
	for _, r := range lost {
		a := m.absences[r.TaskID]
		_, again := m.passed[r.TaskID]
		a.heldBack = !again && !a.released && room <= 0
		m.absences[r.TaskID] = a
		if a.heldBack {
			plan.HeldBack = append(plan.HeldBack, r)
			continue
		}
		if !again && !a.released {
			room--
		}
		if !a.released {
			m.passed[r.TaskID] = now
		}
		plan.Removals = append(plan.Removals, r)
	}
}

func (l Look) via() Via {
	if l.Full {
		return ViaFullLook
	}
	return ViaEvent
}

// longestFirst orders by the length of absence, then by the task's ID.
func longestFirst(a, b Removal) int {
	return cmp.Or(cmp.Compare(b.Evidence.AbsentFor, a.Evidence.AbsentFor), cmp.Compare(a.TaskID, b.TaskID))
}
