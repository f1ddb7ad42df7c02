package reap

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	idA   = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	idB   = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
	idC   = "cccccccccccccccccccccccccccccccc"
	idOwn = "00000000000000000000000000000000"
)

var wideOpen = Limits{BrakeTasks: 1000}

// holding is what a task of one service has.
func holding(id string) Holding {
	return Holding{
		TaskID:   id,
		Services: []Service{{ID: "web-" + id, Name: "web"}, {ID: "web-" + id + "-sidecar-proxy", Name: "web-sidecar-proxy"}},
		Tokens:   []Token{{AccessorID: "token of " + id}},
	}
}

func holdings(ids ...string) map[string]Holding {
	held := map[string]Holding{}
	for _, id := range ids {
		held[id] = holding(id)
	}
	return held
}

func fullLook(at time.Duration, held map[string]Holding, verdicts map[string]Verdict) Look {
	return Look{At: at, Full: true, Own: idOwn, Held: held, Verdicts: verdicts}
}

// tasksOf are the IDs that the removals are for, in their order.
func tasksOf(removals []Removal) string {
	var ids []string
	for _, r := range removals {
		ids = append(ids, r.TaskID)
	}
	return strings.Join(ids, " ")
}

func TestOnlyTheLastStatusSaysWhetherATaskHasStopped(t *testing.T) {
	t.Parallel()
	for status, want := range map[string]Verdict{
		"": Unknown, "STOPPED": Stopped, "PROVISIONING": Alive, "PENDING": Alive, "ACTIVATING": Alive, "RUNNING": Alive,
		"DEACTIVATING": Alive, "STOPPING": Alive, "DEPROVISIONING": Alive, "DELETED": Alive, "something new": Alive,
	} {
		if got := VerdictOf(status); got != want {
			t.Errorf("last status %q: %v, want %v", status, got, want)
		}
	}
	for reason, want := range map[string]Verdict{"MISSING": Missing, "": Unknown, "ACCESS_DENIED": Unknown, "missing": Unknown} {
		if got := VerdictOfFailure(reason); got != want {
			t.Errorf("failure %q: %v, want %v", reason, got, want)
		}
	}
}

func TestTaskIDsHaveTheShapesThatECSGives(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]bool{
		idA: true, "0c5e3f4e-1a2b-4c3d-8e9f-001122334455": true,
		"": false, "../../x": false, idA[1:]: false, idA + "a": false, strings.ToUpper(idA): false, "g" + idA[1:]: false,
		"0c5e3f4e-1a2b-4c3d-8e9f-00112233445-": false, "0c5e3f4e01a2b04c3d08e9f0001122334455": false, "-c5e3f4e-1a2b-4c3d-8e9f-001122334455": false,
		"0c5e3f4e-1a2b-4c3d-8e9f-00112233445é": false,
	} {
		if got := IsTaskID(id); got != want {
			t.Errorf("IsTaskID(%q) = %v", id, got)
		}
	}
}

func TestALookDecidesByWhatECSSays(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		look Look
		want Plan
	}{
		"nothing is held":   {fullLook(0, nil, map[string]Verdict{idA: Stopped}), Plan{}},
		"no answer":         {fullLook(0, holdings(idA), nil), Plan{Known: 1, Unknown: 1}},
		"alive":             {fullLook(0, holdings(idA), map[string]Verdict{idA: Alive}), Plan{Known: 1}},
		"the own task":      {fullLook(0, holdings(idOwn), map[string]Verdict{idOwn: Stopped}), Plan{}},
		"a foreign service": {fullLook(0, holdings("", "by-hand"), map[string]Verdict{"": Stopped, "by-hand": Missing}), Plan{Foreign: 2}},
		"stopped, with the shorter ID first": {fullLook(0, holdings(idB, idA), map[string]Verdict{idA: Stopped, idB: Stopped}), Plan{Known: 2, Removals: []Removal{
			{holding(idA), Evidence{Verdict: Stopped, Via: ViaFullLook, Looks: 1}}, {holding(idB), Evidence{Verdict: Stopped, Via: ViaFullLook, Looks: 1}},
		}}},
		"stopped, by an event": {Look{Own: idOwn, Held: holdings(idA), Verdicts: map[string]Verdict{idA: Stopped}}, Plan{Known: 1, Removals: []Removal{
			{holding(idA), Evidence{Verdict: Stopped, Via: ViaEvent, Looks: 1}},
		}}},
		"missing for the first time": {fullLook(time.Hour, holdings(idA), map[string]Verdict{idA: Missing}), Plan{Known: 1, Waiting: []Removal{
			{holding(idA), Evidence{Verdict: Missing, Via: ViaFullLook, Looks: 1}},
		}}},
	} {
		var m Memory
		if diff := cmp.Diff(tc.want, m.Decide(tc.look, Limits{})); diff != "" {
			t.Errorf("%s: plan (-want +got):\n%s", name, diff)
		}
	}
}

