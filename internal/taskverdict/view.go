package taskverdict

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/awsapi"
	"github.com/consulecs/terraform-provider-consulecs/internal/reap"
)

// View is one ECS cluster as ECS shows its tasks. It implements reap.ECS.
type View struct {
	Client  *ecs.Client
	Cluster string // ARN
	Who     string // has the rights, for hints: "the controller's task role"
}

// Running lists the tasks that ECS means to run, those that are yet starting among them.
func (v View) Running(ctx context.Context) (map[string]bool, error) {
	running := map[string]bool{}
	input := &ecs.ListTasksInput{Cluster: &v.Cluster, DesiredStatus: ecstypes.DesiredStatusRunning}
	for {
		page, err := v.Client.ListTasks(ctx, input)
		if err != nil {
			return nil, v.Explain("list tasks of ECS cluster "+v.Cluster, "ecs:ListTasks", err)
		}
		for _, arn := range page.TaskArns {
			running[ID(arn)] = true
		}
		if aws.ToString(page.NextToken) == "" { // an empty page is not the last one
			return running, nil
		}
		input.NextToken = page.NextToken
	}
}

// Describe asks for the status of tasks, 100 at the most.
func (v View) Describe(ctx context.Context, ids []string) (map[string]reap.Verdict, error) {
	what := fmt.Sprintf("describe %d tasks of ECS cluster %s", len(ids), v.Cluster)
	out, err := v.Client.DescribeTasks(ctx, &ecs.DescribeTasksInput{Cluster: &v.Cluster, Tasks: ids})
	if err != nil {
		return nil, v.Explain(what, "ecs:DescribeTasks", err)
	}
	return Of(out), nil
}

// Explain says what a call was for, and which right it lacked.
func (v View) Explain(what, action string, err error) error {
	if awsapi.IsAccessDenied(err) {
		return fmt.Errorf("%s: %w\nhint: %s lacks %s", what, err, v.Who, action)
	}
	return fmt.Errorf("%s: %w", what, err)
}
