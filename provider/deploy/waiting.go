package deploy

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/smithy-go"
	"github.com/hashicorp/terraform-plugin-log/tflog"
)

// Times between two looks at AWS.
const (
	firstLook   = 500 * time.Millisecond
	longestLook = 10 * time.Second
)

// rolesSeenWithin is how long ECS may go on to refuse a role that IAM has made.
const rolesSeenWithin = 2 * time.Minute

// poll looks at once and then at growing intervals until look is done, fails, or ctx ends; reason, the last sentence that
// look gave, is then part of the error.
func poll(ctx context.Context, look func() (done bool, reason string, err error)) error {
	for wait := firstLook; ; wait = min(longestLook, wait*3/2) {
		done, reason, err := look()
		if done || err != nil && ctx.Err() == nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %s", context.Cause(ctx), reason)
		case <-time.After(wait):
		}
	}
}

// untilRolesAreSeen repeats call while ECS says that it cannot use a role: IAM tells the rest of AWS about new roles and
// policies with a delay.
func untilRolesAreSeen(ctx context.Context, call func() error) error {
	ctx, cancel := context.WithTimeout(ctx, rolesSeenWithin)
	defer cancel()
	var last error
	err := poll(ctx, func() (bool, string, error) {
		last = call()
		if isRoleNotSeen(last) {
			tflog.Debug(ctx, "role not usable yet", map[string]any{"err": last.Error()})
			return false, last.Error(), nil
		}
		return true, "", last
	})
	if isRoleNotSeen(last) {
		return last // says more than that the time is over
	}
	return err
}

// isRoleNotSeen reports whether ECS refuses a role. It has no error code of its own for that, so the text decides.
func isRoleNotSeen(err error) bool {
	var api smithy.APIError
	if !errors.As(err, &api) || api.ErrorCode() != "InvalidParameterException" && api.ErrorCode() != "ClientException" {
		return false
	}
	text := strings.ToLower(api.ErrorMessage())
	return strings.Contains(text, "role") && (strings.Contains(text, "assume") || strings.Contains(text, "not valid") || strings.Contains(text, "verify"))
}

// awaitSteadyState waits until the service runs the definition and nothing else, as many tasks as desired.
func (c *Client) awaitSteadyState(ctx context.Context, ecsCluster, name, definitionARN string) error {
	err := poll(ctx, func() (bool, string, error) {
		found, err := c.findService(ctx, ecsCluster, name)
		if err != nil {
			return false, "", err
		}
		if found == nil {
			return false, "", errors.New("it was deleted")
		}
		done, state, err := steady(*found, definitionARN)
		tflog.Info(ctx, "ecs service observed", map[string]any{"service": name, "ecs_cluster": ecsCluster, "state": state})
		return done, state, err
	})
	if err == nil {
		return nil
	}
	return fmt.Errorf("wait for service %s: %w%s", name, err, c.lastFailure(context.WithoutCancel(ctx), ecsCluster, name))
}

// steady reports whether the service is, and says how it stands.
func steady(s ecstypes.Service, definitionARN string) (done bool, state string, err error) {
	state = fmt.Sprintf("%d of %d tasks run, %d pending, %d deployments", s.RunningCount, s.DesiredCount, s.PendingCount, len(s.Deployments))
	for _, d := range s.Deployments {
		if aws.ToString(d.TaskDefinition) != definitionARN {
			continue
		}
		if d.RolloutState == ecstypes.DeploymentRolloutStateFailed {
			return false, state, fmt.Errorf("the deployment was given up: %s", aws.ToString(d.RolloutStateReason))
		}
		done = len(s.Deployments) == 1 && s.PendingCount == 0 && s.RunningCount == s.DesiredCount &&
			(d.RolloutState == "" || d.RolloutState == ecstypes.DeploymentRolloutStateCompleted)
		return done, state, nil
	}
	return false, state, fmt.Errorf("no deployment runs %s: the service was changed by others, or rolled back", definitionARN)
}

// lastFailure says why a task of the service stopped last; "" if none did or ECS does not say.
func (c *Client) lastFailure(ctx context.Context, ecsCluster, name string) string {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	listed, err := c.ecs.ListTasks(ctx, &ecs.ListTasksInput{Cluster: &ecsCluster, ServiceName: &name, DesiredStatus: ecstypes.DesiredStatusStopped})
	if err != nil || len(listed.TaskArns) == 0 {
		return ""
	}
	described, err := c.ecs.DescribeTasks(ctx, &ecs.DescribeTasksInput{Cluster: &ecsCluster, Tasks: listed.TaskArns})
	if err != nil {
		return ""
	}
	var last ecstypes.Task
	for _, task := range described.Tasks {
		if last.StoppedAt == nil || task.StoppedAt != nil && task.StoppedAt.After(*last.StoppedAt) {
			last = task
		}
	}
	text := fmt.Sprintf("\nhint: task %s stopped last: %s", aws.ToString(last.TaskArn), aws.ToString(last.StoppedReason))
	for _, container := range last.Containers {
		if code := container.ExitCode; code != nil && *code != 0 || container.Reason != nil {
			text += fmt.Sprintf("; container %s: exit code %d %s", aws.ToString(container.Name), aws.ToInt32(code), aws.ToString(container.Reason))
		}
	}
	return text
}

func (c *Client) awaitServiceGone(ctx context.Context, ecsCluster, name string) error {
	err := poll(ctx, func() (bool, string, error) {
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
	const most = 100 // in one call
	err := poll(ctx, func() (bool, string, error) {
		described, err := c.ecs.DescribeTasks(ctx, &ecs.DescribeTasksInput{Cluster: &ecsCluster, Tasks: tasks[:min(most, len(tasks))]})
		if err != nil {
			return false, "", err
		}
		running := map[string]bool{}
		for _, task := range described.Tasks {
			running[aws.ToString(task.TaskArn)] = aws.ToString(task.LastStatus) != "STOPPED"
		}
		for len(tasks) > 0 && !running[tasks[0]] { // ECS forgets stopped tasks
			tasks = tasks[1:]
		}
		return len(tasks) == 0, fmt.Sprintf("%d tasks have not stopped", len(tasks)), nil
	})
	if err != nil {
		return fmt.Errorf("wait until tasks have stopped: %w", err)
	}
	return nil
}
