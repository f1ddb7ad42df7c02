// Package metadata serves what ECS puts on a task's link-local address: the task metadata endpoint version 4 and the
// task role's credentials, in the JSON that AWS documents.
//
//	/v4/<container>                     the container
//	/v4/<container>/task                its task
//	/v4/<container>/taskWithTags        its task, with tags
//	/v4/<container>/stats               Docker's statistics of the container
//	/v4/<container>/task/stats          of every container of the task, by Docker ID
//	/v2/credentials/<id>                credentials of the task role
package metadata

import "time"

// Task is the answer to /task.
type Task struct {
	Cluster               string
	TaskARN               string
	Family                string
	ServiceName           string `json:",omitempty"`
	Revision              string
	DesiredStatus         string
	KnownStatus           string
	Limits                *Limits    `json:",omitempty"`
	PullStartedAt         *time.Time `json:",omitempty"`
	PullStoppedAt         *time.Time `json:",omitempty"`
	ExecutionStoppedAt    *time.Time `json:",omitempty"`
	AvailabilityZone      string     `json:",omitempty"`
	LaunchType            string
	TaskTags              map[string]string `json:",omitempty"`
	Containers            []Container
	FaultInjectionEnabled bool
}

// Container is the answer to / and an element of Task.
type Container struct {
	DockerID      string `json:"DockerId"`
	Name          string
	DockerName    string
	Image         string
	ImageID       string
	Labels        map[string]string `json:",omitempty"`
	DesiredStatus string
	KnownStatus   string
	ExitCode      *int32 `json:",omitempty"`
	Limits        Limits
	CreatedAt     *time.Time `json:",omitempty"`
	StartedAt     *time.Time `json:",omitempty"`
	FinishedAt    *time.Time `json:",omitempty"`
	Type          string
	Health        *Health `json:",omitempty"` // only of a container with a health check
	LogDriver     string  `json:",omitempty"`
	ContainerARN  string
	Networks      []Network `json:",omitempty"`
	RestartCount  *int      `json:",omitempty"` // only of a container with a restart policy
}

// Limits are a container's CPU units and MiB, or a task's vCPUs and MiB.
type Limits struct {
	CPU    float64 `json:",omitempty"`
	Memory int64   `json:",omitempty"`
}

// Health is a container's health check, as last seen.
type Health struct {
	Status      string     `json:"status"`
	StatusSince *time.Time `json:"statusSince,omitempty"`
	ExitCode    int        `json:"exitCode,omitempty"`
	Output      string     `json:"output,omitempty"`
}

// Network is the task's network interface.
type Network struct {
	NetworkMode              string
	IPv4Addresses            []string
	AttachmentIndex          int
	MACAddress               string
	IPv4SubnetCIDRBlock      string
	PrivateDNSName           string
	SubnetGatewayIpv4Address string
}

// Credentials are what the AWS SDKs read from the credentials endpoint.
type Credentials struct {
	RoleArn         string
	AccessKeyID     string `json:"AccessKeyId"`
	SecretAccessKey string
	Token           string
	Expiration      time.Time
}
