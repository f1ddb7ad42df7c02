package events

import (
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/awsfault"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

// What AWS learns late is waited for: the name of a deleted queue, a queue for dead letters, settings, targets of a rule that is to go.
func TestWhatAWSLearnsLateIsWaitedFor(t *testing.T) {
	t.Parallel()
	const minute = "You must wait 60 seconds after deleting a queue before you can create another with the same name."
	noQueue := awsfault.Refuse(400, "AWS.SimpleQueueService.NonExistentQueue", "The specified queue does not exist.")
	noRule := awsfault.Refuse(400, "ResourceNotFoundException", "Rule late does not exist.")
	for name, rules := range map[string][]awsfault.Rule{
		"a-name-in-use":      {{Action: "CreateQueue", Times: 2, Fault: awsfault.Refuse(400, "AWS.SimpleQueueService.QueueDeletedRecently", minute)}},
		"by-its-short-name":  {{Action: "CreateQueue", Times: 1, Fault: awsfault.Refuse(400, "QueueDeletedRecently", minute)}},
		"no-dead-letters":    {{Action: "CreateQueue", Skip: 1, Times: 2, Fault: awsfault.Refuse(400, "InvalidParameterValue", "Value {} for parameter RedrivePolicy is invalid. Reason: Dead letter target does not exist.")}},
		"a-queue-not-shown":  {{Action: "ListQueueTags", Times: 2, Fault: noQueue}, {Action: "GetQueueAttributes", Skip: 1, Times: 1, Fault: noQueue}},
		"a-rule-not-shown":   {{Action: "ListTagsForResource", Times: 1, Fault: noRule}},
		"a-target-not-taken": {{Action: "PutTargets", Times: 2, Fault: awsfault.Refuse(400, "ConcurrentModificationException", "Rule late was concurrently modified.")}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, d, by := startCloud(t), wanted("late-"+name, "a"), claimOf("late-"+name)
			c.proxy.Inject(rules...)
			out, _, err := c.ensure(t.Context(), d, by, Outputs{})
			if err := errors.Join(err, c.is(t.Context(), d, by, out)); err != nil {
				t.Fatal(err)
			}
			c.proxy.Forget()
			c.proxy.Inject(awsfault.Rule{Action: "DeleteRule", Times: 2, Fault: awsfault.Refuse(400, "ValidationException", "Rule can't be deleted since it has targets.")})
			if err := errors.Join(c.Remove(t.Context(), by, out), c.isGone(t.Context(), d)); err != nil {
				t.Error(err)
			}
		})
	}
}

// What another resource made is refused, and left alone, whether it was there before or is made in the meantime.
func TestWhatIsAnothersIsNeverTaken(t *testing.T) {
	t.Parallel()
	c := startCloud(t)
	const family = "another"
	d, by, other := wanted(family, "a"), claimOf(family), claimOf("other")
	made, _, err := c.ensure(t.Context(), d, other, Outputs{})
	if err != nil {
		t.Fatal(err)
	}
	out, p, err := c.ensure(t.Context(), d, by, Outputs{})
	if err == nil || !strings.Contains(err.Error(), `queue another-events-dead exists already and belongs to another resource, consulecs_controller/us-east-1/other with the owner ID "id-of-other"`) {
		t.Errorf("got %v", err)
	}
	if out.Rendered != nil || p.Begun() {
		t.Errorf("the state has %s", row.Value(out.Rendered))
	}
	if err := errors.Join(c.Remove(t.Context(), by, made), c.is(t.Context(), d, other, made)); err != nil {
		t.Error(err)
	}
	if exist, err := c.Look(t.Context(), by, &made); err != nil || !exist || made.Rendered != nil {
		t.Errorf("what another adopted shows as %s, %v, %v", row.Value(made.Rendered), exist, err)
	}
	by.Adopt = true
	out, _, err = c.ensure(t.Context(), d, by, Outputs{})
	if err := errors.Join(err, c.is(t.Context(), d, by, out), c.Remove(t.Context(), by, out), c.isGone(t.Context(), d)); err != nil {
		t.Error(err)
	}
}

// A queue or a rule that bears no tags was made by hand.
func TestWhatNobodyOwnsIsNeverTaken(t *testing.T) {
	t.Parallel()
	c := startCloud(t)
	for family, clash := range map[string]string{"hand-queue": "queue hand-queue-events exists already and was not made by a resource", "hand-rule": "event rule hand-rule-events exists already and was not made"} {
		d, by := wanted(family, "a"), claimOf(family)
		var err error
		if family == "hand-queue" {
			_, err = c.sure.sqs.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: &d.Queue.Name})
		} else {
			_, err = c.sure.rules.PutRule(t.Context(), &eventbridge.PutRuleInput{Name: &d.Rule.Name, EventPattern: aws.String(`{"source":["aws.s3"]}`)})
		}
		if err != nil {
			t.Fatal(err)
		}
		_, p, err := c.ensure(t.Context(), d, by, Outputs{})
		if err == nil || !strings.Contains(err.Error(), clash) {
			t.Errorf("got %v, want %q", err, clash)
		}
		if !p.Begun() {
			t.Errorf("%s: nothing was begun", family)
		}
		if err := c.TakeBack(t.Context(), by, p); err != nil || p.Begun() || p.Left(by.Owner) != nil {
			t.Errorf("%s: taken back: %v", family, err)
		}
		there, err := c.sure.There(t.Context(), d)
		if err != nil || len(there) != 1 || len(there[0].Tags) != 0 {
			t.Errorf("%s: there is %v, %v, want what was made by hand alone", family, there, err)
		}
	}
}

// A target that EventBridge does not take is an error, though its answer is none.
func TestATargetThatIsRefusedIsTold(t *testing.T) {
	t.Parallel()
	c, d, by := startCloud(t), wanted("refused", "a"), claimOf("refused")
	c.proxy.Inject(awsfault.Rule{Action: "PutTargets", Times: 1, Fault: awsfault.Answer(`{"FailedEntryCount":1,"FailedEntries":[{"TargetId":"queue","ErrorCode":"ManagedRuleException","ErrorMessage":"no"}]}`)})
	if _, _, err := c.ensure(t.Context(), d, by, Outputs{}); err == nil || !strings.Contains(err.Error(), "put target queue of event rule refused-events: ManagedRuleException: no") {
		t.Errorf("got %v", err)
	}
}
