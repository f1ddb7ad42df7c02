package dataplane

import (
	"github.com/hashicorp/consul/proto-public/pbdataplane"

	"github.com/consulecs/terraform-provider-consulecs/internal/consul"
	"github.com/consulecs/terraform-provider-consulecs/internal/dnsproxy"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
)

// serveDNS answers the task's DNS queries where the file asks for it, in the proxy's own partition and namespace. It
// returns what ends it.
func (a *agent) serveDNS(conn *consul.Connection, params *pbdataplane.GetEnvoyBootstrapParamsResponse) (end func(), err error) {
	addr, on := a.file.DNS()
	if !on {
		return func() {}, nil
	}
	proxy, err := dnsproxy.Start(addr, dnsproxy.Consul{
		Link:  conn.Link(),
		Scope: mesh.Scope{Partition: params.GetPartition(), Namespace: params.GetNamespace()},
	}, a.log)
	if err != nil {
		return nil, err
	}
	a.log.Info("dns served", "addr", proxy.Addr().String())
	return proxy.Close, nil
}
