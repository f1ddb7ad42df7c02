package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/client"
)

// Docker does not always know that a container was killed for its memory. It hears so from the container's control group,
// which on a busy machine is gone before it has listened; it then tells of no lack of memory, neither now nor later. The
// kernel's count is right, but is one for the whole machine. So the rest is concluded: who else could it have been?

// killedCode is the exit code after SIGKILL.
const killedCode = 137

// outOfMemoryReason is ECS's.
const outOfMemoryReason = "OutOfMemoryError: Container killed due to memory usage"

// ending is what is known of the end of a container's run.
type ending struct {
	limited     bool // it had a limit of memory
	code        int
	stopAsked   bool  // the engine was stopping it
	kernelKills int64 // processes that the kernel killed for memory during the run, machine-wide
	events      []events.Message
}

// lackedMemory concludes that the kernel killed the container. Without an event of its end, Docker's memory of events does
// not reach back far enough to tell that nobody had the container killed.
func (e ending) lackedMemory() bool {
	if !e.limited || e.code != killedCode || e.stopAsked || e.kernelKills <= 0 {
		return false
	}
	ended := false
	for _, m := range e.events {
		switch m.Action {
		case events.ActionKill:
			if signal := m.Actor.Attributes["signal"]; signal == "9" || signal == "SIGKILL" {
				return false
			}
		case events.ActionDie:
			ended = true
		}
	}
	return ended
}

// noteStart remembers the kernel's count before a container starts.
func (r *taskRun) noteStart(dockerID string) {
	kills := kernelKills()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.killsBefore[dockerID] = kills
}

// mendMemory corrects what Docker says of a container's end, where it has missed that the kernel killed it.
func (r *taskRun) mendMemory(ctx context.Context, m *member, c container.InspectResponse) {
	if c.State == nil || c.State.Running || c.State.OOMKilled || c.State.ExitCode != killedCode {
		return
	}
	r.mu.Lock()
	before, known := r.killsBefore[c.ID]
	e := ending{limited: c.HostConfig != nil && c.HostConfig.Memory > 0, code: c.State.ExitCode, stopAsked: m.stopAsked}
	r.mu.Unlock()
	if !known {
		return
	}
	e.kernelKills = kernelKills() - before
	var err error
	if e.events, err = r.e.eventsOf(ctx, c.ID, parseDockerTime(c.State.StartedAt)); err != nil {
		r.log.Warn("Docker's events not read, a lack of memory may go untold", "container", m.name(), "err", err)
	}
	if c.State.OOMKilled = e.lackedMemory(); c.State.OOMKilled {
		r.log.Debug("killed for its memory, which Docker has missed", "container", m.name())
	}
}

// eventsOf reads what Docker remembers of a container's end. It has told of the end before it shows the container as ended.
func (e *Engine) eventsOf(ctx context.Context, dockerID string, since time.Time) ([]events.Message, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	unix := func(t time.Time) string { return fmt.Sprintf("%d.%09d", t.Unix(), t.Nanosecond()) }
	stream := e.docker.Events(ctx, client.EventsListOptions{
		Since: unix(since), Until: unix(time.Now()),
		Filters: client.Filters{}.Add("container", dockerID).Add("event", string(events.ActionKill), string(events.ActionDie)),
	})
	var past []events.Message
	for {
		select {
		case m := <-stream.Messages:
			past = append(past, m)
		case err := <-stream.Err:
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return past, err
		}
	}
}

// kernelKills counts the processes that the kernel has killed for lack of memory since the machine started; 0 where it does
// not say.
func kernelKills() int64 {
	raw, err := os.ReadFile("/proc/vmstat")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(raw)) {
		if count, ok := strings.CutPrefix(line, "oom_kill "); ok {
			n, _ := strconv.ParseInt(strings.TrimSpace(count), 10, 64)
			return n
		}
	}
	return 0
}
