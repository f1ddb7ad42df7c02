package engine

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// phase is how far a container has come.
type phase int

const (
	pulled   phase = iota // not in Docker yet
	creating              // Docker is asked to create it
	created               // waits for its dependencies, or for its restart
	starting              // Docker is asked to start it
	running
	stopped // for good
)

// member is one container of a task.
type member struct {
	def        ecstypes.ContainerDefinition // with the task's overrides
	dockerName string
	id         string // Docker's, once created
	imageID    string
	labels     map[string]string
	phase      phase
	createdAt  time.Time
	runs       []OneRun
	stopAsked  bool
	oom        bool // its memory was not enough in this run
	exitCode   *int32
	reason     string

	health       ecstypes.HealthStatus
	healthSince  time.Time
	healthExit   int
	healthOutput string
}

func (m *member) name() string { return aws.ToString(m.def.Name) }

// essential is true where the definition says nothing, as on ECS.
func (m *member) essential() bool { return m.def.Essential == nil || *m.def.Essential }

// lastRun is the current or final run; nil before the first start.
func (m *member) lastRun() *OneRun {
	if len(m.runs) == 0 {
		return nil
	}
	return &m.runs[len(m.runs)-1]
}

// progress is how far the task as a whole has come.
type progress int

const (
	provisioning progress = iota // the pause container is being made
	up
	deprovisioning
	gone
)

// state is all that the engine knows of one task. Its methods decide and change nothing but the state itself.
type state struct {
	task      Task
	members   []*member // in an order in which each comes after all that it needs
	progress  progress
	prepared  bool // images, secrets and volumes are there, or the task is stopping because they are not
	pauseID   string
	eni       eni
	stopping  bool
	stopOrder StopOrder // the world's, until the task begins to stop
	stopCode  ecstypes.TaskStopCode
	reason    string

	lastStatus                                                                     string
	pullStarted, pullStopped, startedAt, stoppingAt, executionStoppedAt, stoppedAt *time.Time
}

// verb is what is to be done to a container or a task.
type verb int

const (
	create verb = iota
	start
	stop
	teardown // of the whole task
)

// step is one thing to do now.
type step struct {
	verb   verb
	member *member // nil for teardown
}

// next decides what is to be done now, and marks it as begun. wake is when to ask again even if nothing happens; zero = never.
func (s *state) next(now time.Time) (steps []step, wake time.Time) {
	for _, m := range s.members {
		if m.phase == stopped && m.essential() {
			s.stop(ecstypes.TaskStopCodeEssentialContainerExited, essentialExit, now)
		}
	}
	if !s.stopping {
		steps, wake = s.advance(now)
	}
	if s.stopping { // advance may have found a reason to stop
		steps = append(steps, s.retreat(now)...)
	}
	return steps, wake
}

// advance creates and starts what may be, and gives the task up where a dependency can no longer be met. That is found out
// before anything is begun: what is marked as begun has to be done.
func (s *state) advance(now time.Time) (steps []step, wake time.Time) {
	var ready []*member
	for _, m := range s.members {
		if m.phase == stopped || m.phase == running || m.phase == starting {
			continue
		}
		ok, deadline, broken := s.dependenciesMet(m, now)
		if len(m.runs) > 0 { // a restart asks no questions
			ok, deadline, broken = true, time.Time{}, ""
		}
		if broken != "" {
			s.abandon(m, "CannotStartContainerError: "+broken, now)
			return nil, time.Time{}
		}
		if !deadline.IsZero() && (wake.IsZero() || deadline.Before(wake)) {
			wake = deadline
		}
		if ok && m.phase == created && s.progress == up {
			ready = append(ready, m)
		}
	}
	if m := s.creatable(); m != nil {
		m.phase = creating
		steps = append(steps, step{create, m})
	}
	for _, m := range ready {
		m.phase = starting
		steps = append(steps, step{start, m})
	}
	return steps, wake
}

