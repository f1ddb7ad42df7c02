package control

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/awsjson"
	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/definition"
	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/engine"
	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/names"
)

const (
	maxRunAtOnce  = 10
	maxStartedBy  = 128
	stoppedByUser = "Task stopped by user"
)

// RunTask starts up to ten tasks that belong to no service.
func (c *Control) RunTask(in *ecs.RunTaskInput) (*ecs.RunTaskOutput, error) {
	count := aws.ToInt32(cmp.Or(in.Count, aws.Int32(1)))
	switch {
	case count < 1 || count > maxRunAtOnce:
		return nil, badParameter("Count must be between 1 and %d.", maxRunAtOnce)
	case len(aws.ToString(in.StartedBy)) > maxStartedBy:
		return nil, badParameter("startedBy must not be longer than %d characters.", maxStartedBy)
	case in.PropagateTags == ecstypes.PropagateTagsService:
		return nil, badParameter("Tags can be propagated from the task definition only.")
	}
	if err := definition.CheckTags(in.Tags); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	cl, err := c.cluster(in.Cluster)
	if err != nil {
		return nil, err
	}
	rev, err := c.runnable(in.TaskDefinition)
	if err != nil {
		return nil, err
	}
	token, fingerprint := *cl.ClusterName+" "+aws.ToString(in.ClientToken), fingerprint(*in)
	if before, ok := c.state.Runs[token]; ok && in.ClientToken != nil {
		return c.sameRun(before, fingerprint)
	}
	if err := checkOverrides(&rev.Definition, in.Overrides); err != nil {
		return nil, err
	}
	placed, err := c.place(cl, &rev.Definition, placement{in.LaunchType, in.CapacityProviderStrategy, aws.ToString(in.PlatformVersion), in.NetworkConfiguration, nil})
	if err != nil {
		return nil, err
	}
	asked := wishes{strategies: in.PlacementStrategy, constraints: in.PlacementConstraints}
	for _, v := range in.VolumeConfigurations {
		asked.volumes = append(asked.volumes, aws.ToString(v.Name))
	}
	if err := asked.check(&rev.Definition, placed.launchType); err != nil {
		return nil, err
	}
	out := &ecs.RunTaskOutput{Tasks: []ecstypes.Task{}, Failures: []ecstypes.Failure{}}
	now, arns := time.Now(), []string(nil)
	for range count {
		t := c.launch(order{
			cluster: cl, revision: rev, placement: placed, overrides: in.Overrides, tags: runTags(in, rev, cl),
			group: aws.ToString(in.Group), startedBy: aws.ToString(in.StartedBy), execute: in.EnableExecuteCommand,
		}, now)
		out.Tasks = append(out.Tasks, t.Task)
		arns = append(arns, *t.TaskArn)
	}
	if in.ClientToken != nil {
		c.state.Runs[token] = run{fingerprint, arns, now}
	}
	return out, nil
}

// sameRun answers a RunTask whose client token was used before.
func (c *Control) sameRun(before run, fingerprint string) (*ecs.RunTaskOutput, error) {
	if before.Fingerprint != fingerprint {
		return nil, &ecstypes.ConflictException{
			Message:     aws.String("The provided clientToken is already in use with a different RunTask request."),
			ResourceIds: before.Tasks,
		}
	}
	out := &ecs.RunTaskOutput{Tasks: []ecstypes.Task{}, Failures: []ecstypes.Failure{}}
	for _, arn := range before.Tasks {
		if t, ok := c.state.Tasks[arn]; ok {
			out.Tasks = append(out.Tasks, t.Task)
		}
	}
	return out, nil
}

func checkOverrides(def *ecstypes.TaskDefinition, o *ecstypes.TaskOverride) error {
	if o == nil {
		return nil
	}
	for _, over := range o.ContainerOverrides {
		name := aws.ToString(over.Name)
		if !slices.ContainsFunc(def.ContainerDefinitions, func(d ecstypes.ContainerDefinition) bool { return *d.Name == name }) {
			return badParameter("Override for container named %s is not a container in the TaskDefinition.", name)
		}
	}
	return nil
}

// runTags are the tags of RunTask's tasks: a tag given with the call wins over the definition's.
func runTags(in *ecs.RunTaskInput, rev *revision, cl *cluster) []ecstypes.Tag {
	tags := in.Tags
	if in.PropagateTags == ecstypes.PropagateTagsTaskDefinition {
		tags = mergeTags(rev.Tags, in.Tags)
	}
	if in.EnableECSManagedTags {
		tags = mergeTags(tags, []ecstypes.Tag{{Key: aws.String("aws:ecs:clusterName"), Value: cl.ClusterName}})
	}
	return tags
}

// StopTask asks a task to stop and returns at once.
func (c *Control) StopTask(in *ecs.StopTaskInput) (*ecs.StopTaskOutput, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	cl, err := c.cluster(in.Cluster)
	if err != nil {
		return nil, err
	}
	t, ok := c.state.Tasks[c.cfg.Account.Task(*cl.ClusterName, names.Last(aws.ToString(in.Task)))]
	if !ok {
		return nil, badParameter("The referenced task was not found.")
	}
	c.stop(t, ecstypes.TaskStopCodeUserInitiated, cmp.Or(aws.ToString(in.Reason), stoppedByUser))
	out := t.Task
	return &ecs.StopTaskOutput{Task: &out}, nil
}

