package controllerbench

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/awsjson"
	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/names"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
)

// account is where all of it is.
var account = names.Account{Region: "us-east-1", ID: "123456789012"}

const (
	ecsClusterName = "bench"
	perPage        = 100 // tasks, of ListTasks and DescribeTasks
	families       = 50  // task families, which are services, among which the tasks are shared out
)

// ecsCluster is the ARN of the ECS cluster.
var ecsCluster = account.Cluster(ecsClusterName)

// family is that of the i-th task.
func family(i int) string { return fmt.Sprintf("web-%02d", i%families) }

// simTask is a task of the simulated ECS.
type simTask struct {
	id      string
	family  string
	started time.Time
	stopped time.Time // zero while it runs
}

// simECS knows tasks and nothing else.
type simECS struct {
	mu    sync.Mutex
	tasks map[string]*simTask
	order []string // IDs, sorted; nil: to be sorted anew
}

// newID has the shape of the IDs that ECS gives.
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// start adds a running task.
func (e *simECS) start(family string) *simTask {
	e.mu.Lock()
	defer e.mu.Unlock()
	t := &simTask{id: newID(), family: family, started: time.Now()}
	e.tasks[t.id] = t
	e.order = nil
	return t
}

// stop has tasks be STOPPED from now on.
func (e *simECS) stop(tasks []*simTask) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, t := range tasks {
		t.stopped = time.Now()
	}
}

// sdk is the task as DescribeTasks shows it, about as large as AWS's answers are.
func (t *simTask) sdk(tags bool) ecstypes.Task {
	arn := account.Task(ecsClusterName, t.id)
	task := ecstypes.Task{
		TaskArn: &arn, ClusterArn: &ecsCluster, TaskDefinitionArn: aws.String(account.TaskDefinition(t.family, 1)),
		DesiredStatus: aws.String("RUNNING"), LastStatus: aws.String("RUNNING"), Group: aws.String("service:" + t.family), LaunchType: ecstypes.LaunchTypeFargate,
		CreatedAt: &t.started, StartedAt: &t.started, Cpu: aws.String("256"), Memory: aws.String("512"), Version: 4, HealthStatus: ecstypes.HealthStatusHealthy,
		Attachments: []ecstypes.Attachment{{Id: aws.String(newID()), Type: aws.String("ElasticNetworkInterface"), Status: aws.String("ATTACHED")}},
	}
	for _, name := range append(mesh.InjectedContainers(), "app") {
		task.Containers = append(task.Containers, ecstypes.Container{
			ContainerArn: aws.String(account.Container(ecsClusterName, t.id, newID())), TaskArn: &arn, Name: aws.String(name), Image: aws.String("agent:1"),
			RuntimeId: aws.String(newID()), LastStatus: aws.String("RUNNING"), HealthStatus: ecstypes.HealthStatusUnknown, Cpu: aws.String("0"),
		})
	}
	if tags {
		task.Tags = definitionTags(t.family)
	}
	if !t.stopped.IsZero() {
		task.DesiredStatus, task.LastStatus, task.StoppedAt, task.Version = aws.String("STOPPED"), aws.String("STOPPED"), &t.stopped, 6
		task.StopCode, task.StoppedReason = ecstypes.TaskStopCodeEssentialContainerExited, aws.String("Essential container in task exited")
	}
	return task
}

func definitionTags(family string) []ecstypes.Tag {
	return []ecstypes.Tag{{Key: aws.String(mesh.TaskTagMesh), Value: aws.String("true")}, {Key: aws.String(mesh.TaskTagServiceName), Value: &family}}
}

// listTasks is ListTasks by desired status. A token is the last ID of the page before.
func (e *simECS) listTasks(in struct{ DesiredStatus, NextToken, Family string }) map[string]any {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.order == nil {
		e.order = slices.Sorted(maps.Keys(e.tasks))
	}
	first, found := slices.BinarySearch(e.order, in.NextToken)
	if found {
		first++
	}
	arns, next := []string{}, ""
	for _, id := range e.order[first:] {
		t := e.tasks[id]
		if t.stopped.IsZero() == (in.DesiredStatus == "STOPPED") || in.Family != "" && in.Family != t.family {
			continue
		}
		if len(arns) == perPage {
			next = idOf(arns[perPage-1])
			break
		}
		arns = append(arns, account.Task(ecsClusterName, id))
	}
	answer := map[string]any{"taskArns": arns}
	if next != "" {
		answer["nextToken"] = next
	}
	return answer
}

// describeTasks is DescribeTasks.
func (e *simECS) describeTasks(in struct{ Tasks, Include []string }) (map[string]any, error) {
	if len(in.Tasks) > perPage {
		return nil, fmt.Errorf("InvalidParameterException: %d tasks", len(in.Tasks))
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	tasks, failures := []any{}, []any{}
	for _, ref := range in.Tasks {
		t := e.tasks[idOf(ref)]
		if t == nil {
			failures = append(failures, map[string]any{"arn": account.Task(ecsClusterName, idOf(ref)), "reason": "MISSING"})
			continue
		}
		text, err := awsjson.Marshal(t.sdk(slices.Contains(in.Include, "TAGS")))
		if err != nil {
			return nil, err
		}
		tasks = append(tasks, rawJSON(text))
	}
	return map[string]any{"tasks": tasks, "failures": failures}, nil
}

// describeDefinition is DescribeTaskDefinition: a definition is its family's.
func describeDefinition(in struct{ TaskDefinition string }) (map[string]any, error) {
	family, _, _ := strings.Cut(idOf(in.TaskDefinition), ":")
	definition, err := awsjson.Marshal(ecstypes.TaskDefinition{
		Family: &family, Revision: 1, TaskDefinitionArn: aws.String(account.TaskDefinition(family, 1)), Status: ecstypes.TaskDefinitionStatusActive,
		ContainerDefinitions: []ecstypes.ContainerDefinition{{Name: aws.String("app"), Image: aws.String("app:1")}},
	})
	if err != nil {
		return nil, err
	}
	tags := []map[string]string{}
	for _, t := range definitionTags(family) {
		tags = append(tags, map[string]string{"key": *t.Key, "value": *t.Value})
	}
	return map[string]any{"taskDefinition": rawJSON(definition), "tags": tags}, nil
}

func idOf(arn string) string { return arn[strings.LastIndexByte(arn, '/')+1:] }
