package bench

import (
	"context"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/fleet"
)

// service is what the samples run, one task at a time.
const service = "sample"

// lives starts and stops n tasks and times what happens between.
func (b *bench) lives(ctx context.Context, n int, kind string, healthCheck bool, goal string) error {
	definition, err := b.Register(ctx, b.Spec(service, 9090, fleet.App(service, "127.0.0.1:9090", "", healthCheck)))
	if err != nil {
		return err
	}
	for range n {
		task, born, err := b.start(ctx, definition)
		if err != nil {
			return err
		}
		passed, err := b.catalog.Passes(ctx, service, fleet.TaskID(task), limit)
		if err != nil {
			return err
		}
		answered, err := b.answers(ctx)
		if err != nil {
			return err
		}
		started, err := b.ContainerStarted(ctx, aws.ToString(task.TaskArn), "app")
		if err != nil {
			return err
		}
		b.seconds("RunTask → app container started, "+kind, "< 3 s", started.Sub(born))
		b.seconds("RunTask → all checks passing, "+kind, goal, passed.Sub(born))
		b.seconds("RunTask → first 200 through the mesh, "+kind, goal, answered.Sub(born))
		if err := b.stop(ctx, task); err != nil {
			return err
		}
	}
	return nil
}

// start runs a task and returns when ECS created it.
func (b *bench) start(ctx context.Context, definition string) (ecstypes.Task, time.Time, error) {
	task, err := b.Run(ctx, definition)
	return task, aws.ToTime(task.CreatedAt), err
}

// answers waits for the first answer of the sample, through web and both proxies.
func (b *bench) answers(ctx context.Context) (time.Time, error) {
	client := &http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	return fleet.Eventually(ctx, "web → "+service+" answers 200", limit, func() (string, error) {
		if err := fleet.Ask(ctx, client, b.webURL); err != nil {
			return err.Error(), nil
		}
		return "", nil
	})
}

// stop stops a task as ECS does and times how it leaves.
func (b *bench) stop(ctx context.Context, task ecstypes.Task) error {
	begin := time.Now()
	if err := b.Stop(ctx, aws.ToString(task.TaskArn)); err != nil {
		return err
	}
	critical, err := b.catalog.TurnsCritical(ctx, service, fleet.TaskID(task), limit)
	if err != nil {
		return err
	}
	left, err := b.leaves(ctx, task)
	if err != nil {
		return err
	}
	b.seconds("SIGTERM → checks critical", "< 1 s", critical.Sub(begin))
	b.seconds("SIGTERM → out of the catalog, the app serves on for 1 s", "", left.Sub(begin))
	return nil
}

func (b *bench) leaves(ctx context.Context, task ecstypes.Task) (time.Time, error) {
	return b.catalog.Leaves(ctx, fleet.TaskID(task), limit, service, service+"-sidecar-proxy")
}

// deaths kills n tasks outright and times how the controller cleans up after them.
func (b *bench) deaths(ctx context.Context, n int) error {
	definition, err := b.Register(ctx, b.Spec(service, 9090, fleet.App(service, "127.0.0.1:9090", "", false)))
	if err != nil {
		return err
	}
	for range n {
		task, _, err := b.start(ctx, definition)
		if err != nil {
			return err
		}
		if _, err := b.catalog.Passes(ctx, service, fleet.TaskID(task), limit); err != nil {
			return err
		}
		begin := time.Now()
		if err := b.KillTask(ctx, aws.ToString(task.TaskArn)); err != nil {
			return err
		}
		left, err := b.leaves(ctx, task)
		if err != nil {
			return err
		}
		b.seconds("killed task → out of the catalog", "< 12 s", left.Sub(begin))
	}
	return nil
}
