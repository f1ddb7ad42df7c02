package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/moby/moby/client"

	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/metadata"
)

// byMetadataID finds the container that a metadata URL names: <task ID>-<place>.
func (e *Engine) byMetadataID(id string) (r *taskRun, place int) {
	dash := strings.LastIndexByte(id, '-')
	place, err := strconv.Atoi(id[dash+1:])
	if dash < 0 || err != nil {
		return nil, 0
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for arn, r := range e.runs {
		if taskID(arn) == id[:dash] && place < len(r.state.members) {
			return r, place
		}
	}
	return nil, 0
}

func (e *Engine) runByCredentials(id string) *taskRun {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, r := range e.runs {
		if r.credentialsID == id && r.taskRole != nil {
			return r
		}
	}
	return nil
}

func (e *Engine) metadataTask(id string, withTags bool) (metadata.Task, int, error) {
	r, place := e.byMetadataID(id)
	if r == nil {
		return metadata.Task{}, 0, metadata.ErrUnknown
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	task := r.state.metadataTask(e.wiring, withTags)
	if len(task.Containers) == 0 {
		place = -1
	}
	return task, place, nil
}

// stats asks Docker; a container that does not run has null, as on ECS.
func (e *Engine) stats(ctx context.Context, id string, wholeTask bool) (map[string]json.RawMessage, error) {
	r, place := e.byMetadataID(id)
	if r == nil {
		return nil, metadata.ErrUnknown
	}
	r.mu.Lock()
	members := r.state.inDefinitionOrder()
	if !wholeTask {
		members = members[place : place+1]
	}
	wanted := map[string]bool{} // by Docker ID: runs
	for _, m := range members {
		wanted[m.id] = m.phase == running
	}
	r.mu.Unlock()
	all := map[string]json.RawMessage{}
	for id, runs := range wanted {
		all[id] = json.RawMessage("null")
		if !runs {
			continue
		}
		stats, err := e.docker.ContainerStats(ctx, id, client.ContainerStatsOptions{})
		if err != nil {
			return nil, fmt.Errorf("read statistics of container %s: %w", id, err)
		}
		all[id], err = io.ReadAll(stats.Body)
		stats.Body.Close()
		if err != nil {
			return nil, fmt.Errorf("read statistics of container %s: %w", id, err)
		}
	}
	return all, nil
}

// credentials answers the credentials endpoint.
func (e *Engine) credentials(ctx context.Context, id string) (metadata.Credentials, error) {
	r := e.runByCredentials(id)
	if r == nil {
		return metadata.Credentials{}, metadata.ErrUnknown
	}
	c, err := r.taskRole.Credentials(ctx)
	if err != nil {
		return metadata.Credentials{}, err
	}
	return metadata.Credentials{
		RoleArn:         r.taskRole.ARN,
		AccessKeyID:     c.AccessKeyID,
		SecretAccessKey: c.SecretAccessKey,
		Token:           c.SessionToken,
		Expiration:      c.Expires.UTC(),
	}, nil
}

// metadataContainer is a container as the metadata endpoint shows it.
func (s *state) metadataContainer(m *member, w wiring) metadata.Container {
	c := metadata.Container{
		DockerID:      m.id,
		Name:          m.name(),
		DockerName:    m.dockerName,
		Image:         aws.ToString(m.def.Image),
		ImageID:       m.imageID,
		Labels:        shownLabels(m.labels),
		DesiredStatus: s.desiredStatus(),
		KnownStatus:   m.knownStatus(),
		ExitCode:      m.exitCode,
		Limits:        metadata.Limits{CPU: float64(m.def.Cpu), Memory: int64(aws.ToInt32(m.def.Memory))},
		Type:          "NORMAL",
		ContainerARN:  s.containerARN(m),
		LogDriver:     "json-file",
	}
	if !m.createdAt.IsZero() {
		c.CreatedAt = aws.Time(m.createdAt)
	}
	if run := m.lastRun(); run != nil {
		c.StartedAt, c.FinishedAt = aws.Time(run.Started), run.Finished
	}
	if m.def.HealthCheck != nil {
		c.Health = &metadata.Health{Status: string(m.health), ExitCode: m.healthExit, Output: m.healthOutput}
		if !m.healthSince.IsZero() {
			c.Health.StatusSince = aws.Time(m.healthSince) // a copy: the answer is written without the lock
		}
	}
	if m.def.RestartPolicy != nil && aws.ToBool(m.def.RestartPolicy.Enabled) {
		c.RestartCount = aws.Int(max(len(m.runs)-1, 0))
	}
	if s.eni.address.IsValid() {
		c.Networks = []metadata.Network{{
			NetworkMode:              "awsvpc",
			IPv4Addresses:            []string{s.eni.address.String()},
			MACAddress:               s.eni.mac,
			IPv4SubnetCIDRBlock:      w.subnet.String(),
			PrivateDNSName:           privateDNSName(s.eni.address, arnRegion(s.task.ARN)),
			SubnetGatewayIpv4Address: fmt.Sprintf("%s/%d", w.gateway, w.subnet.Bits()),
		}}
	}
	return c
}

// knownStatus is the container's, in the words of the ECS agent.
func (m *member) knownStatus() string {
	switch {
	case m.phase == pulled || m.phase == creating:
		return "PULLED"
	case m.status() == StatusPending:
		return "CREATED"
	default:
		return m.status()
	}
}

// knownStatus is the task's, in the words of the ECS agent, which knows of no stopping: what runs runs.
func (s *state) knownStatus() string {
	all := func(p phase) bool {
		return !slices.ContainsFunc(s.members, func(m *member) bool { return m.phase < p })
	}
	switch {
	case all(stopped):
		return StatusStopped
	case s.startedAt != nil:
		return StatusRunning
	case all(created):
		return "CREATED"
	default:
		return "NONE"
	}
}

// metadataTask is the task as the metadata endpoint shows it. The containers are listed once their images are known to
// be there, as the ECS agent does.
func (s *state) metadataTask(w wiring, withTags bool) metadata.Task {
	t := metadata.Task{
		Cluster:            s.task.ClusterARN,
		TaskARN:            s.task.ARN,
		Family:             aws.ToString(s.task.Definition.Family),
		ServiceName:        s.task.ServiceName,
		Revision:           strconv.Itoa(int(s.task.Definition.Revision)),
		DesiredStatus:      s.desiredStatus(),
		KnownStatus:        s.knownStatus(),
		PullStartedAt:      s.pullStarted,
		PullStoppedAt:      s.pullStopped,
		ExecutionStoppedAt: s.executionStoppedAt,
		AvailabilityZone:   s.task.AvailabilityZone,
		LaunchType:         string(s.task.LaunchType),
		Containers:         []metadata.Container{},

		FaultInjectionEnabled: aws.ToBool(s.task.Definition.EnableFaultInjection),
	}
	if s.task.LaunchType != ecstypes.LaunchTypeFargate {
		t.Cluster = taskID(s.task.ClusterARN) // an instance's agent knows its cluster by name
	}
	cpu, _ := strconv.ParseFloat(aws.ToString(s.task.Definition.Cpu), 64)
	memory, _ := strconv.ParseInt(aws.ToString(s.task.Definition.Memory), 10, 64)
	if cpu > 0 || memory > 0 {
		t.Limits = &metadata.Limits{CPU: cpu / 1024, Memory: memory}
	}
	if withTags && len(s.task.Tags) > 0 {
		t.TaskTags = map[string]string{}
		for _, tag := range s.task.Tags {
			t.TaskTags[aws.ToString(tag.Key)] = aws.ToString(tag.Value)
		}
	}
	if s.pullStopped != nil {
		for _, m := range s.inDefinitionOrder() {
			t.Containers = append(t.Containers, s.metadataContainer(m, w))
		}
	}
	return t
}

// shownLabels leaves out the engine's own.
func shownLabels(labels map[string]string) map[string]string {
	shown := map[string]string{}
	for k, v := range labels {
		if !strings.HasPrefix(k, "localecs.") {
			shown[k] = v
		}
	}
	return shown
}
