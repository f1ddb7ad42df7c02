package provider

import (
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
)

// Schema implements resource.Resource.
func (r *controllerResource) Schema(ctx context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	fields := attributes{
		"cluster":          fixedText("Name or ARN of the ECS cluster whose tasks the controller looks after: one controller for each. Changing it makes a new resource."),
		"name":             controllerName(),
		"token_secret_arn": requiredText("ARN of the Secrets Manager secret with the ACL token that the controller works with.", secretARN()),
		"consul_servers":   object("How to reach Consul's servers. What is left out is taken from the provider's `consul_servers`.", consulServersAttributes()),
		"login": object("What the auth method must know of the tasks' logins. What is left out is taken from the provider's `login`.", attributes{
			"auth_method":      text("Name of the auth method to keep. Default `iam-ecs-service-token`."),
			"sts_endpoint":     text("URL of STS at which Consul's servers verify logins. Default: AWS's.", endpointURL{}),
			"iam_endpoint":     text("URL of IAM at which Consul's servers read role tags. Default: AWS's.", endpointURL{}),
			"server_id_header": text("Value of the header `X-Consul-IAM-ServerID` that logins must carry."),
		}),
		"iam_role_path":               text("Roles below this IAM path may log in. Default: the provider's `iam_role_path`, else `/consul-ecs/`.", rolePath()),
		"image":                       text("Image with consulecs-agent. Default: the provider's `agent_image`."),
		"log_level":                   text("Log level: `TRACE`, `DEBUG`, `INFO` (default), `WARN` or `ERROR`."),
		"log_json":                    flag("Log lines as JSON objects. Default `false`."),
		"log_configuration":           logConfiguration("Where the output goes. Default: the provider's `log_configuration`."),
		"pull_credentials_secret_arn": text("ARN of the Secrets Manager secret with the registry's credentials.", secretARN()),
		"task": object("Size of the task.", attributes{
			"cpu":              nonzero("CPU units, 1024 to a core. Default 256."),
			"memory":           nonzero("Memory in MiB. Default 512."),
			"launch_types":     launchTypes(),
			"runtime_platform": runtimePlatform(),
		}),
		"iam":                    controllerIAMAttribute(),
		"enable_execute_command": flag("ECS Exec. The task role needs the `ssmmessages` actions: attach them with `iam.task_role.policy_arns`. Default `false`."),
		"wait_for_steady_state":  flag("Wait on create and update until the controller runs. Default `true`, so that tasks which depend on the resource can log in."),
		"tags":                   textMap("Tags of the task definition, the roles and the ECS service, over the provider's `default_tags`."),
		"timeouts":               timeouts.Attributes(ctx, timeouts.Opts{Create: true, Update: true, Delete: true}),
	}
	maps.Copy(fields, networkAttributes(path.MatchRoot("capacity_provider_strategy")))
	maps.Copy(fields, controllerComputed())
	resp.Schema = schema.Schema{
		MarkdownDescription: "The controller of an ECS cluster: it keeps Consul's auth method, policies, roles and binding rules, and removes the services and tokens of tasks that died without a goodbye.",
		Attributes:          fields,
	}
}

func controllerName() schema.StringAttribute {
	a := text("Name of the ECS service and family of the task definition. Default `consul-ecs-controller`. Changing it makes a new resource.",
		stringvalidator.RegexMatches(validFamily, familyRule))
	a.PlanModifiers = []planmodifier.String{stringplanmodifier.RequiresReplace()}
	return a
}

func controllerIAMAttribute() schema.SingleNestedAttribute {
	return object("IAM roles. By default both are created.", attributes{
		"path":                 text("IAM path of the roles that are created. It must not lie below `iam_role_path`: the controller is no task of the mesh. Default `/`.", rolePath()),
		"permissions_boundary": text("ARN of the policy that bounds the roles that are created.", policyARN()),
		"any_source":           flag("Leave the conditions on account and region out of the trust policies. Default `false`."),
		"task_role": object("What the controller may do: list and describe the cluster's tasks.", attributes{
			"arn":         text("ARN of an existing role: it is checked, never changed.", givenRoleRules("task_role", "name", "policy_arns")...),
			"name":        text("Name of the role that is created. Default: the name and `-task`.", roleName()),
			"policy_arns": textSet("ARNs of managed policies to attach."),
		}),
		"execution_role": object("What ECS may do to start the container.", attributes{
			"arn":          text("ARN of an existing role: it is checked, never changed.", givenRoleRules("execution_role", "name", "policy_arns", "kms_key_arns")...),
			"name":         text("Name of the role that is created. Default: the name and `-execution`.", roleName()),
			"policy_arns":  textSet("ARNs of managed policies to attach."),
			"kms_key_arns": textSet("ARNs of the KMS keys that encrypt the secrets, where they are not AWS's own."),
		}),
	})
}

func controllerComputed() attributes {
	return attributes{
		"id":                                  computedText("The ECS cluster and the name, as `cluster/name`."),
		"arn":                                 computedText("ARN of the newest revision of the task definition."),
		"revision":                            schema.Int64Attribute{Computed: true, MarkdownDescription: "The newest revision."},
		"ecs_service_arn":                     computedText("ARN of the ECS service."),
		"ecs_service_running_arn":             computedText("ARN of the revision that the ECS service runs."),
		"task_role_arn":                       computedText("ARN of the task role."),
		"task_role_name":                      computedText("Name of the task role."),
		"execution_role_arn":                  computedText("ARN of the execution role."),
		"execution_role_name":                 computedText("Name of the execution role."),
		"agent_config_json":                   computedText("What the controller reads from `CONSUL_ECS_CONFIG_JSON`."),
		"rendered_roles_json":                 computedText("The IAM roles that the resource keeps, as they are in IAM: a change made there shows here."),
		"rendered_definition_json":            computedText("The task definition without its containers, in canonical form, as ECS has it."),
		"rendered_container_definitions_json": computedText("The container definitions in canonical form, as ECS has them: a change made there shows here."),
		"content_hash":                        computedText("SHA-256 of the canonical task definition without its tags. A new revision is registered when it changes."),
		"desired_count":                       schema.Int32Attribute{Computed: true, MarkdownDescription: "Desired count of the ECS service: 1, unless something else scaled it."},
		"tags_all":                            schema.MapAttribute{ElementType: types.StringType, Computed: true, MarkdownDescription: "All tags of the task definition."},
	}
}
