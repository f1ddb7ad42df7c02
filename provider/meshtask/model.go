package meshtask

import (
	"cmp"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"

	"github.com/consulecs/terraform-provider-consulecs/internal/iamrole"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskdef"
	"github.com/consulecs/terraform-provider-consulecs/provider/block"
	"github.com/consulecs/terraform-provider-consulecs/provider/deploy"
	"github.com/consulecs/terraform-provider-consulecs/provider/meshcontroller"
	"github.com/consulecs/terraform-provider-consulecs/provider/ownership"
	"github.com/consulecs/terraform-provider-consulecs/provider/participation"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
	"github.com/consulecs/terraform-provider-consulecs/provider/standalone"
)

// design works out a mesh task.
func (m *model) design(d block.Defaults, home iamrole.Home, draft bool) (deploy.Design, error) {
	spec := m.spec(d)
	want := deploy.Design{
		Family: spec.Family, Owner: m.owner(home.Region), Adopt: row.Value(m.AdoptExisting),
		TaskRole:      deploy.RoleDesign{Given: row.Value(m.IAM.TaskRoleOrNone().ARN)},
		ExecutionRole: deploy.RoleDesign{Given: row.Value(m.IAM.ExecutionRoleOrNone().ARN)},
		Service:       m.ECSService.Named(spec.Family),
		FollowImages:  m.follows(),
	}
	if m.RevisionPolicy != nil {
		want.Keep = int(row.Value(m.RevisionPolicy.Keep))
	}
	if want.TaskRole.Given == "" {
		role, err := iamrole.Task(iamrole.TaskSpec{
			Home: home, Settings: m.IAM.Settings(m.IAM.TaskRoleOrNone(), d.RolePath, spec.Tags), Family: spec.Family,
			ServiceName: spec.ServiceNames()[0], Further: spec.ServiceNames()[1:], Namespace: spec.Service.Namespace, ACLs: spec.Login.Enabled, Exec: m.execs() != nil,
		})
		if err != nil {
			return deploy.Design{}, err
		}
		want.TaskRole.Role = role
	}
	spec.TaskRoleARN = want.TaskRole.ARN()
	build := taskdef.Build
	if draft {
		build = taskdef.Draft
	}
	if _, wrong := m.described(); !draft && wrong.Err() != nil {
		return deploy.Design{}, fmt.Errorf("read %s: %w", attributeJSON, wrong.Err())
	}
	definition, err := build(spec)
	if err != nil {
		return deploy.Design{}, err
	}
	if err = want.Finish(definition, m.IAM, d.RolePath, spec.Tags, home, draft); err == nil && m.Controller != nil {
		participation.Participant(&want)
	}
	return want, err
}

// execs is the place that lets people run commands in the containers; nil if none does.
func (m *model) execs() problem.Path {
	switch {
	case m.ECSService != nil && row.Value(m.ECSService.EnableExecuteCommand):
		return problem.At("ecs_service", "enable_execute_command")
	case m.Standalone.LetsIn():
		return problem.At(standalone.Block, "enable_execute_command")
	}
	return nil
}

type model struct {
	Family         *string                 `tfsdk:"family"`
	Services       []block.Service         `tfsdk:"service" at:"services"`
	OutboundOnly   *bool                   `tfsdk:"outbound_only"`
	Upstreams      []block.Upstream        `tfsdk:"upstream" at:"/proxy.upstreams"`
	Proxy          *block.Proxy            `tfsdk:"proxy"`
	Transparent    *block.TransparentProxy `tfsdk:"transparent_proxy"`
	CallsByName    *block.Names            `tfsdk:"names"`
	Locality       *block.Locality         `tfsdk:"locality"`
	ConsulServers  *block.ConsulServers    `tfsdk:"consul_servers" at:"servers"`
	Login          *block.Login            `tfsdk:"login"`
	Task           *block.Task             `tfsdk:"task"`
	Containers     []block.Container       `tfsdk:"container"`
	ContainersJSON *string                 `tfsdk:"container_definitions_json" at:"-"`
	Sidecars       *block.Sidecars         `tfsdk:"sidecars"`
	IAM            *block.IAM              `tfsdk:"iam"`
	ECSService     *block.ECSService       `tfsdk:"ecs_service"`
	Standalone     *standalone.Task        `tfsdk:"standalone_task"`
	RevisionPolicy *revisionPolicy         `tfsdk:"revision_policy"`
	AdoptExisting  *bool                   `tfsdk:"adopt_existing"`
	Tags           map[string]string       `tfsdk:"tags"`
	Timeouts       timeouts.Value          `tfsdk:"timeouts"`

	Controller *meshcontroller.Settings `tfsdk:"controller" at:"-"`

	names          `at:"-"`
	deploy.Outcome `at:"-"`
}

