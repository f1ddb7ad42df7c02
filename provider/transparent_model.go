package provider

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
)

type transparentModel struct {
	Enabled              *bool    `tfsdk:"enabled"`
	DNS                  *bool    `tfsdk:"dns" spec:"-"`
	ExcludeInboundPorts  []int32  `tfsdk:"exclude_inbound_ports"`
	ExcludeOutboundPorts []int32  `tfsdk:"exclude_outbound_ports"`
	ExcludeOutboundCIDRs []string `tfsdk:"exclude_outbound_cidrs"`
	ExcludeUIDs          []int64  `tfsdk:"exclude_uids" spec:"-"`
}

func (m *transparentModel) spec() agentconfig.TransparentProxy {
	var t agentconfig.TransparentProxy
	if m == nil {
		return t
	}
	toSpec(&t, m)
	if m.DNS != nil {
		t.ConsulDNS = &agentconfig.ConsulDNS{Enabled: m.DNS}
	}
	for _, uid := range m.ExcludeUIDs {
		t.ExcludeUIDs = append(t.ExcludeUIDs, strconv.FormatInt(uid, 10))
	}
	return t
}

// warnOfGuardedTargets says which load balancers would end in the proxy. It takes them only where Consul was told to be
// permissive, of which nothing is known here.
func (m *meshTaskModel) warnOfGuardedTargets(diags *diag.Diagnostics) {
	if m.Transparent == nil || !value(m.Transparent.Enabled) || m.ECSService == nil {
		return
	}
	open := slices.Clone(m.Transparent.ExcludeInboundPorts)
	if m.Proxy != nil && m.Proxy.Expose != nil {
		for _, p := range m.Proxy.Expose.Paths {
			open = append(open, value(p.ListenerPort))
		}
	}
	for i, balancer := range m.ECSService.LoadBalancers {
		if port := value(balancer.ContainerPort); !slices.Contains(open, port) {
			diags.AddAttributeWarning(path.Root("ecs_service").AtName("load_balancer").AtListIndex(i).AtName("container_port"), "Load balancer ends in the proxy",
				fmt.Sprintf("Transparent proxy leads connections to port %d into the proxy, which refuses who has no certificate of the mesh: the target group would find no task healthy. "+
					"Add %[1]d to transparent_proxy.exclude_inbound_ports.", port))
		}
	}
}

// importTransparent is nil where no traffic is redirected: what the incumbent's definitions exclude then means nothing.
func importTransparent(cfg agentconfig.Config) *transparentModel {
	if !cfg.RedirectsTraffic() {
		return nil
	}
	t, m := cfg.TransparentProxySettings(), transparentModel{}
	fromSpec(&m, t)
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
