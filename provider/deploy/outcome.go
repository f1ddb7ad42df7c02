package deploy

import (
	"context"
	"maps"
	"reflect"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/consulecs/terraform-provider-consulecs/internal/iamrole"
	"github.com/consulecs/terraform-provider-consulecs/provider/block"
	"github.com/consulecs/terraform-provider-consulecs/provider/events"
	"github.com/consulecs/terraform-provider-consulecs/provider/ownership"
	"github.com/consulecs/terraform-provider-consulecs/provider/secrets"
)

// Outcome is what both resources compute.
type Outcome struct {
	ID                *string           `tfsdk:"id"`
	ARN               *string           `tfsdk:"arn"`
	OwnerID           *string           `tfsdk:"owner_id"`
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
	Containers        map[string]string `tfsdk:"rendered_container_definitions_json"`
	ContentHash       *string           `tfsdk:"content_hash"`
	TagsAll           map[string]string `tfsdk:"tags_all"`
}

// Decided is the part of the outcome that follows from the design alone.
func (d Design) Decided() (Outcome, error) {
	roles, err := encodeRoles(d.shownRoles())
	if err != nil {
		return Outcome{}, err
	}
	id := &d.Owner.ID
	if d.Owner.ID == "" {
		id = nil
	}
	return Outcome{
		OwnerID: id, TaskRoleARN: aws.String(d.TaskRole.ARN()), TaskRoleName: aws.String(d.TaskRole.Name()),
		ExecutionRoleARN: aws.String(d.ExecutionRole.ARN()), ExecutionRoleName: aws.String(d.ExecutionRole.Name()),
		AgentConfig: aws.String(block.AgentConfig(d.definition.ContainerDefinitions)), Roles: &roles,
		Definition: &d.shown.Frame, Containers: d.shown.Containers, ContentHash: &d.shown.Hash,
		TagsAll: ownership.WithoutID(d.tags()),
	}, nil
}

// tags are all tags of the definition.
func (o Outcome) tags() map[string]string {
	all := maps.Clone(o.TagsAll)
	if all != nil && o.OwnerID != nil {
		all[ownership.TagECSID] = *o.OwnerID
	}
	return all
}

// Planned is the outcome as far as it is known before the apply; Open names the attributes that are not, and OpenContainers the
// elements of the containers.
type Planned struct {
	Outcome
	Events         events.Outputs
	Secrets        secrets.Outputs
	Open           map[string]bool
	OpenContainers []string
}

// Plan decides what the plan shows: the ARN of the revision stays while the content does, and the service's while it is the
// same service.
func (d Design) Plan(before Before) (Planned, error) {
	had := before.Outcome
	d = d.withVersionOf(had)
	p, err := d.decideAll(before.Secrets)
	if err != nil {
		return Planned{}, err
	}
	p.Open = map[string]bool{}
	p.Open["secrets_version"], p.Open["ca_certificate_pem"] = p.Secrets.Version == nil, p.Secrets.CACertificate == nil
	if d.keeps(before, p.Outcome) {
		p.ARN, p.Revision = had.ARN, had.Revision
	} else {
		p.Open["arn"], p.Open["revision"] = true, true
	}
	if d.Service == nil {
		return p, nil
	}
	p.ECSServiceRunning, p.Open["ecs_service_running_arn"] = d.runs(before, p.ARN), p.Open["arn"]
	if had.ECSServiceARN != nil && d.Service.SameService(before.Service) {
		p.ECSServiceARN = had.ECSServiceARN
	} else {
		p.Open["ecs_service_arn"] = true
	}
	return p, nil
}

// decideAll is all that follows from the design alone, with what there was of the secrets.
func (d Design) decideAll(had secrets.Outputs) (p Planned, err error) {
	if p.Outcome, err = d.Decided(); err != nil {
		return p, err
	}
	if p.Events, err = events.Decided(d.Events, d.Owner); err != nil {
		return p, err
	}
	p.Secrets, err = secrets.Decided(d.Secrets, d.Owner, had)
	return p, err
}

// Imported is what follows from the design of something that was imported, so that the read after the import knows what to look at. had is
// what was found of its secrets.
func (c *Client) Imported(ctx context.Context, design func(block.Defaults, iamrole.Home, bool) (Design, error), had secrets.Outputs) (iamrole.Home, Planned, error) {
	home, err := c.Home(ctx)
	if err != nil {
		return home, Planned{}, err
	}
	want, err := design(c.Defaults, home, false)
	if err != nil {
		return home, Planned{}, err
	}
	is, err := want.decideAll(had)
	return home, is, err
}

// AllOpen is the plan of a resource of which too much is not known yet.
func AllOpen() Planned {
	p := Planned{Open: map[string]bool{}}
	for _, computed := range []reflect.Type{reflect.TypeFor[Outcome](), reflect.TypeFor[events.Outputs](), reflect.TypeFor[secrets.Outputs]()} {
		for i := range computed.NumField() {
			p.Open[computed.Field(i).Tag.Get("tfsdk")] = true
		}
	}
	return p
}