// glance is what one look says of task A.
type glance struct {
	at      time.Duration
	verdict Verdict
	kind    string // "" for a full look, "event" for one of task A alone, "gone" for a full one that finds A no longer in Consul
}

func TestAnAbsenceCountsOnceItHasLastedAMinuteInTwoLooks(t *testing.T) {
	t.Parallel()
	const s = time.Second
	for name, tc := range map[string]struct {
		looks []glance
		want  bool // the last look removes it
	}{
		"one look, however late":             {[]glance{{time.Hour, Missing, ""}}, false},
		"for 59 seconds":                     {[]glance{{0, Missing, ""}, {59 * s, Missing, ""}}, false},
		"for a minute":                       {[]glance{{0, Missing, ""}, {60 * s, Missing, ""}}, true},
		"in many looks":                      {[]glance{{0, Missing, ""}, {20 * s, Missing, ""}, {40 * s, Missing, ""}, {60 * s, Missing, ""}}, true},
		"seen alive in between":              {[]glance{{0, Missing, ""}, {30 * s, Alive, ""}, {60 * s, Missing, ""}}, false},
		"seen alive in between, by an event": {[]glance{{0, Missing, ""}, {30 * s, Alive, "event"}, {60 * s, Missing, ""}}, false},
		"no answer in between":               {[]glance{{0, Missing, ""}, {30 * s, Unknown, ""}, {60 * s, Missing, ""}}, true},
		"no answer at the end":               {[]glance{{0, Missing, ""}, {60 * s, Unknown, ""}}, false},
		"alive, then once not known":         {[]glance{{0, Alive, ""}, {time.Hour, Missing, ""}}, false},
		"a first look by an event":           {[]glance{{0, Missing, "event"}, {60 * s, Missing, ""}}, true},
		"both looks by events":               {[]glance{{0, Missing, "event"}, {60 * s, Missing, "event"}}, false},
		"no longer in Consul in between":     {[]glance{{0, Missing, ""}, {30 * s, Unknown, "gone"}, {60 * s, Missing, ""}}, false},
		"a late answer to an older question": {[]glance{{60 * s, Missing, "event"}, {0, Missing, ""}}, false},
	} {
		var m Memory
		var plan Plan
		for _, g := range tc.looks {
			look := fullLook(g.at, holdings(idA, idB), map[string]Verdict{idA: g.verdict, idB: Alive})
			switch g.kind {
			case "gone":
				delete(look.Held, idA)
			case "event":
				look.Full, look.Held = false, holdings(idA)
			}
			plan = m.Decide(look, wideOpen)
		}
		if got := len(plan.Removals) == 1; got != tc.want {
			t.Errorf("%s: removals %v, waiting %v", name, plan.Removals, plan.Waiting)
		}
	}
}

func TestTheEvidenceSaysHowLongInHowManyLooks(t *testing.T) {
	t.Parallel()
	var m Memory
	m.Decide(Look{At: 10 * time.Second, Own: idOwn, Verdicts: map[string]Verdict{idA: Missing}}, wideOpen)
	m.Decide(fullLook(50*time.Second, holdings(idA), map[string]Verdict{idA: Missing}), wideOpen)
	plan := m.Decide(fullLook(100*time.Second, holdings(idA), map[string]Verdict{idA: Missing}), wideOpen)
	want := []Removal{{holding(idA), Evidence{Verdict: Missing, Via: ViaFullLook, Looks: 3, AbsentFor: 90 * time.Second}}}
	if diff := cmp.Diff(want, plan.Removals); diff != "" {
		t.Errorf("removals (-want +got):\n%s", diff)
	}
	for evidence, want := range map[Evidence]string{
		plan.Removals[0].Evidence:                   "ECS has not known the task for 1m30s, in 3 looks (full look)",
		{Verdict: Stopped, Via: ViaEvent, Looks: 1}: "ECS says that the task has stopped (event)",
		{Verdict: Missing, Via: ViaFullLook, Looks: 2, Released: true, AbsentFor: time.Hour}: "ECS has not known the task for 1h0m0s, in 2 looks (full look, let through by an operator)",
	} {
		if got := evidence.String(); got != want {
			t.Errorf("evidence reads %q, want %q", got, want)
		}
	}
}

