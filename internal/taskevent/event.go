// Package taskevent hears of the ends of tasks: it takes ECS's "Task State Change" events, which an EventBridge rule puts into
// an SQS queue, in batches, and deletes those whose work is done. What comes may come twice, late, out of order or not at all:
// an event says where to look, not what is true.
package taskevent

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
)

// statusStopped is ECS's word for a task of which nothing runs any more.
const statusStopped = "STOPPED"

// Event tells how a task was at a moment.
type Event struct {
	ID                string    // EventBridge's; a duplicate has the same one
	Time              time.Time // when ECS told EventBridge, to the second
	ClusterARN        string
	TaskARN           string
	TaskID            string
	TaskDefinitionARN string // "" if the event has none, as the next three
	Group             string // such as service:web
	StopCode          string
	StoppedReason     string
	LastStatus        string
	DesiredStatus     string
	Version           int64 // of the task; a later change has a higher one
}

// Stopped reports whether nothing of the task runs any more. A desired status says only that it is about to end.
func (e Event) Stopped() bool { return e.LastStatus == statusStopped }

// envelope is EventBridge's form, as far as it matters here. New fields of it are none of our business.
type envelope struct {
	ID         string `json:"id"`
	DetailType string `json:"detail-type"`
	Source     string `json:"source"`
	Time       string `json:"time"`
	Detail     *struct {
		ClusterARN        string `json:"clusterArn"`
		TaskARN           string `json:"taskArn"`
		TaskDefinitionARN string `json:"taskDefinitionArn"`
		Group             string `json:"group"`
		StopCode          string `json:"stopCode"`
		StoppedReason     string `json:"stoppedReason"`
		LastStatus        string `json:"lastStatus"`
		DesiredStatus     string `json:"desiredStatus"`
		Version           int64  `json:"version"`
	} `json:"detail"`
}

// Parse reads the body of a message. An error says why it is not the event of a task, and holds nothing of the body: what came
// into the queue by mistake may be anything.
func Parse(body []byte) (Event, error) {
	var in envelope
	if err := json.Unmarshal(body, &in); err != nil {
		return Event{}, unreadable(err)
	}
	switch {
	case in.Source != mesh.EventSource || in.DetailType != mesh.EventTaskStateChange:
		return Event{}, fmt.Errorf("source and detail-type are not %q and %q", mesh.EventSource, mesh.EventTaskStateChange)
	case in.ID == "":
		return Event{}, errors.New("no id")
	case in.Detail == nil:
		return Event{}, errors.New("no detail")
	case in.Detail.LastStatus == "" || in.Detail.DesiredStatus == "":
		return Event{}, errors.New("detail: no lastStatus or no desiredStatus")
	case in.Detail.Version < 0:
		return Event{}, errors.New("detail: version is negative")
	}
	at, err := time.Parse(time.RFC3339, in.Time)
	if err != nil {
		return Event{}, errors.New("time is not of the form 2026-01-31T12:00:00Z")
	}
	id, err := taskID(in.Detail.TaskARN, in.Detail.ClusterARN)
	if err != nil {
		return Event{}, fmt.Errorf("detail: %w", err)
	}
	d := in.Detail
	return Event{
		ID: in.ID, Time: at, ClusterARN: d.ClusterARN, TaskARN: d.TaskARN, TaskID: id, TaskDefinitionARN: d.TaskDefinitionARN, Group: d.Group,
		StopCode: d.StopCode, StoppedReason: d.StoppedReason, LastStatus: d.LastStatus, DesiredStatus: d.DesiredStatus, Version: d.Version,
	}, nil
}

// unreadable says what is wrong with a text that is no JSON, or that has another type somewhere, without a word of the text.
func unreadable(err error) error {
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		return fmt.Errorf("%s is a %.20s", cmp.Or(wrong.Field, "the whole"), wrong.Value)
	}
	return errors.New("not JSON")
}

// taskID takes the ID out of a task's ARN, in ECS's long form or in the short one of old accounts, and checks that the task is
// one of the ECS cluster's.
func taskID(taskARN, clusterARN string) (string, error) {
	home, path, ok := ofECS(taskARN, "task")
	if !ok {
		return "", errors.New("taskArn is not the ARN of a task")
	}
	clusterHome, ecsCluster, ok := ofECS(clusterARN, "cluster")
	if !ok || strings.Contains(ecsCluster, "/") {
		return "", errors.New("clusterArn is not the ARN of an ECS cluster")
	}
	of, id, long := strings.Cut(path, "/")
	if !long {
		of, id = ecsCluster, path
	}
	if home != clusterHome || of != ecsCluster || id == "" || strings.Contains(id, "/") {
		return "", errors.New("taskArn is not that of a task of clusterArn")
	}
	return id, nil
}

// ofECS cuts an ARN of ECS behind the kind of what it names. home is what comes before: partition, region and account.
func ofECS(arn, kind string) (home, rest string, ok bool) {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) != 6 || parts[0] != "arn" || parts[1] == "" || parts[2] != "ecs" || parts[3] == "" || parts[4] == "" {
		return "", "", false
	}
	rest, ok = strings.CutPrefix(parts[5], kind+"/")
	return strings.Join(parts[:5], ":"), rest, ok && rest != ""
}
