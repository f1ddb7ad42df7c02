package provider

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/iamrole"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskdef"
)

type meshTaskModel struct {
	Family         *string              `tfsdk:"family"`
	Service        *serviceModel        `tfsdk:"service"`
	OutboundOnly   *bool                `tfsdk:"outbound_only"`
	Upstreams      []upstreamModel      `tfsdk:"upstream"`
	Proxy          *proxyModel          `tfsdk:"proxy"`
	Transparent    *transparentModel    `tfsdk:"transparent_proxy"`
	ConsulServers  *consulServersModel  `tfsdk:"consul_servers"`
	Login          *loginModel          `tfsdk:"login"`
	Task           *taskModel           `tfsdk:"task"`
	Containers     []containerModel     `tfsdk:"container"`
	Sidecars       *sidecarsModel       `tfsdk:"sidecars"`
	IAM            *iamModel            `tfsdk:"iam"`
	ECSService     *ecsServiceModel     `tfsdk:"ecs_service"`
	RevisionPolicy *revisionPolicyModel `tfsdk:"revision_policy"`
	Tags           map[string]string    `tfsdk:"tags"`
	Timeouts       timeouts.Value       `tfsdk:"timeouts"`

	meshNames
	outcomeModel
}

// meshNames is what a mesh task computes from its attributes alone.
type meshNames struct {
	ARNWithoutRevision *string `tfsdk:"arn_without_revision"`
	ServiceName        *string `tfsdk:"service_name"`
	ECSServiceName     *string `tfsdk:"ecs_service_name"`
}

type serviceModel struct {
	Name              *string           `tfsdk:"name"`
	Port              *int32            `tfsdk:"port"`
	Tags              []string          `tfsdk:"tags"`
	Meta              map[string]string `tfsdk:"meta"`
	EnableTagOverride *bool             `tfsdk:"enable_tag_override"`
	Namespace         *string           `tfsdk:"namespace"`
	Partition         *string           `tfsdk:"partition"`
	Weights           *weightsModel     `tfsdk:"weights"`
	OutlierDetection  *outlierModel     `tfsdk:"outlier_detection" spec:"-"`
}

type weightsModel struct {
	Passing *int32 `tfsdk:"passing"`
	Warning *int32 `tfsdk:"warning"`
}

type outlierModel struct {
	Interval                           *string `tfsdk:"interval" spec:"-"`
	MaxFailures                        *int32  `tfsdk:"max_failures"`
	EnforcingConsecutive5xx            *int32  `tfsdk:"enforcing_consecutive_5xx"`
	Consecutive5xx                     *int32  `tfsdk:"consecutive_5xx"`
	EnforcingConsecutiveGatewayFailure *int32  `tfsdk:"enforcing_consecutive_gateway_failure"`
	ConsecutiveGatewayFailure          *int32  `tfsdk:"consecutive_gateway_failure"`
	MaxEjectionPercent                 *int32  `tfsdk:"max_ejection_percent"`
}

type upstreamModel struct {
	DestinationName      *string `tfsdk:"destination_name"`
	LocalBindPort        *int32  `tfsdk:"local_bind_port"`
	LocalBindAddress     *string `tfsdk:"local_bind_address"`
	DestinationType      *string `tfsdk:"destination_type"`
	DestinationNamespace *string `tfsdk:"destination_namespace"`
	DestinationPartition *string `tfsdk:"destination_partition"`
	DestinationPeer      *string `tfsdk:"destination_peer"`
	Datacenter           *string `tfsdk:"datacenter"`
	MeshGatewayMode      *string `tfsdk:"mesh_gateway_mode" spec:"-"`
	Config               *string `tfsdk:"config" spec:"-"`
}

type proxyModel struct {
	PublicListenerPort  *int32       `tfsdk:"public_listener_port"`
	ReadinessPort       *int32       `tfsdk:"readiness_port" spec:"HealthCheckPort"`
	LocalServiceAddress *string      `tfsdk:"local_service_address"`
	MeshGatewayMode     *string      `tfsdk:"mesh_gateway_mode" spec:"-"`
	Config              *string      `tfsdk:"config" spec:"-"`
	Concurrency         *int32       `tfsdk:"concurrency" spec:"-"`
	DrainTime           *int32       `tfsdk:"drain_time" spec:"-"`
	StopWithin          *int32       `tfsdk:"stop_within" spec:"-"`
	Expose              *exposeModel `tfsdk:"expose"`
}

