package deploy

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// eventsShown is how many of a service's newest events an error tells.
const eventsShown = 3

// explain is what ECS says of a service that is not steady, in lines that each begin with a line break: its deployments, its
// newest events, why its last task stopped.
func (c *Client) explain(ctx context.Context, ecsCluster, name string, s *ecstypes.Service) string {
	var lines []string
	if s != nil {
		lines = append(deploymentLines(s.Deployments), eventLines(s.Events)...)
	}
	ctx, cancel := context.WithTimeout(ctx, explainedWithin)
	defer cancel()
	if task := c.lastStopped(ctx, ecsCluster, name); task != nil {
		lines = append(lines, stopLine(*task))
	}
	var text strings.Builder
	for _, line := range lines {
		text.WriteString("\nhint: " + line)
	}
	return text.String()
}

func deploymentLines(deployments []ecstypes.Deployment) []string {
	var lines []string
	for _, d := range deployments {
		line := fmt.Sprintf("deployment %s of %s: %d of %d tasks run, %d failed", aws.ToString(d.Status), shortARN(aws.ToString(d.TaskDefinition)),
			d.RunningCount, d.DesiredCount, d.FailedTasks)
		if d.RolloutState != "" {
			line += fmt.Sprintf("; %s: %s", d.RolloutState, aws.ToString(d.RolloutStateReason))
		}
		lines = append(lines, line)
	}
	return lines
}

// eventLines are those of the newest events, which ECS lists first.
func eventLines(events []ecstypes.ServiceEvent) []string {
	var lines []string
	for _, e := range events[:min(eventsShown, len(events))] {
		lines = append(lines, "event: "+aws.ToString(e.Message))
	}
	return lines
}

// lastStopped is the task of the service that stopped last; nil if none did or ECS does not say.
func (c *Client) lastStopped(ctx context.Context, ecsCluster, name string) *ecstypes.Task {
	listed, err := c.ecs.ListTasks(ctx, &ecs.ListTasksInput{Cluster: &ecsCluster, ServiceName: &name, DesiredStatus: ecstypes.DesiredStatusStopped})
	if err != nil || len(listed.TaskArns) == 0 {
		return nil
	}
	described, err := c.ecs.DescribeTasks(ctx, &ecs.DescribeTasksInput{Cluster: &ecsCluster, Tasks: listed.TaskArns})
	if err != nil || len(described.Tasks) == 0 {
		return nil
	}
	last := described.Tasks[0]
	for _, task := range described.Tasks {
		if last.StoppedAt == nil || task.StoppedAt != nil && task.StoppedAt.After(*last.StoppedAt) {
			last = task
		}
	}
	return &last
}

func stopLine(task ecstypes.Task) string {
	text := fmt.Sprintf("task %s stopped last: %s", aws.ToString(task.TaskArn), aws.ToString(task.StoppedReason))
	for _, container := range task.Containers {
		if code := container.ExitCode; code != nil && *code != 0 || container.Reason != nil {
			text += fmt.Sprintf("; container %s: exit code %d %s", aws.ToString(container.Name), aws.ToInt32(code), aws.ToString(container.Reason))
		}
	}
	return text
}

// shortARN is an ARN from its last slash on.
func shortARN(arn string) string { return arn[strings.LastIndexByte(arn, '/')+1:] }
