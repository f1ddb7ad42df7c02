package devserver

import (
	"cmp"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"

	"github.com/consulecs/terraform-provider-consulecs/internal/devserver"
	"github.com/consulecs/terraform-provider-consulecs/internal/iamrole"
	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskdef"
	"github.com/consulecs/terraform-provider-consulecs/provider/attachment"
	"github.com/consulecs/terraform-provider-consulecs/provider/block"
	"github.com/consulecs/terraform-provider-consulecs/provider/deploy"
	"github.com/consulecs/terraform-provider-consulecs/provider/ownership"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
	"github.com/consulecs/terraform-provider-consulecs/provider/secrets"
)

// rolePath is where the roles lie: outside the path whose roles may log in as services.
const rolePath = "/"

type model struct {
	ECSCluster               *string                 `tfsdk:"cluster"`
	Name                     *string                 `tfsdk:"name" at:"name,family"`
	Datacenter               *string                 `tfsdk:"datacenter"`
	DNSName                  *string                 `tfsdk:"dns_name"`
	Image                    *string                 `tfsdk:"image"`
	LogLevel                 *string                 `tfsdk:"log_level"`
	LogConfiguration         *block.LogConfiguration `tfsdk:"log_configuration"`
	PullCredentialsSecretARN *string                 `tfsdk:"pull_credentials_secret_arn"`
	Task                     *block.Task             `tfsdk:"task"`
	DataVolume               *string                 `tfsdk:"data_volume"`
	LoadBalancers            []balancer              `tfsdk:"load_balancer"`
	ServiceRegistries        []registry              `tfsdk:"service_registry"`
	IAM                      *block.IAM              `tfsdk:"iam"`
	Tags                     map[string]string       `tfsdk:"tags"`
	WaitForSteadyState       *bool                   `tfsdk:"wait_for_steady_state"`
	AdoptExisting            *bool                   `tfsdk:"adopt_existing"`
	Timeouts                 timeouts.Value          `tfsdk:"timeouts"`
	block.Network

	names           `at:"-"`
	deploy.Outcome  `at:"-"`
	secrets.Outputs `at:"-"`
}

// balancer is a target group that the server is registered with, at one of its ports.
type balancer struct {
	TargetGroupARN *string `tfsdk:"target_group_arn"`
	Port           *int32  `tfsdk:"port" at:"container_port"`
}

// registry is a service of Cloud Map that the server is registered with.
type registry struct {
	RegistryARN *string `tfsdk:"registry_arn"`
}

// names is what a server computes from its attributes alone.
type names struct {
	DesiredCount   *int32  `tfsdk:"desired_count"`
	Host           *string `tfsdk:"host"`
	ServerName     *string `tfsdk:"server_name"`
	HTTPSAddress   *string `tfsdk:"https_address"`
	GRPCAddress    *string `tfsdk:"grpc_address"`
	DNSAddress     *string `tfsdk:"dns_address"`
	ECSServiceRest *string `tfsdk:"rendered_ecs_service_json"`
}

func (m *model) name() string { return cmp.Or(row.Value(m.Name), devserver.DefaultName) }

func (m *model) datacenter() string {
	return cmp.Or(row.Value(m.Datacenter), devserver.DefaultDatacenter)
}

// family also has the name of the ECS cluster: servers of one name on two clusters share neither revisions, roles nor secrets.
func (m *model) family() string {
	return m.name() + "-" + block.EcsClusterName(row.Value(m.ECSCluster))
}

func (m *model) id() string { return block.EcsClusterName(row.Value(m.ECSCluster)) + "/" + m.name() }

func (m *model) owner(region string) ownership.Owner {
	return ownership.Owner{Name: ownership.Name(typeName, region, m.id()), ID: row.Value(m.OwnerID)}
}

// spec is what the user asked for, with the provider's defaults, but for the ARNs of roles.
func (m *model) spec(d block.Defaults, home iamrole.Home) devserver.Spec {
	return devserver.Spec{
		Home: home, Family: m.family(), Name: m.name(), Datacenter: row.Value(m.Datacenter), DNSName: row.Value(m.DNSName), Image: row.Value(m.Image),
		LogLevel: row.Value(m.LogLevel), DataVolume: row.Value(m.DataVolume), Task: m.Task.Spec(),
		LogConfiguration: cmp.Or(m.LogConfiguration, d.LogConfiguration).Spec(), PullCredentialsSecretARN: row.Value(m.PullCredentialsSecretARN),
		Tags: d.TagsWith(m.Tags),
	}
}

