package provider_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	ruletypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
)

func (c cloud) sqs() *sqs.Client { return sqs.NewFromConfig(c.config) }

func (c cloud) rules() *eventbridge.Client { return eventbridge.NewFromConfig(c.config) }

// queues are the names of the queues that begin with a family.
func (c cloud) queues(t *testing.T, family string) []string {
	t.Helper()
	listed, err := c.sqs().ListQueues(t.Context(), &sqs.ListQueuesInput{QueueNamePrefix: aws.String(family + "-events")})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, url := range listed.QueueUrls {
		names = append(names, url[strings.LastIndexByte(url, '/')+1:])
	}
	return slices.Sorted(slices.Values(names))
}

// eventsLeft are the names of a family's queues and rules.
func (c cloud) eventsLeft(t *testing.T, family string) []string {
	t.Helper()
	listed, err := c.rules().ListRules(t.Context(), &eventbridge.ListRulesInput{NamePrefix: aws.String(family + "-events")})
	if err != nil {
		t.Fatal(err)
	}
	names := c.queues(t, family)
	for _, rule := range listed.Rules {
		names = append(names, "rule "+aws.ToString(rule.Name))
	}
	return names
}

// quickController is a controller that is not waited for.
func quickController(at surroundings, changes fields) fields {
	return controller(with(fields{
		"cluster": at.ecsCluster, "subnets": []any{at.subnet}, "security_groups": []any{at.group}, "launch_type": "EC2", "wait_for_steady_state": false,
	}, changes))
}

// outputs are the attributes of the only resource of a kind in the state.
func outputs(t *testing.T, tf *testenv.Terraform, address string) fields {
	t.Helper()
	for _, r := range shownIn(t, tf, tf.State()) {
		if r.Address == address {
			return r.Values
		}
	}
	t.Fatalf("the state has no %s", address)
	return nil
}

// A controller has its queue, one for dead letters, and the rule that fills it; the switch takes them away and brings them back, and
// a destroy leaves nothing.
func TestControllersHaveEventsUntilTheyAreSwitchedOff(t *testing.T) {
	t.Parallel()
	onEveryBinary(t, func(t *testing.T, on *binary) {
		const family = "consul-ecs-controller-events-on"
		c := on.startMoto(t)
		around := c.surroundings(t, "events-on")
		dir := workDir(t)
		tf := on.terraform(t, dir)
		write := func(changes fields) {
			dir.write(t, "main.tf.json", c.frame(fields{"consulecs_controller": fields{"this": quickController(around, changes)}}))
		}
		write(fields{"tags": fields{"env": "test"}})
		applied(t, tf)
		out := outputs(t, tf, "consulecs_controller.this")
		url, _ := out["event_queue_url"].(string)
		config, _ := out["agent_config_json"].(string)
		if url != "https://sqs.us-east-1.amazonaws.com/123456789012/"+family+"-events" || !strings.Contains(config, `"eventQueueUrl":"`+url+`"`) {
			t.Errorf("the queue's URL is %s, the controller's configuration %s", url, config)
		}
		for name, want := range map[string]string{
			"event_queue_arn": "arn:aws:sqs:us-east-1:123456789012:" + family + "-events", "event_dead_letter_queue_arn": "arn:aws:sqs:us-east-1:123456789012:" + family + "-events-dead",
			"event_rule_arn": "arn:aws:events:us-east-1:123456789012:rule/" + family + "-events",
		} {
			if out[name] != want {
				t.Errorf("%s is %v, want %v", name, out[name], want)
			}
		}
		c.wantDelivery(t, out, around)
		write(fields{"events": fields{"enabled": false}})
		applied(t, tf)
		if left := c.eventsLeft(t, family); len(left) > 0 || outputs(t, tf, "consulecs_controller.this")["event_queue_url"] != nil {
			t.Errorf("switched off, left are %v", left)
		}
		write(nil)
		applied(t, tf)
		if there := c.eventsLeft(t, family); len(there) != 3 {
			t.Errorf("switched on again, there are %v", there)
		}
		destroyed(t, tf)
		if left := c.eventsLeft(t, family); len(left) > 0 {
			t.Errorf("left are %v", left)
		}
	})
}

// wantDelivery wants what EventBridge is told to end in the queue that the controller may read.
func (c cloud) wantDelivery(t *testing.T, out fields, around surroundings) {
	t.Helper()
	for status, want := range map[string]int{"STOPPED": 1, "RUNNING": 0} {
		detail, _ := json.Marshal(fields{"lastStatus": status, "clusterArn": around.ecsCluster})
		_, err := c.rules().PutEvents(t.Context(), &eventbridge.PutEventsInput{Entries: []ruletypes.PutEventsRequestEntry{
			{Source: aws.String("aws.ecs"), DetailType: aws.String("ECS Task State Change"), Detail: aws.String(string(detail))},
		}})
		if err != nil {
			t.Fatal(err)
		}
		got, err := c.sqs().ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: aws.String(out["event_queue_url"].(string)), WaitTimeSeconds: 1, MaxNumberOfMessages: 10})
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Messages) != want {
			t.Errorf("of a task that is %s, the queue has %d events, want %d", status, len(got.Messages), want)
		}
	}
}

