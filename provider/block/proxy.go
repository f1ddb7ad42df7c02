package block

import (
	"fmt"
	"reflect"

	"github.com/hashicorp/terraform-plugin-framework/resource/schema"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

func ReadProxy(cfg agentconfig.Proxy) (*Proxy, error) {
	if cfg.PublicListenerPort == mesh.PortPublicListener {
		cfg.PublicListenerPort = 0
	}
	if cfg.HealthCheckPort == mesh.PortReadiness {
		cfg.HealthCheckPort = 0
	}
	var m Proxy
	row.FromSpec(&m, cfg)
	if cfg.MeshGateway != nil {
		row.FromSpec(&m.MeshGatewayMode, cfg.MeshGateway.Mode)
	}
	if d := cfg.Dataplane; d != nil {
		row.FromSpec(&m.Concurrency, d.Concurrency)
		row.FromSpec(&m.DrainTime, d.DrainTimeSeconds)
		row.FromSpec(&m.RetryUndelivered, d.RetryUndelivered)
	}
	var err error
	if m.Config, err = importObject(cfg.Config); err != nil {
		return nil, fmt.Errorf("proxy: %w", err)
	}
	if reflect.DeepEqual(m, Proxy{}) {
		return nil, nil
	}
	return &m, nil
}

type Proxy struct {
	PublicListenerPort  *int32  `tfsdk:"public_listener_port"`
	ReadinessPort       *int32  `tfsdk:"readiness_port" spec:"HealthCheckPort"`
	LocalServiceAddress *string `tfsdk:"local_service_address"`
	MeshGatewayMode     *string `tfsdk:"mesh_gateway_mode" spec:"-" at:"meshGateway"`
	Config              *string `tfsdk:"config" spec:"-"`
	Concurrency         *int32  `tfsdk:"concurrency" spec:"-" at:"dataplane.concurrency"`
	DrainTime           *int32  `tfsdk:"drain_time" spec:"-" at:"dataplane.drainTimeSeconds"`
	StopWithin          *int32  `tfsdk:"stop_within" spec:"-" at:"dataplane.stopWithinSeconds"`
	RetryUndelivered    *bool   `tfsdk:"retry_undelivered" spec:"-" at:"dataplane.retryUndelivered"`
	Expose              *Expose `tfsdk:"expose"`
}

type Expose struct {
	Checks *bool        `tfsdk:"checks"`
	Paths  []ExposePath `tfsdk:"path"`
}

type ExposePath struct {
	ListenerPort  *int32  `tfsdk:"listener_port"`
	Path          *string `tfsdk:"path"`
	LocalPathPort *int32  `tfsdk:"local_path_port"`
	Protocol      *string `tfsdk:"protocol"`
}

func (m *Proxy) Spec() agentconfig.Proxy {
	var p agentconfig.Proxy
	if m == nil {
		return p
	}
	row.ToSpec(&p, m)
	p.Config = parsedObject(m.Config)
	p.MeshGateway = meshGateway(m.MeshGatewayMode)
	d := agentconfig.Dataplane{Concurrency: int(row.Value(m.Concurrency)), StopWithinSeconds: int(row.Value(m.StopWithin))}
	row.ToSpec(&d.DrainTimeSeconds, m.DrainTime)
	row.ToSpec(&d.RetryUndelivered, m.RetryUndelivered)
	if d != (agentconfig.Dataplane{}) {
		p.Dataplane = &d
	}
	return p
}

func ProxyRow() schema.SingleNestedBlock {
	return row.Object("The task's sidecar proxy.", row.Fields{
		"public_listener_port":  row.Nonzero("Port at which the proxy receives traffic from the mesh. Default 20000."),
		"readiness_port":        row.Nonzero("Port of the proxy's ready listener, on loopback. Default 22000."),
		"local_service_address": row.Text("Address at which the proxy reaches the application. Default `127.0.0.1`."),
		"mesh_gateway_mode":     row.Text("How the traffic of all upstreams leaves the datacenter: `none`, `local` or `remote`."),
		"config":                row.Text("Opaque configuration of the proxy, a JSON object such as `jsonencode({protocol = \"http\"})`.", row.JsonObject{}),
		"concurrency":           row.Nonzero("Worker threads of Envoy, at most 256. Default: as many as the container has CPUs, at most 2."),
		"drain_time":            row.Number("Seconds in which the proxy's listeners drain when the task stops, at most 600; 0 for at once. Default 30."),
		"stop_within":           row.Nonzero("Seconds from SIGTERM to the end of the proxy at the most; below its container's stop timeout. Default: 5 less than that."),
		"retry_undelivered":     row.Flag("Requests that no application has got are tried elsewhere, and connections too; what Consul is told of retries, timeouts and ejection stays. Default `true`."),
		"expose":                exposeRow(),
	})
}

func exposeRow() schema.SingleNestedBlock {
	return row.Object("Paths of the application that are opened past the proxy, for instance for checks from outside the mesh.", row.Fields{
		"checks": row.Flag("Opens the paths of the service's HTTP and gRPC checks. Default `false`."),
		"path": row.Objects("One opened path each.", row.Fields{
			"listener_port":   row.Number("Port at which the path is opened."),
			"path":            row.Text("The path, such as `/health`."),
			"local_path_port": row.Number("Port of the application that serves the path."),
			"protocol":        row.Text("`http` (default) or `http2`."),
		}),
	})
}
