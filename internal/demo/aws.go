package demo

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/fleet"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/world"
)

// awsFacts reads the local AWS as an operator does.
type awsFacts struct {
	fleet      *fleet.Fleet
	ecs        *ecs.Client
	iam        *iam.Client
	ecsCluster string
}

func newAWSFacts(address world.Address) *awsFacts {
	cfg := address.AWSConfig()
	return &awsFacts{fleet.New(address), ecs.NewFromConfig(cfg), iam.NewFromConfig(cfg), address.Cluster}
}

// onlyTask is the single task of an ECS service.
func (a *awsFacts) onlyTask(ctx context.Context, ecsService string) (ecstypes.Task, error) {
	tasks, err := a.fleet.Running(ctx, ecsService)
	switch {
	case err != nil:
		return ecstypes.Task{}, err
	case len(tasks) != 1:
		return ecstypes.Task{}, fmt.Errorf("service %s runs %d tasks, want 1", ecsService, len(tasks))
	}
	return tasks[0], nil
}

// taskRows shows the tasks of services and their containers, one line each.
func (a *awsFacts) taskRows(ctx context.Context, ecsServices ...string) ([]string, error) {
	var rows []string
	for _, service := range ecsServices {
		tasks, err := a.fleet.Running(ctx, service)
		if err != nil {
			return nil, err
		}
		for _, t := range tasks {
			rows = append(rows, fmt.Sprintf("%s\t%s\t\t%s\t%s", service, fleet.TaskID(t), aws.ToString(t.LastStatus), t.HealthStatus))
			for _, c := range t.Containers {
				state := aws.ToString(c.LastStatus)
				if c.ExitCode != nil {
					state += fmt.Sprintf(" (exit %d)", *c.ExitCode)
				}
				rows = append(rows, fmt.Sprintf("\t\t%s\t%s\t%s", aws.ToString(c.Name), state, c.HealthStatus))
			}
		}
	}
	return rows, nil
}

// capabilities are those that containers of a task get beyond what every container has.
func (a *awsFacts) capabilities(ctx context.Context, t ecstypes.Task) (given []string, err error) {
	found, err := a.ecs.DescribeTaskDefinition(ctx, &ecs.DescribeTaskDefinitionInput{TaskDefinition: t.TaskDefinitionArn})
	if err != nil {
		return nil, fmt.Errorf("describe task definition: %w", err)
	}
	for _, c := range found.TaskDefinition.ContainerDefinitions {
		if p := c.LinuxParameters; p != nil && p.Capabilities != nil {
			given = append(given, p.Capabilities.Add...)
		}
	}
	return given, nil
}

// leftovers names what a destroy should have removed: ECS services, tasks, active task definitions, roles of ours.
func (a *awsFacts) leftovers(ctx context.Context) ([]string, error) {
	var left []string
	services, err := a.ecs.ListServices(ctx, &ecs.ListServicesInput{Cluster: &a.ecsCluster})
	if err != nil {
		return nil, fmt.Errorf("list services: %w", err)
	}
	tasks, err := a.ecs.ListTasks(ctx, &ecs.ListTasksInput{Cluster: &a.ecsCluster})
	if err != nil {
		return nil, fmt.Errorf("list tasks: %w", err)
	}
	definitions, err := a.ecs.ListTaskDefinitions(ctx, &ecs.ListTaskDefinitionsInput{Status: ecstypes.TaskDefinitionStatusActive})
	if err != nil {
		return nil, fmt.Errorf("list task definitions: %w", err)
	}
	roles, err := a.iam.ListRoles(ctx, &iam.ListRolesInput{})
	if err != nil {
		return nil, fmt.Errorf("list roles: %w", err)
	}
	left = append(left, services.ServiceArns...)
	left = append(left, tasks.TaskArns...)
	left = append(left, definitions.TaskDefinitionArns...)
	for _, r := range roles.Roles {
		if !strings.HasPrefix(aws.ToString(r.Path), "/aws-service-role/") {
			left = append(left, aws.ToString(r.Arn))
		}
	}
	return left, nil
}

// age is how long after the task's creation at was.
func age(t ecstypes.Task, at time.Time) time.Duration {
	return at.Sub(aws.ToTime(t.CreatedAt)).Round(time.Millisecond)
}