type exposeModel struct {
	Checks *bool             `tfsdk:"checks"`
	Paths  []exposePathModel `tfsdk:"path"`
}

type exposePathModel struct {
	ListenerPort  *int32  `tfsdk:"listener_port"`
	Path          *string `tfsdk:"path"`
	LocalPathPort *int32  `tfsdk:"local_path_port"`
	Protocol      *string `tfsdk:"protocol"`
}

type revisionPolicyModel struct {
	Keep *int32 `tfsdk:"keep"`
}

func (m *meshTaskModel) names(home iamrole.Home) meshNames {
	names := meshNames{
		ARNWithoutRevision: aws.String(fmt.Sprintf("arn:%s:ecs:%s:%s:task-definition/%s", home.Partition, home.Region, home.Account, value(m.Family))),
		ServiceName:        aws.String(m.serviceName()),
	}
	if m.ECSService != nil {
		names.ECSServiceName = m.ECSService.named(value(m.Family)).Name
	}
	return names
}

// serviceName is the name of the Consul service.
func (m *meshTaskModel) serviceName() string {
	if m.Service == nil {
		return mesh.ServiceName("", value(m.Family))
	}
	return mesh.ServiceName(value(m.Service.Name), value(m.Family))
}

// spec is what the user asked for, with the provider's defaults, but for the ARNs of roles.
func (m *meshTaskModel) spec(d defaults) taskdef.Spec {
	s := taskdef.Spec{
		Family:       value(m.Family),
		Service:      m.Service.spec(),
		OutboundOnly: value(m.OutboundOnly),
		Proxy:        m.Proxy.spec(),
		Servers:      overlay(d.servers, m.ConsulServers).spec(),
		Login:        overlay(d.login, m.Login).spec(),
		Task:         m.Task.spec(),
		Sidecars:     m.Sidecars.spec(d),
		Tags:         d.tagsWith(m.Tags),
		Module:       d.module,

		TransparentProxy: m.Transparent.spec(),
	}
	if m.Sidecars != nil {
		s.LogLevel, s.LogJSON = value(m.Sidecars.LogLevel), value(m.Sidecars.LogJSON)
	}
	for _, u := range m.Upstreams {
		s.Proxy.Upstreams = append(s.Proxy.Upstreams, u.spec())
	}
	for _, c := range m.Containers {
		s.Containers = append(s.Containers, c.spec())
		if probe := c.probe(); probe != nil {
			s.ReadinessProbes = append(s.ReadinessProbes, *probe)
		}
	}
	return s
}

func (m *serviceModel) spec() agentconfig.Service {
	var s agentconfig.Service
	if m == nil {
		return s
	}
	toSpec(&s, m)
	if o := m.OutlierDetection; o != nil {
		s.NetworkResilience = &agentconfig.NetworkResilience{Enabled: true, OutlierDetection: &agentconfig.OutlierDetection{}}
		toSpec(s.NetworkResilience.OutlierDetection, o)
		if interval, err := time.ParseDuration(value(o.Interval)); err == nil { // a bad one was refused by the schema
			s.NetworkResilience.OutlierDetection.Interval = aws.Int64(interval.Nanoseconds())
		}
	}
	return s
}

func (m upstreamModel) spec() agentconfig.Upstream {
	var u agentconfig.Upstream
	toSpec(&u, m)
	u.Config = parsedObject(m.Config)
	u.MeshGateway = meshGateway(m.MeshGatewayMode)
	return u
}

func (m *proxyModel) spec() agentconfig.Proxy {
	var p agentconfig.Proxy
	if m == nil {
		return p
	}
	toSpec(&p, m)
	p.Config = parsedObject(m.Config)
	p.MeshGateway = meshGateway(m.MeshGatewayMode)
	if d := (agentconfig.Dataplane{
		Concurrency: int(value(m.Concurrency)), DrainTimeSeconds: int(value(m.DrainTime)), StopWithinSeconds: int(value(m.StopWithin)),
	}); d != (agentconfig.Dataplane{}) {
		p.Dataplane = &d
	}
	return p
}

func meshGateway(mode *string) *agentconfig.MeshGateway {
	if mode == nil {
		return nil
	}
	return &agentconfig.MeshGateway{Mode: *mode}
}

// parsedObject parses an object that the schema has found to be one.
func parsedObject(text *string) map[string]any {
	var parsed map[string]any
	if text != nil && json.Unmarshal([]byte(*text), &parsed) != nil {
		return nil
	}
	return parsed
}