// many are tasks that are all missing, by their numbers from 0.
func many(n int) (held map[string]Holding, verdicts map[string]Verdict) {
	held, verdicts = map[string]Holding{}, map[string]Verdict{}
	for i := range n {
		id := fmt.Sprintf("%032x", i+1)
		held[id], verdicts[id] = holding(id), Missing
	}
	return held, verdicts
}

func TestTheBrakeBoundsWhatIsMissingWithinAnHour(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		limits   Limits
		known    int
		wantGone []int // after a minute, forty minutes, an hour and a minute, two hours and a minute
	}{
		"a number of tasks":              {Limits{BrakeTasks: 3}, 10, []int{3, 3, 6, 9}},
		"a share of those that are left": {Limits{BrakePercent: 25}, 40, []int{10, 10, 17, 22}},
		"whichever is more":              {Limits{BrakeTasks: 5, BrakePercent: 25}, 16, []int{5, 5, 10, 15}},
		"nothing":                        {Limits{}, 4, []int{0, 0, 0, 0}},
		"less than nothing":              {Limits{BrakeTasks: -1, BrakePercent: -1}, 4, []int{0, 0, 0, 0}},
		"everything":                     {Limits{BrakePercent: 100}, 4, []int{4, 4, 4, 4}},
	} {
		var m Memory
		held, verdicts := many(tc.known)
		m.Decide(fullLook(0, held, verdicts), tc.limits)
		for i, at := range []time.Duration{time.Minute, 40 * time.Minute, 61 * time.Minute, 121 * time.Minute} {
			plan := m.Decide(fullLook(at, held, verdicts), tc.limits)
			for _, r := range plan.Removals {
				delete(held, r.TaskID)
			}
			if gone := tc.known - len(held); gone != tc.wantGone[i] || len(plan.HeldBack) != len(held) {
				t.Errorf("%s: after %v %d are gone, want %d; %d held back, %d left", name, at, gone, tc.wantGone[i], len(plan.HeldBack), len(held))
			}
		}
	}
}

func TestWhatECSCallsStoppedIsNotBraked(t *testing.T) {
	t.Parallel()
	var m Memory
	held, verdicts := many(500)
	for id := range verdicts {
		verdicts[id] = Stopped
	}
	if plan := m.Decide(fullLook(0, held, verdicts), Limits{}); len(plan.Removals) != 500 || len(plan.HeldBack) != 0 {
		t.Errorf("%d of 500 stopped tasks are removed, %d held back", len(plan.Removals), len(plan.HeldBack))
	}
}

func TestTheLongestAbsentGoFirst(t *testing.T) {
	t.Parallel()
	var m Memory
	held := holdings(idA, idB, idC)
	m.Decide(fullLook(0, held, map[string]Verdict{idA: Alive, idB: Alive, idC: Missing}), Limits{BrakeTasks: 2})
	m.Decide(fullLook(time.Minute, holdings(idA, idB, idC), map[string]Verdict{idA: Missing, idB: Missing, idC: Unknown}), Limits{BrakeTasks: 2})
	plan := m.Decide(fullLook(2*time.Minute, held, map[string]Verdict{idA: Missing, idB: Missing, idC: Missing}), Limits{BrakeTasks: 2})
	if got := tasksOf(plan.Removals); got != idC+" "+idA || tasksOf(plan.HeldBack) != idB {
		t.Errorf("removed: %s, held back: %s", got, tasksOf(plan.HeldBack))
	}
}

func TestARemovalThatFailsCountsOnce(t *testing.T) {
	t.Parallel()
	var m Memory
	held, verdicts := many(3)
	m.Decide(fullLook(0, held, verdicts), Limits{BrakeTasks: 1})
	first := m.Decide(fullLook(time.Minute, held, verdicts), Limits{BrakeTasks: 1})
	again := m.Decide(fullLook(50*time.Minute, held, verdicts), Limits{BrakeTasks: 1})
	if got := tasksOf(again.Removals); got == "" || got != tasksOf(first.Removals) {
		t.Errorf("after a failure %q is tried, at first it was %q", got, tasksOf(first.Removals))
	}
	delete(held, first.Removals[0].TaskID)
	if plan := m.Decide(fullLook(62*time.Minute, held, verdicts), Limits{BrakeTasks: 1}); len(plan.Removals) > 0 {
		t.Error("12 minutes after one task was removed the next one is")
	}
	if plan := m.Decide(fullLook(110*time.Minute, held, verdicts), Limits{BrakeTasks: 1}); len(plan.Removals) != 1 {
		t.Errorf("an hour after the first task %d are removed, want 1", len(plan.Removals))
	}
}

