package engine

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/metadata"
)

// lifeline is every status of a task in its order.
var lifeline = []string{
	StatusProvisioning, StatusPending, StatusActivating, StatusRunning,
	StatusDeactivating, StatusStopping, StatusDeprovisioning, StatusStopped,
}

// statusPath lists the statuses a task passes from one (not included; "" = none yet) to another. A task that was never
// running has nothing to deactivate.
func statusPath(from, to string, ran bool) []string {
	var path []string
	for _, w := range lifeline[slices.Index(lifeline, from)+1 : slices.Index(lifeline, to)+1] {
		active := w == StatusActivating || w == StatusRunning || w == StatusDeactivating
		if !active || ran {
			path = append(path, w)
		}
	}
	return path
}

// begun reports whether every container has started, or failed to where that does not matter to the task.
func (s *state) begun() bool {
	return s.stage != provisioning && !slices.ContainsFunc(s.members, func(m *member) bool {
		return len(m.runs) == 0 && (m.phase != stopped || m.essential())
	})
}

func (s *state) statusNow() string {
	switch {
	case s.stage == gone:
		return StatusStopped
	case s.stage == deprovisioning:
		return StatusDeprovisioning
	case s.stopping:
		return StatusStopping
	case s.stage == provisioning:
		return StatusProvisioning
	case s.startedAt == nil:
		return StatusPending
	default:
		return StatusRunning
	}
}

func (s *state) desiredStatus() string {
	if s.stopping {
		return StatusStopped
	}
	return StatusRunning
}

// health follows ECS: the essential containers that have a health check decide.
func (s *state) health() ecstypes.HealthStatus {
	seen := map[ecstypes.HealthStatus]bool{}
	for _, m := range s.members {
		if m.essential() && m.def.HealthCheck != nil {
			seen[m.health] = true
		}
	}
	switch {
	case seen[ecstypes.HealthStatusUnhealthy]:
		return ecstypes.HealthStatusUnhealthy
	case seen[ecstypes.HealthStatusHealthy] && !seen[ecstypes.HealthStatusUnknown]:
		return ecstypes.HealthStatusHealthy
	default:
		return ecstypes.HealthStatusUnknown
	}
}

// report is the state in the words of the ECS API.
func (s *state) report() Status {
	r := Status{
		TaskARN:            s.task.ARN,
		LastStatus:         s.lastStatus,
		DesiredStatus:      s.desiredStatus(),
		HealthStatus:       s.health(),
		StopCode:           s.stopCode,
		StoppedReason:      s.reason,
		PullStartedAt:      s.pullStarted,
		PullStoppedAt:      s.pullStopped,
		StartedAt:          s.startedAt,
		StoppingAt:         s.stoppingAt,
		ExecutionStoppedAt: s.executionStoppedAt,
		StoppedAt:          s.stoppedAt,
	}
	for _, m := range s.inDefinitionOrder() {
		r.Containers = append(r.Containers, s.reportContainer(m))
	}
	if s.eni.address.IsValid() {
		r.Attachments = []ecstypes.Attachment{s.attachment()}
	}
	return r
}

// inDefinitionOrder lists the containers as the task definition does.
func (s *state) inDefinitionOrder() []*member {
	var list []*member
	for _, d := range s.task.Definition.ContainerDefinitions {
		list = append(list, s.find(aws.ToString(d.Name)))
	}
	return list
}

