// Package taskmeta reads the ECS task metadata endpoint, version 4: who the task is, where it listens, and how its
// containers are.
package taskmeta

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Variable names the environment variable in which ECS gives a container the endpoint's address.
const Variable = "ECS_CONTAINER_METADATA_URI_V4"

// Task is an ECS task as its own metadata describe it.
type Task struct {
	ARN              string
	ID               string // what follows the last slash of ARN
	ClusterARN       string // also where the metadata give the bare name, as on EC2
	Family           string
	Revision         string
	Partition        string // of AWS: aws, aws-cn, aws-us-gov
	Region           string
	AccountID        string
	AvailabilityZone string
	DesiredStatus    string
	KnownStatus      string
	NetworkMode      string     // awsvpc, bridge or host; "" where the containers are in no network
	Address          netip.Addr // of the task's network interface; invalid where it has none of its own
	Containers       []Container
}

// Container is one container of the task. ECS lists it from the moment that it knows of it.
type Container struct {
	Name          string
	Type          string // NORMAL for those of the task definition, others for ECS's own
	DesiredStatus string
	KnownStatus   string
	Health        Health
	ExitCode      *int // nil while it runs
	RestartCount  int
	StartedAt     time.Time // zero before it has started
	FinishedAt    time.Time // zero while it runs
}

// Health is ECS's verdict on a container.
type Health string

// The verdicts. HealthNone is that of a container without a health check.
const (
	Healthy       Health = "HEALTHY"
	Unhealthy     Health = "UNHEALTHY"
	HealthUnknown Health = "UNKNOWN"
	HealthNone    Health = ""
)

// Statuses of a container that the agents ask for.
const (
	StatusRunning = "RUNNING"
	StatusStopped = "STOPPED"
)

// Running reports whether the container runs and is meant to.
func (c Container) Running() bool {
	return c.KnownStatus == StatusRunning && c.DesiredStatus != StatusStopped
}

// Stopped reports whether the container has ended for good: a container that its restart policy will start again is
// meant to run.
func (c Container) Stopped() bool {
	return c.KnownStatus == StatusStopped && c.DesiredStatus == StatusStopped
}

// Normal reports whether the container stands in the task definition, rather than being ECS's own.
func (c Container) Normal() bool { return c.Type == "" || c.Type == "NORMAL" }

// Container finds a container by its name.
func (t Task) Container(name string) (Container, bool) {
	for _, c := range t.Containers {
		if c.Name == name {
			return c, true
		}
	}
	return Container{}, false
}

// Unstopped lists the containers of the task definition, but for those named, that have not ended for good.
func (t Task) Unstopped(except ...string) []string {
	var names []string
	for _, c := range t.Containers {
		if c.Normal() && !c.Stopped() && !slices.Contains(except, c.Name) {
			names = append(names, c.Name)
		}
	}
	return names
}

// answer is the part of the endpoint's answer that the agents need.
type answer struct {
	Cluster, TaskARN, Family, Revision, AvailabilityZone, DesiredStatus, KnownStatus string
	Containers                                                                       []struct {
		Name, Type, DesiredStatus, KnownStatus string
		Health                                 struct {
			Status Health `json:"status"`
		}
		ExitCode              *int
		RestartCount          int
		StartedAt, FinishedAt time.Time
		Networks              []network
	}
}

type network struct {
	NetworkMode                  string
	IPv4Addresses, IPv6Addresses []string
}

// Parse reads the endpoint's answer to /task.
func Parse(data []byte) (Task, error) {
	var a answer
	if err := json.Unmarshal(data, &a); err != nil {
		return Task{}, fmt.Errorf("parse task metadata: %w", err)
	}
	task := Task{
		ARN: a.TaskARN, Family: a.Family, Revision: a.Revision, AvailabilityZone: a.AvailabilityZone,
		DesiredStatus: a.DesiredStatus, KnownStatus: a.KnownStatus,
	}
	if err := task.identify(a.Cluster); err != nil {
		return Task{}, fmt.Errorf("parse task metadata: %w", err)
	}
	var networks []network
	for _, c := range a.Containers {
		task.Containers = append(task.Containers, Container{
			Name: c.Name, Type: c.Type, DesiredStatus: c.DesiredStatus, KnownStatus: c.KnownStatus, Health: c.Health.Status,
			ExitCode: c.ExitCode, RestartCount: c.RestartCount, StartedAt: c.StartedAt, FinishedAt: c.FinishedAt,
		})
		networks = append(networks, c.Networks...)
	}
	task.NetworkMode, task.Address = mode(networks), address(networks)
	return task, nil
}

// identify takes apart the task's ARN. ECS on EC2 gives the cluster's bare name, on Fargate its ARN.
func (t *Task) identify(cluster string) error {
	parts, ok := ecsARN(t.ARN, "task/")
	if !ok {
		return fmt.Errorf("TaskARN %q is not the ARN of a task", t.ARN)
	}
	t.Partition, t.Region, t.AccountID = parts[1], parts[3], parts[4]
	t.ID = t.ARN[strings.LastIndexByte(t.ARN, '/')+1:]
	if strings.HasPrefix(cluster, "arn:") {
		if _, ok := ecsARN(cluster, "cluster/"); !ok {
			return fmt.Errorf("the member Cluster, %q, is not the ARN of an ECS cluster", cluster)
		}
		t.ClusterARN = cluster
		return nil
	}
	if path := strings.Split(parts[5], "/"); len(path) == 3 { // the long form names the cluster
		cluster = path[1]
	}
	if cluster == "" {
		return errors.New("neither Cluster nor TaskARN names the ECS cluster")
	}
	t.ClusterARN = strings.Join(append(parts[:5:5], "cluster/"+cluster), ":")
	return nil
}

// mode is what the task definition says, which is told for each container alike.
func mode(networks []network) string {
	for _, n := range networks {
		if n.NetworkMode != "" {
			return n.NetworkMode
		}
	}
	return ""
}

// ecsARN takes apart arn:PARTITION:ecs:REGION:ACCOUNT:RESOURCE. It is not ok when a part is empty or the resource is of
// another kind than wanted.
func ecsARN(arn, kind string) (parts []string, ok bool) {
	parts = strings.SplitN(arn, ":", 6)
	ok = len(parts) == 6 && !slices.Contains(parts, "") && parts[0] == "arn" && parts[2] == "ecs" &&
		strings.HasPrefix(parts[5], kind) && !strings.HasSuffix(parts[5], "/")
	return parts, ok
}

// address chooses the address at which the rest of the network reaches the task: that of its own interface (awsvpc), IPv4
// before IPv6. An address on a Docker bridge is not one.
func address(networks []network) netip.Addr {
	var six netip.Addr
	for _, n := range networks {
		if n.NetworkMode != "awsvpc" && n.NetworkMode != "" {
			continue
		}
		if addr := first(n.IPv4Addresses); addr.IsValid() {
			return addr
		}
		if !six.IsValid() {
			six = first(n.IPv6Addresses)
		}
	}
	return six
}

func first(addresses []string) netip.Addr {
	for _, s := range addresses {
		addr, err := netip.ParseAddr(s)
		if err == nil && !addr.IsLoopback() && !addr.IsLinkLocalUnicast() && !addr.IsUnspecified() {
			return addr
		}
	}
	return netip.Addr{}
}
