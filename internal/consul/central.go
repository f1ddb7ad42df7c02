package consul

import (
	"context"
	"fmt"

	"github.com/hashicorp/consul/api"
)

// CentralProxy reads the registered proxy as Envoy will get it, with service-defaults and proxy-defaults merged in: the
// port of its listener for redirected traffic, 0 for the default, and its opaque configuration.
func (c *Connection) CentralProxy(ctx context.Context, r Registration) (outboundPort int, config map[string]any, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	options := query(ctx)
	options.Filter, options.MergeCentralConfig = fmt.Sprintf("ID == %q", r.ProxyID), true
	options.Namespace, options.Partition = r.proxy.Namespace, r.proxy.Partition
	list, _, err := c.http.Catalog().NodeServiceList(r.Node, options)
	if err != nil {
		return 0, nil, fmt.Errorf("read proxy %s: %w", r.ProxyID, catalogRefusal(err))
	}
	var found *api.AgentService
	if list != nil && len(list.Services) == 1 {
		found = list.Services[0]
	}
	if found == nil || found.Proxy == nil {
		return 0, nil, fmt.Errorf("read proxy %s: %w", r.ProxyID, ErrUnregistered)
	}
	if t := found.Proxy.TransparentProxy; t != nil {
		outboundPort = t.OutboundListenerPort
	}
	return outboundPort, found.Proxy.Config, nil
}