func (s *state) reportContainer(m *member) ecstypes.Container {
	c := ecstypes.Container{
		ContainerArn: aws.String(s.containerARN(m)),
		TaskArn:      aws.String(s.task.ARN),
		Name:         m.def.Name,
		Image:        m.def.Image,
		LastStatus:   aws.String(m.status()),
		HealthStatus: m.health,
		ExitCode:     m.exitCode,
		Cpu:          aws.String(strconv.Itoa(int(m.def.Cpu))),
	}
	if m.def.Memory != nil {
		c.Memory = aws.String(strconv.Itoa(int(*m.def.Memory)))
	}
	if m.def.MemoryReservation != nil {
		c.MemoryReservation = aws.String(strconv.Itoa(int(*m.def.MemoryReservation)))
	}
	if m.id != "" {
		c.RuntimeId = aws.String(m.id)
	}
	if m.imageID != "" {
		c.ImageDigest = aws.String(m.imageID)
	}
	if m.reason != "" {
		c.Reason = aws.String(m.reason)
	}
	if s.eni.address.IsValid() {
		c.NetworkInterfaces = []ecstypes.NetworkInterface{{
			AttachmentId:       aws.String(s.derivedUUID("attachment")),
			PrivateIpv4Address: aws.String(s.eni.address.String()),
		}}
	}
	return c
}

// status is the container's, in the words of the ECS API. A container on its way to a restart counts as running.
func (m *member) status() string {
	switch {
	case m.phase == stopped:
		return StatusStopped
	case len(m.runs) > 0:
		return StatusRunning
	default:
		return StatusPending
	}
}

func (s *state) attachment() ecstypes.Attachment {
	detail := func(name, value string) ecstypes.KeyValuePair {
		return ecstypes.KeyValuePair{Name: aws.String(name), Value: aws.String(value)}
	}
	status := "ATTACHED"
	if s.stage == gone {
		status = "DELETED"
	}
	return ecstypes.Attachment{
		Id:     aws.String(s.derivedUUID("attachment")),
		Type:   aws.String("ElasticNetworkInterface"),
		Status: aws.String(status),
		Details: []ecstypes.KeyValuePair{
			detail("subnetId", s.task.SubnetID),
			detail("networkInterfaceId", "eni-"+s.derived("eni")[:17]),
			detail("macAddress", s.eni.mac),
			detail("privateDnsName", privateDNSName(s.eni.address, arnRegion(s.task.ARN))),
			detail("privateIPv4Address", s.eni.address.String()),
		},
	}
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
		c.CreatedAt = &m.createdAt
	}
	if run := m.lastRun(); run != nil {
		c.StartedAt, c.FinishedAt = &run.Started, run.Finished
	}
	if m.def.HealthCheck != nil {
		c.Health = &metadata.Health{Status: string(m.health), ExitCode: m.healthExit, Output: m.healthOutput}
		if !m.healthSince.IsZero() {
			c.Health.StatusSince = &m.healthSince
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

// timeline is a container's history.
func (m *member) timeline() ContainerRun {
	t := ContainerRun{
		Name: m.name(), DockerID: m.id, Runs: slices.Clone(m.runs), Restarts: max(len(m.runs)-1, 0),
		Status: m.status(), Health: string(m.health), Reason: m.reason,
	}
	if !m.createdAt.IsZero() {
		t.Created = aws.Time(m.createdAt)
	}
	if len(m.runs) > 0 {
		t.Started = aws.Time(m.runs[0].Started)
	}
	return t
}

func (s *state) containerARN(m *member) string {
	return strings.Replace(s.task.ARN, ":task/", ":container/", 1) + "/" + s.derivedUUID("container "+m.name())
}

// derived makes an ID that a restart finds again, out of the task's ARN and what the ID is for.
func (s *state) derived(purpose string) string {
	sum := sha256.Sum256([]byte(s.task.ARN + " " + purpose))
	return hex.EncodeToString(sum[:])
}

func (s *state) derivedUUID(purpose string) string {
	d := s.derived(purpose)
	return strings.Join([]string{d[:8], d[8:12], d[12:16], d[16:20], d[20:32]}, "-")
}

// arnRegion is the fourth part of an ARN.
func arnRegion(arn string) string {
	if parts := strings.SplitN(arn, ":", 5); len(parts) == 5 {
		return parts[3]
	}
	return ""
}

// parseDockerTime returns the zero time for what has not happened.
func parseDockerTime(s string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil || t.Year() <= 1 {
		return time.Time{}
	}
	return t
}
