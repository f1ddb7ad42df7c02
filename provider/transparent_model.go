package provider

import (
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"

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
