package eventbus

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	ebtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"

	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/names"
)

// rule is one of the default bus that is enabled and has a pattern.
type rule struct {
	arn     string
	pattern Pattern
	targets []*target
}

// target is a queue that a rule sends to.
type target struct {
	rule, arn, region string
	url               string // of the queue
	group             string // of messages, for a FIFO queue
	refused           error  // why nothing is sent
}

// directory looks rules up where they were made: in the emulator.
type directory struct {
	events  *eventbridge.Client
	queues  *sqs.Client
	account names.Account
}

func newDirectory(cfg Config) directory {
	credentials := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: "test", SecretAccessKey: "test"}, nil // the emulator takes any
	})
	return directory{
		events: eventbridge.New(eventbridge.Options{
			Region: cfg.Account.Region, BaseEndpoint: &cfg.EmulatorURL, Credentials: credentials, Retryer: aws.NopRetryer{},
		}),
		queues: sqs.New(sqs.Options{
			Region: cfg.Account.Region, BaseEndpoint: &cfg.EmulatorURL, Credentials: credentials, Retryer: aws.NopRetryer{},
		}),
		account: cfg.Account,
	}
}

// rules lists what may be obeyed. problems are of rules that cannot be; they do not hinder the others.
func (d directory) rules(ctx context.Context) (rules []rule, problems []error, err error) {
	in := &eventbridge.ListRulesInput{}
	for {
		out, err := d.events.ListRules(ctx, in)
		if err != nil {
			return nil, nil, err
		}
		for _, r := range out.Rules {
			if r.EventPattern == nil || r.State == ebtypes.RuleStateDisabled {
				continue
			}
			pattern, err := ParsePattern(*r.EventPattern)
			if err != nil {
				problems = append(problems, fmt.Errorf("rule %s is not obeyed: %w", aws.ToString(r.Name), err))
				continue
			}
			targets, err := d.targets(ctx, r)
			if err != nil {
				return nil, nil, err
			}
			rules = append(rules, rule{aws.ToString(r.Arn), pattern, targets})
		}
		if in.NextToken = out.NextToken; in.NextToken == nil {
			return rules, problems, nil
		}
	}
}

func (d directory) targets(ctx context.Context, r ebtypes.Rule) ([]*target, error) {
	var targets []*target
	in := &eventbridge.ListTargetsByRuleInput{Rule: r.Name}
	for {
		out, err := d.events.ListTargetsByRule(ctx, in)
		if isNotFound(err) {
			return nil, nil // the rule has just been deleted
		}
		if err != nil {
			return nil, err
		}
		for _, t := range out.Targets {
			found, err := d.target(ctx, aws.ToString(r.Arn), t)
			if err != nil {
				return nil, err
			}
			targets = append(targets, found)
		}
		if in.NextToken = out.NextToken; in.NextToken == nil {
			return targets, nil
		}
	}
}

// target finds a target's queue, and whether its policy lets the rule send. An error says that the emulator does not answer.
func (d directory) target(ctx context.Context, ruleARN string, t ebtypes.Target) (*target, error) {
	found := &target{rule: ruleARN, arn: aws.ToString(t.Arn)}
	if t.SqsParameters != nil {
		found.group = aws.ToString(t.SqsParameters.MessageGroupId)
	}
	parts := strings.Split(found.arn, ":")
	switch {
	case len(parts) != 6 || parts[2] != "sqs":
		found.refused = errors.New("only SQS queues are targets of the local EventBridge")
	case t.Input != nil || t.InputPath != nil || t.InputTransformer != nil:
		found.refused = errors.New("the local EventBridge delivers events as they are, not transformed")
	}
	if found.refused != nil {
		return found, nil
	}
	found.region = parts[3]
	inRegion := func(o *sqs.Options) { o.Region = found.region }
	queue, err := d.queues.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: &parts[5], QueueOwnerAWSAccountId: &parts[4]}, inRegion)
	if isNotFound(err) {
		found.refused = errors.New("the queue does not exist")
		return found, nil
	}
	if err != nil {
		return nil, err
	}
	found.url = aws.ToString(queue.QueueUrl)
	attributes, err := d.queues.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
		QueueUrl: queue.QueueUrl, AttributeNames: []sqstypes.QueueAttributeName{sqstypes.QueueAttributeNamePolicy},
	}, inRegion)
	if err != nil && !isNotFound(err) {
		return nil, err
	}
	if err == nil {
		found.refused = allowed(attributes.Attributes[string(sqstypes.QueueAttributeNamePolicy)], request{found.arn, ruleARN, d.account.ID})
	}
	return found, nil
}

// isNotFound reports whether a rule or queue is gone.
func isNotFound(err error) bool {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return false
	}
	code := api.ErrorCode()
	return code == "ResourceNotFoundException" || code == "QueueDoesNotExist" || strings.HasSuffix(code, "NonExistentQueue")
}
