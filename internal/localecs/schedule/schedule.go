// Package schedule decides what ECS's service scheduler would do next for one service: how many tasks to start, which
// to stop and why. It is pure; package control feeds it the state of the world and carries out the plan.
package schedule

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// Service is what the user asked of a service, and how its newest deployment fares.
type Service struct {
	Desired, MinimumHealthyPercent, MaximumPercent int
	Primary                                        string    // ID of the newest deployment
	NoStartBefore                                  time.Time // set while starts are throttled
	Halted                                         bool      // the circuit breaker has ended the newest deployment
}

// Condition is how far a task is, as far as a service counts it.
type Condition int

// The conditions of a task.
const (
	Pending   Condition = iota // on its way to RUNNING, or RUNNING and not yet HEALTHY
	Healthy                    // RUNNING, and HEALTHY where its essential containers have health checks
	Unhealthy                  // RUNNING, and its health checks fail
)

// Task is a task of the service that ought to run: its desired status is RUNNING.
type Task struct {
	ARN, Deployment string
	Condition       Condition
	CreatedAt       time.Time
}

// Why says why a task is stopped.
type Why int

// The reasons of the scheduler.
const (
	Scaling            Why = iota // there are more tasks than desired, or a newer deployment takes over
	FailedHealthChecks            // its container health checks fail
)

// Stop names one task to stop.
type Stop struct {
	ARN string
	Why Why
}

// Plan is what to do now. Wake is when to ask again even if nothing changes; zero means never.
type Plan struct {
	Start int
	Stop  []Stop
	Wake  time.Time
}

// Decide keeps the number of tasks between the two percentages while it brings the service to the desired count on its
// newest deployment. Percentages round as ECS rounds them: the minimum up, the maximum down.
func Decide(s Service, tasks []Task, now time.Time) Plan {
	lower := int(math.Ceil(float64(s.Desired*s.MinimumHealthyPercent) / 100))
	upper := s.Desired * s.MaximumPercent / 100
	var newer, older []Task
	for _, t := range tasks {
		if t.Deployment == s.Primary {
			newer = append(newer, t)
		} else {
			older = append(older, t)
		}
	}
	usable := slices.DeleteFunc(slices.Clone(newer), is(Unhealthy))

	var plan Plan
	missing := s.Desired - len(usable)
	room := upper - len(tasks)
	if start := min(missing, room); start > 0 && !s.Halted {
		if now.Before(s.NoStartBefore) {
			plan.Wake = s.NoStartBefore
		} else {
			plan.Start = start
		}
	}
	plan.Stop = append(plan.Stop, surplus(usable, s.Desired)...)
	if count(newer, Healthy) >= s.Desired || missing > 0 && room <= 0 {
		plan.Stop = append(plan.Stop, stops(newer, is(Unhealthy), FailedHealthChecks)...)
	}
	if !s.Halted || s.Desired == 0 {
		healthy := count(newer, Healthy) + count(older, Healthy)
		plan.Stop = append(plan.Stop, replaced(older, healthy-lower)...)
	}
	return plan
}

// surplus picks the tasks above the desired count: those that do not serve yet first, then the newest.
func surplus(usable []Task, desired int) []Stop {
	if len(usable) <= desired {
		return nil
	}
	order := slices.Clone(usable)
	slices.SortStableFunc(order, func(a, b Task) int {
		return cmp.Or(cmp.Compare(a.Condition, b.Condition), b.CreatedAt.Compare(a.CreatedAt))
	})
	return stops(order[:len(usable)-desired], always, Scaling)
}

// replaced picks the tasks of older deployments that may go: those that do not serve at once, those that serve only as
// far as the minimum of healthy tasks allows, oldest first.
func replaced(older []Task, spare int) []Stop {
	out := stops(older, is(Unhealthy), FailedHealthChecks)
	out = append(out, stops(older, is(Pending), Scaling)...)
	serving := slices.DeleteFunc(slices.Clone(older), func(t Task) bool { return t.Condition != Healthy })
	slices.SortStableFunc(serving, func(a, b Task) int { return a.CreatedAt.Compare(b.CreatedAt) })
	return append(out, stops(serving[:max(0, min(spare, len(serving)))], always, Scaling)...)
}

// Settled reports whether a service is where it was asked to be: the desired count of healthy tasks, all of the newest
// deployment, and no other task that ought to run.
func Settled(s Service, tasks []Task) bool {
	return len(tasks) == s.Desired && !slices.ContainsFunc(tasks, func(t Task) bool {
		return t.Deployment != s.Primary || t.Condition != Healthy
	})
}

const (
	firstDelay = time.Second
	maxDelay   = 27 * time.Minute // where ECS's own throttle ends
)

// Delay is how long the scheduler waits after the given number of tasks in a row that died young.
func Delay(failures int) time.Duration {
	if failures <= 0 {
		return 0
	}
	if failures > 11 { // 2^11 s is past the end
		return maxDelay
	}
	return min(firstDelay<<(failures-1), maxDelay)
}

// Threshold is the number of failed tasks that trips the circuit breaker: a percentage of the desired count, 50 by
// default, but no fewer than 3 and no more than 200.
func Threshold(desired, percent int) int {
	return min(max((desired*percent+99)/100, 3), 200)
}

func is(c Condition) func(Task) bool { return func(t Task) bool { return t.Condition == c } }

func always(Task) bool { return true }

func count(tasks []Task, c Condition) int {
	n := 0
	for _, t := range tasks {
		if t.Condition == c {
			n++
		}
	}
	return n
}

func stops(tasks []Task, which func(Task) bool, why Why) []Stop {
	var out []Stop
	for _, t := range tasks {
		if which(t) {
			out = append(out, Stop{t.ARN, why})
		}
	}
	return out
}
