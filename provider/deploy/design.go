package deploy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/iamrole"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskdef"
	"github.com/consulecs/terraform-provider-consulecs/provider/block"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

// Design is everything that a resource wants to exist in AWS. Making one touches nothing.
type Design struct {
	Family        string
	Owner         string // what tells this resource's objects from others': kind, region, name
	TaskRole      RoleDesign
	ExecutionRole RoleDesign
	definition    *taskdef.Definition
	canonical     canonicalDefinition
	shown         shownDefinition
	Service       *block.ECSService // with its name filled in; nil: none
	Keep          int               // earlier revisions that stay ACTIVE
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

func (r RoleDesign) name() string {
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
			view := viewOf(r.Role)
			view.Tags[tagOwner] = d.Owner
			kept = append(kept, view)
		}
	}
	return kept
}

// tags are those of the task definition and of the ECS service.
func (d Design) tags() map[string]string { return block.TagMap(d.definition.Tags) }

// withVersionOf keeps the tag with the provider's version while the content does not change: a new version of the provider by
// itself changes nothing in AWS.
func (d Design) withVersionOf(had Outcome) Design {
	version, ok := had.TagsAll[mesh.TaskTagModuleVersion]
	if !ok || row.Value(had.ContentHash) != d.shown.hash {
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
	definition.Tags = append(definition.Tags, ecstypes.Tag{Key: aws.String(tagECSOwner), Value: &d.Owner})
	d.definition = definition
	var err error
	if d.canonical, err = canonical(definition); err != nil {
		return err
	}
	d.shown, err = d.canonical.shownTo(d.Owner)
	return err
}

// Owner names a resource in the tags of what it makes.
func Owner(kind, region, name string) string {
	return fmt.Sprintf("%s/%s/%s", kind, region, name)
}
