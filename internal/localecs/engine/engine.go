package engine

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	cerrdefs "github.com/containerd/errdefs"
	"github.com/hashicorp/go-hclog"
	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"

	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/engine/roles"
	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/metadata"
)

// What is kept of a stopped container's output, and for how long.
const (
	keptLogLines = 2000
	keptLogBytes = 64 << 10
	keptFor      = time.Hour
)

// Engine runs the tasks of one world.
type Engine struct {
	cfg       Config
	docker    *client.Client
	log       hclog.Logger
	wiring    wiring
	server    *http.Server
	noFile    int64 // the most open files this machine grants
	clampOnce sync.Once

	cancel context.CancelFunc // ends everything that works beside the callers
	work   sync.WaitGroup
	spawn  func(func(context.Context)) // runs f with the context that cancel ends

	mu     sync.Mutex
	runs   map[string]*taskRun // by task ARN
	order  StopOrder
	owning bool // tasks of the world that are not in runs are nobody's
}

// New connects to Docker, makes the world's networks, and serves the metadata endpoint. ctx bounds only New itself.
func New(ctx context.Context, cfg Config) (*Engine, error) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return nil, fmt.Errorf("read the limit of open files: %w", err)
	}
	docker, err := connect(ctx, cfg.DockerHost)
	if err != nil {
		return nil, err
	}
	w, err := wire(ctx, docker, cfg.World, cfg.Subnet)
	if err != nil {
		docker.Close()
		return nil, err
	}
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	e := &Engine{
		cfg: cfg, docker: docker, log: cfg.Logger.Named("engine"), wiring: w, noFile: int64(min(limit.Max, 1<<30)),
		cancel: cancel, runs: map[string]*taskRun{}, order: cmp.Or(cfg.StopOrder, StopByDependency),
	}
	e.spawn = func(f func(context.Context)) { e.work.Go(func() { f(life) }) }
	e.server = &http.Server{
		Handler:           metadata.Handler(metadata.Source{Task: e.metadataTask, Stats: e.stats, Credentials: e.credentials}),
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          e.log.StandardLogger(&hclog.StandardLoggerOptions{ForceLevel: hclog.Debug}),
	}
	e.spawn(func(context.Context) {
		if err := e.server.Serve(w.listener); !errors.Is(err, http.ErrServerClosed) {
			e.log.Error("metadata endpoint ended", "err", err)
		}
	})
	e.spawn(e.watch)
	e.spawn(e.poll)
	return e, nil
}

func connect(ctx context.Context, host string) (*client.Client, error) {
	opts := []client.Opt{client.FromEnv}
	if host != "" {
		opts = append(opts, client.WithHost(host))
	}
	docker, err := client.New(opts...)
	if err != nil {
		return nil, fmt.Errorf("set up the Docker client: %w", err)
	}
	if _, err := docker.Ping(ctx, client.PingOptions{NegotiateAPIVersion: true}); err != nil {
		docker.Close()
		return nil, fmt.Errorf("reach Docker: %w\nhint: make setup starts a daemon where none runs", err)
	}
	return docker, nil
}

// Gateway is the address of this machine on the tasks' network. The API listens there.
func (e *Engine) Gateway() netip.Addr { return e.wiring.gateway }

// Subnet is the tasks' network.
func (e *Engine) Subnet() netip.Prefix { return e.wiring.subnet }

// Run starts a task and returns at once. Progress arrives through Config.Changed. A task that runs already goes on.
func (e *Engine) Run(t Task) {
	if r := e.newRun(t, newUUID()); e.enter(r) {
		e.spawn(r.provision)
		e.spawn(r.prepare)
		e.spawn(r.loop)
	}
}

// newRun prepares a task; nobody else knows of it before it is entered.
func (e *Engine) newRun(t Task, credentialsID string) *taskRun {
	if t.Overrides != nil {
		t.Definition.Cpu = cmp.Or(t.Overrides.Cpu, t.Definition.Cpu)
		t.Definition.Memory = cmp.Or(t.Overrides.Memory, t.Definition.Memory)
	}
	r := &taskRun{
		e: e, log: e.log.With("task_arn", t.ARN), state: state{task: t, members: newMembers(t, e.cfg.World)},
		credentialsID: credentialsID, inspected: map[string]bool{}, killsBefore: map[string]int64{}, logs: map[string][]byte{},
		wakeUp: make(chan struct{}, 1),
	}
	if t.TaskRoleARN != "" {
		r.taskRole = e.emulator().Assume(t.TaskRoleARN, taskID(t.ARN))
	}
	return r
}

// enter puts a task into the books; false if it is there.
func (e *Engine) enter(r *taskRun) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.runs[r.state.task.ARN] != nil {
		return false
	}
	e.runs[r.state.task.ARN] = r
	return true
}

// Stop stops a task, once: a second call, or one for a task that is ending already, changes nothing.
func (e *Engine) Stop(taskARN string, code ecstypes.TaskStopCode, reason string) {
	if r := e.run(taskARN); r != nil {
		r.post(func(s *state) { s.stop(code, reason, time.Now()) })
	}
}

// SetStopOrder changes the order for tasks that are stopped from now on.
func (e *Engine) SetStopOrder(o StopOrder) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.order = o
}

func (e *Engine) stopOrder() StopOrder {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.order
}

// SetTags replaces the tags that the metadata endpoint reports for a task.
func (e *Engine) SetTags(taskARN string, tags []ecstypes.Tag) {
	if r := e.run(taskARN); r != nil {
		r.post(func(s *state) { s.task.Tags = tags })
	}
}