// stop asks a task to stop, once. The caller holds the lock.
func (c *Control) stop(t *task, code ecstypes.TaskStopCode, reason string) {
	if *t.DesiredStatus == engine.StatusStopped {
		return
	}
	t.DesiredStatus, t.StopCode, t.StoppedReason = aws.String(engine.StatusStopped), code, &reason
	c.orderStop(t)
	c.taskChanged(t)
}

func (c *Control) orderStop(t *task) {
	arn, code, reason := *t.TaskArn, t.StopCode, aws.ToString(t.StoppedReason)
	c.outbox = append(c.outbox, func() { c.cfg.Stop(arn, code, reason) })
	c.touch()
}

// DescribeTasks describes up to 100 tasks, stopped ones for an hour.
func (c *Control) DescribeTasks(in *ecs.DescribeTasksInput) (*ecs.DescribeTasksOutput, error) {
	if len(in.Tasks) == 0 {
		return nil, badParameter("Tasks cannot be empty.")
	}
	if len(in.Tasks) > maxPage {
		return nil, badParameter("Cannot describe more than %d tasks.", maxPage)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	cl, err := c.cluster(in.Cluster)
	if err != nil {
		return nil, err
	}
	out := &ecs.DescribeTasksOutput{Tasks: []ecstypes.Task{}, Failures: []ecstypes.Failure{}}
	for _, ref := range in.Tasks {
		arn := c.cfg.Account.Task(*cl.ClusterName, names.Last(ref))
		t, ok := c.state.Tasks[arn]
		if !ok {
			out.Failures = append(out.Failures, missing(arn))
			continue
		}
		described := t.Task
		if !slices.Contains(in.Include, ecstypes.TaskFieldTags) {
			described.Tags = nil
		}
		out.Tasks = append(out.Tasks, described)
	}
	return out, nil
}

// ListTasks lists the ARNs of a cluster's tasks that ought to run, or of those that ought not.
func (c *Control) ListTasks(in *ecs.ListTasksInput) (*ecs.ListTasksOutput, error) {
	desired := cmp.Or(in.DesiredStatus, ecstypes.DesiredStatusRunning)
	if !slices.Contains(desired.Values(), desired) {
		return nil, badParameter("Invalid desiredStatus '%s'.", desired)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	cl, err := c.cluster(in.Cluster)
	if err != nil {
		return nil, err
	}
	serviceARN := ""
	if in.ServiceName != nil {
		serviceARN = c.cfg.Account.Service(*cl.ClusterName, names.Last(*in.ServiceName))
		if _, ok := c.state.Services[serviceARN]; !ok {
			return nil, serviceNotFound()
		}
	}
	var arns []string
	for _, arn := range slices.Sorted(maps.Keys(c.state.Tasks)) {
		t := c.state.Tasks[arn]
		family, _, _ := names.FamilyRevision(*t.TaskDefinitionArn)
		if *t.ClusterArn == *cl.ClusterArn && *t.DesiredStatus == string(desired) &&
			(serviceARN == "" || t.ServiceARN == serviceARN) &&
			(in.Family == nil || *in.Family == family) &&
			(in.LaunchType == "" || in.LaunchType == t.LaunchType) &&
			(in.StartedBy == nil || *in.StartedBy == aws.ToString(t.StartedBy)) &&
			(in.ContainerInstance == nil || names.Last(*in.ContainerInstance) == names.Last(aws.ToString(t.ContainerInstanceArn))) {
			arns = append(arns, arn)
		}
	}
	list, next, err := page(arns, in.MaxResults, in.NextToken, maxPage)
	return &ecs.ListTasksOutput{TaskArns: list, NextToken: next}, err
}

// TaskARN finds a task of any cluster by its ID or ARN.
func (c *Control) TaskARN(ref string) (arn string, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for arn := range c.state.Tasks {
		if arn == ref || names.Last(arn) == ref {
			return arn, true
		}
	}
	return "", false
}

// Session is a command of ECS Exec that waits for whoever holds its token.
type Session struct {
	TaskARN, Container, Command string
	token                       string
}

// ExecuteCommand opens a session. The command runs when the session is taken up. As on AWS, the agent that runs it is there only in
// tasks that were started with it, and needs a root file system that it can write to.
func (c *Control) ExecuteCommand(in *ecs.ExecuteCommandInput) (*ecs.ExecuteCommandOutput, error) {
	if !in.Interactive {
		return nil, badParameter("Interactive is the only mode supported currently.")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	cl, err := c.cluster(in.Cluster)
	if err != nil {
		return nil, err
	}
	t := c.state.Tasks[c.cfg.Account.Task(*cl.ClusterName, names.Last(aws.ToString(in.Task)))]
	if t == nil {
		return nil, badParameter("The task provided in the request was not found.")
	}
	name := aws.ToString(in.Container)
	running := slices.IndexFunc(t.Containers, func(k ecstypes.Container) bool {
		return *k.Name == name && aws.ToString(k.LastStatus) == engine.StatusRunning
	})
	readOnly := slices.ContainsFunc(c.engineTask(t).Definition.ContainerDefinitions, func(d ecstypes.ContainerDefinition) bool {
		return *d.Name == name && aws.ToBool(d.ReadonlyRootFilesystem)
	})
	switch {
	case !t.EnableExecuteCommand:
		return nil, badParameter("The execute command failed because execute command was not enabled when the task was run or the execute command agent isn't running. Wait and try again or run a new task with execute command enabled and try again.")
	case running < 0 || readOnly:
		return nil, &ecstypes.TargetNotConnectedException{Message: aws.String("The execute command failed due to an internal error. Try again later.")}
	}
	id, s := "ecs-execute-command-"+names.TaskID(), Session{*t.TaskArn, name, aws.ToString(in.Command), names.UUID()}
	c.sessions[id] = s
	return &ecs.ExecuteCommandOutput{
		ClusterArn: cl.ClusterArn, TaskArn: t.TaskArn, ContainerName: &name, ContainerArn: t.Containers[running].ContainerArn, Interactive: true,
		Session: &ecstypes.Session{
			SessionId: &id, TokenValue: &s.token,
			StreamUrl: aws.String("wss://ssmmessages." + c.cfg.Account.Region + ".amazonaws.com/v1/data-channel/" + id),
		},
	}, nil
}

// TakeSession hands out a session, once, to whoever has its token.
func (c *Control) TakeSession(id, token string) (s Session, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s = c.sessions[id]; s.token == "" || s.token != token {
		return Session{}, false
	}
	delete(c.sessions, id)
	return s, true
}

// TaskARNs lists the tasks of all clusters, in the order in which they were started.
func (c *Control) TaskARNs() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.SortedFunc(maps.Keys(c.state.Tasks), func(a, b string) int {
		return cmp.Or(c.state.Tasks[a].CreatedAt.Compare(*c.state.Tasks[b].CreatedAt), cmp.Compare(a, b))
	})
}

func (t *task) hasStopped() bool { return *t.LastStatus == engine.StatusStopped }

// take brings a task up to what the engine says. A stop that was asked for is not taken back by a status that was on
// its way, and of two times for one event the earlier one is right.
func (t *task) take(s engine.Status) {
	t.LastStatus = &s.LastStatus
	if *t.DesiredStatus != engine.StatusStopped {
		t.DesiredStatus = &s.DesiredStatus
	}
	t.HealthStatus = cmp.Or(s.HealthStatus, ecstypes.HealthStatusUnknown)
	if s.StopCode != "" {
		t.StopCode = s.StopCode
	}
	if s.StoppedReason != "" {
		t.StoppedReason = &s.StoppedReason
	}
	if len(s.Attachments) > 0 {
		t.Attachments = s.Attachments
		if t.ConnectivityAt == nil {
			t.Connectivity, t.ConnectivityAt = ecstypes.ConnectivityConnected, aws.Time(time.Now().UTC())
		}
	}
	t.PullStartedAt, t.PullStoppedAt = cmp.Or(t.PullStartedAt, s.PullStartedAt), cmp.Or(t.PullStoppedAt, s.PullStoppedAt)
	t.StartedAt, t.StoppingAt = cmp.Or(t.StartedAt, s.StartedAt), cmp.Or(t.StoppingAt, s.StoppingAt)
	t.ExecutionStoppedAt, t.StoppedAt = cmp.Or(t.ExecutionStoppedAt, s.ExecutionStoppedAt), cmp.Or(t.StoppedAt, s.StoppedAt)
	if t.hasStopped() {
		t.DesiredStatus = aws.String(engine.StatusStopped)
		t.StoppedAt = cmp.Or(t.StoppedAt, aws.Time(time.Now().UTC()))
	}
	t.Containers = mergeContainers(t.Containers, s.Containers)
}

// mergeContainers takes what the engine knows of each container and keeps what only the control plane knows.
func mergeContainers(known, told []ecstypes.Container) []ecstypes.Container {
	out := slices.Clone(known)
	for i := range out {
		at := slices.IndexFunc(told, func(c ecstypes.Container) bool { return aws.ToString(c.Name) == *out[i].Name })
		if at < 0 {
			continue
		}
		k, c := out[i], told[at]
		c.ContainerArn, c.TaskArn, c.Image = k.ContainerArn, k.TaskArn, k.Image
		c.Cpu, c.Memory, c.MemoryReservation = k.Cpu, k.Memory, k.MemoryReservation
		c.NetworkInterfaces = orEmpty(c.NetworkInterfaces)
		out[i] = c
	}
	return out
}

// fingerprint tells whether two requests are the same.
func fingerprint(in any) string {
	text, err := awsjson.Marshal(in)
	if err != nil {
		return names.UUID() // never the same as another
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}
