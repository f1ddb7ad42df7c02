package block

import (
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

func ReadService(cfg *agentconfig.Service, family string) *Service {
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
	row.Spell(&m.Name, mesh.ServiceName("", family))
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

func ServiceRow() schema.SingleNestedBlock {
	return row.Object("The Consul service that the task provides.", row.Fields{
		"name":                serviceName("Name in Consul. Default: the family in lower case. Changing it changes the identity of the task: intentions are written for names."),
		"port":                row.Number("Port at which the application listens, inside the task. Required unless `outbound_only`."),
		"tags":                row.TextSet("Tags of the service in Consul's catalog."),
		"meta":                row.TextMap("Metadata of the service in Consul's catalog."),
		"enable_tag_override": row.FlagOr(false, "Lets others change the service's tags in the catalog. Default `false`."),
		"namespace": row.Text("Consul Enterprise: namespace of the service. Required with `partition`. It is also a tag of the tasks and of the task role, which the binding " +
			"rule reads. Changing it changes the identity of the task: intentions are written for names in namespaces."),
		"partition": row.Text("Consul Enterprise: admin partition of the service. Required with `namespace`. It is also a tag of the tasks. " +
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
