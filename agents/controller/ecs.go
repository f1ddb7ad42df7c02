package controller

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/awsapi"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskverdict"
)

// ecsView is one ECS cluster as ECS shows it.
type ecsView struct {
	taskverdict.View             // for full looks
	urgent           *ecs.Client // for what events name

	tagged map[string]mesh.Scope // by task ID, those of the mesh whose tags are known; full looks' alone
}

// newECSViews are views of ECS clusters.
func newECSViews(looks, urgent *ecs.Client, clusters []string) []ecsView {
	var views []ecsView
	for _, cluster := range clusters {
		view := taskverdict.View{Client: looks, Cluster: cluster, Who: "the controller's task role"}
		views = append(views, ecsView{view, urgent, map[string]mesh.Scope{}})
	}
	return views
}

// forEvents is the view for what events name.
func (e ecsView) forEvents() ecsView {
	e.Client = e.urgent
	return e
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
	what := fmt.Sprintf("read the tags of %d tasks of ECS cluster %s", len(ids), e.Cluster)
	out, err := e.Client.DescribeTasks(ctx, &ecs.DescribeTasksInput{Cluster: &e.Cluster, Tasks: ids, Include: []ecstypes.TaskField{ecstypes.TaskFieldTags}})
	if err != nil {
		return e.Explain(what, "ecs:DescribeTasks", err)
	}
	for _, t := range out.Tasks {
		if tags := awsapi.TagMap(t.Tags); tags[mesh.TaskTagMesh] == "true" {
			e.tagged[nameOf(aws.ToString(t.TaskArn))] = mesh.Scope{Partition: tags[mesh.TaskTagPartition], Namespace: tags[mesh.TaskTagNamespace]}
		}
	}
	return nil
}
