package devserver

import (
	"context"
	"maps"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework-validators/int32validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/devserver"
	"github.com/consulecs/terraform-provider-consulecs/provider/block"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

// Schema implements resource.Resource.
func (s *server) Schema(ctx context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	fields := row.Fields{
		"cluster":    block.ECSClusterRow("Name or ARN of the ECS cluster. Changing it makes a new resource.", stringplanmodifier.RequiresReplace()),
		"name":       row.FixedTextOr(devserver.DefaultName, "Name of the ECS service and of the server's node in Consul. With the name of the ECS cluster it is the family of the task definition and begins the names of the secrets. Default `consul-dev-server`. Changing it makes a new resource.", stringvalidator.RegexMatches(row.ValidFamily, row.FamilyRule)),
		"datacenter": row.FixedTextOr(devserver.DefaultDatacenter, "Name of Consul's datacenter. Default `dc1`. Changing it makes a new resource."),
		"dns_name":   dnsName(),
		"image":      row.TextOr(devserver.DefaultImage, "Image with `/bin/sh` and `consul`. Default `"+devserver.DefaultImage+"`, HashiCorp's own."),
		"log_level":  row.TextOr(devserver.DefaultLogLevel, "Consul's log level: `TRACE`, `DEBUG`, `INFO` (default), `WARN` or `ERROR`."),

		"log_configuration":           block.OwnLogConfigurationRow("Where the output goes. Default: the provider's `log_configuration`."),
		"pull_credentials_secret_arn": row.Text("ARN of the Secrets Manager secret with the registry's credentials.", row.SecretARN()),
		"task":                        taskRow(),
		"data_volume":                 row.Text("Name of the `task.volume` that holds Consul's data, such as one of EFS: a new task then goes on with what the last one had. Default: a volume that ends with the task, after which Consul is empty, with the same token and certificates."),
		"load_balancer": row.Objects("Target groups that the server is registered with, five at most: those of a network load balancer, which passes TLS through, with health checks by TCP.", row.Fields{
			"target_group_arn": row.RequiredText("ARN of the target group, of target type `ip`."),
			"port":             row.RequiredNumber("Port of the server: 8501 (HTTPS), 8503 (gRPC) or 8600 (DNS).", int32validator.OneOf(devserver.PortHTTPS, devserver.PortGRPC, devserver.PortDNS)),
		}),
		"service_registry": row.Objects("Service of Cloud Map, with A records, that the server is registered with, one at most. Its name is `dns_name`.", row.Fields{
			"registry_arn": row.RequiredText("ARN of the Cloud Map service."),
		}),
		"iam":                   iamRow(),
		"tags":                  row.TextMap("Tags of the task definition, the roles, the secrets and the ECS service, over the provider's `default_tags`."),
		"wait_for_steady_state": row.FlagOr(true, "Wait on create and update until the server has a leader and knows its token. Default `true`, so that what depends on the resource can use it."),
		"adopt_existing":        adoptExisting(),
		"timeouts":              timeouts.Block(ctx, timeouts.Opts{Create: true, Update: true, Delete: true}),
	}
	maps.Copy(fields, block.NetworkFields(path.MatchRoot("capacity_provider_strategy")))
	maps.Copy(fields, computedFields())
	resp.Schema = row.Schema("One Consul server for trials, as a task of ECS, with TLS and ACLs. **Not for production**: nothing takes over when its task ends, and mesh tasks have no servers until the next one is there.", fields)
}

func dnsName() schema.StringAttribute {
	a := row.Text("DNS name by which tasks find the server: of the Cloud Map service in `service_registry`, or of the load balancer. It stands in the server's certificate. Changing it makes a new resource.")
	a.PlanModifiers = append(a.PlanModifiers, stringplanmodifier.RequiresReplace())
	return a
}

func adoptExisting() schema.BoolAttribute {
	a := block.AdoptExistingRow()
	a.MarkdownDescription = "Take over the roles, the secrets and the ECS service that have the names already, whoever made them, as after a create that was cut off; from then on they are the resource's, and a destroy deletes them. Default `false`: the plan refuses them."
	return a
}

func taskRow() schema.SingleNestedBlock {
	b := block.TaskRow()
	volumes, _ := b.Blocks["volume"].(schema.ListNestedBlock)
	volumes.MarkdownDescription = "Volumes, one of which `data_volume` may name."
	b.Blocks["volume"] = volumes
	return b
}

func iamRow() schema.SingleNestedBlock {
	b := block.ControllerIAMRow(path.MatchRoot("iam"))
	where, _ := b.Attributes["path"].(schema.StringAttribute)
	where.MarkdownDescription = "IAM path of the roles that are created. Default `/`."
	b.Attributes["path"] = where
	role, _ := b.Blocks["task_role"].(schema.SingleNestedBlock)
	role.MarkdownDescription = "What the server may do: nothing, unless you add to it, as an EFS volume with `iam = \"ENABLED\"` needs."
	b.Blocks["task_role"] = role
	return b
}

func computedFields() row.Fields {
	return row.Fields{
		"id":                         row.ComputedText("The ECS cluster and the name, as `cluster/name`."),
		"owner_id":                   block.OwnerIDRow(),
		"host":                       row.ComputedText("What `consul_servers.hosts` takes: `dns_name`."),
		"server_name":                row.ComputedText("What `consul_servers.tls.server_name` takes: `server.<datacenter>.consul`."),
		"https_address":              row.ComputedText("Address of Consul's HTTP API and UI, with TLS: `<dns_name>:8501`."),
		"grpc_address":               row.ComputedText("Address of Consul's gRPC, with TLS: `<dns_name>:8503`."),
		"dns_address":                row.ComputedText("Address of Consul DNS: `<dns_name>:8600`."),
		"ca_certificate_pem":         row.ComputedText("Certificate of the authority that signed the server's, as PEM. It is no secret."),
		"ca_secret_arn":              row.ComputedText("ARN of the secret with that certificate, for `consul_servers.tls.ca_secret_arn`. As all ARNs of secrets here it lacks the six characters that Secrets Manager adds, so that plans know it."),
		"bootstrap_token_secret_arn": row.ComputedText("ARN of the secret with the ACL token that may do everything, for `token_secret_arn` or `first_token_secret_arn` of a controller."),
		"server_secret_arn":          row.ComputedText("ARN of the secret with the server's certificate, private key and gossip key, as JSON. It is for the server alone."),
		"secrets_version":            row.ComputedText("ID of the version that all secrets have. It changes when they are made anew, as after somebody deleted one or wrote to one; the server is then replaced."),
		"rendered_secrets_json":      row.ComputedText("The secrets that the resource keeps, without their values: a change of their tags shows here. The values of your tags stand as short hashes."),
		"arn":                        row.ComputedText("ARN of the newest revision of the task definition."),
		"revision":                   schema.Int64Attribute{Computed: true, MarkdownDescription: "The newest revision."},
		"ecs_service_arn":            row.ComputedText("ARN of the ECS service."),
		"ecs_service_running_arn":    row.ComputedText("ARN of the revision that the ECS service runs."),
		"task_role_arn":              row.ComputedText("ARN of the task role."),
		"task_role_name":             row.ComputedText("Name of the task role."),
		"execution_role_arn":         row.ComputedText("ARN of the execution role."),
		"execution_role_name":        row.ComputedText("Name of the execution role."),
		"desired_count":              schema.Int32Attribute{Computed: true, MarkdownDescription: "Number of servers: 1. What something else makes of it shows, and goes back."},
		"agent_config_json":          row.SensitiveText("The configuration of the Consul agent that is the server, but for what is secret."),
		"rendered_roles_json":        row.ComputedText("The IAM roles that the resource keeps, as they are in IAM: a change made there shows here. The values of your tags stand as short hashes."),
		"rendered_definition_json":   row.ComputedText("The task definition without its container, in canonical form, as ECS has it."),
		"rendered_ecs_service_json":  row.ComputedText("What no attribute says of the ECS service, as JSON, as ECS has it: a change made there shows here."),
		"content_hash":               row.ComputedText("Hash of the owner and the canonical task definition without its tags. A new revision is registered when it changes."),
		"tags_all":                   schema.MapAttribute{ElementType: types.StringType, Computed: true, Sensitive: true, MarkdownDescription: "All tags of the task definition and the ECS service. A tag that something else removed or changed, of the one or the other, shows here; those that others added do not."},

		"rendered_container_definitions_json": row.ComputedTexts("The container definition by its name, as JSON in canonical form, as ECS has it: a change made there shows here. Texts stand as short hashes, but for names, images, ARNs and AWS's own words."),
	}
}
