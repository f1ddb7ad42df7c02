package meshtask

import (
	"fmt"
	"slices"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"

	"github.com/consulecs/terraform-provider-consulecs/provider/attachment"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

// warnOfGuardedTargets says which load balancers would end in the proxy. It takes them only where Consul was told to be
// permissive, of which nothing is known here.
func (m *model) warnOfGuardedTargets(diags *diag.Diagnostics) {
	if m.Transparent == nil || !row.Value(m.Transparent.Enabled) || m.ECSService == nil {
		return
	}
	open := slices.Clone(m.Transparent.ExcludeInboundPorts)
	if m.Proxy != nil && m.Proxy.Expose != nil {
		for _, p := range m.Proxy.Expose.Paths {
			open = append(open, row.Value(p.ListenerPort))
		}
	}
	for i, balancer := range m.ECSService.LoadBalancers {
		if port := row.Value(balancer.ContainerPort); !slices.Contains(open, port) && !attachment.IsListener(balancer.ContainerName) {
			diags.AddAttributeWarning(path.Root("ecs_service").AtName("load_balancer").AtListIndex(i).AtName("container_port"), "Load balancer ends in the proxy",
				fmt.Sprintf("Transparent proxy leads connections to port %d into the proxy, which refuses who has no certificate of the mesh: the target group would find no task healthy. "+
					"Add %[1]d to transparent_proxy.exclude_inbound_ports.", port))
		}
	}
}
