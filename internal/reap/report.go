package reap

import "time"

// Guard is a reason why something was left alone.
type Guard string

// The guards.
const (
	GuardOwnTask      Guard = "own task not shown" // tasks in answers of ECS that did not show the controller's own task, or another witness
	GuardUnknown      Guard = "unknown"            // tasks that ECS gave no answer about
	GuardNotConfirmed Guard = "not confirmed"      // tasks that an event called stopped and ECS calls alive
	GuardAbsence      Guard = "absence too short"  // tasks that are missing, but not for long or often enough
	GuardBrake        Guard = "held back"          // tasks that the brake held back
	GuardForeign      Guard = "foreign"            // what stands under something that is no ID of a task
)

// Pass tells of one call of Sync or Handle.
type Pass struct {
	Via     Via
	Took    time.Duration
	Plan    *Plan // nil where nothing could be decided
	Removed int   // tasks that nothing is left of
	Trips   map[Guard]int
	Err     error
}

// Observer hears what an engine does, for logs and metrics. Its functions may be nil; those that are not may be called from
// several goroutines, and hold the engine up.
type Observer struct {
	Removed  func(Removal) // nothing is left of the task, or would be if this were no dry run
	Finished func(Pass)
}
