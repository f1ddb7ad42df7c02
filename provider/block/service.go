package block

import (
	"fmt"
	"reflect"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

// ReadServices are the services of a task, the first one first. There is none where nothing is to be said of the only one.
func ReadServices(cfg agentconfig.Config, family string) ([]Service, error) {
	first := readService(cfg.Service, family)
	if first == nil && len(cfg.Services) == 0 {
		return nil, nil
	}
	all := []Service{row.Value(first)}
	for i, further := range cfg.Services {
		service := row.Value(readService(further.Service, "")) // none but the first has a name by default
		proxy, err := readServiceProxy(row.Value(further.Proxy), i+1)
		if err != nil {
			return nil, fmt.Errorf("service %s: %w", row.Value(service.Name), err)
		}
		service.Proxy = proxy
		all = append(all, service)
	}
	return all, nil
}

func readService(cfg *agentconfig.Service, family string) *Service {
	service := row.Value(cfg)
	if service.Name == mesh.ServiceName("", family) {
		service.Name = ""
	}
	var m Service
	row.FromSpec(&m, service)
	if w := service.Weights; w != nil { // both are required, and 0 says something
		m.Weights = &Weights{Passing: aws.Int32(int32(w.Passing)), Warning: aws.Int32(int32(w.Warning))}
	}
	if n := service.NetworkResilience; n != nil && n.Enabled {
		m.OutlierDetection = &Outlier{}
		row.FromSpec(m.OutlierDetection, row.Value(n.OutlierDetection))
		if interval := row.Value(n.OutlierDetection).Interval; interval != nil {
			m.OutlierDetection.Interval = aws.String(time.Duration(*interval).String())
		}
	}
	if reflect.DeepEqual(m, Service{}) {
		return nil
	}
	if family != "" {
		row.Spell(&m.Name, mesh.ServiceName("", family))
	}
	row.Spell(&m.EnableTagOverride, false)
	return &m
}

type Service struct {
	Name              *string           `tfsdk:"name"`
	Port              *int32            `tfsdk:"port"`
	Tags              []string          `tfsdk:"tags"`
	Meta              map[string]string `tfsdk:"meta"`
	EnableTagOverride *bool             `tfsdk:"enable_tag_override"`
	Namespace         *string           `tfsdk:"namespace"`
	Partition         *string           `tfsdk:"partition"`
	Weights           *Weights          `tfsdk:"weights"`
	OutlierDetection  *Outlier          `tfsdk:"outlier_detection" spec:"-" at:"networkResilienceConfig,networkResilienceConfig.outlierDetection"`
	Proxy             *ServiceProxy     `tfsdk:"proxy" spec:"-"`
}

// FurtherServices are those after the first.
func FurtherServices(all []Service) []agentconfig.FurtherService {
	var specs []agentconfig.FurtherService
	for i := 1; i < len(all); i++ {
		service := all[i].Spec()
		specs = append(specs, agentconfig.FurtherService{Service: &service, Proxy: all[i].Proxy.Spec()})
	}
	return specs
}

type Weights struct {
	Passing *int32 `tfsdk:"passing"`
	Warning *int32 `tfsdk:"warning"`
}

type Outlier struct {
	Interval                           *string `tfsdk:"interval" spec:"-"`
	MaxFailures                        *int32  `tfsdk:"max_failures"`
	EnforcingConsecutive5xx            *int32  `tfsdk:"enforcing_consecutive_5xx"`
	Consecutive5xx                     *int32  `tfsdk:"consecutive_5xx"`
	EnforcingConsecutiveGatewayFailure *int32  `tfsdk:"enforcing_consecutive_gateway_failure"`
	ConsecutiveGatewayFailure          *int32  `tfsdk:"consecutive_gateway_failure"`
	MaxEjectionPercent                 *int32  `tfsdk:"max_ejection_percent"`
}

func (m *Service) Spec() agentconfig.Service {
	var s agentconfig.Service
	if m == nil {
		return s
	}
	row.ToSpec(&s, m)
	if o := m.OutlierDetection; o != nil {
		s.NetworkResilience = &agentconfig.NetworkResilience{Enabled: true, OutlierDetection: &agentconfig.OutlierDetection{}}
		row.ToSpec(s.NetworkResilience.OutlierDetection, o)
		if interval, err := time.ParseDuration(row.Value(o.Interval)); err == nil { // a bad one was refused by the schema
			s.NetworkResilience.OutlierDetection.Interval = aws.Int64(interval.Nanoseconds())
		}
	}
	return s
}

func serviceName(description string) schema.StringAttribute {
	a := row.Text(description)
	a.Computed, a.PlanModifiers = true, []planmodifier.String{row.Like{At: path.MatchRoot("family"), As: func(family string) string { return mesh.ServiceName("", family) }}}
	return a
}

func ServicesRow() schema.ListNestedBlock {
	return row.Objects("The Consul service that the task provides. A task whose application listens at several ports may be several services, up to five, with a block for each: each has a proxy of its own, with a certificate in "+
		"its name, and intentions are written for each. The first one is the task's in `service_name`, and its proxy, that of the block `proxy`, carries what the task calls (`upstream`), unless `upstream.service` says another. All of them are healthy together. Not with `transparent_proxy`.", row.Fields{
		"name":                serviceName("Name in Consul. Default for the first service: the family in lower case. Required for the others. Changing it changes the identity of the task: intentions are written for names."),
		"port":                row.Number("Port at which the application listens for this service, inside the task. Required unless `outbound_only`."),
		"proxy":               serviceProxyRow(),
		"tags":                row.TextSet("Tags of the service in Consul's catalog."),
		"meta":                row.TextMap("Metadata of the service in Consul's catalog."),
		"enable_tag_override": row.FlagOr(false, "Lets others change the service's tags in the catalog. Default `false`."),
		"namespace": row.Text("Consul Enterprise: namespace of the service, and of all other services of the task: only the first one says it. Required with `partition`. It is also a tag of the tasks and of the task role, which the binding " +
			"rule reads. Changing it changes the identity of the task: intentions are written for names in namespaces."),
		"partition": row.Text("Consul Enterprise: admin partition of the service, and of all other services of the task: only the first one says it. Required with `namespace`. It is also a tag of the tasks. " +
			"A controller looks after one partition, the one in its own `partition`."),
		"weights": row.Object("Weights of the service in DNS answers.", row.Fields{
			"passing": row.RequiredNumber("Weight while all checks pass.", row.AtLeast(0)),
			"warning": row.RequiredNumber("Weight while a check warns.", row.AtLeast(0)),
		}),
		"outlier_detection": row.Object("Passive health checks of the services that the task calls: its proxy leaves out an instance that fails. Written to the service-defaults of the task's service, for all its upstreams, unless they have some. Empty: the defaults.", row.Fields{
			"interval":                              row.Text("Time between two looks, as a duration such as `10s`. Default `10s`.", row.Duration{}),
			"max_failures":                          row.Number("Consecutive failures that eject an instance. Default 5."),
			"enforcing_consecutive_5xx":             row.Number("Chance in percent that an instance is ejected for consecutive 5xx answers. Default 100."),
			"consecutive_5xx":                       row.Number("Consecutive 5xx answers that eject an instance."),
			"enforcing_consecutive_gateway_failure": row.Number("Chance in percent that an instance is ejected for consecutive gateway failures."),
			"consecutive_gateway_failure":           row.Number("Consecutive gateway failures (502, 503, 504) that eject an instance."),
			"max_ejection_percent":                  row.Number("Share of the instances in percent that may be ejected at once. Default 50."),
		}),
	})
}

// readServiceProxy is the proxy of the n-th service, counted from 0.
func readServiceProxy(cfg agentconfig.Proxy, n int) (*ServiceProxy, error) {
	if cfg.PublicListenerPort == mesh.PortPublicListener+n {
		cfg.PublicListenerPort = 0
	}
	if cfg.HealthCheckPort == mesh.PortReadiness+n {
		cfg.HealthCheckPort = 0
	}
	var m ServiceProxy
	row.FromSpec(&m, cfg)
	var err error
	if m.Config, err = importObject(cfg.Config); err != nil || reflect.DeepEqual(m, ServiceProxy{}) {
		return nil, err
	}
	return &m, nil
}

// ServiceProxy is what differs between the proxies of a task's services.
type ServiceProxy struct {
	PublicListenerPort  *int32  `tfsdk:"public_listener_port"`
	ReadinessPort       *int32  `tfsdk:"readiness_port" spec:"HealthCheckPort"`
	LocalServiceAddress *string `tfsdk:"local_service_address"`
	Config              *string `tfsdk:"config" spec:"-"`
	Expose              *Expose `tfsdk:"expose"`
}

func (m *ServiceProxy) Spec() *agentconfig.Proxy {
	if m == nil {
		return nil
	}
	var p agentconfig.Proxy
	row.ToSpec(&p, m)
	p.Config = parsedObject(m.Config)
	return &p
}

func serviceProxyRow() schema.SingleNestedBlock {
	return row.Object("The sidecar proxy of a service after the first; that of the first is in the block `proxy` of the task, which also says how all of them run.", row.Fields{
		"public_listener_port":  row.Nonzero("Port at which the proxy receives traffic from the mesh. Default: 20001 for the second service, 20002 for the third and so on. Security groups have to let it in."),
		"readiness_port":        row.Nonzero("Port of the proxy's ready listener, on loopback. Default: 22001 for the second service, and so on."),
		"local_service_address": row.Text("Address at which the proxy reaches the application. Default `127.0.0.1`."),
		"config":                row.Text("Opaque configuration of the proxy, a JSON object such as `jsonencode({protocol = \"http\"})`.", row.JsonObject{}),
		"expose":                exposeRow(),
	})
}
