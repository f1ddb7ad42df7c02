package bench

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/hashicorp/consul/api"

	"github.com/consulecs/terraform-provider-consulecs/internal/bench/figures"
	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/engine"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskdef"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/eventually"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/fleet"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/world"
)

const worldName = "consulecs-bench"

// sample is the service whose tasks are started and stopped, one at a time; caller calls it from within the mesh.
const (
	sample     = "sample"
	samplePort = 9090
	caller     = "web"
)

// stage is a world with the controller at work, and the caller.
type stage struct {
	*fleet.Fleet
	catalog    *fleet.Catalog
	world      *world.World
	controller string // ARN of its task
	callerURL  string
}

// stage opens the stage at the first call.
func (b *bench) stage(ctx context.Context) (*stage, error) {
	if b.opened != nil {
		return b.opened, nil
	}
	b.say("a world comes up: Consul, an AWS emulator, a local ECS, the controller, a task that calls")
	if err := world.Down(ctx, worldName); err != nil {
		return nil, fmt.Errorf("tidy up after an earlier run: %w", err)
	}
	w, err := world.Start(ctx, world.Config{Name: worldName, Dir: filepath.Join(b.Dir, "world")})
	if err != nil {
		return nil, err
	}
	s := &stage{Fleet: fleet.New(w.Address), world: w}
	if err := b.furnish(ctx, s); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	b.opened = s
	return s, nil
}

// sampled opens the stage and registers the sample's definition, as change wants it.
func (b *bench) sampled(ctx context.Context, healthCheck bool, change func(*taskdef.Spec)) (s *stage, definition string, err error) {
	if s, err = b.stage(ctx); err != nil {
		return nil, "", err
	}
	spec := s.Spec(sample, samplePort, fleet.App(sample, fmt.Sprintf("127.0.0.1:%d", samplePort), "", healthCheck))
	if change != nil {
		change(&spec)
	}
	definition, err = s.Register(ctx, spec)
	return s, definition, err
}

// closeStage takes the world down, with every task.
func (b *bench) closeStage() error {
	if b.opened == nil {
		return nil
	}
	b.say("the world goes down")
	return b.opened.world.Close()
}

// furnish starts the controller, counts what it writes at its start, and starts the caller.
func (b *bench) furnish(ctx context.Context, s *stage) (err error) {
	if s.catalog, err = fleet.NewCatalog(s.world.Address, s.world.Consul.BootstrapToken); err != nil {
		return err
	}
	written, err := s.controllerWrites(ctx)
	if err != nil {
		return err
	}
	b.add(figures.Figure{Name: "Raft writes of a controller that sets Consul up"}, written)
	return s.startCaller(ctx)
}

// startController starts the controller and waits until tasks can log in.
func (s *stage) startController(ctx context.Context) error {
	definition, err := s.RegisterController(ctx, fleet.Events{})
	if err != nil {
		return err
	}
	task, err := s.Run(ctx, definition)
	if err != nil {
		return err
	}
	s.controller = aws.ToString(task.TaskArn)
	_, err = eventually.Seen(ctx, "the controller makes the synthetic node", limit, func() (string, error) {
		node, _, err := s.catalog.Catalog().NodeServiceList(s.Cluster, (&api.QueryOptions{}).WithContext(ctx))
		if err != nil || node.Node == nil {
			return "there is none", err
		}
		return "", nil
	})
	return err
}

func (s *stage) startCaller(ctx context.Context) error {
	spec := s.Spec(caller, 8080, fleet.App(caller, "0.0.0.0:8080", "http://127.0.0.1:1234", false))
	spec.Proxy.Upstreams = append(spec.Proxy.Upstreams, fleet.Upstream(sample, 1234))
	definition, err := s.Register(ctx, spec)
	if err != nil {
		return err
	}
	if err := s.catalog.Allow(ctx, caller, sample); err != nil {
		return err
	}
	task, err := s.passing(ctx, definition)
	if err != nil {
		return err
	}
	s.callerURL = fmt.Sprintf("http://%s:8080/", fleet.IPAddress(task))
	return nil
}

