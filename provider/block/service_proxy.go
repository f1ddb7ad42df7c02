package block

import (
	"reflect"

	"github.com/hashicorp/terraform-plugin-framework/resource/schema"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

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
