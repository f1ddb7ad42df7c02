// Package standalone is what it takes to run tasks without an ECS service: the block standalone_task, its rules, and what whoever runs
// them is to say to ECS. It calls nobody.
package standalone

import (
	"fmt"
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"

	"github.com/consulecs/terraform-provider-consulecs/internal/awsjson"
	"github.com/consulecs/terraform-provider-consulecs/internal/iamrole"
	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskdef"
	"github.com/consulecs/terraform-provider-consulecs/provider/block"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

// Block is the block's name.
const Block = "standalone_task"

// Task is the block.
type Task struct {
	Cluster              *string `tfsdk:"cluster"`
	EnableECSManagedTags *bool   `tfsdk:"enable_ecs_managed_tags"`
	EnableExecuteCommand *bool   `tfsdk:"enable_execute_command"`
	block.Network
}

// Row is the block's schema.
func Row() schema.SingleNestedBlock {
	strategy := path.MatchRoot(Block).AtName("capacity_provider_strategy")
	fields := row.Fields{
		"cluster":                 row.RequiredText("Name or ARN of the ECS cluster."),
		"enable_ecs_managed_tags": row.Flag("ECS's own tags on the tasks, such as the name of the ECS cluster. Default `false`."),
		"enable_execute_command":  row.Flag("ECS Exec, as in `ecs_service`: the task role that is created is allowed what it takes. Default `false`."),
	}
	maps.Copy(fields, block.NetworkFields(strategy))
	fields["launch_type"] = row.Text("`FARGATE`, `EC2` or `MANAGED_INSTANCES`, one of `task.launch_types`. Default: the ECS cluster's capacity providers.",
		stringvalidator.OneOf("EC2", "FARGATE", "MANAGED_INSTANCES"), stringvalidator.ConflictsWith(strategy))
	return row.Object("Where tasks run that no ECS service keeps: those of EventBridge Scheduler, of rules, of Step Functions or of `aws ecs run-task`. "+
		"Nothing is run: `run_task_json` and `run_task_policy_json` say what whoever runs them needs. It may stand beside `ecs_service`.", fields)
}

// Check holds the block against its task.
func (m *Task) Check(of taskdef.Spec, found *problem.List) {
	if m == nil {
		return
	}
	at := problem.At(Block)
	block.CheckECSCluster(row.Value(m.Cluster), at.Child("cluster"), found)
	m.Network.Check(of.Task.LaunchTypes, at, found)
	m.Network.CheckPlatform(of, at, found)
	if len(of.Containers) > 0 && !slices.ContainsFunc(of.Containers, isEssential) {
		found.Warn([]problem.Path{at}, problem.At("containers"), "has none that is essential: when all of them have ended, the mesh's own run on, and with them the task. Set essential = true for the one whose end is the task's")
	}
	for i, v := range of.Task.Volumes {
		if aws.ToBool(v.ConfiguredAtLaunch) {
			found.Warn([]problem.Path{at}, problem.At("task", "volumes", i, "configuredAtLaunch"),
				"leaves the volume to whoever runs the task, and run_task_json has none: a run of its own needs volumeConfigurations besides")
		}
	}
}

// isEssential is ECS's default.
func isEssential(c taskdef.Container) bool {
	return c.Definition.Essential == nil || *c.Definition.Essential
}

// LetsIn reports whether people may run commands in the containers.
func (m *Task) LetsIn() bool { return m != nil && row.Value(m.EnableExecuteCommand) }

// Input is how to run a task of the definition. Its tags go on to the task: by them the incumbent's controller knows it, ours the namespace that it
// has to prepare, and a controller's destroy that tasks of the mesh still run.
func (m *Task) Input(definition string, home iamrole.Home) *ecs.RunTaskInput {
	network := m.Network.Awsvpc()
	slices.Sort(network.Subnets) // sets: the text is the same however they are written
	slices.Sort(network.SecurityGroups)
	input := &ecs.RunTaskInput{
		Cluster: aws.String(block.ECSClusterARN(row.Value(m.Cluster), home)), TaskDefinition: &definition,
		LaunchType: ecstypes.LaunchType(row.Value(m.LaunchType)), PlatformVersion: m.PlatformVersion,
		NetworkConfiguration: &ecstypes.NetworkConfiguration{AwsvpcConfiguration: network}, PropagateTags: ecstypes.PropagateTagsTaskDefinition,
		EnableECSManagedTags: row.Value(m.EnableECSManagedTags), EnableExecuteCommand: row.Value(m.EnableExecuteCommand),
	}
	if row.Value(input.PlatformVersion) == block.LatestPlatform { // ECS's default, which a state may spell out
		input.PlatformVersion = nil
	}
	row.ToSpec(&input.CapacityProviderStrategy, m.CapacityProviderStrategy)
	return input
}

// OutputRows are the schemas of what follows from the block: null without it.
func OutputRows() row.Fields {
	return row.Fields{
		"run_task_json": row.ComputedText("With `standalone_task`: the parameters of ECS's `RunTask`, as JSON in ECS's own keys: `aws ecs run-task --cli-input-json` takes the whole, `jsondecode` gives the parts. " +
			"It names the family, so that the newest ACTIVE revision is run, and propagates the definition's tags, as the mesh needs."),
		"run_task_policy_json": row.ComputedText("With `standalone_task`: the IAM policy of whoever runs the task, such as the role of a schedule: to run the family in that ECS cluster, to give its tasks their tags, and to pass its roles to ECS."),
	}
}

// JSON is Input as JSON; nil without the block.
func (m *Task) JSON(definition string, home iamrole.Home) *string {
	if m == nil {
		return nil
	}
	text, err := awsjson.Marshal(m.Input(definition, home))
	if err != nil {
		panic(fmt.Sprintf("internal error: write RunTask's parameters: %v", err)) // texts and flags: cannot fail
	}
	return aws.String(string(text))
}

// Policy is what whoever runs tasks of the family has to be allowed, as JSON; nil without the block. Roles are the ARNs of the task's.
func (m *Task) Policy(family string, roles []string, home iamrole.Home) *string {
	if m == nil {
		return nil
	}
	return aws.String(iamrole.RunPolicy(iamrole.RunSpec{
		Home: home, Family: family, ECSClusterARN: block.ECSClusterARN(row.Value(m.Cluster), home), RoleARNs: roles,
	}))
}