// Kill sends a signal ("" = SIGKILL) to one container of a task, or, with container "", to all of them and the
// pause container at the same moment. It is no way to stop a task: the engine learns of it as of any accident.
func (e *Engine) Kill(ctx context.Context, taskARN, container, signal string) error {
	r := e.run(taskARN)
	if r == nil {
		return fmt.Errorf("kill in task %s: no such task", taskARN)
	}
	victims := r.victims(container)
	if len(victims) == 0 {
		return fmt.Errorf("kill container %q of task %s: it does not run", container, taskARN)
	}
	errs := make([]error, len(victims))
	var wg sync.WaitGroup
	for i, id := range victims {
		wg.Go(func() {
			_, err := e.docker.ContainerKill(ctx, id, client.ContainerKillOptions{Signal: signal})
			if err != nil && !(container == "" && (cerrdefs.IsNotFound(err) || cerrdefs.IsConflict(err))) { // has just ended by itself
				errs[i] = fmt.Errorf("kill container %s: %w", id, err)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// Exec runs a command in a container that runs, as root as on AWS, and returns what it prints. How it ends is not told.
func (e *Engine) Exec(ctx context.Context, taskARN, container string, command []string) ([]byte, error) {
	r := e.run(taskARN)
	if r == nil {
		return nil, fmt.Errorf("run a command in task %s: no such task", taskARN)
	}
	ids := r.victims(container)
	if container == "" || len(ids) == 0 {
		return nil, fmt.Errorf("run a command in container %q of task %s: it does not run", container, taskARN)
	}
	made, err := e.docker.ExecCreate(ctx, ids[0], client.ExecCreateOptions{User: "0", Cmd: command, AttachStdout: true, AttachStderr: true})
	if err != nil {
		return nil, fmt.Errorf("run %q in container %s: %w", command, container, err)
	}
	attached, err := e.docker.ExecAttach(ctx, made.ID, client.ExecAttachOptions{})
	if err != nil {
		return nil, fmt.Errorf("run %q in container %s: %w", command, container, err)
	}
	defer attached.Close()
	var out bytes.Buffer
	if _, err := stdcopy.StdCopy(&out, &out, attached.Reader); err != nil {
		return nil, fmt.Errorf("run %q in container %s: %w", command, container, err)
	}
	return out.Bytes(), nil
}

// Containers returns the timeline of a task's containers. ok is false for a task the engine does not know; stopped
// tasks are known for an hour.
func (e *Engine) Containers(taskARN string) (timeline []ContainerRun, ok bool) {
	r := e.run(taskARN)
	if r == nil {
		return nil, false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range r.state.inDefinitionOrder() {
		timeline = append(timeline, m.timeline())
	}
	return timeline, true
}

// Logs returns what a container of a task has written, stdout and stderr in order. Of a stopped task the last 64 KiB
// are kept.
func (e *Engine) Logs(ctx context.Context, taskARN, container string) ([]byte, error) {
	r := e.run(taskARN)
	if r == nil {
		return nil, fmt.Errorf("read logs of task %s: no such task", taskARN)
	}
	r.mu.Lock()
	m := r.state.find(container)
	kept, removed := r.logs[container]
	created := m != nil && m.id != ""
	r.mu.Unlock()
	switch {
	case m == nil:
		return nil, fmt.Errorf("read logs of task %s: it has no container %q", taskARN, container)
	case removed || !created:
		return kept, nil
	}
	return e.readLogs(ctx, m, 0, 0)
}

// readLogs reads a container's output: at most the last so many lines and bytes, 0 for all.
func (e *Engine) readLogs(ctx context.Context, m *member, lines, limit int) ([]byte, error) {
	opts := client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true}
	if lines > 0 {
		opts.Tail = strconv.Itoa(lines)
	}
	body, err := e.docker.ContainerLogs(ctx, m.id, opts)
	if err != nil {
		return nil, fmt.Errorf("read logs of container %s: %w", m.name(), err)
	}
	defer body.Close()
	var out bytes.Buffer
	if aws.ToBool(m.def.PseudoTerminal) {
		_, err = out.ReadFrom(body)
	} else {
		_, err = stdcopy.StdCopy(&out, &out, body)
	}
	if err != nil {
		return nil, fmt.Errorf("read logs of container %s: %w", m.name(), err)
	}
	if limit > 0 && out.Len() > limit {
		out.Next(out.Len() - limit)
	}
	return out.Bytes(), nil
}

// Close stops watching and serving, and waits for what is under way. Containers go on running; Adopt finds them again.
func (e *Engine) Close(ctx context.Context) error {
	e.cancel()
	err := e.server.Close()
	idle := make(chan struct{})
	go func() {
		e.work.Wait()
		close(idle)
	}()
	select {
	case <-idle:
	case <-ctx.Done():
		err = errors.Join(err, fmt.Errorf("wait for the tasks' work to end: %w", ctx.Err()))
	}
	return errors.Join(err, e.docker.Close())
}

func (e *Engine) emulator() roles.Emulator {
	return roles.Emulator{URL: e.cfg.EmulatorURL, Region: e.cfg.Region}
}

func (e *Engine) run(taskARN string) *taskRun {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.runs[taskARN]
}

// victims returns the Docker IDs of one container that runs, or may run, or of all of them with the pause container.
func (r *taskRun) victims(container string) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var ids []string
	if container == "" && r.state.pauseID != "" && r.state.progress == up {
		ids = append(ids, r.state.pauseID)
	}
	for _, m := range r.state.members {
		// One that Docker is to start may run, and be read from, before the state hears of it.
		if (m.phase == starting || m.phase == running) && (container == "" || container == m.name()) {
			ids = append(ids, m.id)
		}
	}
	return ids
}

// newUUID is hard to guess: it is all that guards a task's credentials.
func newUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
