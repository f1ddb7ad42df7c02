package bench

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/bench/figures"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/sleep"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/procs"
)

// settle is how long a mesh takes to come to rest: agents give back what their start needed some seconds after it.
const settle = 15 * time.Second

// watched is a container that is watched at rest.
type watched struct {
	agent    string
	pid      int           // of the agent
	resident int64         // of all its processes but Envoy and health checks, in bytes
	check    int64         // that of a health check that stays, as health-sync's does
	process  time.Duration // processor time of the agent alone
	envoy    time.Duration // that of the container's Envoy, where it has one
	group    time.Duration // of everything in the container
}

// idle leaves a mesh of several tasks at rest and looks at what it uses and writes meanwhile: one sample of each task.
func (b *bench) idle(ctx context.Context) error {
	s, definition, err := b.sampled(ctx, false, nil)
	if err != nil {
		return err
	}
	var tasks []ecstypes.Task
	for range b.Samples {
		task, err := s.passing(ctx, definition)
		if err != nil {
			return err
		}
		tasks = append(tasks, task)
	}
	b.say("%d tasks and the controller come to rest, then %s at rest", len(tasks), b.Rest)
	if !sleep.For(ctx, settle) {
		return context.Cause(ctx)
	}
	before, err := s.look(ctx, tasks)
	if err != nil {
		return err
	}
	begin := time.Now()
	if err := b.watchWrites(ctx, s); err != nil {
		return err
	}
	after, err := s.look(ctx, tasks)
	if err != nil {
		return err
	}
	b.report(before, after, time.Since(begin))
	for _, task := range tasks {
		if err := s.ended(ctx, aws.ToString(task.TaskArn)); err != nil {
			return err
		}
	}
	return nil
}

// watchWrites counts what is written while the mesh is at rest, in as many windows as there are samples.
func (b *bench) watchWrites(ctx context.Context, s *stage) error {
	before, err := s.world.Consul.Writes(ctx)
	if err != nil {
		return err
	}
	for range b.Samples {
		if !sleep.For(ctx, b.Rest/time.Duration(b.Samples)) {
			return context.Cause(ctx)
		}
		now, err := s.world.Consul.Writes(ctx)
		if err != nil {
			return err
		}
		b.add(figures.Figure{Name: fmt.Sprintf("Raft writes of the whole mesh at rest, in %s", b.Rest/time.Duration(b.Samples)), Goal: "0", Incumbent: "0"},
			float64(now.Since(before).Changes()))
		if of := now.Since(before).ByKind; len(of) > 0 {
			b.say("written at rest: %v", of)
		}
		before = now
	}
	return nil
}

// look reads what the watched containers of the tasks and the controller's use.
func (s *stage) look(ctx context.Context, tasks []ecstypes.Task) ([]watched, error) {
	type place struct{ task, container, agent string }
	places := []place{{s.controller, mesh.ContainerController, "controller"}}
	for _, task := range tasks {
		places = append(places, place{aws.ToString(task.TaskArn), mesh.ContainerHealthSync, "health-sync"},
			place{aws.ToString(task.TaskArn), mesh.ContainerDataplane, "dataplane"})
	}
	var all []watched
	for _, p := range places {
		c, err := s.container(ctx, p.task, p.container)
		if err != nil {
			return nil, err
		}
		w, err := lookAt(c.DockerID, p.agent)
		if err != nil {
			return nil, fmt.Errorf("container %s of task %s: %w", p.container, p.task, err)
		}
		all = append(all, w)
	}
	return all, nil
}

// lookAt reads what a container uses. Health checks come and go in it: their time counts, their memory does not, but for the one that
// stays.
func lookAt(dockerID, agent string) (watched, error) {
	w := watched{agent: agent}
	processes, err := procs.In(dockerID)
	if err != nil {
		return w, err
	}
	for _, p := range processes {
		switch role(p.Args) {
		case "envoy":
			if w.envoy, err = procs.CPU(p.PID); err != nil {
				return w, err
			}
			continue
		case "ready", "runc", "exe": // a health check, or the container runtime that is about to become one
			continue
		case "passing":
			w.check, _ = procs.Resident(p.PID) // none: it has ended meanwhile
			continue
		case agent:
			w.pid = p.PID
		}
		n, err := procs.Resident(p.PID)
		if errors.Is(err, fs.ErrNotExist) {
			continue // it has ended meanwhile
		}
		if err != nil {
			return w, err
		}
		w.resident += n
	}
	if w.pid == 0 {
		return w, fmt.Errorf("agent %s is not among the processes %v", agent, processes)
	}
	if w.process, err = procs.CPU(w.pid); err != nil {
		return w, err
	}
	w.group, err = procs.GroupCPU(w.pid)
	return w, err
}

// role is what a process of a container does: the agent's name, or the program's where it is none of ours.
func role(args []string) string {
	if name := path.Base(args[0]); name != "consulecs-agent" || len(args) < 2 {
		return name
	}
	return args[1]
}

// report files what was used between two looks.
func (b *bench) report(before, after []watched, between time.Duration) {
	perMinute := func(d time.Duration) float64 { return d.Seconds() / between.Minutes() }
	for _, now := range after {
		i := slices.IndexFunc(before, func(w watched) bool { return w.pid == now.pid })
		if i < 0 {
			b.say("a container of agent %s was restarted meanwhile", now.agent)
			continue
		}
		group, process := perMinute(now.group-before[i].group), perMinute(now.process-before[i].process)
		memory := figures.Figure{Name: "resident memory at rest: " + now.agent, Unit: "MiB"}
		cpu := figures.Figure{Name: "processor time a minute at rest: " + now.agent, Unit: "s"}
		switch now.agent {
		case "health-sync":
			memory.Goal, memory.Incumbent = "< 16 MiB", "23.5 MiB"
			cpu.Goal, cpu.Incumbent = "< 0.04 s", "0.05 s"
			b.add(cpu, process)
			b.add(figures.Figure{Name: "processor time a minute at rest: health-sync container with its health check", Unit: "s"}, group)
			if now.check > 0 {
				b.add(figures.Figure{Name: "resident memory at rest: health-sync's health check, which stays", Unit: "MiB"}, float64(now.check)/mebibyte)
			}
		case "dataplane":
			memory.Name += " container without Envoy"
			memory.Goal, memory.Incumbent = "< 20 MiB", "44 MiB (two processes)"
			b.add(figures.Figure{
				Name: "processor time a minute at rest: dataplane container with Envoy", Unit: "s", Goal: "< 0.25 s", Incumbent: "0.38 s",
			}, group)
			cpu.Name = "of which the agent"
			b.add(cpu, process)
			b.add(figures.Figure{Name: "of which Envoy", Unit: "s"}, perMinute(now.envoy-before[i].envoy))
		default:
			b.add(cpu, process)
		}
		b.add(memory, float64(now.resident)/mebibyte)
	}
}
