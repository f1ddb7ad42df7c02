// Package occupancy tells which tasks of the mesh run in ECS clusters, whoever runs them.
package occupancy

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/awsapi"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/reap"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskverdict"
)

// Mesh says which tasks are meant: those of the mesh in the ECS clusters.
type Mesh struct {
	ECSClusters []string // names or ARNs
	Partition   string   // admin partition; "": all
}

// Tasks are those that were found. They need not be all: one page of ECS's list is enough to know that some run.
type Tasks struct {
	running     map[string]string // by ARN, what runs it: service web of ECS cluster mesh
	stopping    int
	LastStopped time.Time // of those that have stopped; zero if there are none
}

// pageSize is how many tasks ECS lists, and describes, in one call.
const pageSize = 100

// stopped is the last status of a task.
const stopped = "STOPPED"

// Look finds the tasks that run, or have not quite stopped. Tags tell which are of the mesh: ECS lists tasks by no tag.
func (m Mesh) Look(ctx context.Context, client *ecs.Client) (Tasks, error) {
	found := Tasks{running: map[string]string{}}
	for _, status := range []ecstypes.DesiredStatus{ecstypes.DesiredStatusRunning, ecstypes.DesiredStatusStopped} {
		for _, ecsCluster := range m.ECSClusters {
			if err := m.look(ctx, client, ecsCluster, status, &found); err != nil {
				return found, err
			}
		}
		if len(found.running) > 0 {
			break // so that those that stop need not be counted
		}
	}
	return found, nil
}

func (m Mesh) look(ctx context.Context, client *ecs.Client, ecsCluster string, status ecstypes.DesiredStatus, found *Tasks) error {
	pages := ecs.NewListTasksPaginator(client, &ecs.ListTasksInput{Cluster: &ecsCluster, DesiredStatus: status, MaxResults: aws.Int32(pageSize)})
	for pages.HasMorePages() && len(found.running) == 0 {
		page, err := pages.NextPage(ctx)
		if awsapi.IsNotFound(err) { // the ECS cluster is gone, and its tasks with it
			return nil
		}
		if err != nil {
			return fmt.Errorf("list tasks of ECS cluster %s: %w", ecsCluster, err)
		}
		if len(page.TaskArns) == 0 {
			continue
		}
		described, err := describe(ctx, client, ecsCluster, page.TaskArns)
		if err != nil {
			return err
		}
		for _, task := range described.Tasks {
			if m.has(task) {
				found.add(task)
			}
		}
	}
	return nil
}

// All are the tasks that run, or are to run, and are of the mesh.
func (m Mesh) All(ctx context.Context, client *ecs.Client) ([]ecstypes.Task, error) {
	var all []ecstypes.Task
	for _, ecsCluster := range m.ECSClusters {
		pages := ecs.NewListTasksPaginator(client, &ecs.ListTasksInput{Cluster: &ecsCluster, DesiredStatus: ecstypes.DesiredStatusRunning, MaxResults: aws.Int32(pageSize)})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return nil, fmt.Errorf("list tasks of ECS cluster %s: %w", ecsCluster, err)
			}
			if len(page.TaskArns) == 0 {
				continue
			}
			described, err := describe(ctx, client, ecsCluster, page.TaskArns)
			if err != nil {
				return nil, err
			}
			all = append(all, slices.DeleteFunc(described.Tasks, func(t ecstypes.Task) bool { return !m.has(t) })...)
		}
	}
	return all, nil
}

// Verdicts is what ECS says of tasks of an ECS cluster, by their IDs.
func Verdicts(ctx context.Context, client *ecs.Client, ecsCluster string, ids []string) (map[string]reap.Verdict, error) {
	all := map[string]reap.Verdict{}
	for some := range slices.Chunk(ids, taskverdict.MaxDescribed) {
		described, err := describe(ctx, client, ecsCluster, some)
		if err != nil {
			return nil, err
		}
		maps.Copy(all, taskverdict.Of(described))
	}
	return all, nil
}

func describe(ctx context.Context, client *ecs.Client, ecsCluster string, tasks []string) (*ecs.DescribeTasksOutput, error) {
	described, err := client.DescribeTasks(ctx, &ecs.DescribeTasksInput{Cluster: &ecsCluster, Tasks: tasks, Include: []ecstypes.TaskField{ecstypes.TaskFieldTags}})
	if err != nil {
		return nil, fmt.Errorf("describe tasks of ECS cluster %s: %w", ecsCluster, err)
	}
	return described, nil
}

// has reports whether the task is of the mesh, and of the partition.
func (m Mesh) has(task ecstypes.Task) bool {
	tags := awsapi.TagMap(task.Tags)
	const otherwise = "default" // of what names no partition
	return tags[mesh.TaskTagMesh] == "true" && (m.Partition == "" || m.Partition == cmp.Or(tags[mesh.TaskTagPartition], otherwise))
}

func (t *Tasks) add(task ecstypes.Task) {
	switch {
	case aws.ToString(task.LastStatus) == stopped:
		if at := aws.ToTime(task.StoppedAt); at.After(t.LastStopped) {
			t.LastStopped = at
		}
	case aws.ToString(task.DesiredStatus) == stopped:
		t.stopping++
	default:
		cluster := aws.ToString(task.ClusterArn)
		kind, name, _ := strings.Cut(aws.ToString(task.Group), ":") // service:web, family:job, or of the user's own making
		t.running[aws.ToString(task.TaskArn)] = fmt.Sprintf("%s %s of ECS cluster %s", kind, name, cluster[strings.LastIndexByte(cluster, '/')+1:])
	}
}

// Run reports whether a task goes on running.
func (t Tasks) Run() bool { return len(t.running) > 0 }

// None reports whether every task has stopped.
func (t Tasks) None() bool { return len(t.running) == 0 && t.stopping == 0 }

// MovedSince reports whether tasks stop, or other ones run than did.
func (t Tasks) MovedSince(was Tasks) bool {
	return t.stopping > 0 || !maps.Equal(t.running, was.running)
}

// shown is how many of those that run tasks String names.
const shown = 5

// String says what runs them, as far as was found.
func (t Tasks) String() string {
	if len(t.running) == 0 {
		return fmt.Sprintf("%d tasks of the mesh have not stopped yet", t.stopping)
	}
	counts := map[string]int{}
	for _, by := range t.running {
		counts[by]++
	}
	var by []string
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		by = append(by, fmt.Sprintf("%s (%d)", name, counts[name]))
	}
	more := ""
	if n := len(by) - shown; n > 0 {
		by, more = by[:shown], fmt.Sprintf(" and %d more", n)
	}
	return "tasks of the mesh run: those of " + strings.Join(by, ", ") + more
}
