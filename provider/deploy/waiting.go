package deploy

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/hashicorp/terraform-plugin-log/tflog"

	"github.com/consulecs/terraform-provider-consulecs/internal/reap"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskverdict"
	"github.com/consulecs/terraform-provider-consulecs/provider/lag"
	"github.com/consulecs/terraform-provider-consulecs/provider/occupancy"
)

// Unsteady is the error of a wait for a service that did not become steady.
func Unsteady(name string, err error) error { return &unsteady{name: name, err: err} }

// unsteady also says all that ECS says of the service.
type unsteady struct {
	name    string
	err     error
	details string // lines of hints, "" or each with a line break before it
}

func (u *unsteady) Error() string {
	return fmt.Sprintf("wait for service %s: %v%s", u.name, u.err, u.details)
}

func (u *unsteady) Unwrap() error { return u.err }

// deploymentPrimary is the status of the newest deployment of a service.
const deploymentPrimary = "PRIMARY"

// errNotShown says that no deployment runs the definition.
var errNotShown = errors.New("the service was changed by others, or rolled back")

// AwaitRunning waits until the service is steady, whichever revision it runs.
func (c *Client) AwaitRunning(ctx context.Context, ecsCluster, name string) error {
	err := c.awaitSteadyState(ctx, ecsCluster, name, anyRevision)
	if u := (*unsteady)(nil); errors.As(err, &u) { // of another service than the one whose wait may be interrupted
		err = fmt.Errorf("wait for service %s: %w%s", u.name, u.err, u.details)
	}
	return withCause(ctx, err)
}

// anyRevision stands for whichever revision the newest deployment runs.
const anyRevision = ""

// awaitSteadyState waits until the service runs the definition and nothing else, as many tasks as desired. What was just made
// or changed may not show yet.
func (c *Client) awaitSteadyState(ctx context.Context, ecsCluster, name, definitionARN string) error {
	shown, deployed := time.Now(), false
	var last *ecstypes.Service
	err := lag.Poll(ctx, func() (bool, string, error) {
		found, err := c.findService(ctx, ecsCluster, name)
		late := time.Since(shown) >= shownWithin
		switch {
		case err != nil:
			return false, "", err
		case found == nil && late:
			return false, "", errors.New("it was deleted")
		case found == nil:
			return false, "ECS does not show it", nil
		}
		last = found
		done, state, err := steady(*found, definitionARN)
		tflog.Info(ctx, "ecs service observed", map[string]any{"service": name, "ecs_cluster": ecsCluster, "state": state})
		if errors.Is(err, errNotShown) && !deployed && !late {
			return false, state, nil
		}
		shown, deployed = time.Now(), true
		return done, state, err
	})
	if err == nil {
		return nil
	}
	return &unsteady{name, err, c.explain(context.WithoutCancel(ctx), ecsCluster, name, last)}
}

// steady reports whether the service is, and says how it stands.
func steady(s ecstypes.Service, definitionARN string) (done bool, state string, err error) {
	state = fmt.Sprintf("%d of %d tasks run, %d pending, %d deployments", s.RunningCount, s.DesiredCount, s.PendingCount, len(s.Deployments))
	for _, d := range s.Deployments {
		if aws.ToString(d.TaskDefinition) != definitionARN && (definitionARN != anyRevision || aws.ToString(d.Status) != deploymentPrimary) {
			continue
		}
		if d.RolloutState == ecstypes.DeploymentRolloutStateFailed {
			return false, state, fmt.Errorf("the deployment was given up: %s", aws.ToString(d.RolloutStateReason))
		}
		done = len(s.Deployments) == 1 && s.PendingCount == 0 && s.RunningCount == s.DesiredCount &&
			(d.RolloutState == "" || d.RolloutState == ecstypes.DeploymentRolloutStateCompleted)
		return done, state, nil
	}
	return false, state, fmt.Errorf("no deployment runs %s: %w", definitionARN, errNotShown)
}

func (c *Client) awaitServiceGone(ctx context.Context, ecsCluster, name string) error {
	err := lag.Poll(ctx, func() (bool, string, error) {
		found, err := c.findService(ctx, ecsCluster, name)
		if err != nil || found == nil {
			return err == nil, "", err
		}
		return false, fmt.Sprintf("%d of its tasks still run", found.RunningCount), nil
	})
	if err != nil {
		return fmt.Errorf("wait until service %s is gone: %w", name, err)
	}
	return nil
}