// creatable picks the next container to create. One at a time, in order of dependence: Docker copies an image's
// directory into an empty volume as it creates a container, and the outcome must not depend on chance. Containers are
// created ahead of their start, which saves time; those that would put another image's directory over a volume of a
// container they depend on wait for their turn, as on ECS.
func (s *state) creatable() *member {
	if !s.prepared || s.pauseID == "" {
		return nil
	}
	for _, m := range s.members {
		switch {
		case m.phase == creating:
			return nil
		case m.phase != pulled:
			continue
		case !s.sharesVolumeOfOtherImage(m):
			return m
		}
		if ok, _, _ := s.dependenciesMet(m, time.Time{}); ok {
			return m
		}
	}
	return nil
}

func (s *state) sharesVolumeOfOtherImage(m *member) bool {
	for _, other := range s.members {
		if other == m {
			return false // only earlier ones count
		}
		if aws.ToString(other.def.Image) == aws.ToString(m.def.Image) {
			continue
		}
		for _, mount := range m.def.MountPoints {
			if slices.ContainsFunc(other.def.MountPoints, func(o ecstypes.MountPoint) bool {
				return aws.ToString(o.SourceVolume) == aws.ToString(mount.SourceVolume)
			}) {
				return true
			}
		}
	}
	return false
}

// dependenciesMet reports whether all conditions of m's dependsOn hold. deadline is the next startTimeout that may
// change the answer; broken says why a condition can never hold again. A zero now asks without regard to timeouts.
func (s *state) dependenciesMet(m *member, now time.Time) (ok bool, deadline time.Time, broken string) {
	ok = true
	for _, d := range m.def.DependsOn {
		dep := s.find(aws.ToString(d.ContainerName))
		if dep == nil {
			return false, time.Time{}, fmt.Sprintf("dependency graph: container [%s] does not exist", aws.ToString(d.ContainerName))
		}
		met, never := condition(dep, d.Condition)
		if met {
			continue
		}
		ok = false
		due := startDeadline(dep, d.Condition)
		if never == "" && !due.IsZero() && !now.IsZero() {
			if !now.Before(due) {
				never = fmt.Sprintf("has timed out after %d s", aws.ToInt32(dep.def.StartTimeout))
			} else if deadline.IsZero() || due.Before(deadline) {
				deadline = due
			}
		}
		if never != "" {
			return false, time.Time{}, fmt.Sprintf("dependency graph: container ordering dependency [%s] for target [%s] %s", dep.name(), m.name(), never)
		}
	}
	return ok, deadline, ""
}

// condition reports whether dep meets c; never says why it cannot any more.
func condition(dep *member, c ecstypes.ContainerCondition) (met bool, never string) {
	if dep.phase == stopped && len(dep.runs) == 0 {
		return false, "could not be started"
	}
	switch c {
	case ecstypes.ContainerConditionComplete:
		return dep.phase == stopped, ""
	case ecstypes.ContainerConditionSuccess:
		if dep.phase == stopped && aws.ToInt32(dep.exitCode) != 0 {
			return false, fmt.Sprintf("did not exit successfully: exit code %d", *dep.exitCode)
		}
		return dep.phase == stopped, ""
	case ecstypes.ContainerConditionHealthy:
		if dep.phase == stopped {
			return false, "has stopped before it was healthy"
		}
		return dep.phase == running && dep.health == ecstypes.HealthStatusHealthy, ""
	default: // START
		return len(dep.runs) > 0, ""
	}
}

// startDeadline is when ECS gives up waiting for dep: its startTimeout, counted from its own start. It bounds every
// condition but START.
func startDeadline(dep *member, c ecstypes.ContainerCondition) time.Time {
	if c == ecstypes.ContainerConditionStart || dep.def.StartTimeout == nil || len(dep.runs) == 0 {
		return time.Time{}
	}
	return dep.runs[0].Started.Add(time.Duration(*dep.def.StartTimeout) * time.Second)
}

// retreat stops what runs, as far as the stop order allows, and takes the task down once nothing runs.
func (s *state) retreat(now time.Time) (steps []step) {
	quiet := true
	for _, m := range s.members {
		if m.phase == pulled || m.phase == created {
			m.conclude("")
		}
	}
	for _, m := range s.members {
		quiet = quiet && m.phase == stopped
		if m.phase == running && !m.stopAsked && (s.stopOrder == StopAllAtOnce || !s.neededBy(m)) {
			m.stopAsked = true
			m.lastRun().Stopped = &now
			steps = append(steps, step{stop, m})
		}
	}
	// The pause container must be known, or known to have failed, before it can be removed.
	if quiet && s.progress != deprovisioning && s.progress != gone && s.provisioned() {
		s.progress = deprovisioning
		s.executionStoppedAt = &now
		steps = append(steps, step{verb: teardown})
	}
	return steps
}

