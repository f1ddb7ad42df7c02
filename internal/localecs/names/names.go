// Package names makes the ARNs and IDs of the local ECS and takes references to them apart: wherever ECS takes a
// resource, it takes its name or its ARN.
package names

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"math/big"
	"strconv"
	"strings"
)

// Account is where every resource lives.
type Account struct{ Region, ID string }

// Partition is the AWS partition of the account's region.
func (a Account) Partition() string {
	switch {
	case strings.HasPrefix(a.Region, "cn-"):
		return "aws-cn"
	case strings.HasPrefix(a.Region, "us-gov-"):
		return "aws-us-gov"
	}
	return "aws"
}

func (a Account) arn(kind string, path ...string) string {
	return fmt.Sprintf("arn:%s:ecs:%s:%s:%s/%s", a.Partition(), a.Region, a.ID, kind, strings.Join(path, "/"))
}

// Cluster is the ARN of a cluster.
func (a Account) Cluster(name string) string { return a.arn("cluster", name) }

// Service is the ARN of a service in ECS's long form.
func (a Account) Service(cluster, name string) string { return a.arn("service", cluster, name) }

// Task is the ARN of a task in ECS's long form.
func (a Account) Task(cluster, id string) string { return a.arn("task", cluster, id) }

// Container is the ARN of a container of a task.
func (a Account) Container(cluster, task, id string) string {
	return a.arn("container", cluster, task, id)
}

// ContainerInstance is the ARN of this machine as a container instance of a cluster.
func (a Account) ContainerInstance(cluster, id string) string {
	return a.arn("container-instance", cluster, id)
}

// TaskDefinition is the ARN of a revision.
func (a Account) TaskDefinition(family string, revision int32) string {
	return a.arn("task-definition", fmt.Sprintf("%s:%d", family, revision))
}

// Role turns a role's name into its ARN; an ARN stays as it is, as does "".
func (a Account) Role(role string) string {
	if role == "" || strings.HasPrefix(role, "arn:") {
		return role
	}
	return fmt.Sprintf("arn:%s:iam::%s:role/%s", a.Partition(), a.ID, role)
}

// Caller is who the local ECS takes every caller for.
func (a Account) Caller() string { return fmt.Sprintf("arn:%s:iam::%s:root", a.Partition(), a.ID) }

// Kind is what an ECS ARN names, such as "service" or "task-definition"; "" for anything else.
func Kind(arn string) string {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) != 6 || parts[0] != "arn" || parts[2] != "ecs" {
		return ""
	}
	kind, _, _ := strings.Cut(parts[5], "/")
	return kind
}

// Last is a reference without what comes before its last slash: the name or ID of any resource.
func Last(ref string) string { return ref[strings.LastIndexByte(ref, '/')+1:] }

// FamilyRevision takes "family", "family:3" or an ARN apart. revision is 0 where none is given; ok is false where it
// is no number.
func FamilyRevision(ref string) (family string, revision int32, ok bool) {
	family, text, given := strings.Cut(Last(ref), ":")
	if !given {
		return family, 0, true
	}
	n, err := strconv.ParseInt(text, 10, 32)
	return family, int32(n), err == nil && n > 0
}

// TaskID is a new ID in the form of a task's.
func TaskID() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

// UUID is a new ID in the form of a container's, an attachment's or an event's.
func UUID() string {
	s := TaskID()
	return s[:8] + "-" + s[8:12] + "-4" + s[13:16] + "-a" + s[17:20] + "-" + s[20:]
}

// DeploymentID is a new ID in the form of a service deployment's.
func DeploymentID() string {
	n, _ := rand.Int(rand.Reader, big.NewInt(9e18)) // never fails
	return fmt.Sprintf("ecs-svc/%019d", n)
}
