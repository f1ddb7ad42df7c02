package engine

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
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
	return s.progress != provisioning && !slices.ContainsFunc(s.members, func(m *member) bool {
		return len(m.runs) == 0 && (m.phase != stopped || m.essential())
	})
}

func (s *state) statusNow() string {
	switch {
	case s.progress == gone:
		return StatusStopped
	case s.progress == deprovisioning:
		return StatusDeprovisioning
	case s.stopping:
		return StatusStopping
	case s.progress == provisioning:
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
	if s.progress == gone {
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
