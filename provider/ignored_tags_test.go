package provider_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

// A tag that was the resource's, and that the provider ignores from then on, is neither shown nor removed, whatever something else
// makes of it; nor is it imported.
func TestIgnoredTagsAreOthers(t *testing.T) {
	t.Parallel()
	c := startMoto(t)
	at := c.surroundings(t, "ignored-tags")
	frame := func(ignored, tags fields) fields {
		place := fields{"subnets": []any{at.subnet}, "security_groups": []any{at.group}, "launch_type": "EC2"}
		all := c.frame(fields{
			"consulecs_mesh_task":  fields{"this": meshTask(fields{"family": "ignored-tags", "tags": tags, "ecs_service": with(fields{"cluster": at.ecsCluster}, place)})},
			"consulecs_controller": fields{"this": controller(with(fields{"name": "ignored-controller", "cluster": at.ecsCluster, "wait_for_steady_state": false, "tags": tags}, place))},
		})
		with(all["provider"].(fields)["consulecs"].(fields), fields{"ignore_tags": ignored})
		return all
	}
	dir := workDir(t)
	dir.write(t, "main.tf.json", frame(nil, fields{"env": "test", "cost:center": "1", "owner": "a"}))
	tf := dir.terraform(t)
	if err := tf.Apply(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.changeTag(t, at, "cost:center", "2")
	now := frame(fields{"keys": []any{"owner"}, "key_prefixes": []any{"cost:"}}, fields{"env": "test"})
	dir.write(t, "main.tf.json", now)
	if err := tf.Apply(t.Context()); err != nil {
		t.Fatal(err)
	}
	nothingToDo(t, tf)
	for what, tags := range c.tagsOf(t, at) {
		if tags["cost:center"] != "2" || tags["owner"] != "a" || tags["env"] != "test" {
			t.Errorf("%s has the tags %v", what, tags)
		}
	}
	again := workDir(t)
	now["import"] = []any{fields{"to": "consulecs_mesh_task.this", "id": "ignored-tags/ignored-tags"}}
	delete(now["resource"].(fields), "consulecs_controller")
	again.write(t, "main.tf.json", now)
	if changes, err := again.terraform(t).PlanChanges(t.Context()); err != nil || len(changes) > 0 {
		t.Errorf("after an import there is something to do: %v, %v", changes, err)
	}
	again.write(t, "main.tf.json", frame(fields{"keys": []any{"owner"}}, fields{"owner": "b"}))
	refused(t, again.terraform(t), `tags["owner"] is a key that the provider's ignore_tags names`)
}

// changeTag changes a tag of all that the resources made, as something else does.
func (c cloud) changeTag(t *testing.T, at surroundings, key, value string) {
	t.Helper()
	for _, arn := range c.ecsObjects(t, at) {
		if _, err := c.ecs.TagResource(t.Context(), &ecs.TagResourceInput{ResourceArn: &arn, Tags: []ecstypes.Tag{{Key: &key, Value: &value}}}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.iam.TagRole(t.Context(), &iam.TagRoleInput{RoleName: aws.String("ignored-tags-task"), Tags: []iamtypes.Tag{{Key: &key, Value: &value}}}); err != nil {
		t.Fatal(err)
	}
	queues := sqs.NewFromConfig(c.config)
	if _, err := queues.TagQueue(t.Context(), &sqs.TagQueueInput{QueueUrl: c.queue(t, queues), Tags: map[string]string{key: value}}); err != nil {
		t.Fatal(err)
	}
}

// tagsOf are the tags of all that the resources made.
func (c cloud) tagsOf(t *testing.T, at surroundings) map[string]map[string]string {
	t.Helper()
	all := map[string]map[string]string{"the role": {}}
	for _, arn := range c.ecsObjects(t, at) {
		listed, err := c.ecs.ListTagsForResource(t.Context(), &ecs.ListTagsForResourceInput{ResourceArn: &arn})
		if err != nil {
			t.Fatal(err)
		}
		all[arn] = map[string]string{}
		for _, tag := range listed.Tags {
			all[arn][aws.ToString(tag.Key)] = aws.ToString(tag.Value)
		}
	}
	role, err := c.iam.GetRole(t.Context(), &iam.GetRoleInput{RoleName: aws.String("ignored-tags-task")})
	if err != nil {
		t.Fatal(err)
	}
	for _, tag := range role.Role.Tags {
		all["the role"][aws.ToString(tag.Key)] = aws.ToString(tag.Value)
	}
	queues := sqs.NewFromConfig(c.config)
	listed, err := queues.ListQueueTags(t.Context(), &sqs.ListQueueTagsInput{QueueUrl: c.queue(t, queues)})
	if err != nil {
		t.Fatal(err)
	}
	all["the queue"] = listed.Tags
	return all
}

func (c cloud) queue(t *testing.T, queues *sqs.Client) *string {
	t.Helper()
	listed, err := queues.ListQueues(t.Context(), &sqs.ListQueuesInput{})
	if err != nil {
		t.Fatal(err)
	}
	for _, url := range listed.QueueUrls {
		if strings.Contains(url, "ignored-tags") && !strings.Contains(url, "dead") {
			return &url
		}
	}
	t.Fatalf("no queue among %v", listed.QueueUrls)
	return nil
}

// ecsObjects are the ARNs of the services and of the mesh task's definition.
func (c cloud) ecsObjects(t *testing.T, at surroundings) []string {
	t.Helper()
	definition, err := c.ecs.DescribeTaskDefinition(t.Context(), &ecs.DescribeTaskDefinitionInput{TaskDefinition: aws.String("ignored-tags")})
	if err != nil {
		t.Fatal(err)
	}
	listed, err := c.ecs.ListServices(t.Context(), &ecs.ListServicesInput{Cluster: &at.ecsCluster})
	if err != nil || len(listed.ServiceArns) != 1 && len(listed.ServiceArns) != 2 {
		t.Fatal(listed, err)
	}
	return append(listed.ServiceArns, *definition.TaskDefinition.TaskDefinitionArn)
}
