package fleet

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// Serve makes an ECS service that keeps one task of a definition running.
func (f *Fleet) Serve(ctx context.Context, ecsService, definitionARN string) error {
	_, err := f.ecs.CreateService(ctx, &ecs.CreateServiceInput{
		Cluster: &f.Cluster, ServiceName: &ecsService, TaskDefinition: &definitionARN, DesiredCount: aws.Int32(1),
		LaunchType: ecstypes.LaunchTypeEc2, PropagateTags: ecstypes.PropagateTagsTaskDefinition, NetworkConfiguration: network(),
	})
	return err
}

// Roll has an ECS service replace its task by one of another definition.
func (f *Fleet) Roll(ctx context.Context, ecsService, definitionARN string) error {
	_, err := f.ecs.UpdateService(ctx, &ecs.UpdateServiceInput{Cluster: &f.Cluster, Service: &ecsService, TaskDefinition: &definitionARN})
	return err
}

// Scale has an ECS service keep so many tasks.
func (f *Fleet) Scale(ctx context.Context, ecsService string, tasks int) error {
	_, err := f.ecs.UpdateService(ctx, &ecs.UpdateServiceInput{Cluster: &f.Cluster, Service: &ecsService, DesiredCount: aws.Int32(int32(tasks))})
	return err
}

// Retire deletes an ECS service and stops its task.
func (f *Fleet) Retire(ctx context.Context, ecsService string) error {
	_, err := f.ecs.DeleteService(ctx, &ecs.DeleteServiceInput{Cluster: &f.Cluster, Service: &ecsService, Force: aws.Bool(true)})
	return err
}

// Running are the tasks of an ECS service that ECS wants to run.
func (f *Fleet) Running(ctx context.Context, ecsService string) ([]ecstypes.Task, error) {
	listed, err := f.ecs.ListTasks(ctx, &ecs.ListTasksInput{Cluster: &f.Cluster, ServiceName: &ecsService})
	if err != nil {
		return nil, fmt.Errorf("list tasks of service %s: %w", ecsService, err)
	}
	if len(listed.TaskArns) == 0 {
		return nil, nil
	}
	described, err := f.ecs.DescribeTasks(ctx, &ecs.DescribeTasksInput{Cluster: &f.Cluster, Tasks: listed.TaskArns})
	if err != nil {
		return nil, fmt.Errorf("describe tasks of service %s: %w", ecsService, err)
	}
	return described.Tasks, nil
}

func network() *ecstypes.NetworkConfiguration {
	return &ecstypes.NetworkConfiguration{AwsvpcConfiguration: &ecstypes.AwsVpcConfiguration{Subnets: []string{Subnet}}}
}
