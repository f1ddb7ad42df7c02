// Package taskevent writes changes of tasks the way ECS does: as "ECS Task State Change" events in EventBridge's
// envelope.
package taskevent

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/awsjson"
	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/names"
)

// envelope is EventBridge's, version 0.
type envelope struct {
	Version    string         `json:"version"`
	ID         string         `json:"id"`
	DetailType string         `json:"detail-type"`
	Source     string         `json:"source"`
	Account    string         `json:"account"`
	Time       string         `json:"time"`
	Region     string         `json:"region"`
	Resources  []string       `json:"resources"`
	Detail     map[string]any `json:"detail"`
}

// Marshal returns the event that tells of the task as it is now.
func Marshal(task ecstypes.Task, account names.Account, now time.Time) ([]byte, error) {
	detail, err := detailOf(task)
	if err != nil {
		return nil, fmt.Errorf("write event of task %s: %w", *task.TaskArn, err)
	}
	detail["updatedAt"] = timestamp(now)
	return json.Marshal(envelope{
		Version: "0", ID: names.UUID(), DetailType: "ECS Task State Change", Source: "aws.ecs",
		Account: account.ID, Time: now.UTC().Format(time.RFC3339), Region: account.Region,
		Resources: []string{*task.TaskArn}, Detail: detail,
	})
}

// detailOf is the task as DescribeTasks shows it, with what events write differently: times are words, the network
// interface is an "eni", and tags and health are left out.
func detailOf(task ecstypes.Task) (map[string]any, error) {
	task.Tags, task.HealthStatus = nil, ""
	task.Containers = slices.Clone(task.Containers)
	for i := range task.Containers {
		task.Containers[i].HealthStatus = ""
	}
	text, err := awsjson.Marshal(task)
	if err != nil {
		return nil, err
	}
	var detail map[string]any
	if err := json.Unmarshal(text, &detail); err != nil {
		return nil, err
	}
	for key, value := range detail {
		if seconds, ok := value.(float64); ok && strings.HasSuffix(key, "At") {
			detail[key] = timestamp(time.UnixMilli(int64(seconds * 1e3)))
		}
	}
	attachments, _ := detail["attachments"].([]any)
	for _, a := range attachments {
		if a := a.(map[string]any); a["type"] == "ElasticNetworkInterface" {
			a["type"] = "eni"
		}
	}
	return detail, nil
}

func timestamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
