package provider

import (
	"context"
	"reflect"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
)

// outcomeModel is what both resources compute.
type outcomeModel struct {
	ID                *string           `tfsdk:"id"`
	ARN               *string           `tfsdk:"arn"`
	Revision          *int64            `tfsdk:"revision"`
	TaskRoleARN       *string           `tfsdk:"task_role_arn"`
	TaskRoleName      *string           `tfsdk:"task_role_name"`
	ExecutionRoleARN  *string           `tfsdk:"execution_role_arn"`
	ExecutionRoleName *string           `tfsdk:"execution_role_name"`
	ECSServiceARN     *string           `tfsdk:"ecs_service_arn"`
	ECSServiceRunning *string           `tfsdk:"ecs_service_running_arn"`
	AgentConfig       *string           `tfsdk:"agent_config_json"`
	Roles             *string           `tfsdk:"rendered_roles_json"`
	Definition        *string           `tfsdk:"rendered_definition_json"`
	Containers        *string           `tfsdk:"rendered_container_definitions_json"`
	ContentHash       *string           `tfsdk:"content_hash"`
	TagsAll           map[string]string `tfsdk:"tags_all"`
}

// decided is the part of the outcome that follows from the design alone.
func (d design) decided() (outcomeModel, error) {
	roles, err := encodeRoles(d.roles())
	if err != nil {
		return outcomeModel{}, err
	}
	return outcomeModel{
		TaskRoleARN: aws.String(d.taskRole.arn()), TaskRoleName: aws.String(d.taskRole.name()),
		ExecutionRoleARN: aws.String(d.executionRole.arn()), ExecutionRoleName: aws.String(d.executionRole.name()),
		AgentConfig: aws.String(agentConfig(d.definition.ContainerDefinitions)), Roles: &roles,
		Definition: &d.canonical.frame, Containers: &d.canonical.containers, ContentHash: aws.String(d.canonical.hash()),
		TagsAll: d.tags(),
	}, nil
}

// planned is the outcome as far as it is known before the apply; open names the attributes that are not.
type planned struct {
	outcomeModel
	open map[string]bool
}

// plan decides what the plan shows: the ARN of the revision stays while the content does, and the service's while it is the
// same service.
func (d design) plan(before before) (planned, error) {
	had := before.outcome
	d = d.withVersionOf(had)
	decided, err := d.decided()
	if err != nil {
		return planned{}, err
	}
	p := planned{outcomeModel: decided, open: map[string]bool{}}
	if had.ARN != nil && value(had.ContentHash) == value(p.ContentHash) {
		p.ARN, p.Revision = had.ARN, had.Revision
	} else {
		p.open["arn"], p.open["revision"] = true, true
	}
	if d.service == nil {
		return p, nil
	}
	p.ECSServiceRunning, p.open["ecs_service_running_arn"] = p.ARN, p.open["arn"]
	if had.ECSServiceARN != nil && d.service.sameService(before.service) {
		p.ECSServiceARN = had.ECSServiceARN
	} else {
		p.open["ecs_service_arn"] = true
	}
	return p, nil
}

// allOpen is the plan of a resource of which too much is not known yet.
func allOpen() planned {
	p := planned{open: map[string]bool{}}
	for i := range reflect.TypeFor[outcomeModel]().NumField() {
		p.open[reflect.TypeFor[outcomeModel]().Field(i).Tag.Get("tfsdk")] = true
	}
	return p
}

// openUnknownTags opens what follows from tags that are not known.
func (p planned) openUnknownTags(unknown []problem.Path) {
	if affects(unknown, "tags", "default_tags") {
		p.open["tags_all"], p.open["rendered_roles_json"] = true, true
	}
}

// affects reports whether a value below one of the attributes is unknown.
func affects(unknown []problem.Path, attributes ...string) bool {
	return slices.ContainsFunc(unknown, func(place problem.Path) bool {
		return slices.ContainsFunc(attributes, func(name string) bool { return place.Within(problem.At(name)) })
	})
}

// writePlan sets the computed attributes of a model: those that open names to unknown.
func writePlan(ctx context.Context, plan *tfsdk.Plan, model any, open map[string]bool) diag.Diagnostics {
	var diags diag.Diagnostics
	v := reflect.ValueOf(model)
	for i := range v.NumField() {
		name, field := v.Type().Field(i).Tag.Get("tfsdk"), v.Field(i).Interface()
		if open[name] {
			field = unknownOf(field)
		}
		diags.Append(plan.SetAttribute(ctx, path.Root(name), field)...)
	}
	return diags
}

func unknownOf(field any) attr.Value {
	switch field.(type) {
	case *int64:
		return types.Int64Unknown()
	case map[string]string:
		return types.MapUnknown(types.StringType)
	default:
		return types.StringUnknown()
	}
}
