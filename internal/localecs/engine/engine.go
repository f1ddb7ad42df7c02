package engine

import (
	"context"
	"errors"
	"net/netip"

	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// Engine runs the tasks of one world.
type Engine struct {
	cfg Config
}

var errUnfinished = errors.New("engine: being written")

// New connects to Docker, makes the world's networks, and serves the metadata endpoint.
func New(ctx context.Context, cfg Config) (*Engine, error) { return nil, errUnfinished }

// Gateway is the address of this machine on the tasks' network. The API listens there.
func (e *Engine) Gateway() netip.Addr { return netip.Addr{} }

// Subnet is the tasks' network.
func (e *Engine) Subnet() netip.Prefix { return netip.Prefix{} }

// Run starts a task and returns at once. Progress arrives through Config.Changed.
func (e *Engine) Run(t Task) {}

// Stop stops a task, once: a second call, or one for a task that is ending already, changes nothing.
func (e *Engine) Stop(taskARN string, code ecstypes.TaskStopCode, reason string) {}

// SetStopOrder changes the order for tasks that are stopped from now on.
func (e *Engine) SetStopOrder(o StopOrder) {}

// SetTags replaces the tags that the metadata endpoint reports for a task.
func (e *Engine) SetTags(taskARN string, tags []ecstypes.Tag) {}

// Adopt takes over the given tasks after a restart: what still runs goes on, what does not is reported as stopped,
// and containers, volumes of the world that belong to none of them are removed. It is called once, before Run.
func (e *Engine) Adopt(ctx context.Context, tasks []Task) error { return errUnfinished }

// Kill sends a signal ("" = SIGKILL) to one container of a task, or, with container "", to all of them and the
// pause container at the same moment.
func (e *Engine) Kill(ctx context.Context, taskARN, container, signal string) error {
	return errUnfinished
}

// Containers returns the timeline of a task's containers. ok is false for a task the engine does not know; stopped
// tasks are known for an hour.
func (e *Engine) Containers(taskARN string) (runs []ContainerRun, ok bool) { return nil, false }

// Logs returns what a container of a task has written, stdout and stderr in order. Of a stopped task the last 64 KiB are kept.
func (e *Engine) Logs(ctx context.Context, taskARN, container string) ([]byte, error) {
	return nil, errUnfinished
}

// Close stops watching and serving. Containers go on running; Adopt finds them again.
func (e *Engine) Close(ctx context.Context) error { return errUnfinished }

// Down removes every container, network and volume of the world cfg.World. It needs no running engine.
func Down(ctx context.Context, cfg Config) error { return errUnfinished }
