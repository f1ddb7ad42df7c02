package controller

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"golang.org/x/time/rate"

	"github.com/consulecs/terraform-provider-consulecs/internal/awsapi"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/reap"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskverdict"
)

const (
	// What the controller takes of the account's quota, which all of an account's programs share: ECS allows 20 calls a second
	// of ListTasks and DescribeTasks together.
	looksPerSecond  = 2  // requests of full looks, in any second
	urgentPerSecond = 2  // requests about what events name, on average
	urgentAtOnce    = 11 // a thousand tasks that die together are described at once, with the controller's own in each call
)

// turns are the requests of full looks in their order. Each limiter lets one through a second and is taken in turn, so that there
// are never more of them in a second than there are limiters. One limiter with a burst would let through more than that at first.
type turns struct {
	next     atomic.Uint64
	limiters [looksPerSecond]*rate.Limiter
}

func newTurns() *turns {
	var t turns
	for i := range t.limiters {
		t.limiters[i] = rate.NewLimiter(rate.Every(time.Second), 1)
	}
	return &t
}

func (t *turns) wait(ctx context.Context) error {
	return t.limiters[t.next.Add(1)%looksPerSecond].Wait(ctx)
}

// pacedECS are clients of ECS that keep to the controller's part of the quota, whatever the number of ECS clusters: one for full
// looks, and one for what events name, which does not wait for a full look.
func pacedECS(cfg aws.Config) (looks, urgent *ecs.Client) {
	burst := rate.NewLimiter(urgentPerSecond, urgentAtOnce)
	return awsapi.ECS(awsapi.Paced(cfg, newTurns().wait)), awsapi.ECS(awsapi.Paced(cfg, burst.Wait))
}

// ecsView is one ECS cluster as ECS shows it.
type ecsView struct {
	client, urgent *ecs.Client // for full looks, and for what events name
	cluster        string      // ARN

	tagged map[string]mesh.Scope // by task ID, those of the mesh whose tags are known; full looks' alone
}

// newECSViews are views of ECS clusters.
func newECSViews(looks, urgent *ecs.Client, clusters []string) []ecsView {
	var views []ecsView
	for _, cluster := range clusters {
		views = append(views, ecsView{looks, urgent, cluster, map[string]mesh.Scope{}})
	}
	return views
}

// forEvents is the view for what events name.
func (e ecsView) forEvents() ecsView {
	e.client = e.urgent
	return e
}

// Running lists the tasks that ECS means to run, those that are yet starting among them.
func (e ecsView) Running(ctx context.Context) (map[string]bool, error) {
	running := map[string]bool{}
	input := &ecs.ListTasksInput{Cluster: &e.cluster, DesiredStatus: ecstypes.DesiredStatusRunning}
	for {
		page, err := e.client.ListTasks(ctx, input)
		if err != nil {
			return nil, explainAWS("list tasks of ECS cluster "+e.cluster, "ecs:ListTasks", err)
		}
		for _, arn := range page.TaskArns {
			running[taskverdict.ID(arn)] = true
		}
		if aws.ToString(page.NextToken) == "" { // an empty page is not the last one
			return running, nil
		}
		input.NextToken = page.NextToken
	}
}

// Describe asks for the status of tasks, 100 at the most.
func (e ecsView) Describe(ctx context.Context, ids []string) (map[string]reap.Verdict, error) {
	what := fmt.Sprintf("describe %d tasks of ECS cluster %s", len(ids), e.cluster)
	out, err := e.client.DescribeTasks(ctx, &ecs.DescribeTasksInput{Cluster: &e.cluster, Tasks: ids})
	if err != nil {
		return nil, explainAWS(what, "ecs:DescribeTasks", err)
	}
	return taskverdict.Of(out), nil
}

// Namespaces are those that mesh tasks of the admin partition name by their tags, of the tasks that Running has listed. A mesh task
// has its tags from its birth on, so they are read once. Tasks without them are of no interest.
func (e ecsView) Namespaces(ctx context.Context, running map[string]bool, partition string) ([]string, error) {
	maps.DeleteFunc(e.tagged, func(id string, _ mesh.Scope) bool { return !running[id] })
	var unknown []string
	for id := range running {
		if _, known := e.tagged[id]; !known {
			unknown = append(unknown, id)
		}
	}
	slices.Sort(unknown)
	for ids := range slices.Chunk(unknown, taskverdict.MaxDescribed) {
		if err := e.readTags(ctx, ids); err != nil {
			return nil, err
		}
	}
	named := map[string]bool{}
	for _, scope := range e.tagged {
		if scope.Partition == partition && scope.Namespace != "" {
			named[scope.Namespace] = true
		}
	}
	return slices.Sorted(maps.Keys(named)), nil
}

// readTags reads where tasks are in Consul, of those that are in the mesh.
func (e ecsView) readTags(ctx context.Context, ids []string) error {
	what := fmt.Sprintf("read the tags of %d tasks of ECS cluster %s", len(ids), e.cluster)
	out, err := e.client.DescribeTasks(ctx, &ecs.DescribeTasksInput{Cluster: &e.cluster, Tasks: ids, Include: []ecstypes.TaskField{ecstypes.TaskFieldTags}})
	if err != nil {
		return explainAWS(what, "ecs:DescribeTasks", err)
	}
	for _, t := range out.Tasks {
		if tags := awsapi.TagMap(t.Tags); tags[mesh.TaskTagMesh] == "true" {
			e.tagged[nameOf(aws.ToString(t.TaskArn))] = mesh.Scope{Partition: tags[mesh.TaskTagPartition], Namespace: tags[mesh.TaskTagNamespace]}
		}
	}
	return nil
}

func explainAWS(what, action string, err error) error {
	if awsapi.IsAccessDenied(err) {
		return fmt.Errorf("%s: %w\nhint: the controller's task role lacks %s", what, err, action)
	}
	return fmt.Errorf("%s: %w", what, err)
}
