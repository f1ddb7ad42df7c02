// Package eventqueue decides what brings the ends of tasks to a controller: an EventBridge rule that picks ECS's events of them, the
// SQS queue that it fills, and a second queue for messages that nobody could work off. The package is pure.
package eventqueue

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/consulecs/terraform-provider-consulecs/internal/iamrole"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
)

// Spec asks for the events of ECS clusters.
type Spec struct {
	Home           iamrole.Home
	Family         string // of the controller
	ECSClusterARNs []string
	Tags           map[string]string
}

// Design is what is to be made.
type Design struct {
	Home            iamrole.Home
	Queue           Queue
	DeadLetterQueue Queue // which the queue names, so that it is made before it
	Rule            Rule
	Tags            map[string]string // of all three
}

// Queue is a queue of SQS.
type Queue struct {
	Name       string
	ARN        string
	Attributes map[string]string // by SQS's names, all that are not left to SQS
}

// Rule is a rule of EventBridge on the account's default bus.
type Rule struct {
	Name      string
	ARN       string
	Pattern   string // JSON
	TargetARN string // of the queue
}

// TargetID names the target among those of the rule.
const TargetID = "queue"

// Limits of AWS for names, in characters.
const (
	maxQueueName = 80
	maxRuleName  = 64
)

// Settings of the queues, in SQS's units: seconds, and how often a message is received before it is set aside.
const (
	visibility    = 60        // a message that the controller did not work off is seen again
	retention     = 3600      // whatever is older, a full sync has found
	longPoll      = 20        // a receive waits for messages
	maxReceives   = 5         //
	deadRetention = 4 * 86400 // for somebody to look
)

// Suffixes of the names.
const (
	suffixEvents      = "-events"
	suffixDeadLetters = "-events-dead"
)

// Of decides what the events of the ECS clusters take. Names follow from the family, so that those of two controllers differ.
func Of(s Spec) Design {
	d := Design{Home: s.Home, Tags: s.Tags}
	d.Queue.Name = mesh.NameWithin(maxQueueName, s.Family, suffixEvents)
	d.DeadLetterQueue.Name = mesh.NameWithin(maxQueueName, s.Family, suffixDeadLetters)
	d.Rule.Name = mesh.NameWithin(maxRuleName, s.Family, suffixEvents)
	d.Queue.ARN, d.DeadLetterQueue.ARN = queueARN(s.Home, d.Queue.Name), queueARN(s.Home, d.DeadLetterQueue.Name)
	d.Rule.ARN = RuleARN(s.Home, d.Rule.Name)
	d.Rule.Pattern, d.Rule.TargetARN = pattern(s.ECSClusterARNs), d.Queue.ARN
	d.Queue.Attributes = with(map[string]string{
		"VisibilityTimeout":             fmt.Sprint(visibility),
		"MessageRetentionPeriod":        fmt.Sprint(retention),
		"ReceiveMessageWaitTimeSeconds": fmt.Sprint(longPoll),
		"RedrivePolicy":                 fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":%d}`, d.DeadLetterQueue.ARN, maxReceives),
		"Policy":                        iamrole.QueuePolicy(d.Queue.ARN, d.Rule.ARN),
	})
	d.DeadLetterQueue.Attributes = with(map[string]string{
		"MessageRetentionPeriod": fmt.Sprint(deadRetention),
		"Policy":                 iamrole.DeadLetterQueuePolicy(d.DeadLetterQueue.ARN),
	})
	return d
}

// with adds what both queues have: SQS encrypts with keys of its own, which cost nothing and which EventBridge needs no right on.
func with(attributes map[string]string) map[string]string {
	attributes["SqsManagedSseEnabled"] = "true"
	return attributes
}

func queueARN(home iamrole.Home, name string) string {
	return fmt.Sprintf("arn:%s:sqs:%s:%s:%s", home.Partition, home.Region, home.Account, name)
}

// RuleARN is the ARN of a rule on the default bus.
func RuleARN(home iamrole.Home, name string) string {
	return fmt.Sprintf("arn:%s:events:%s:%s:rule/%s", home.Partition, home.Region, home.Account, name)
}

// pattern picks the events that tell of a task's end. What ECS says of a task before that is of no use to a controller.
func pattern(ecsClusterARNs []string) string {
	text, err := json.Marshal(map[string]any{
		"source":      []string{mesh.EventSource},
		"detail-type": []string{mesh.EventTaskStateChange},
		"detail":      map[string]any{"lastStatus": []string{"STOPPED"}, "clusterArn": slices.Compact(slices.Sorted(slices.Values(ecsClusterARNs)))},
	})
	if err != nil {
		panic("internal error: write a pattern of events: " + err.Error()) // strings in lists and maps: cannot fail
	}
	return string(text)
}

// Tagged is the design with further tags.
func (d Design) Tagged(tags map[string]string) Design {
	all := maps.Clone(d.Tags)
	if all == nil {
		all = map[string]string{}
	}
	maps.Copy(all, tags)
	d.Tags = all
	return d
}
