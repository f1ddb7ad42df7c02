package controller

import (
	"context"
	"maps"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/taskdef"
	"github.com/consulecs/terraform-provider-consulecs/provider/block"
	"github.com/consulecs/terraform-provider-consulecs/provider/meshcontroller"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

// Schema implements resource.Resource.
func (r *controller) Schema(ctx context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	fields := meshcontroller.Fields(func(name string) path.Expression { return path.MatchRoot(name) })
	maps.Copy(fields, row.Fields{
		"cluster":               block.ECSClusterRow("Name or ARN of the ECS cluster whose tasks the controller looks after: one controller for each. Changing it makes a new resource.", stringplanmodifier.RequiresReplace()),
		"name":                  controllerName(),
		"desired_count":         controllerCount(fields["desired_count"]),
		"wait_for_steady_state": row.FlagOr(true, "Wait on create and update until the controller runs. Default `true`, so that tasks which depend on the resource can log in."),
		"adopt_existing":        block.AdoptExistingRow(),
		"force_destroy":         row.Flag("Destroy the controller though tasks of the mesh run in its ECS clusters: what they leave behind when they die stays in Consul until another controller comes. It counts once it is applied. Default `false`: a destroy waits for them to stop, and is refused when it has waited in vain."),
		"timeouts":              timeouts.Block(ctx, timeouts.Opts{Create: true, Update: true, Delete: true}),
	})
	maps.Copy(fields, controllerComputed())
	resp.Schema = row.Schema("The controller of an ECS cluster: it keeps Consul's auth method, policies, roles and binding rules, and removes the services and tokens of tasks that died without a goodbye.", fields)
}

// controllerCount is computed, too: what is planned is always said.
func controllerCount(of row.Field) schema.Int32Attribute {
	a, _ := of.(schema.Int32Attribute)
	a.Computed = true
	return a
}

func controllerName() schema.StringAttribute {
	return row.FixedTextOr(taskdef.DefaultControllerFamily, "Name of the ECS service. With the name of the ECS cluster it is the family of the task definition, so that each cluster may have a controller of one name. Default `consul-ecs-controller`. Changing it makes a new resource.",
		stringvalidator.RegexMatches(row.ValidFamily, row.FamilyRule))
}

func controllerComputed() row.Fields {
	return row.Fields{
		"id":                                  row.ComputedText("The ECS cluster and the name, as `cluster/name`."),
		"owner_id":                            block.OwnerIDRow(),
		"arn":                                 row.ComputedText("ARN of the newest revision of the task definition."),
		"revision":                            schema.Int64Attribute{Computed: true, MarkdownDescription: "The newest revision."},
		"ecs_service_arn":                     row.ComputedText("ARN of the ECS service."),
		"ecs_service_running_arn":             row.ComputedText("ARN of the revision that the ECS service runs."),
		"task_role_arn":                       row.ComputedText("ARN of the task role."),
		"task_role_name":                      row.ComputedText("Name of the task role."),
		"execution_role_arn":                  row.ComputedText("ARN of the execution role."),
		"execution_role_name":                 row.ComputedText("Name of the execution role."),
		"agent_config_json":                   row.SensitiveText("What the controller reads from `CONSUL_ECS_CONFIG_JSON`."),
		"rendered_roles_json":                 row.ComputedText("The IAM roles that the resource keeps, as they are in IAM: a change made there shows here. The values of your tags stand as short hashes."),
		"rendered_definition_json":            row.ComputedText("The task definition without its containers, in canonical form, as ECS has it."),
		"rendered_container_definitions_json": row.ComputedTexts("The container definitions by their names, each as JSON in canonical form, as ECS has them: a change made there shows here. Texts stand as short hashes, but for names, images, ARNs and AWS's own words."),
		"rendered_ecs_service_json":           row.ComputedText("What no attribute says of the ECS service, as JSON, as ECS has it: a change made there shows here."),
		"content_hash":                        row.ComputedText("Hash of the owner and the canonical task definition without its tags. A new revision is registered when it changes."),
		"event_queue_url":                     row.ComputedText("URL of the SQS queue that gets ECS's events; none without `events`."),
		"event_queue_arn":                     row.ComputedText("ARN of that queue."),
		"event_dead_letter_queue_arn":         row.ComputedText("ARN of the SQS queue for messages that were received five times in vain."),
		"event_rule_arn":                      row.ComputedText("ARN of the EventBridge rule that fills the queue."),
		"rendered_events_json":                row.ComputedText("The queues and the rule that the resource keeps, as they are in SQS and EventBridge: a change made there shows here. The values of your tags stand as short hashes."),
		"tags_all":                            schema.MapAttribute{ElementType: types.StringType, Computed: true, Sensitive: true, MarkdownDescription: "All tags of the task definition and the ECS service. A tag that something else removed or changed, of the one or the other, shows here; those that others added do not."},
	}
}
