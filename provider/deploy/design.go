package deploy

import (
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/consulecs/terraform-provider-consulecs/internal/awsapi"
	"github.com/consulecs/terraform-provider-consulecs/internal/eventqueue"
	"github.com/consulecs/terraform-provider-consulecs/internal/iamrole"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskdef"
	"github.com/consulecs/terraform-provider-consulecs/provider/block"
	"github.com/consulecs/terraform-provider-consulecs/provider/canonical"
	"github.com/consulecs/terraform-provider-consulecs/provider/ownership"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
	"github.com/consulecs/terraform-provider-consulecs/provider/secrets"
)

// Design is everything that a resource wants to exist in AWS. Making one touches nothing.
type Design struct {
	Family        string
	Owner         ownership.Owner
	Adopt         bool // take over what others made
	TaskRole      RoleDesign
	ExecutionRole RoleDesign
	definition    *taskdef.Definition
	canonical     canonical.Definition
	shown         canonical.Shown
	Events        *eventqueue.Design // nil: none
	Secrets       *secrets.Design    // nil: none
	Service       *block.ECSService  // with its name filled in; nil: none
	Keep          int                // earlier revisions that stay ACTIVE
	FollowImages  bool               // the images are those of foreign revisions, as far as the plan knew of any
}

// RoleDesign is a role that the resource keeps, or a given one.
type RoleDesign struct {
	Given string // ARN; "" means that role is kept
	Role  iamrole.Role
}

// ARN is known before the role is made.
func (r RoleDesign) ARN() string {
	if r.Given != "" {
		return r.Given
	}
	return r.Role.ARN
}

// Name is known before the role is made, too.
func (r RoleDesign) Name() string {
	if r.Given != "" {
		return r.Given[strings.LastIndexByte(r.Given, '/')+1:]
	}
	return r.Role.Name
}

// roles are the roles that the resource keeps.
func (d Design) roles() []RoleView {
	var kept []RoleView
	for _, r := range []RoleDesign{d.TaskRole, d.ExecutionRole} {
		if r.Given == "" {
			view, tags := viewOf(r.Role), map[string]string{}
			maps.Copy(tags, r.Role.Tags)
			maps.Copy(tags, d.Owner.OnRole())
			view.Tags = tags
			kept = append(kept, view)
		}
	}
	return kept
}

// shownRoles are the roles as the state shows them.
func (d Design) shownRoles() []RoleView {
	var shown []RoleView
	for _, view := range d.roles() {
		shown = append(shown, view.shownTo(d.Owner))
	}
	return shown
}

// tags are those of the task definition and of the ECS service.
func (d Design) tags() map[string]string { return awsapi.TagMap(d.definition.Tags) }

// withVersionOf keeps the tag with the provider's version while the content does not change: a new version of the provider by
// itself changes nothing in AWS.
func (d Design) withVersionOf(had Outcome) Design {
	version, ok := had.TagsAll[mesh.TaskTagModuleVersion]
	if !ok || row.Value(had.ContentHash) != d.shown.Hash {
		return d
	}
	kept := *d.definition
	kept.Tags = slices.Clone(kept.Tags)
	for i := range kept.Tags {
		if aws.ToString(kept.Tags[i].Key) == mesh.TaskTagModuleVersion {
			kept.Tags[i].Value = &version
		}
	}
	d.definition = &kept
	return d
}

// IsFinished reports whether the design is whole, and not just the names of what there may be.
func (d Design) IsFinished() bool { return d.definition != nil }

// Tag has the task definition and the ECS service of a finished design bear a tag more. Tags are no content.
func (d *Design) Tag(key, value string) {
	d.definition.Tags = append(d.definition.Tags, awsapi.TagList(map[string]string{key: value})...)
}

// Finish adds the definition, and the execution role, which follows from the definition's containers. Of a draft, the role's policy
// need not be whole.
func (d *Design) Finish(definition *taskdef.Definition, roles *block.IAM, path string, tags map[string]string, home iamrole.Home, draft bool) error {
	if d.ExecutionRole.Given == "" {
		settings := roles.Settings(roles.ExecutionRoleOrNone().TaskRole, path, tags)
		spec := iamrole.ExecutionSpec{
			Home: home, Settings: settings, Family: d.Family, Containers: definition.ContainerDefinitions, KMSKeyARNs: roles.ExecutionRoleOrNone().KMSKeyARNs,
		}
		role, err := iamrole.Execution(spec)
		if err != nil && draft { // a value that is not known is no ARN
			spec.Containers = nil
			role, err = iamrole.Execution(spec)
		}
		if err != nil {
			return err
		}
		d.ExecutionRole.Role = role
	}
	definition.ExecutionRoleArn = aws.String(d.ExecutionRole.ARN())
	definition.Tags = append(definition.Tags, awsapi.TagList(d.Owner.OnECS())...)
	d.definition = definition
	var err error
	if d.canonical, err = canonical.Of(definition); err != nil {
		return err
	}
	d.shown, err = d.canonical.ShownTo(d.Owner.Name)
	return err
}