// problems is what is wrong with the server, at places of the Spec.
func (m *model) problems(d block.Defaults) problem.List {
	spec := m.spec(d, iamrole.Home{})
	spec.TaskRoleARN, spec.ExecutionRoleARN = row.Value(m.IAM.TaskRoleOrNone().ARN), row.Value(m.IAM.ExecutionRoleOrNone().ARN)
	found := devserver.Check(spec)
	block.CheckECSCluster(row.Value(m.ECSCluster), problem.At("cluster"), &found)
	m.Network.Check(spec.Task.LaunchTypes, nil, &found)
	m.IAM.Check(spec.Family, spec.Tags, &found)
	d.CheckTags(m.Tags, &found)
	if definition, err := devserver.Draft(spec); err == nil {
		of := taskdef.Spec{Task: spec.Task, Containers: []taskdef.Container{{Definition: definition.ContainerDefinitions[0]}}}
		service := m.service()
		attachment.CheckLoadBalancers(service.LoadBalancers, of, false, nil, nil, &found)
		attachment.CheckRegistries(service.ServiceRegistries, of, nil, &found)
	}
	return found
}

// design works out a server.
func (m *model) design(d block.Defaults, home iamrole.Home, draft bool) (deploy.Design, error) {
	spec := m.spec(d, home)
	secretNames := devserver.SecretsOf(spec.Family)
	want := deploy.Design{
		Family: spec.Family, Owner: m.owner(home.Region), Adopt: row.Value(m.AdoptExisting),
		TaskRole:      deploy.RoleDesign{Given: row.Value(m.IAM.TaskRoleOrNone().ARN)},
		ExecutionRole: deploy.RoleDesign{Given: row.Value(m.IAM.ExecutionRoleOrNone().ARN)},
		Service:       m.service(),
		Secrets: &secrets.Design{Home: home, Names: secretNames, Tags: spec.Tags, Make: func() (map[string]string, error) {
			return devserver.NewSecrets(time.Now(), secretNames, m.datacenter(), spec.DNSName)
		}},
	}
	if want.TaskRole.Given == "" {
		var err error
		settings := m.IAM.Settings(m.IAM.TaskRoleOrNone(), rolePath, spec.Tags)
		if want.TaskRole.Role, err = iamrole.Server(iamrole.ServerSpec{Home: home, Settings: settings, Family: spec.Family}); err != nil {
			return deploy.Design{}, err
		}
	}
	spec.TaskRoleARN = want.TaskRole.ARN()
	build := devserver.Build
	if draft {
		build = devserver.Draft
	}
	definition, err := build(spec)
	if err != nil {
		return deploy.Design{}, err
	}
	err = want.Finish(definition, m.IAM, rolePath, spec.Tags, home, draft)
	return want, err
}

// gracePeriod is how long a load balancer's verdict on a new server does not count, in seconds.
const gracePeriod = 120

// service is the ECS service. There are never two servers at once: each would take itself for the only one, and on a volume that both
// have, spoil the other's data.
func (m *model) service() *block.ECSService {
	name, wait := m.name(), m.WaitForSteadyState == nil || *m.WaitForSteadyState
	s := &block.ECSService{
		Cluster: m.ECSCluster, Name: &name, DesiredCount: aws.Int32(1), Network: m.Network, WaitForSteadyState: &wait,
		Deployment: &block.Deployment{MinimumHealthyPercent: aws.Int32(0), MaximumPercent: aws.Int32(100)},
		Triggers:   deploy.SecretsTrigger(m.Version),
	}
	for _, b := range m.LoadBalancers {
		s.LoadBalancers = append(s.LoadBalancers, block.LoadBalancer{TargetGroupArn: b.TargetGroupARN, ContainerName: aws.String(devserver.Container), ContainerPort: b.Port})
	}
	if len(s.LoadBalancers) > 0 {
		s.HealthCheckGracePeriodSeconds = aws.Int32(gracePeriod)
	}
	for _, r := range m.ServiceRegistries {
		s.ServiceRegistries = append(s.ServiceRegistries, attachment.Registry{RegistryArn: r.RegistryARN})
	}
	return s
}

// attached takes over what the service is attached to.
func (m *model) attached(is *block.ECSService) {
	m.LoadBalancers, m.ServiceRegistries = nil, nil
	for _, b := range is.LoadBalancers {
		m.LoadBalancers = append(m.LoadBalancers, balancer{b.TargetGroupArn, b.ContainerPort})
	}
	for _, r := range is.ServiceRegistries {
		m.ServiceRegistries = append(m.ServiceRegistries, registry{r.RegistryArn})
	}
}
