// Package taskevents makes what brings the ends of tasks to a controller, as the provider designs it, on an emulator of AWS.
package taskevents

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	ebtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/consulecs/terraform-provider-consulecs/internal/eventqueue"
)

// Make makes the queues and the rule of a design, and returns the URL of the queue that the events come by. What is there
// already stays as it is.
func Make(ctx context.Context, cfg aws.Config, d eventqueue.Design) (queueURL string, err error) {
	for _, q := range []eventqueue.Queue{d.DeadLetterQueue, d.Queue} { // the second names the first
		if queueURL, err = makeQueue(ctx, sqs.NewFromConfig(cfg), q); err != nil {
			return "", err
		}
	}
	rules := eventbridge.NewFromConfig(cfg)
	if _, err := rules.PutRule(ctx, &eventbridge.PutRuleInput{Name: &d.Rule.Name, EventPattern: &d.Rule.Pattern}); err != nil {
		return "", fmt.Errorf("put rule %s: %w", d.Rule.Name, err)
	}
	target := ebtypes.Target{Id: aws.String(eventqueue.TargetID), Arn: &d.Rule.TargetARN}
	put, err := rules.PutTargets(ctx, &eventbridge.PutTargetsInput{Rule: &d.Rule.Name, Targets: []ebtypes.Target{target}})
	switch {
	case err != nil:
		return "", fmt.Errorf("put the target of rule %s: %w", d.Rule.Name, err)
	case put.FailedEntryCount > 0:
		return "", fmt.Errorf("put the target of rule %s: %s", d.Rule.Name, aws.ToString(put.FailedEntries[0].ErrorMessage))
	}
	return queueURL, nil
}

func makeQueue(ctx context.Context, client *sqs.Client, q eventqueue.Queue) (url string, err error) {
	made, err := client.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: &q.Name, Attributes: q.Attributes})
	if err != nil {
		return "", fmt.Errorf("create queue %s: %w", q.Name, err)
	}
	return aws.ToString(made.QueueUrl), nil
}
