// Package taskdefinition is the data source consulecs_task_definition: what a mesh task would be made of, for whoever makes it by
// other means.
package taskdefinition

import (
	"context"
	"maps"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/consulecs/terraform-provider-consulecs/provider/deploy"
	"github.com/consulecs/terraform-provider-consulecs/provider/meshtask"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

type dataSource struct{ client *deploy.Client }

var (
	_ datasource.DataSourceWithConfigure      = (*dataSource)(nil)
	_ datasource.DataSourceWithValidateConfig = (*dataSource)(nil)
)

// New is the data source as the provider lists it.
func New() datasource.DataSource { return &dataSource{} }

// Metadata implements datasource.DataSource.
func (*dataSource) Metadata(_ context.Context, _ datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = "consulecs_task_definition"
}

// Schema implements datasource.DataSource.
func (*dataSource) Schema(ctx context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	of := meshtask.RenderedSchema()
	fields := outputs()
	for name, a := range of.Attributes {
		fields[name] = a
	}
	for name, b := range of.Blocks {
		fields[name] = b
	}
	resp.Schema = row.DataSchema("What a `consulecs_mesh_task` would make: its task definition and its IAM roles as JSON. Nothing is made. The state holds all of it in the clear, the environment of containers included.", fields)
}

func outputs() row.Fields {
	sensitiveTexts := row.ComputedTexts("All tags of the task definition: the mesh's, the provider's defaults and `tags`.")
	sensitiveTexts.Sensitive = true
	roleTags := row.ComputedTexts("Tags of the task role, by which Consul knows it. Null where a role is given.")
	roleTags.Sensitive = true
	return row.Fields{
		"service_name":                     row.ComputedText("Name of the Consul service."),
		"definition_json":                  row.SensitiveText("The task definition as JSON, as `aws ecs register-task-definition --cli-input-json` takes it."),
		"container_definitions_json":       row.SensitiveText("The container definitions as JSON, as `aws_ecs_task_definition` takes them."),
		"agent_config_json":                row.SensitiveText("What the injected containers read from `CONSUL_ECS_CONFIG_JSON`."),
		"tags_all":                         sensitiveTexts,
		"task_role_arn":                    row.ComputedText("ARN of the task role: of the given one, or that which a role of `task_role_name` would have."),
		"task_role_name":                   row.ComputedText("Name of the task role."),
		"task_role_policy_json":            row.ComputedText("Policy of the task role. Null where a role is given, or needs no rights."),
		"task_role_trust_policy_json":      row.ComputedText("Trust policy of the task role. Null where a role is given."),
		"task_role_tags":                   roleTags,
		"execution_role_arn":               row.ComputedText("ARN of the execution role: of the given one, or that which a role of `execution_role_name` would have."),
		"execution_role_name":              row.ComputedText("Name of the execution role."),
		"execution_role_policy_json":       row.ComputedText("Policy of the execution role. Null where a role is given, or needs no rights."),
		"execution_role_trust_policy_json": row.ComputedText("Trust policy of the execution role. Null where a role is given."),
	}
}

// Configure implements datasource.DataSourceWithConfigure.
func (d *dataSource) Configure(_ context.Context, req datasource.ConfigureRequest, resp *datasource.ConfigureResponse) {
	d.client = deploy.ClientOf(req.ProviderData, &resp.Diagnostics)
}

// ValidateConfig implements datasource.DataSourceWithValidateConfig. All else is known when the data source is read.
func (d *dataSource) ValidateConfig(ctx context.Context, req datasource.ValidateConfigRequest, resp *datasource.ValidateConfigResponse) {
	row.RefuseNumbers(ctx, req.Config, &resp.Diagnostics)
}

// Read implements datasource.DataSource.
func (d *dataSource) Read(ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse) {
	d.client.Defaults.RefuseUnknown(&resp.Diagnostics, "consul_servers", "login", "agent_image", "iam_role_path", "log_configuration", "default_tags")
	task, diags := meshtask.Render(ctx, req.Config.Raw, d.client.Defaults)
	resp.Diagnostics.Append(diags...)
	home, ok := d.client.HomeOrReport(ctx, &resp.Diagnostics)
	if !ok || resp.Diagnostics.HasError() {
		return
	}
	parts, err := task.Parts(home)
	if err != nil {
		resp.Diagnostics.AddError("Task cannot be rendered", err.Error())
		return
	}
	var all map[string]tftypes.Value
	if err := req.Config.Raw.As(&all); err != nil {
		resp.Diagnostics.AddError("Configuration not readable", err.Error())
		return
	}
	all = maps.Clone(all)
	for name, value := range valuesOf(parts) {
		all[name] = value
	}
	resp.State.Raw = tftypes.NewValue(req.Config.Raw.Type(), all)
}

func valuesOf(p meshtask.Parts) map[string]tftypes.Value {
	all := map[string]tftypes.Value{
		"service_name": text(p.ServiceName), "definition_json": text(p.Definition), "container_definitions_json": text(p.Containers),
		"agent_config_json": text(p.AgentConfig), "tags_all": texts(p.Tags), "task_role_tags": texts(p.TaskRole.Role.Tags),
	}
	for name, role := range map[string]deploy.RoleDesign{"task_role": p.TaskRole, "execution_role": p.ExecutionRole} {
		all[name+"_arn"], all[name+"_name"] = text(role.ARN()), text(role.Name())
		all[name+"_policy_json"], all[name+"_trust_policy_json"] = text(role.Role.Policy), text(role.Role.TrustPolicy)
	}
	return all
}

// text is null where there is none.
func text(s string) tftypes.Value {
	if s == "" {
		return tftypes.NewValue(tftypes.String, nil)
	}
	return tftypes.NewValue(tftypes.String, s)
}

func texts(m map[string]string) tftypes.Value {
	of := tftypes.Map{ElementType: tftypes.String}
	if m == nil {
		return tftypes.NewValue(of, nil)
	}
	all := map[string]tftypes.Value{}
	for key, value := range m {
		all[key] = tftypes.NewValue(tftypes.String, value)
	}
	return tftypes.NewValue(of, all)
}
