package meshtask

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/consulecs/terraform-provider-consulecs/internal/awsapi"
	"github.com/consulecs/terraform-provider-consulecs/internal/awsjson"
	"github.com/consulecs/terraform-provider-consulecs/internal/iamrole"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskdef"
	"github.com/consulecs/terraform-provider-consulecs/provider/block"
	"github.com/consulecs/terraform-provider-consulecs/provider/deploy"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
	"github.com/consulecs/terraform-provider-consulecs/provider/stack"
	"github.com/consulecs/terraform-provider-consulecs/provider/standalone"
)

// notRendered are what the resource's attributes say beside the definition and its roles: of no use to who makes neither.
var notRendered = []string{"adopt_existing", "ecs_service", standalone.Block, "revision_policy", "timeouts"}

// wholeSchema is the resource's schema, made once: it is large, and a function wants it several times a call. Nobody changes it.
var wholeSchema = sync.OnceValue(func() schema.Schema {
	var resp resource.SchemaResponse
	(&meshTask{}).Schema(context.Background(), resource.SchemaRequest{}, &resp)
	return resp.Schema
})

// renderedSchema is RenderedSchema, made once.
var renderedSchema = sync.OnceValue(func() schema.Schema {
	whole := wholeSchema()
	out := schema.Schema{MarkdownDescription: whole.MarkdownDescription, Attributes: maps.Clone(whole.Attributes), Blocks: maps.Clone(whole.Blocks)}
	maps.DeleteFunc(out.Attributes, func(name string, a schema.Attribute) bool {
		return slices.Contains(notRendered, name) || !a.IsOptional() && !a.IsRequired()
	})
	maps.DeleteFunc(out.Blocks, func(name string, _ schema.Block) bool { return slices.Contains(notRendered, name) })
	return out
})

// OfResourceAlone reports whether the resource has an attribute or a block that RenderedSchema does not have.
func OfResourceAlone(name string) bool {
	has := func(s schema.Schema) bool { return s.Attributes[name] != nil || s.Blocks[name] != nil }
	return has(wholeSchema()) && !has(renderedSchema())
}

// RenderedSchema is what of the resource's schema a task definition and its roles follow from. It is not to be changed.
func RenderedSchema() schema.Schema { return renderedSchema() }

// Rendered is a mesh task that nobody makes.
type Rendered struct {
	model    *model
	defaults block.Defaults
}

// Render reads a task: a value with the attributes and blocks of RenderedSchema, all of them known. Others are passed over. What is
// wrong with the task is among the diagnostics, as the resource says it.
func Render(ctx context.Context, raw tftypes.Value, d block.Defaults) (*Rendered, diag.Diagnostics) {
	var diags diag.Diagnostics
	config, err := wholeConfig(ctx, raw)
	if err != nil {
		diags.AddError("Task not readable", err.Error())
		return nil, diags
	}
	var m model
	if _, ok := row.Decode(ctx, config, &m, &diags); !ok {
		return nil, diags
	}
	stack.Report(config, m.problems(d).In(places.Attribute), &diags)
	return &Rendered{&m, d}, diags
}

// wholeConfig is a configuration of the resource that says of a task what raw does.
func wholeConfig(ctx context.Context, raw tftypes.Value) (tfsdk.Config, error) {
	var said map[string]tftypes.Value
	if err := raw.As(&said); err != nil {
		return tfsdk.Config{}, err
	}
	whole := wholeSchema()
	typ := whole.Type().TerraformType(ctx).(tftypes.Object)
	rendered := renderedSchema()
	all := map[string]tftypes.Value{}
	for name, of := range typ.AttributeTypes {
		_, isAttribute := rendered.Attributes[name]
		_, isBlock := rendered.Blocks[name]
		all[name] = tftypes.NewValue(of, nil)
		if value, ok := said[name]; ok && (isAttribute || isBlock) {
			all[name] = value
		}
	}
	return tfsdk.Config{Raw: tftypes.NewValue(typ, all), Schema: whole}, nil
}

// Definition is the task definition, with the roles that are given and no others.
func (r *Rendered) Definition() (*taskdef.Definition, error) {
	return r.withRoles(row.Value(r.model.IAM.TaskRoleOrNone().ARN), row.Value(r.model.IAM.ExecutionRoleOrNone().ARN))
}

func (r *Rendered) withRoles(task, execution string) (*taskdef.Definition, error) {
	spec := r.model.spec(r.defaults)
	spec.TaskRoleARN, spec.ExecutionRoleARN = task, execution
	return taskdef.Build(spec)
}

// Parts is what a mesh task is made of.
type Parts struct {
	ServiceName                         string // in Consul
	Definition, Containers, AgentConfig string // JSON
	Tags                                map[string]string
	TaskRole, ExecutionRole             deploy.RoleDesign
}

// Parts are what the resource would make in an account.
func (r *Rendered) Parts(home iamrole.Home) (Parts, error) {
	want, err := r.model.design(r.defaults, home, false)
	if err != nil {
		return Parts{}, err
	}
	definition, err := r.withRoles(want.TaskRole.ARN(), want.ExecutionRole.ARN())
	if err != nil {
		return Parts{}, err
	}
	p := Parts{
		ServiceName: r.model.serviceName(), AgentConfig: block.AgentConfig(definition.ContainerDefinitions), Tags: awsapi.TagMap(definition.Tags),
		TaskRole: want.TaskRole, ExecutionRole: want.ExecutionRole,
	}
	whole, err := awsjson.Marshal(definition)
	if err != nil {
		return Parts{}, fmt.Errorf("write task definition: %w", err)
	}
	p.Definition = string(whole)
	p.Containers, err = ContainersJSON(definition)
	return p, err
}

// ContainersJSON are the containers of a definition in ECS's JSON.
func ContainersJSON(d *taskdef.Definition) (string, error) {
	encoded, err := awsjson.Marshal(d.ContainerDefinitions)
	if err != nil {
		return "", fmt.Errorf("write container definitions: %w", err)
	}
	return string(encoded), nil
}
