package block

import (
	"encoding/json"
	"fmt"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

func ReadUpstreams(cfg []agentconfig.Upstream) ([]Upstream, error) {
	var all []Upstream
	for _, u := range cfg {
		var m Upstream
		row.FromSpec(&m, u)
		if u.MeshGateway != nil {
			row.FromSpec(&m.MeshGatewayMode, u.MeshGateway.Mode)
		}
		var err error
		if m.Config, err = importObject(u.Config); err != nil {
			return nil, fmt.Errorf("upstream %s: %w", u.DestinationName, err)
		}
		all = append(all, m)
	}
	return all, nil
}

type Upstream struct {
	DestinationName      *string `tfsdk:"destination_name"`
	LocalBindPort        *int32  `tfsdk:"local_bind_port"`
	LocalBindAddress     *string `tfsdk:"local_bind_address"`
	DestinationType      *string `tfsdk:"destination_type"`
	DestinationNamespace *string `tfsdk:"destination_namespace"`
	DestinationPartition *string `tfsdk:"destination_partition"`
	DestinationPeer      *string `tfsdk:"destination_peer"`
	Datacenter           *string `tfsdk:"datacenter"`
	MeshGatewayMode      *string `tfsdk:"mesh_gateway_mode" spec:"-" at:"meshGateway"`
	Config               *string `tfsdk:"config" spec:"-"`
}

func (m Upstream) Spec() agentconfig.Upstream {
	var u agentconfig.Upstream
	row.ToSpec(&u, m)
	u.Config = parsedObject(m.Config)
	u.MeshGateway = meshGateway(m.MeshGatewayMode)
	return u
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

func UpstreamFields() row.Fields {
	return row.Fields{
		"destination_name":      row.RequiredText("Name of the Consul service (or prepared query) to reach."),
		"local_bind_port":       row.RequiredNumber("Port at which the proxy listens for the application."),
		"local_bind_address":    row.Text("Address at which the proxy listens. Default `127.0.0.1`."),
		"destination_type":      row.Text("`service` (default) or `prepared_query`."),
		"destination_namespace": row.Text("Consul Enterprise: namespace of the service. Default: Consul's, `default`."),
		"destination_partition": row.Text("Consul Enterprise: admin partition of the service. Default: Consul's, `default`. With `destination_peer` it can only be the task's own."),
		"destination_peer":      row.Text("Name of the cluster peering that the service is imported through. Not with `datacenter`."),
		"datacenter":            row.Text("Datacenter of the service. Default: the task's. Only from and to the admin partition `default`."),
		"mesh_gateway_mode":     row.Text("How traffic leaves the datacenter: `none`, `local` or `remote`."),
		"config":                row.Text("Opaque configuration of the upstream, a JSON object such as `jsonencode({connect_timeout_ms = 500})`.", row.JsonObject{}),
	}
}
