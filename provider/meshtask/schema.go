package meshtask

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"

	"github.com/consulecs/terraform-provider-consulecs/provider/block"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
	"github.com/consulecs/terraform-provider-consulecs/provider/standalone"
)

func family() schema.StringAttribute {
	return row.FixedText("Family of the task definition: up to 255 letters, digits, `-` and `_`. In lower case it is also the name of the "+
		"Consul service, unless `service.name` says otherwise. Changing it makes a new resource.",
		stringvalidator.RegexMatches(row.ValidFamily, row.FamilyRule))
}

// Schema implements resource.Resource.
func (r *meshTask) Schema(ctx context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	fields := row.Fields{
		"family":            family(),
		"service":           block.ServicesRow(),
		"outbound_only":     row.FlagOr(false, "The application receives no traffic from the mesh; `service.port` stays unset. Default `false`."),
		"upstream":          row.Objects("Services that the application calls through its proxy, each at a local port.", block.UpstreamFields()),
		"proxy":             block.ProxyRow(),
		"transparent_proxy": block.TransparentProxyRow(),
		"names":             block.NamesRow(),
		"locality":          block.LocalityRow(),
		"consul_servers":    row.Object("How to reach Consul's servers. What is left out is taken from the provider's `consul_servers`; an empty text means none.", block.ConsulServersFields()),
		"login":             row.Object("How the agents log in to Consul with the task role. What is left out is taken from the provider's `login`; an empty text or map means none.", block.LoginFields()),
		"task":              block.TaskRow(),
		"container":         row.Objects("The application's containers. Nothing of them is changed but `depends_on`, which gets the wait for the proxy, and what `mesh.shutdown_delay` says. Required, unless `container_definitions_json` has some.", block.ContainerFields()),
		attributeJSON: row.Text("Further containers in ECS's own JSON, a list as `aws_ecs_task_definition` and the console have it, with keys in camel case or as the SDK writes them. They follow those of the `container` blocks, wait for the proxy as those do, and are checked alike. " +
			"A field of null is one that is not set. An import writes all containers as blocks: the next plan writes them back to the state, and registers nothing."),
		"sidecars":        block.SidecarsRow(),
		"iam":             block.IAMRow(),
		"ecs_service":     block.ECSServiceRow(),
		standalone.Block:  standalone.Row(),
		"controller":      controllerRow(),
		"revision_policy": revisionPolicyRow(),
		"adopt_existing":  block.AdoptExistingRow(),
		"tags":            row.TextMap("Tags of the task definition (hence of its tasks), the roles and the ECS service, over the provider's `default_tags`. Keys that begin with `consul.hashicorp.com` are the mesh's own."),
		"timeouts":        timeouts.Block(ctx, timeouts.Opts{Create: true, Update: true, Delete: true}),

		"id":                                  row.ComputedText("The family."),
		"owner_id":                            block.OwnerIDRow(),
		"arn":                                 row.ComputedText("ARN of the newest revision."),
		"arn_without_revision":                row.ComputedText("ARN of the family: what a service that follows CI's revisions may name."),
		"revision":                            schema.Int64Attribute{Computed: true, MarkdownDescription: "The newest revision."},
		"service_name":                        row.ComputedText("Name of the Consul service."),
		"task_role_arn":                       row.ComputedText("ARN of the task role."),
		"task_role_name":                      row.ComputedText("Name of the task role."),
		"execution_role_arn":                  row.ComputedText("ARN of the execution role."),
		"execution_role_name":                 row.ComputedText("Name of the execution role."),
		"ecs_service_arn":                     row.ComputedText("ARN of the ECS service; null without `ecs_service`."),
		"ecs_service_name":                    row.ComputedText("Name of the ECS service; null without `ecs_service`."),
		"ecs_service_running_arn":             row.ComputedText("ARN of the revision that the ECS service runs; null without `ecs_service`. Differs from `arn` only when something else changed the service, or, with `revision_policy.follow_images`, has not changed it yet."),
		"followed_images":                     row.ComputedTexts("With `revision_policy.follow_images`: the images, by container, that others shipped and that take the place of the configured ones. Another image in `container.image` does not count for these containers, until it is the one shipped last; from then on the configuration counts again."),
		"controller_service_arn":              row.ComputedText("With `controller`: ARN of the ECS service of the controller that the task takes part in, whoever made it. Where there is none any more, the next apply makes one."),
		"controller_content_hash":             row.ComputedText("With `controller`: hash of what it asks of the shared controller, which is changed when this does."),
		"agent_config_json":                   row.SensitiveText("What the injected containers read from `CONSUL_ECS_CONFIG_JSON`."),
		"rendered_roles_json":                 row.ComputedText("The IAM roles that the resource keeps, as they are in IAM: a change made there shows here. The values of your tags stand as short hashes."),
		"rendered_ecs_service_json":           row.ComputedText("What no attribute says of the ECS service, as JSON, as ECS has it: a change made there shows here. Null without `ecs_service`."),
		"content_hash":                        row.ComputedText("Hash of the owner and the canonical task definition without its tags. A new revision is registered when it changes."),
		"tags_all":                            schema.MapAttribute{ElementType: types.StringType, Computed: true, Sensitive: true, MarkdownDescription: "All tags of the task definition and the ECS service: the mesh's, the provider's defaults and `tags`. A tag that something else removed or changed, of the one or the other, shows here; those that others added do not."},
		"rendered_definition_json":            row.ComputedText("The task definition without its containers, in canonical form, as ECS has it: a change made there shows here. Texts stand as short hashes, but for names, ARNs and AWS's own words."),
		"rendered_container_definitions_json": row.ComputedTexts("The container definitions by their names, each as JSON in canonical form, injected ones included, as ECS has them: a change made there shows here. Texts stand as short hashes, but for names, images, ARNs and AWS's own words."),
	}
	maps.Copy(fields, standalone.OutputRows())
	resp.Schema = row.Schema("An ECS task in the Consul service mesh: its task definition with the injected containers, its IAM roles and, if asked for, the ECS service that runs it.", fields)
	resp.Schema.Version = schemaVersion
}

