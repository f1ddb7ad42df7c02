// Package control is the control plane of the local ECS: clusters, task definitions, tasks and services, and the
// service scheduler. Each of ECS's actions is a method that takes and returns the SDK's types and answers with the
// SDK's errors. What is to happen on Docker goes to the engine in the order it was decided; what happened comes back
// through Changed.
package control

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/hashicorp/go-hclog"

	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/engine"
	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/names"
)

const (
	retention      = time.Hour // of stopped tasks and deleted services, as in ECS
	tokenRetention = 24 * time.Hour
	sweepInterval  = time.Minute
	saveRetry      = time.Second
)

// Config is what a control plane has to know. None of the functions may block for long.
type Config struct {
	Account   names.Account
	StateFile string
	Run       func(engine.Task)
	Stop      func(taskARN string, code ecstypes.TaskStopCode, reason string)
	SetTags   func(taskARN string, tags []ecstypes.Tag)
	Publish   func(ecstypes.Task, time.Time) // told of every change of a task
	Logger    hclog.Logger
}

// Control is a running control plane.
type Control struct {
	cfg  Config
	log  hclog.Logger
	wake chan struct{}

	mu     sync.Mutex
	state  state
	dirty  bool     // the state file is behind
	outbox []func() // calls to the engine, in the order they were decided

	sessions map[string]Session // of ECS Exec that nobody has taken up, by their IDs

	cancel  context.CancelFunc
	stopped chan struct{}
}

// New reads the state. Nothing moves before Start.
func New(cfg Config) (*Control, error) {
	s, err := load(cfg.StateFile)
	if err != nil {
		return nil, err
	}
	return &Control{cfg: cfg, log: cfg.Logger, state: s, wake: make(chan struct{}, 1), stopped: make(chan struct{}), sessions: map[string]Session{}}, nil
}

// Unfinished lists the tasks that had not stopped when the state was saved, for the engine to adopt.
func (c *Control) Unfinished() []engine.Task {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []engine.Task
	for _, arn := range slices.Sorted(maps.Keys(c.state.Tasks)) {
		if t := c.state.Tasks[arn]; !t.hasStopped() {
			out = append(out, c.engineTask(t))
		}
	}
	return out
}

// Start begins to schedule. It repeats the stops that were asked for before a restart.
func (c *Control) Start() {
	ctx, cancel := context.WithCancel(context.Background())
	c.mu.Lock()
	c.cancel = cancel
	for _, t := range c.state.Tasks {
		if !t.hasStopped() && aws.ToString(t.DesiredStatus) == engine.StatusStopped {
			c.orderStop(t)
		}
	}
	c.mu.Unlock()
	go c.loop(ctx)
}

// Close ends the scheduling, if it was started, and saves the state. Tasks go on running.
func (c *Control) Close() {
	c.mu.Lock()
	cancel := c.cancel
	c.mu.Unlock()
	if cancel == nil {
		return
	}
	cancel()
	<-c.stopped
}

// loop carries out what was decided, saves the state and lets the services advance, whenever something has changed.
// The state is saved before the engine acts on it: a task that runs is always one that is known.
func (c *Control) loop(ctx context.Context) {
	defer close(c.stopped)
	for {
		wait, text, orders := c.advance(time.Now())
		if text != nil {
			if err := save(c.cfg.StateFile, text); err != nil {
				c.log.Error("state not saved", "err", err)
				c.markDirty()
				wait = saveRetry
			}
		}
		for _, order := range orders {
			order()
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			c.saveLast()
			return
		case <-c.wake:
			timer.Stop()
		case <-timer.C:
		}
	}
}

// advance moves everything on and returns how long nothing needs to be looked at again, the state to save (nil if it
// is saved) and the calls to make.
func (c *Control) advance(now time.Time) (wait time.Duration, text []byte, orders []func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sweep(now)
	wait = sweepInterval
	for _, arn := range slices.Sorted(maps.Keys(c.state.Services)) {
		if wake := c.advanceService(c.state.Services[arn], now); !wake.IsZero() {
			wait = min(wait, max(wake.Sub(now), 0))
		}
	}
	orders, c.outbox = c.outbox, nil
	if c.dirty {
		text = c.encode()
		c.dirty = false
	}
	return wait, text, orders
}

func (c *Control) encode() []byte {
	text, err := json.Marshal(c.state)
	if err != nil { // the SDK's types are plain values
		c.log.Error("state not encoded", "err", err)
	}
	return text
}

func (c *Control) saveLast() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.dirty {
		return
	}
	if err := save(c.cfg.StateFile, c.encode()); err != nil {
		c.log.Error("state not saved", "err", err)
	}
}

func (c *Control) markDirty() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dirty = true
}

// touch notes that the state has changed. The caller holds the lock.
func (c *Control) touch() {
	c.dirty = true
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// sweep forgets what ECS would have forgotten by now.
func (c *Control) sweep(now time.Time) {
	for arn, t := range c.state.Tasks {
		if t.hasStopped() && t.StoppedAt != nil && now.Sub(*t.StoppedAt) > retention {
			delete(c.state.Tasks, arn)
			c.dirty = true
		}
	}
	for arn, s := range c.state.Services {
		if s.InactiveAt != nil && now.Sub(*s.InactiveAt) > retention {
			delete(c.state.Services, arn)
			c.dirty = true
		}
	}
	for token, r := range c.state.Runs {
		if now.Sub(r.At) > tokenRetention {
			delete(c.state.Runs, token)
			c.dirty = true
		}
	}
	c.sweepDefinitions()
}

// Changed takes in what the engine says of a task. It is the engine's Config.Changed.
func (c *Control) Changed(s engine.Status) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t, ok := c.state.Tasks[s.TaskARN]
	if !ok || t.hasStopped() {
		return
	}
	wanted := *t.DesiredStatus != engine.StatusStopped
	t.take(s)
	if wanted && *t.DesiredStatus == engine.StatusStopped {
		c.noteEnd(t, time.Now()) // now, not when it has stopped: from here on its service replaces it
	}
	if t.hasStopped() {
		c.log.Info("task stopped", "task_arn", s.TaskARN, "stop_code", t.StopCode, "reason", aws.ToString(t.StoppedReason))
	}
	c.taskChanged(t)
}

// taskChanged counts a change of a task and tells of it. The caller holds the lock.
func (c *Control) taskChanged(t *task) {
	t.Version++
	c.cfg.Publish(t.Task, time.Now())
	c.touch()
}

func clientError(format string, args ...any) error {
	return &ecstypes.ClientException{Message: aws.String(fmt.Sprintf(format, args...))}
}

func badParameter(format string, args ...any) error {
	return &ecstypes.InvalidParameterException{Message: aws.String(fmt.Sprintf(format, args...))}
}