func (c *Client) awaitTasksStopped(ctx context.Context, ecsCluster string, tasks []string) error {
	if len(tasks) == 0 {
		return nil
	}
	err := lag.Poll(ctx, func() (bool, string, error) {
		asked := tasks[:min(mostTasksAsk, len(tasks))]
		described, err := c.ecs.DescribeTasks(ctx, &ecs.DescribeTasksInput{Cluster: &ecsCluster, Tasks: asked})
		if err != nil {
			return false, "", err
		}
		running := map[string]bool{}
		for _, task := range described.Tasks {
			running[aws.ToString(task.TaskArn)] = aws.ToString(task.LastStatus) != "STOPPED"
		}
		for _, task := range asked {
			if running[task] { // ECS forgets stopped tasks
				break
			}
			tasks = tasks[1:]
		}
		return len(tasks) == 0, fmt.Sprintf("%d tasks have not stopped", len(tasks)), nil
	})
	if err != nil {
		return fmt.Errorf("wait until tasks have stopped: %w", err)
	}
	return nil
}

// AwaitNoMeshTasks waits until no task of the mesh runs, and until the controller has had the time to remove what the last ones may
// have left in Consul. It gives up earlier than ctx where nothing moves: then nobody is about to stop them.
func (c *Client) AwaitNoMeshTasks(ctx context.Context, of occupancy.Mesh) error {
	var was occupancy.Tasks
	moved := time.Now()
	return withCause(ctx, lag.Poll(ctx, func() (bool, string, error) {
		is, err := of.Look(ctx, c.ecs)
		switch {
		case err != nil:
			return false, "", fmt.Errorf("%w\nhint: whether tasks of the mesh still run is not known; force_destroy = true does without", err)
		case is.None():
			return true, "", awaitReaped(ctx, is.LastStopped)
		case is.MovedSince(was):
			was, moved = is, time.Now()
		}
		reason := fmt.Sprintf("%s\nhint: destroy what runs them, together with this resource or before it; or set force_destroy = true, and apply that first: then nothing removes from Consul what they leave behind when they die", is)
		if time.Since(moved) >= unmovedWithin {
			return false, "", fmt.Errorf("for %v nothing has stopped: %s", unmovedWithin, reason)
		}
		tflog.Info(ctx, "waiting for mesh tasks to stop", map[string]any{"tasks": is.String()})
		return false, reason, nil
	}))
}

// AwaitReaped waits until the tasks of the mesh that are about to stop have stopped, and until the controller has had the time to
// remove what they may have left in Consul. Those that go on running are no reason to wait.
func (c *Client) AwaitReaped(ctx context.Context, of occupancy.Mesh) error {
	return withCause(ctx, lag.Poll(ctx, func() (bool, string, error) {
		is, err := of.Look(ctx, c.ecs)
		switch {
		case err != nil:
			return false, "", err
		case is.Run():
			return true, "", awaitReaped(ctx, time.Now())
		case is.None():
			return true, "", awaitReaped(ctx, is.LastStopped)
		}
		return false, is.String(), nil
	}))
}

// awaitReaped waits until the controller has had its time since the last task stopped.
func awaitReaped(ctx context.Context, lastStopped time.Time) error {
	left := min(reapedWithin, time.Until(lastStopped.Add(reapedWithin))) // the clock here may be another than ECS's
	if lastStopped.IsZero() || left <= 0 {
		return nil
	}
	tflog.Info(ctx, "waiting for the controller to remove what stopped last", map[string]any{"for": left.String()})
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(left):
		return nil
	}
}

// MeshTasks are the tasks of a mesh that run, or are to run.
func (c *Client) MeshTasks(ctx context.Context, of occupancy.Mesh) ([]ecstypes.Task, error) {
	return of.All(ctx, c.ecs)
}

// Verdicts is what ECS says of tasks of an ECS cluster, by their IDs.
func (c *Client) Verdicts(ctx context.Context, ecsCluster string, ids []string) (map[string]reap.Verdict, error) {
	return occupancy.Verdicts(ctx, c.ecs, ecsCluster, ids)
}

// TaskView is an ECS cluster as ECS shows its tasks, for whoever removes what dead ones left.
func (c *Client) TaskView(ecsClusterARN string) taskverdict.View {
	looks, _ := taskverdict.Paced(c.AWS)
	return taskverdict.View{Client: looks, Cluster: ecsClusterARN, Who: "whoever runs Terraform"}
}