// provisioned reports whether the work begun at the task's start has ended, one way or the other.
func (s *state) provisioned() bool { return s.prepared && s.progress != provisioning }

// neededBy reports whether a container that has not stopped depends on m.
func (s *state) neededBy(m *member) bool {
	return slices.ContainsFunc(s.members, func(other *member) bool {
		return other.phase != stopped && slices.ContainsFunc(other.def.DependsOn, func(d ecstypes.ContainerDependency) bool {
			return aws.ToString(d.ContainerName) == m.name()
		})
	})
}

// stop begins the end of the task. The first cause stays.
func (s *state) stop(code ecstypes.TaskStopCode, reason string, now time.Time) {
	if s.stopping {
		return
	}
	s.stopping, s.stopCode, s.reason, s.stoppingAt = true, code, reason, &now
}

// essentialExit is the reason ECS gives.
const essentialExit = "Essential container in task exited"

// exited records that a run of m ended. A container whose restart policy says so waits for its next start.
func (s *state) exited(m *member, code int32, finished time.Time, oom bool) {
	run := m.lastRun()
	run.Finished, run.ExitCode = &finished, &code
	m.setHealth(ecstypes.HealthStatusUnknown, finished)
	if !s.stopping && restarts(m.def.RestartPolicy, code, finished.Sub(run.Started)) {
		m.phase = created
		return
	}
	m.phase, m.exitCode = stopped, &code
	if oom {
		m.outOfMemory()
	}
}

// outOfMemory notes why a container was killed, or may be in a moment.
func (m *member) outOfMemory() {
	m.oom = true
	if m.phase == stopped && m.reason == "" {
		m.reason = outOfMemoryReason
	}
}

// restarts decides by ECS's rule: a container that has not run for the attempt period is not restarted.
func restarts(p *ecstypes.ContainerRestartPolicy, code int32, ran time.Duration) bool {
	if p == nil || !aws.ToBool(p.Enabled) || slices.Contains(p.IgnoredExitCodes, code) {
		return false
	}
	period := 300 * time.Second
	if p.RestartAttemptPeriod != nil {
		period = time.Duration(*p.RestartAttemptPeriod) * time.Second
	}
	return ran >= period
}

// failed marks a container that Docker would not create or start, now or again.
func (s *state) failed(m *member, reason string, now time.Time) {
	m.conclude(reason)
	if m.essential() && len(m.runs) == 0 {
		s.stop(ecstypes.TaskStopCodeTaskFailedToStart, reason, now)
	}
}

// conclude ends a container that does not run. Its exit code is that of its last run, if it had one.
func (m *member) conclude(reason string) {
	m.phase, m.reason = stopped, reason
	if run := m.lastRun(); run != nil {
		m.exitCode = run.ExitCode
	}
}

// abandon marks a container that will never start. ECS reports such a one with SIGTERM's exit code. The task goes
// down with it, as ECS documents for startTimeout.
func (s *state) abandon(m *member, reason string, now time.Time) {
	m.phase, m.reason, m.exitCode = stopped, reason, aws.Int32(143)
	code, why := ecstypes.TaskStopCodeTaskFailedToStart, reason
	if m.essential() {
		code, why = ecstypes.TaskStopCodeEssentialContainerExited, essentialExit
	}
	s.stop(code, why, now)
}

func (s *state) find(name string) *member {
	i := slices.IndexFunc(s.members, func(m *member) bool { return m.name() == name })
	if i < 0 {
		return nil
	}
	return s.members[i]
}

// setHealth notes a health status and since when it holds.
func (m *member) setHealth(h ecstypes.HealthStatus, at time.Time) {
	if m.health != h {
		m.health, m.healthSince = h, at
	}
}

// taskID is what follows the last slash of a task's ARN.
func taskID(arn string) string { return arn[strings.LastIndexByte(arn, '/')+1:] }