func TestAReleaseLetsThroughWhatIsHeldBackNow(t *testing.T) {
	t.Parallel()
	var m Memory
	none := Limits{}
	missing := map[string]Verdict{idA: Missing, idB: Missing}
	m.Decide(fullLook(0, holdings(idA, idB), missing), none)
	if n := m.Release(); n != 0 {
		t.Errorf("%d tasks released before any was held back", n)
	}
	if plan := m.Decide(fullLook(time.Minute, holdings(idA, idB), missing), none); len(plan.HeldBack) != 2 {
		t.Fatalf("held back: %v", plan.HeldBack)
	}
	if n := m.Release(); n != 2 {
		t.Errorf("%d tasks released, want 2", n)
	}
	// A task that shows itself meanwhile is alive, and one that is lost later was not released.
	m.Decide(Look{At: 70 * time.Second, Own: idOwn, Verdicts: map[string]Verdict{idB: Alive}}, none)
	missing[idC] = Missing
	plan := m.Decide(fullLook(80*time.Second, holdings(idA, idB, idC), missing), none)
	if tasksOf(plan.Removals) != idA || !plan.Removals[0].Evidence.Released || tasksOf(plan.Waiting) != idB+" "+idC {
		t.Errorf("removed after the release: %v, waiting: %v", plan.Removals, plan.Waiting)
	}
	plan = m.Decide(fullLook(3*time.Minute, holdings(idB, idC), missing), none)
	if len(plan.Removals) > 0 || tasksOf(plan.HeldBack) != idB+" "+idC {
		t.Errorf("removed: %v, held back: %v; nobody released them", plan.Removals, plan.HeldBack)
	}
}

func TestAReleaseTakesNoRoomFromTheBrake(t *testing.T) {
	t.Parallel()
	var m Memory
	held, verdicts := many(5)
	m.Decide(fullLook(0, held, verdicts), Limits{})
	m.Decide(fullLook(time.Minute, held, verdicts), Limits{})
	m.Release()
	if plan := m.Decide(fullLook(2*time.Minute, held, verdicts), Limits{}); len(plan.Removals) != 5 {
		t.Fatalf("%d of 5 released tasks are removed", len(plan.Removals))
	}
	m.Decide(fullLook(3*time.Minute, holdings(idA, idB), map[string]Verdict{idA: Missing, idB: Missing}), Limits{BrakeTasks: 1})
	plan := m.Decide(fullLook(4*time.Minute, holdings(idA, idB), map[string]Verdict{idA: Missing, idB: Missing}), Limits{BrakeTasks: 1})
	if tasksOf(plan.Removals) != idA || tasksOf(plan.HeldBack) != idB {
		t.Errorf("removed: %v, held back: %v", plan.Removals, plan.HeldBack)
	}
}

func TestNothingIsRememberedOfTasksThatConsulDoesNotHold(t *testing.T) {
	t.Parallel()
	var m Memory
	_, verdicts := many(3 * maxNamed)
	m.Decide(Look{Own: idOwn, Verdicts: verdicts}, wideOpen)
	if n := len(m.absences); n != maxNamed {
		t.Errorf("%d absences are kept of tasks that events named, want %d at the most", n, maxNamed)
	}
	held, verdicts := many(10)
	m.Decide(fullLook(time.Minute, held, verdicts), wideOpen)
	if n := len(m.absences); n != 10 {
		t.Errorf("%d absences are kept after a full look, want those of the 10 tasks in Consul", n)
	}
	m.Decide(fullLook(2*time.Minute, held, verdicts), wideOpen)
	m.Decide(fullLook(3*time.Hour, nil, nil), wideOpen)
	if len(m.absences)+len(m.passed) > 0 {
		t.Errorf("the memory keeps %d absences and %d removals of hours ago", len(m.absences), len(m.passed))
	}
}