// eventDrift is what something else does to the events of a family.
type eventDrift struct {
	do     func(t *testing.T, c cloud, family string) error
	others bool // it is theirs: no plan shows it
}

func eventDrifts() map[string]eventDrift {
	queue := func(family string) *string {
		return aws.String("https://sqs.us-east-1.amazonaws.com/123456789012/" + family + "-events")
	}
	letters := func(family string) *string { return aws.String(*queue(family) + "-dead") }
	rule := func(family string) *string { return aws.String(family + "-events") }
	arn := func(family string) *string {
		return aws.String("arn:aws:events:us-east-1:123456789012:rule/" + family + "-events")
	}
	set := func(url func(string) *string, attributes map[string]string) eventDrift {
		return eventDrift{do: func(t *testing.T, c cloud, family string) error {
			_, err := c.sqs().SetQueueAttributes(t.Context(), &sqs.SetQueueAttributesInput{QueueUrl: url(family), Attributes: attributes})
			return err
		}}
	}
	pattern := func(text string, state ruletypes.RuleState) eventDrift {
		return eventDrift{do: func(t *testing.T, c cloud, family string) error {
			_, err := c.rules().PutRule(t.Context(), &eventbridge.PutRuleInput{Name: rule(family), EventPattern: &text, State: state})
			return err
		}}
	}
	return map[string]eventDrift{
		"policy":         set(queue, map[string]string{"Policy": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sqs:*","Resource":"*"}]}`}),
		"visibility":     set(queue, map[string]string{"VisibilityTimeout": "30"}),
		"retention":      set(queue, map[string]string{"MessageRetentionPeriod": "1209600"}),
		"encryption":     set(letters, map[string]string{"SqsManagedSseEnabled": "false"}),
		"dead-retention": set(letters, map[string]string{"MessageRetentionPeriod": "60"}),
		"redrive": {do: func(t *testing.T, c cloud, family string) error {
			text := `{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:123456789012:` + family + `-events-dead","maxReceiveCount":1000}`
			_, err := c.sqs().SetQueueAttributes(t.Context(), &sqs.SetQueueAttributesInput{QueueUrl: queue(family), Attributes: map[string]string{"RedrivePolicy": text}})
			return err
		}},
		"queue-tag": {do: func(t *testing.T, c cloud, family string) error {
			_, err := c.sqs().TagQueue(t.Context(), &sqs.TagQueueInput{QueueUrl: queue(family), Tags: map[string]string{"env": "other"}})
			return err
		}},
		"queue-untagged": {do: func(t *testing.T, c cloud, family string) error {
			_, err := c.sqs().UntagQueue(t.Context(), &sqs.UntagQueueInput{QueueUrl: letters(family), TagKeys: []string{"env", "consul.hashicorp.com/owner-id"}})
			return err
		}},
		"tag-of-others": {others: true, do: func(t *testing.T, c cloud, family string) error {
			_, err := c.sqs().TagQueue(t.Context(), &sqs.TagQueueInput{QueueUrl: queue(family), Tags: map[string]string{"cost": "1"}})
			return err
		}},
		"queue-gone": {do: func(t *testing.T, c cloud, family string) error {
			_, err := c.sqs().DeleteQueue(t.Context(), &sqs.DeleteQueueInput{QueueUrl: queue(family)})
			return err
		}},
		"pattern":  pattern(`{"source":["aws.ecs"]}`, ruletypes.RuleStateEnabled),
		"disabled": pattern(`{"source":["aws.ecs"]}`, ruletypes.RuleStateDisabled),
		"no-target": {do: func(t *testing.T, c cloud, family string) error {
			_, err := c.rules().RemoveTargets(t.Context(), &eventbridge.RemoveTargetsInput{Rule: rule(family), Ids: []string{"queue"}})
			return err
		}},
		"other-target": {do: func(t *testing.T, c cloud, family string) error {
			_, err := c.rules().PutTargets(t.Context(), &eventbridge.PutTargetsInput{Rule: rule(family), Targets: []ruletypes.Target{{Id: aws.String("queue"), Arn: aws.String("arn:aws:sqs:us-east-1:123456789012:elsewhere")}}})
			return err
		}},
		"target-of-others": {others: true, do: func(t *testing.T, c cloud, family string) error {
			_, err := c.rules().PutTargets(t.Context(), &eventbridge.PutTargetsInput{Rule: rule(family), Targets: []ruletypes.Target{{Id: aws.String("log"), Arn: aws.String("arn:aws:sqs:us-east-1:123456789012:elsewhere")}}})
			return err
		}},
		"rule-tag": {do: func(t *testing.T, c cloud, family string) error {
			_, err := c.rules().TagResource(t.Context(), &eventbridge.TagResourceInput{ResourceARN: arn(family), Tags: []ruletypes.Tag{{Key: aws.String("env"), Value: aws.String("other")}}})
			return err
		}},
		"rule-gone": {do: func(t *testing.T, c cloud, family string) error {
			if _, err := c.rules().RemoveTargets(t.Context(), &eventbridge.RemoveTargetsInput{Rule: rule(family), Ids: []string{"queue"}}); err != nil {
				return err
			}
			_, err := c.rules().DeleteRule(t.Context(), &eventbridge.DeleteRuleInput{Name: rule(family)})
			return err
		}},
		"untouched": {others: true, do: func(*testing.T, cloud, string) error { return nil }},
	}
}

// What something else changes of queues and rules is seen and undone, unless it is for others to change.
func TestChangesOfEventsAreSeenAndUndone(t *testing.T) {
	t.Parallel()
	c := startMoto(t)
	around := c.surroundings(t, "event-drift")
	all, controllers := eventDrifts(), fields{}
	for name := range all {
		controllers[name] = quickController(around, fields{"name": name, "tags": fields{"env": "test"}})
	}
	_, tf := c.state(t, fields{"consulecs_controller": controllers})
	applied(t, tf)
	var want []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if err := all[name].do(t, c, name+"-event-drift"); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !all[name].others {
			want = append(want, "consulecs_controller."+name+" (update)")
		}
	}
	got, err := tf.PlanChanges(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if slices.Sort(want); !slices.Equal(slices.Sorted(slices.Values(got)), want) {
		t.Errorf("seen are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	applied(t, tf)
	destroyed(t, tf)
	for name := range all {
		if left := c.eventsLeft(t, name+"-event-drift"); len(left) > 0 {
			t.Errorf("left are %v", left)
		}
	}
}

// Queues and rules of others are named by the plan, before anything is made, and are never taken.
func TestEventsOfOthersAreNamedByThePlan(t *testing.T) {
	t.Parallel()
	const family = "consul-ecs-controller-events-of-others"
	c := startMoto(t)
	around := c.surroundings(t, "events-of-others")
	resources := func(changes fields) fields {
		return fields{"consulecs_controller": fields{"this": quickController(around, changes)}}
	}
	if _, err := c.sqs().CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String(family + "-events"), Tags: map[string]string{"by": "hand"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.rules().PutRule(t.Context(), &eventbridge.PutRuleInput{Name: aws.String(family + "-events"), EventPattern: aws.String(`{"source":["aws.s3"]}`)}); err != nil {
		t.Fatal(err)
	}
	dir, tf := c.state(t, resources(nil))
	refused(t, tf, "Name taken", "queue "+family+"-events exists already and was not made by a resource of this provider", "event rule "+family+"-events exists already and was not made")
	if left := c.roles(t, family); len(left) > 0 {
		t.Errorf("made were the roles %v", left)
	}
	dir.write(t, "main.tf.json", c.frame(resources(fields{"events": fields{"enabled": false}})))
	applied(t, tf)
	dir.write(t, "main.tf.json", c.frame(resources(nil)))
	if err := tf.Apply(t.Context()); err == nil || !strings.Contains(inOneLine(err.Error()), "Warning: Name taken") || !strings.Contains(err.Error(), "was not updated") {
		t.Errorf("switched on, the apply says %v", err)
	}
	destroyed(t, tf)
	if left := c.eventsLeft(t, family); !slices.Equal(left, []string{family + "-events", "rule " + family + "-events"}) {
		t.Errorf("left are %v, want what was made by hand", left)
	}
	dir.write(t, "main.tf.json", c.frame(resources(fields{"adopt_existing": true})))
	applied(t, tf)
	destroyed(t, tf)
	if left := c.eventsLeft(t, family); len(left) > 0 {
		t.Errorf("adopted and destroyed, left are %v", left)
	}
}

// A controller that is made anew has its queues and its rule made anew, under the same names.
func TestAReplacedControllerHasEventsOfItsOwn(t *testing.T) {
	t.Parallel()
	const family = "consul-ecs-controller-events-anew"
	c := startMoto(t)
	around := c.surroundings(t, "events-anew")
	_, tf := c.state(t, fields{"consulecs_controller": fields{"this": quickController(around, nil)}})
	applied(t, tf)
	was := outputs(t, tf, "consulecs_controller.this")["owner_id"]
	if _, err := tf.Output(t.Context(), "apply", "-auto-approve", "-input=false", "-no-color", "-state="+tf.State(), "-replace=consulecs_controller.this"); err != nil {
		t.Fatal(err)
	}
	nothingToDo(t, tf)
	is := outputs(t, tf, "consulecs_controller.this")["owner_id"]
	tags, err := c.sqs().ListQueueTags(t.Context(), &sqs.ListQueueTagsInput{QueueUrl: aws.String("https://sqs.us-east-1.amazonaws.com/123456789012/" + family + "-events")})
	if err != nil || is == was || tags.Tags["consul.hashicorp.com/owner-id"] != is {
		t.Errorf("the owner was %v and is %v; the queue's tags are %v, %v", was, is, tags, err)
	}
	destroyed(t, tf)
}

// Two controllers of one name on two clusters have events each, and each hears of its own cluster, and of those that it looks after.
func TestControllersOfOneNameHearOfTheirOwnClusters(t *testing.T) {
	t.Parallel()
	c := startMoto(t)
	a, b := c.surroundings(t, "hears-a"), c.surroundings(t, "hears-b")
	_, tf := c.state(t, fields{"consulecs_controller": fields{
		"a": quickController(a, nil), "b": quickController(b, fields{"ecs_clusters": []any{"arn:aws:ecs:us-east-1:123456789012:cluster/batch", b.ecsCluster}}),
	}})
	applied(t, tf)
	for name, want := range map[string][]string{"hears-a": {a.ecsCluster}, "hears-b": {"arn:aws:ecs:us-east-1:123456789012:cluster/batch", b.ecsCluster}} {
		described, err := c.rules().DescribeRule(t.Context(), &eventbridge.DescribeRuleInput{Name: aws.String("consul-ecs-controller-" + name + "-events")})
		if err != nil {
			t.Fatal(err)
		}
		var pattern struct {
			Detail struct {
				ClusterARN []string `json:"clusterArn"`
			} `json:"detail"`
		}
		if err := json.Unmarshal([]byte(aws.ToString(described.EventPattern)), &pattern); err != nil || !slices.Equal(pattern.Detail.ClusterARN, want) {
			t.Errorf("%s hears of %v, %v, want %v", name, pattern.Detail.ClusterARN, err, want)
		}
	}
	destroyed(t, tf)
}

func TestClustersOfElsewhereAreRefused(t *testing.T) {
	t.Parallel()
	c := startMoto(t)
	around := c.surroundings(t, "elsewhere")
	_, tf := c.state(t, fields{"consulecs_controller": fields{"this": quickController(around, fields{"ecs_clusters": []any{"arn:aws:ecs:eu-west-1:123456789012:cluster/x"}})}})
	refused(t, tf, "ECS cluster elsewhere", "ecs_clusters has arn:aws:ecs:eu-west-1:123456789012:cluster/x, want ECS clusters of the controller's own account and Region, arn:aws:ecs:us-east-1:123456789012:cluster/<name>")
}

// Ctrl-C while a controller is waited for: everything was made, its events too, and nothing is left to do. Switched off while they are
// waited for, the events are still there to be removed by the next apply.
func TestAnInterruptedControllerLosesNoEvents(t *testing.T) {
	t.Parallel()
	onEveryBinary(t, func(t *testing.T, on *binary) {
		const family = "consul-ecs-controller-interrupted"
		c := on.startMoto(t)
		around := c.surroundings(t, "interrupted")
		dir := workDir(t)
		shown := make(lines, 1)
		cfg := on.config(t, dir)
		cfg.Out = shown
		tf := newTerraform(t, cfg)
		write := func(changes fields) {
			dir.write(t, "main.tf.json", c.frame(fields{"consulecs_controller": fields{"this": quickController(around, changes)}}))
		}
		write(fields{"wait_for_steady_state": true})
		said := interrupted(t, tf, func() bool {
			return c.runs(t, around.ecsCluster, "consul-ecs-controller", family+":1") && shown.have("Still creating")
		})
		if !strings.Contains(said, "Warning: ECS service not waited for") || strings.Contains(said, "Error: ECS") || strings.Contains(said, "Error: Controller") {
			t.Error(said)
		}
		wantHeld(t, tf, "task-definition/"+family+":1")
		nothingToDo(t, tf)
		write(fields{"wait_for_steady_state": true, "events": fields{"enabled": false}})
		said = interrupted(t, tf, func() bool {
			return c.runs(t, around.ecsCluster, "consul-ecs-controller", family+":2") && shown.have("Still modifying")
		})
		if there := c.eventsLeft(t, family); !strings.Contains(said, "Error: Controller was not updated") || len(there) != 3 {
			t.Errorf("there are %v: %s", there, said)
		}
		write(fields{"events": fields{"enabled": false}})
		applied(t, tf)
		if left := c.eventsLeft(t, family); len(left) > 0 {
			t.Errorf("left are %v", left)
		}
		destroyed(t, tf)
	})
}
