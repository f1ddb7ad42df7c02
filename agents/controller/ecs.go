package controller

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/awsapi"
)

// maxDescribed is the most tasks that DescribeTasks takes at a time.
const maxDescribed = 100

// ecsView is ECS as the controller sees it: its own cluster, with itself in it.
type ecsView struct {
	client  *ecs.Client
	cluster string // ARN
	self    string // ID of the controller's own task
}

// look asks ECS about the tasks. ListTasks, at 100 tasks a call, shows nearly all of them to be alive; only the rest is
// described. An error goes with the verdicts that could be had: tasks without an answer are unknown.
func (e ecsView) look(ctx context.Context, ids []string) (map[string]verdict, error) {
	running, err := e.running(ctx)
	if err != nil {
		return nil, err
	}
	verdicts := map[string]verdict{}
	var rest []string
	for _, id := range append(ids, e.self) {
		if running[id] {
			verdicts[id] = alive
		} else {
			rest = append(rest, id)
		}
	}
	described, err := e.describe(ctx, rest)
	maps.Copy(verdicts, described)
	if verdicts[e.self] != alive { // then whatever else ECS does not show is no evidence either
		return nil, errors.Join(err, fmt.Errorf(
			"look at ECS cluster %s: the answer does not show the controller's own task %s, so it is not relied on", e.cluster, e.self))
	}
	return verdicts, err
}

// running lists the tasks that ECS means to run, those that are yet starting among them.
func (e ecsView) running(ctx context.Context) (map[string]bool, error) {
	running := map[string]bool{}
	input := &ecs.ListTasksInput{Cluster: &e.cluster, DesiredStatus: ecstypes.DesiredStatusRunning}
	for {
		page, err := e.client.ListTasks(ctx, input)
		if err != nil {
			return nil, explainAWS("list tasks of ECS cluster "+e.cluster, "ecs:ListTasks", err)
		}
		for _, arn := range page.TaskArns {
			running[idOf(arn)] = true
		}
		if aws.ToString(page.NextToken) == "" { // an empty page is not the last one
			return running, nil
		}
		input.NextToken = page.NextToken
	}
}

// describe asks for the status of single tasks. A batch that fails leaves its tasks unknown and does not keep the others.
func (e ecsView) describe(ctx context.Context, ids []string) (map[string]verdict, error) {
	verdicts := map[string]verdict{}
	var errs []error
	for batch := range slices.Chunk(ids, maxDescribed) {
		out, err := e.client.DescribeTasks(ctx, &ecs.DescribeTasksInput{Cluster: &e.cluster, Tasks: batch})
		if err != nil {
			errs = append(errs, explainAWS(fmt.Sprintf("describe %d tasks of ECS cluster %s", len(batch), e.cluster), "ecs:DescribeTasks", err))
			continue
		}
		maps.Copy(verdicts, judge(out.Tasks, out.Failures))
	}
	return verdicts, errors.Join(errs...)
}

func explainAWS(what, action string, err error) error {
	if awsapi.IsAccessDenied(err) {
		return fmt.Errorf("%s: %w\nhint: the controller's task role lacks %s", what, err, action)
	}
	return fmt.Errorf("%s: %w", what, err)
}