func (m *model) owner(region string) ownership.Owner {
	return ownership.Owner{Name: ownership.Name(typeName, region, row.Value(m.Family)), ID: row.Value(m.OwnerID)}
}

// names is what a mesh task computes from its attributes, and what it follows.
type names struct {
	ARNWithoutRevision *string `tfsdk:"arn_without_revision"`
	ServiceName        *string `tfsdk:"service_name"`
	ECSServiceName     *string `tfsdk:"ecs_service_name"`
	ECSServiceRest     *string `tfsdk:"rendered_ecs_service_json"`

	FollowedImages map[string]string `tfsdk:"followed_images"`

	ControllerServiceARN *string `tfsdk:"controller_service_arn"`
	ControllerHash       *string `tfsdk:"controller_content_hash"`

	RunTask       *string `tfsdk:"run_task_json"`
	RunTaskPolicy *string `tfsdk:"run_task_policy_json"`
}

type revisionPolicy struct {
	Keep         *int32 `tfsdk:"keep"`
	FollowImages *bool  `tfsdk:"follow_images"`
}

func (m *model) computedNames(d block.Defaults, home iamrole.Home) names {
	family := row.Value(m.Family)
	definition := fmt.Sprintf("arn:%s:ecs:%s:%s:task-definition/%s", home.Partition, home.Region, home.Account, family)
	names := names{
		ARNWithoutRevision: &definition,
		ServiceName:        aws.String(m.serviceName()),
		FollowedImages:     m.FollowedImages,

		ControllerServiceARN: m.ControllerServiceARN, ControllerHash: m.ControllerHash,

		RunTask: m.Standalone.JSON(definition, home), RunTaskPolicy: m.Standalone.Policy(family, m.roleARNs(d, home), home),
	}
	if m.ECSService != nil {
		names.ECSServiceName = m.ECSService.Named(family).Name
		names.ECSServiceRest = block.RenderECSService(block.Propagated, nil)
	}
	return names
}

// roleARNs are those of the two roles, made or given.
func (m *model) roleARNs(d block.Defaults, home iamrole.Home) []string {
	family := row.Value(m.Family)
	task, execution := m.IAM.TaskRoleOrNone(), m.IAM.ExecutionRoleOrNone().TaskRole
	return []string{
		cmp.Or(row.Value(task.ARN), iamrole.TaskRoleARN(home, m.IAM.Settings(task, d.RolePath, nil), family)),
		cmp.Or(row.Value(execution.ARN), iamrole.ExecutionRoleARN(home, m.IAM.Settings(execution, d.RolePath, nil), family)),
	}
}

// serviceName is the name of the Consul service.
func (m *model) serviceName() string {
	return mesh.ServiceName(m.service().Spec().Name, row.Value(m.Family))
}

// carried are the upstreams, each with the service whose proxy has it.
func (m *model) carried() block.Carried {
	names := []string{m.serviceName()}
	for _, further := range m.Services[min(1, len(m.Services)):] {
		names = append(names, row.Value(further.Name))
	}
	return block.CarriedBy(m.Upstreams, names)
}

// service is the first Consul service; nil if nothing is said of it.
func (m *model) service() *block.Service {
	if len(m.Services) == 0 {
		return nil
	}
	return &m.Services[0]
}

// spec is what the user asked for, with the provider's defaults, but for the ARNs of roles.
func (m *model) spec(d block.Defaults) taskdef.Spec {
	s := taskdef.Spec{
		Family:       row.Value(m.Family),
		Service:      m.service().Spec(),
		Services:     block.FurtherServices(m.Services),
		OutboundOnly: row.Value(m.OutboundOnly),
		Proxy:        m.Proxy.Spec(),
		Servers:      row.Overlay(d.Servers, m.ConsulServers).Spec(),
		Login:        row.Overlay(d.Login, m.Login).Spec(),
		Task:         m.Task.Spec(),
		Sidecars:     m.Sidecars.Spec(d),
		Tags:         d.TagsWith(m.Tags),
		Module:       d.Module,
		MapsListener: m.ECSService.ReachesListener(),

		TransparentProxy: m.Transparent.Spec(),
		Names:            m.CallsByName.Spec(),
		Locality:         m.Locality.Spec(),
	}
	if m.Sidecars != nil {
		s.LogLevel, s.LogJSON = row.Value(m.Sidecars.LogLevel), row.Value(m.Sidecars.LogJSON)
	}
	m.carried().Give(&s)
	s.Containers = m.containers()
	for _, c := range m.Containers {
		if probe := c.Probe(); probe != nil {
			s.ReadinessProbes = append(s.ReadinessProbes, *probe)
		}
	}
	return s
}
