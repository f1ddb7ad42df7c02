package controller

import (
	"cmp"
	"context"
	"maps"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/taskdef"
	"github.com/consulecs/terraform-provider-consulecs/provider/block"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

// Schema implements resource.Resource.
func (r *controller) Schema(ctx context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	fields := row.Fields{
		"cluster":          block.ECSClusterRow("Name or ARN of the ECS cluster whose tasks the controller looks after: one controller for each. Changing it makes a new resource.", stringplanmodifier.RequiresReplace()),
		"name":             controllerName(),
		"token_secret_arn": row.RequiredText("ARN of the Secrets Manager secret with the ACL token that the controller works with.", row.SecretARN()),
		"consul_servers":   row.Object("How to reach Consul's servers. What is left out is taken from the provider's `consul_servers`; an empty text means none.", block.ConsulServersFields()),
		"login": row.Object("What the auth method must know of the tasks' logins. What is left out is taken from the provider's `login`; an empty text means none.", row.Fields{
			"auth_method":      row.Text("Name of the auth method to keep. Default `iam-ecs-service-token`."),
			"sts_endpoint":     row.Text("URL of STS at which Consul's servers verify logins. Default: AWS's.", row.OrNone(row.EndpointURL{})),
			"iam_endpoint":     row.Text("URL of IAM at which Consul's servers read role tags. Default: AWS's.", row.OrNone(row.EndpointURL{})),
			"server_id_header": row.Text("Value of the header `X-Consul-IAM-ServerID` that logins must carry."),
		}),
		"iam_role_path":               row.Text("Roles below this IAM path may log in. Default: the provider's `iam_role_path`, else `/consul-ecs/`, which an empty text means, too.", row.OrNone(row.RolePath())),
		"image":                       row.Text("Image with consulecs-agent. Default: the provider's `agent_image`."),
		"log_level":                   row.Text("Log level: `TRACE`, `DEBUG`, `INFO` (default), `WARN` or `ERROR`."),
		"log_json":                    row.FlagOr(false, "Log lines as JSON objects. Default `false`."),
		"log_configuration":           block.OwnLogConfigurationRow("Where the output goes. Default: the provider's `log_configuration`."),
		"pull_credentials_secret_arn": row.Text("ARN of the Secrets Manager secret with the registry's credentials.", row.SecretARN()),
		"task": row.Object("Size of the task.", row.Fields{
			"cpu":              block.CPU(),
			"memory":           block.Memory(),
			"launch_types":     block.LaunchTypes(),
			"runtime_platform": block.RuntimePlatform(),
		}),
		"iam":                    block.ControllerIAMRow(),
		"enable_execute_command": row.FlagOr(false, "ECS Exec. The task role needs the `ssmmessages` actions: attach them with `iam.task_role.policy_arns`. Default `false`."),
		"wait_for_steady_state":  row.FlagOr(true, "Wait on create and update until the controller runs. Default `true`, so that tasks which depend on the resource can log in."),
		"adopt_existing":         block.AdoptExistingRow(),
		"tags":                   row.TextMap("Tags of the task definition, the roles and the ECS service, over the provider's `default_tags`."),
		"timeouts":               timeouts.Block(ctx, timeouts.Opts{Create: true, Update: true, Delete: true}),
	}
	maps.Copy(fields, block.NetworkFields(path.MatchRoot("capacity_provider_strategy")))
	maps.Copy(fields, controllerComputed())
	resp.Schema = row.Schema("The controller of an ECS cluster: it keeps Consul's auth method, policies, roles and binding rules, and removes the services and tokens of tasks that died without a goodbye.", fields)
}

func controllerName() schema.StringAttribute {
	a := row.TextOr(taskdef.DefaultControllerFamily, "Name of the ECS service. With the name of the ECS cluster it is the family of the task definition, so that each cluster may have a controller of one name. Default `consul-ecs-controller`. Changing it makes a new resource.",
		stringvalidator.RegexMatches(row.ValidFamily, row.FamilyRule))
	a.PlanModifiers = append(a.PlanModifiers, stringplanmodifier.RequiresReplaceIf(otherName, "another name makes a new resource", "another name makes a new resource"))
	return a
}

// otherName wants a new resource unless only the spelling of the default differs.
func otherName(_ context.Context, req planmodifier.StringRequest, resp *stringplanmodifier.RequiresReplaceIfFuncResponse) {
	named := func(v types.String) string { return cmp.Or(v.ValueString(), taskdef.DefaultControllerFamily) }
	resp.RequiresReplace = req.PlanValue.IsUnknown() || named(req.StateValue) != named(req.PlanValue)
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
		"desired_count":                       schema.Int32Attribute{Computed: true, MarkdownDescription: "Desired count of the ECS service: 1, unless something else scaled it."},
		"tags_all":                            schema.MapAttribute{ElementType: types.StringType, Computed: true, Sensitive: true, MarkdownDescription: "All tags of the task definition and the ECS service. A tag that something else removed or changed, of the one or the other, shows here; those that others added do not."},
	}
}