func revisionPolicyRow() schema.SingleNestedBlock {
	return row.Object("What becomes of revisions: earlier ones, and those that others register.", row.Fields{
		"keep": row.Number("How many earlier revisions stay ACTIVE after an update, for a quick way back. Default 0: all are deregistered. Revisions that others registered stay.", row.AtLeast(0)),
		"follow_images": row.Flag("For images that CI ships: what the newest ACTIVE revision of the family has, if others registered it, takes the place of `container.image`, also in the revisions that " +
			"Terraform registers later. `followed_images` tells which. Default `false`: a revision of others is followed by one with the configured images, and the plan warns of it."),
	})
}

// schemaVersion is that of the resource's schema. It grows when what a state holds cannot be read by the schema any more.
//
//	0  a task was one service: an object
//	1  it may be several: a list
const schemaVersion = 1

// UpgradeState implements resource.ResourceWithUpgradeState.
func (*meshTask) UpgradeState(context.Context) map[int64]resource.StateUpgrader {
	return map[int64]resource.StateUpgrader{0: {StateUpgrader: func(_ context.Context, req resource.UpgradeStateRequest, resp *resource.UpgradeStateResponse) {
		upgraded, err := listServices(req.RawState.JSON)
		if err != nil {
			resp.Diagnostics.AddError("State not readable", fmt.Sprintf("The state of a mesh task of schema version 0 could not be upgraded: %v.", err))
			return
		}
		resp.DynamicValue = &tfprotov6.DynamicValue{JSON: upgraded}
	}}}
}

// listServices makes a list of the one service of a state.
func listServices(state []byte) ([]byte, error) {
	decoder := json.NewDecoder(bytes.NewReader(state))
	decoder.UseNumber() // they are Terraform's, to be written as they are
	var all map[string]any
	if err := decoder.Decode(&all); err != nil {
		return nil, err
	}
	services := []any{}
	if one := all["service"]; one != nil {
		services = append(services, one)
	}
	all["service"] = services
	return json.Marshal(all)
}
