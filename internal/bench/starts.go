package bench

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/bench/figures"
	"github.com/consulecs/terraform-provider-consulecs/internal/bench/netns"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskdef"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/eventually"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/fleet"
)

// kind is a way in which a task is started.
type kind struct {
	name            string
	healthCheck     bool // of ECS, at its shortest interval
	change          func(*taskdef.Spec)
	redirected      bool   // change asks for it
	goal, incumbent string // of serving
}

// starts starts and stops tasks of the kinds that differ in what makes them healthy.
func (b *bench) starts(ctx context.Context) error {
	for _, k := range []kind{
		{name: "no ECS health check", goal: "< 2.2 s", incumbent: "5.9 s"},
		{name: "ECS health check at 5 s", healthCheck: true, goal: "< 8 s", incumbent: "12.1 s"},
		{name: "readiness probe", healthCheck: true, change: probed, goal: "< 2.5 s", incumbent: "has none"},
	} {
		if err := b.lives(ctx, k); err != nil {
			return err
		}
	}
	return nil
}

// redirected starts and stops tasks whose traffic is redirected.
func (b *bench) redirected(ctx context.Context) error {
	return b.lives(ctx, kind{name: "transparent proxy", change: transparent, redirected: true})
}

func probed(s *taskdef.Spec) {
	s.ReadinessProbes = []agentconfig.ReadinessProbe{{Container: "app", Type: "http", Port: samplePort, Path: "/healthz"}}
}

func transparent(s *taskdef.Spec) {
	s.Task.LaunchTypes = []ecstypes.Compatibility{ecstypes.CompatibilityEc2}
	s.TransparentProxy = agentconfig.TransparentProxy{Enabled: aws.Bool(true), ConsulDNS: &agentconfig.ConsulDNS{Enabled: aws.Bool(true)}}
}

// lives starts and stops tasks of a kind and times what happens between.
func (b *bench) lives(ctx context.Context, k kind) error {
	s, definition, err := b.sampled(ctx, k.healthCheck, k.change)
	if err != nil {
		return err
	}
	for i := range b.Samples {
		task, err := b.born(ctx, s, k, definition)
		if err != nil {
			return err
		}
		if err := b.stopped(ctx, s, task); err != nil {
			return err
		}
		b.say("%s: %d of %d started and stopped", k.name, i+1, b.Samples)
	}
	return nil
}

// born starts a task and times it until it serves.
func (b *bench) born(ctx context.Context, s *stage, k kind, definition string) (ecstypes.Task, error) {
	task, err := s.Run(ctx, definition)
	if err != nil {
		return task, err
	}
	envoy := soon(func() (time.Time, error) { return s.envoyReady(ctx, aws.ToString(task.TaskArn)) })
	passed, err := s.await(ctx, "all checks pass", fleet.TaskID(task), allPass)
	if err != nil {
		return task, err
	}
	serves, err := s.serves(ctx)
	if err != nil {
		return task, err
	}
	ready := <-envoy
	if ready.err != nil {
		return task, ready.err
	}
	initialized, err := s.lastRun(ctx, task, mesh.ContainerMeshInit)
	if err != nil {
		return task, err
	}
	dataplane, err := s.lastRun(ctx, task, mesh.ContainerDataplane)
	if err != nil {
		return task, err
	}
	app, err := s.lastRun(ctx, task, "app")
	if err != nil {
		return task, err
	}
	created, took := aws.ToTime(task.CreatedAt), aws.ToTime(initialized.Finished).Sub(initialized.Started).Seconds()
	if k.redirected {
		b.add(figures.Figure{Name: "mesh-init container started → exited, with redirection", Unit: "s", Goal: "< 0.35 s"}, took)
	} else {
		b.add(figures.Figure{Name: "mesh-init container started → exited", Unit: "s", Goal: "< 0.25 s", Incumbent: "0.23 s"}, took)
		b.add(figures.Figure{Name: "RunTask → Envoy ready", Unit: "s", Goal: "< 1.1 s", Incumbent: "1.21 s"}, ready.at.Sub(created).Seconds())
		b.add(figures.Figure{Name: "of which dataplane container started → Envoy ready", Unit: "s"}, ready.at.Sub(dataplane.Started).Seconds())
		b.add(figures.Figure{Name: "RunTask → app container started", Unit: "s", Goal: "< 1.8 s", Incumbent: "5.95 s"}, app.Started.Sub(created).Seconds())
	}
	b.add(figures.Figure{
		Name: "RunTask → all checks pass and first 200 through the mesh, " + k.name, Unit: "s", Goal: k.goal, Incumbent: k.incumbent,
	}, serves.Sub(created).Seconds())
	b.add(figures.Figure{Name: "of which RunTask → all checks pass, " + k.name, Unit: "s"}, passed.Sub(created).Seconds())
	return task, nil
}

// envoyReady asks the task's Envoy itself, from within the task.
func (s *stage) envoyReady(ctx context.Context, taskARN string) (time.Time, error) {
	var address string
	_, err := eventually.Seen(ctx, "the task has an address", limit, func() (string, error) {
		task, err := s.Task(ctx, taskARN)
		if address = fleet.IPAddress(task); err != nil || address == "" {
			return "none", err
		}
		return "", nil
	})
	if err != nil {
		return time.Time{}, err
	}
	inside, err := netns.Of(address)
	if err != nil {
		return time.Time{}, err
	}
	defer inside.Close()
	client := &http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true, DialContext: inside.Dial}}
	return answers(ctx, "Envoy is ready", client, fmt.Sprintf("http://127.0.0.1:%d/ready", mesh.PortReadiness))
}

// serves waits for an answer of the sample, through the caller and both proxies.
func (s *stage) serves(ctx context.Context) (time.Time, error) {
	client := &http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	return answers(ctx, caller+" → "+sample+" answers", client, s.callerURL)
}

func answers(ctx context.Context, what string, client *http.Client, url string) (time.Time, error) {
	return eventually.Seen(ctx, what, limit, func() (string, error) {
		if err := fleet.Ask(ctx, client, url); err != nil {
			return err.Error(), nil
		}
		return "", nil
	})
}

// stopped stops a task as ECS does and times how it leaves. The app serves on for a second after its SIGTERM.
func (b *bench) stopped(ctx context.Context, s *stage, task ecstypes.Task) error {
	id := fleet.TaskID(task)
	watched, end := context.WithCancel(ctx)
	defer end()
	critical := soon(func() (time.Time, error) { return s.await(watched, "a check turns critical", id, anyCritical) })
	gone := soon(func() (time.Time, error) { return s.await(watched, "it leaves the catalog", id, none) })
	if err := s.ended(ctx, aws.ToString(task.TaskArn)); err != nil {
		return err
	}
	first, last := <-critical, <-gone
	if first.err != nil {
		return first.err
	}
	if last.err != nil {
		return last.err
	}
	sync, err := s.lastRun(ctx, task, mesh.ContainerHealthSync)
	if err != nil {
		return err
	}
	app, err := s.lastRun(ctx, task, "app")
	if err != nil {
		return err
	}
	b.add(figures.Figure{Name: "SIGTERM → first check critical", Unit: "s", Goal: "< 0.05 s", Incumbent: "0.03 s"}, first.at.Sub(aws.ToTime(sync.Stopped)).Seconds())
	b.add(figures.Figure{Name: "app stopped → deregistered", Unit: "s", Goal: "< 0.5 s", Incumbent: "0.7 to 3 s"}, last.at.Sub(aws.ToTime(app.Finished)).Seconds())
	return nil
}
