package provider

import (
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/iamrole"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskdef"
)

// design is everything that a resource wants to exist in AWS. Making one touches nothing.
type design struct {
	family        string
	owner         string // what tells this resource's objects from others': kind, region, name
	taskRole      roleDesign
	executionRole roleDesign
	definition    *taskdef.Definition
	canonical     canonicalDefinition
	service       *ecsServiceModel // with its name filled in; nil: none
	keep          int              // earlier revisions that stay ACTIVE
}

// roleDesign is a role that the resource keeps, or a given one.
type roleDesign struct {
	given string // ARN; "" means that role is kept
	role  iamrole.Role
}

func (r roleDesign) arn() string {
	if r.given != "" {
		return r.given
	}
	return r.role.ARN
}

func (r roleDesign) name() string {
	if r.given != "" {
		return r.given[strings.LastIndexByte(r.given, '/')+1:]
	}
	return r.role.Name
}

// roles are the roles that the resource keeps.
func (d design) roles() []roleView {
	var kept []roleView
	for _, r := range []roleDesign{d.taskRole, d.executionRole} {
		if r.given == "" {
			view := viewOf(r.role)
			view.Tags[tagOwner] = d.owner
			kept = append(kept, view)
		}
	}
	return kept
}

// tags are those of the task definition and of the ECS service.
func (d design) tags() map[string]string { return tagMap(d.definition.Tags) }

// problems is what is wrong with the task, at places of the Spec.
func (m *meshTaskModel) problems(d defaults) problem.List {
	spec := m.spec(d)
	spec.TaskRoleARN, spec.ExecutionRoleARN = value(m.IAM.taskRole().ARN), value(m.IAM.executionRole().ARN)
	found := m.atContainers(taskdef.Check(spec))
	if m.ECSService != nil {
		m.ECSService.check(spec.Task.LaunchTypes, spec.Containers, &found)
	}
	return found
}

// atContainers moves what is said of readiness probes to their containers, where the resource has them.
func (m *meshTaskModel) atContainers(found problem.List) problem.List {
	var probed []int
	for i, c := range m.Containers {
		if c.probe() != nil {
			probed = append(probed, i)
		}
	}
	moved := func(at, of problem.Path) problem.Path {
		switch {
		case len(at) == 0 || at[0] != "readinessProbes":
			return at
		case len(at) == 1: // all of them, as far as one container is concerned
			return of[:2].Child("readinessProbe")
		case len(at) > 2 && at[2] == "container":
			return problem.At("containers", probed[at[1].(int)], "name")
		default:
			return problem.At("containers", probed[at[1].(int)], "readinessProbe").Child(at[2:]...)
		}
	}
	for i, p := range found {
		found[i] = p.In(func(at problem.Path) problem.Path { return moved(at, p.Path) })
	}
	return found
}

// withVersionOf keeps the tag with the provider's version while the content does not change: a new version of the provider by
// itself changes nothing in AWS.
func (d design) withVersionOf(had outcomeModel) design {
	version, ok := had.TagsAll[mesh.TaskTagModuleVersion]
	if !ok || value(had.ContentHash) != d.canonical.hash() {
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

// design works out a mesh task.
func (m *meshTaskModel) design(d defaults, home iamrole.Home) (design, error) {
	spec := m.spec(d)
	want := design{
		family: spec.Family, owner: owner(meshTaskType, home.Region, spec.Family),
		taskRole:      roleDesign{given: value(m.IAM.taskRole().ARN)},
		executionRole: roleDesign{given: value(m.IAM.executionRole().ARN)},
		service:       m.ECSService.named(spec.Family),
	}
	if m.RevisionPolicy != nil {
		want.keep = int(value(m.RevisionPolicy.Keep))
	}
	if want.taskRole.given == "" {
		role, err := iamrole.Task(iamrole.TaskSpec{
			Home: home, Settings: m.IAM.settings(m.IAM.taskRole(), d.rolePath, spec.Tags), Family: spec.Family,
			ServiceName: mesh.ServiceName(spec.Service.Name, spec.Family), Namespace: spec.Service.Namespace, ACLs: spec.Login.Enabled,
		})
		if err != nil {
			return design{}, err
		}
		want.taskRole.role = role
	}
	spec.TaskRoleARN = want.taskRole.arn()
	definition, err := taskdef.Build(spec)
	if err != nil {
		return design{}, err
	}
	err = want.finish(definition, m.IAM, d.rolePath, spec.Tags, home)
	return want, err
}

// finish adds the definition, and the execution role, which follows from the definition's containers.
func (d *design) finish(definition *taskdef.Definition, roles *iamModel, path string, tags map[string]string, home iamrole.Home) error {
	if d.executionRole.given == "" {
		settings := roles.settings(roles.executionRole().taskRoleModel, path, tags)
		role, err := iamrole.Execution(iamrole.ExecutionSpec{
			Home: home, Settings: settings, Family: d.family, Containers: definition.ContainerDefinitions, KMSKeyARNs: roles.executionRole().KMSKeyARNs,
		})
		if err != nil {
			return err
		}
		d.executionRole.role = role
	}
	definition.ExecutionRoleArn = aws.String(d.executionRole.arn())
	definition.Tags = append(definition.Tags, ecstypes.Tag{Key: aws.String(tagECSOwner), Value: &d.owner})
	d.definition = definition
	var err error
	d.canonical, err = canonical(definition)
	return err
}

// owner names a resource in the tags of what it makes.
func owner(kind, region, name string) string {
	return fmt.Sprintf("%s/%s/%s", kind, region, name)
}

// agentConfig is what the injected containers read; "" if there is none.
func agentConfig(containers []ecstypes.ContainerDefinition) string {
	for _, c := range containers {
		for _, variable := range c.Environment {
			if aws.ToString(variable.Name) == mesh.ConfigVariable {
				return aws.ToString(variable.Value)
			}
		}
	}
	return ""
}

func tagMap(tags []ecstypes.Tag) map[string]string {
	all := map[string]string{}
	for _, tag := range tags {
		all[aws.ToString(tag.Key)] = aws.ToString(tag.Value)
	}
	return all
}