// passing runs a task, waits until all its checks pass, and reads it anew.
func (s *stage) passing(ctx context.Context, definition string) (ecstypes.Task, error) {
	task, err := s.Run(ctx, definition)
	if err != nil {
		return task, err
	}
	if _, err := s.await(ctx, "all checks pass", fleet.TaskID(task), allPass); err != nil {
		return task, err
	}
	return s.Task(ctx, aws.ToString(task.TaskArn))
}

// ended asks ECS to stop a task and waits until it has stopped.
func (s *stage) ended(ctx context.Context, taskARN string) error {
	if err := s.Stop(ctx, taskARN); err != nil {
		return err
	}
	_, err := eventually.Seen(ctx, "task "+taskARN+" has stopped", limit, func() (string, error) {
		task, err := s.Task(ctx, taskARN)
		if status := aws.ToString(task.LastStatus); err != nil || status != "STOPPED" {
			return status, err
		}
		return "", nil
	})
	return err
}

// lastRun is the last run of a container of a task.
func (s *stage) lastRun(ctx context.Context, task ecstypes.Task, container string) (engine.OneRun, error) {
	c, err := s.container(ctx, aws.ToString(task.TaskArn), container)
	if err != nil || len(c.Runs) == 0 {
		return engine.OneRun{}, errors.Join(err, fmt.Errorf("container %s has not run", container))
	}
	return c.Runs[len(c.Runs)-1], nil
}

func (s *stage) container(ctx context.Context, taskARN, name string) (engine.ContainerRun, error) {
	all, err := s.Timeline(ctx, taskARN)
	if err != nil {
		return engine.ContainerRun{}, err
	}
	i := slices.IndexFunc(all, func(c engine.ContainerRun) bool { return c.Name == name })
	if i < 0 {
		return engine.ContainerRun{}, fmt.Errorf("task %s has no container %s", taskARN, name)
	}
	return all[i], nil
}

// await returns when the checks of a task first were as wanted. It hears of changes at once, by blocking queries.
func (s *stage) await(ctx context.Context, what, taskID string, good func(api.HealthChecks) bool) (time.Time, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("task %s: %s: not within %s", taskID, what, limit))
	defer cancel()
	index := uint64(0)
	for {
		all, meta, err := s.catalog.Health().Node(s.Cluster, (&api.QueryOptions{WaitIndex: index, WaitTime: limit}).WithContext(ctx))
		switch {
		case ctx.Err() != nil:
			return time.Time{}, context.Cause(ctx)
		case err != nil:
			return time.Time{}, fmt.Errorf("task %s: %s: %w", taskID, what, err)
		}
		if good(slices.DeleteFunc(all, func(c *api.HealthCheck) bool { return !strings.Contains(c.ServiceID, taskID) })) {
			return time.Now(), nil
		}
		index = max(meta.LastIndex, 1)
	}
}

// moment is a time that comes, or the reason why it does not.
type moment struct {
	at  time.Time
	err error
}

// soon waits for a moment beside other work.
func soon(wait func() (time.Time, error)) <-chan moment {
	came := make(chan moment, 1)
	go func() {
		at, err := wait()
		came <- moment{at, err}
	}()
	return came
}

// allPass wants the checks of both the service and its proxy, and all of them passing.
func allPass(checks api.HealthChecks) bool {
	services := map[string]bool{}
	for _, c := range checks {
		services[c.ServiceID] = true
		if c.Status != api.HealthPassing {
			return false
		}
	}
	return len(services) == 2
}

func anyCritical(checks api.HealthChecks) bool {
	return slices.ContainsFunc(checks, func(c *api.HealthCheck) bool { return c.Status == api.HealthCritical })
}

func none(checks api.HealthChecks) bool { return len(checks) == 0 }
