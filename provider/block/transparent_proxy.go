package block

import (
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

func TransparentProxyRow() schema.SingleNestedBlock {
	return row.Object("Redirects all TCP traffic of the task through its proxy, so that the application calls services of the mesh by their names in Consul, without `upstream`, and "+
		"nobody reaches it past the proxy. It takes the capability `NET_ADMIN` for `consul-ecs-mesh-init`, which ECS grants on EC2 and managed instances and Fargate never does: "+
		"`task.launch_types` has to be `EC2`, `MANAGED_INSTANCES` or both. On Fargate `names` does without. Any change here registers a new revision, which replaces the tasks.", row.Fields{
		"enabled": row.Flag("Redirect the traffic. Default `false`."),
		"dns": row.Flag("Let the task resolve Consul's names: its DNS queries go to Consul's servers first, through `consul-dataplane`, and what those do not know goes to the name servers as before. " +
			"With it the application calls `http://<service>.virtual.consul`. Only with `enabled`. Default `false`."),
		"exclude_inbound_ports":  row.NumberSet("Ports at which the application is reached past the proxy, 1 to 65535: for load balancers or checks from outside the mesh. They are not protected by the mesh. Default: none."),
		"exclude_outbound_ports": row.NumberSet("Ports, 1 to 65535, to which the task connects past the proxy, such as that of a database outside the mesh. Default: none."),
		"exclude_outbound_cidrs": row.TextSet("CIDR blocks or IP addresses to which the task connects past the proxy. Default: none; ECS's metadata and credentials are always left alone."),
		"exclude_uids":           row.UnsignedSet("Numbers of the users, 0 to 4294967295, whose connections go past the proxy. Default: none; those of the mesh's own containers always do."),
	})
}

type TransparentProxy struct {
	Enabled              *bool    `tfsdk:"enabled"`
	DNS                  *bool    `tfsdk:"dns" spec:"-" at:"consulDNS"`
	ExcludeInboundPorts  []int32  `tfsdk:"exclude_inbound_ports"`
	ExcludeOutboundPorts []int32  `tfsdk:"exclude_outbound_ports"`
	ExcludeOutboundCIDRs []string `tfsdk:"exclude_outbound_cidrs"`
	ExcludeUIDs          []int64  `tfsdk:"exclude_uids" spec:"-"`
}

func (m *TransparentProxy) Spec() agentconfig.TransparentProxy {
	var t agentconfig.TransparentProxy
	if m == nil {
		return t
	}
	row.ToSpec(&t, m)
	if m.DNS != nil {
		t.ConsulDNS = &agentconfig.ConsulDNS{Enabled: m.DNS}
	}
	for _, uid := range m.ExcludeUIDs {
		t.ExcludeUIDs = append(t.ExcludeUIDs, strconv.FormatInt(uid, 10))
	}
	return t
}

// ReadTransparentProxy is nil where no traffic is redirected: what the incumbent's definitions exclude then means nothing.
func ReadTransparentProxy(cfg agentconfig.Config) *TransparentProxy {
	if !cfg.RedirectsTraffic() {
		return nil
	}
	t, m := cfg.TransparentProxySettings(), TransparentProxy{}
	row.FromSpec(&m, t)
	if cfg.ResolvesNames() {
		m.DNS = aws.Bool(true)
	}
	for _, text := range t.ExcludeUIDs {
		if uid, err := strconv.ParseInt(text, 10, 64); err == nil { // else the configuration would not have been read
			m.ExcludeUIDs = append(m.ExcludeUIDs, uid)
		}
	}
	return &m
}
