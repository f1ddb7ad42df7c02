package standalone_test

import (
	"encoding/json"
	"os"
	"regexp"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/iamrole"
	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskdef"
	"github.com/consulecs/terraform-provider-consulecs/provider/block"
	"github.com/consulecs/terraform-provider-consulecs/provider/standalone"
)

var home = iamrole.Home{Partition: "aws-cn", Region: "cn-north-1", Account: "123456789012"}

const definition = "arn:aws-cn:ecs:cn-north-1:123456789012:task-definition/report"

func TestWhatIsSaidToECSFollowsFromTheBlock(t *testing.T) {
	t.Parallel()
	const always = `"propagateTags":"TASK_DEFINITION","taskDefinition":"` + definition + `"`
	network := func(m block.Network) block.Network { m.Subnets = []string{"subnet-2", "subnet-1"}; return m }
	for name, c := range map[string]struct {
		task *standalone.Task
		want string
	}{
		"the least": {
			&standalone.Task{Cluster: aws.String("batch"), Network: network(block.Network{})},
			`{"cluster":"arn:aws-cn:ecs:cn-north-1:123456789012:cluster/batch","networkConfiguration":{"awsvpcConfiguration":{"assignPublicIp":"DISABLED","subnets":["subnet-1","subnet-2"]}},` + always + `}`,
		},
		"all on Fargate": {
			&standalone.Task{
				Cluster: aws.String("arn:aws-cn:ecs:cn-north-1:123456789012:cluster/other"), EnableECSManagedTags: aws.Bool(true), EnableExecuteCommand: aws.Bool(true),
				Network: network(block.Network{LaunchType: aws.String("FARGATE"), PlatformVersion: aws.String("1.4.0"), SecurityGroups: []string{"sg-2", "sg-1"}, AssignPublicIP: aws.Bool(true)}),
			},
			`{"cluster":"arn:aws-cn:ecs:cn-north-1:123456789012:cluster/other","enableECSManagedTags":true,"enableExecuteCommand":true,"launchType":"FARGATE",` +
				`"networkConfiguration":{"awsvpcConfiguration":{"assignPublicIp":"ENABLED","securityGroups":["sg-1","sg-2"],"subnets":["subnet-1","subnet-2"]}},"platformVersion":"1.4.0",` + always + `}`,
		},
		"capacity providers, and defaults that a state spells out": {
			&standalone.Task{
				Cluster: aws.String("batch"), EnableECSManagedTags: aws.Bool(false), EnableExecuteCommand: aws.Bool(false),
				Network: network(block.Network{PlatformVersion: aws.String("LATEST"), AssignPublicIP: aws.Bool(false),
					CapacityProviderStrategy: []block.CapacityProvider{{CapacityProvider: aws.String("FARGATE_SPOT"), Base: aws.Int32(1), Weight: aws.Int32(2)}}}),
			},
			`{"capacityProviderStrategy":[{"base":1,"capacityProvider":"FARGATE_SPOT","weight":2}],"cluster":"arn:aws-cn:ecs:cn-north-1:123456789012:cluster/batch",` +
				`"networkConfiguration":{"awsvpcConfiguration":{"assignPublicIp":"DISABLED","subnets":["subnet-1","subnet-2"]}},` + always + `}`,
		},
	} {
		if got := aws.ToString(c.task.JSON(definition, home)); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
	var none *standalone.Task
	if none.JSON(definition, home) != nil || none.Policy("report", nil, home) != nil || none.LetsIn() {
		t.Error("without the block something is said")
	}
}

// The model's own lists stay as they are: Terraform wants to see them again.
func TestTheListsOfTheModelAreNotSorted(t *testing.T) {
	t.Parallel()
	m := &standalone.Task{Cluster: aws.String("batch"), Network: block.Network{Subnets: []string{"b", "a"}}}
	m.JSON(definition, home)
	if m.Subnets[0] != "b" {
		t.Errorf("the subnets are %v", m.Subnets)
	}
}

func TestATaskThatWouldNeverEndIsTold(t *testing.T) {
	t.Parallel()
	container := func(essential *bool) taskdef.Container {
		return taskdef.Container{Definition: ecstypes.ContainerDefinition{Essential: essential}}
	}
	no, yes, unset := container(aws.Bool(false)), container(aws.Bool(true)), container(nil)
	for name, c := range map[string]struct {
		containers []taskdef.Container
		warnings   int
	}{
		"one that is": {[]taskdef.Container{no, yes}, 0}, "one by default": {[]taskdef.Container{no, unset}, 0},
		"none that is": {[]taskdef.Container{no, no}, 1}, "none known yet": {nil, 0},
	} {
		var found problem.List
		(&standalone.Task{Cluster: aws.String("batch")}).Check(taskdef.Spec{Containers: c.containers}, &found)
		if len(found) != c.warnings || found.Err() != nil {
			t.Errorf("%s: %v", name, found)
		}
	}
}

func TestAVolumeThatARunHasToBringIsTold(t *testing.T) {
	t.Parallel()
	of := taskdef.Spec{Task: taskdef.Task{Volumes: []ecstypes.Volume{{Name: aws.String("scratch")}, {Name: aws.String("data"), ConfiguredAtLaunch: aws.Bool(true)}}}}
	var found problem.List
	(&standalone.Task{Cluster: aws.String("batch")}).Check(of, &found)
	if len(found) != 1 || found.Err() != nil {
		t.Errorf("want one warning, got %v", found)
	}
	found = nil
	(*standalone.Task)(nil).Check(of, &found)
	if len(found) != 0 {
		t.Errorf("without the block: %v", found)
	}
}

// The example's schedule takes the parts that it needs by jsondecode, under the AWS provider, which no test can load. So each part that it
// reads is held against one of everything.
func TestTheScheduleOfTheExampleReadsWhatIsThere(t *testing.T) {
	t.Parallel()
	everything := &standalone.Task{
		Cluster: aws.String("batch"), EnableECSManagedTags: aws.Bool(true), EnableExecuteCommand: aws.Bool(true),
		Network: block.Network{LaunchType: aws.String("FARGATE"), PlatformVersion: aws.String("1.4.0"), Subnets: []string{"subnet-1"}, SecurityGroups: []string{"sg-1"},
			CapacityProviderStrategy: []block.CapacityProvider{{CapacityProvider: aws.String("FARGATE"), Base: aws.Int32(1), Weight: aws.Int32(1)}}},
	}
	var run map[string]any
	if err := json.Unmarshal([]byte(*everything.JSON(definition, home)), &run); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("../../examples/scheduled-task/schedule/main.tf")
	if err != nil {
		t.Fatal(err)
	}
	network := run["networkConfiguration"].(map[string]any)["awsvpcConfiguration"]
	from := map[string]any{"local.run": run, "local.network": network, "capacity_provider_strategy.value": run["capacityProviderStrategy"].([]any)[0]}
	read := map[string]bool{}
	for _, m := range regexp.MustCompile(`\b(local\.run|local\.network|capacity_provider_strategy\.value)\.(\w+)`).FindAllStringSubmatch(string(text), -1) {
		read[m[1]+"."+m[2]] = true
		if _, has := from[m[1]].(map[string]any)[m[2]]; !has {
			t.Errorf("the schedule reads %s, which is not in run_task_json: %v", m[0], from[m[1]])
		}
	}
	for name, all := range from {
		for key := range all.(map[string]any) {
			if !read[name+"."+key] {
				t.Errorf("the schedule passes %s.%s over", name, key)
			}
		}
	}
}
