package dataplane

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/hashicorp/consul/proto-public/pbdataplane"

	"github.com/consulecs/terraform-provider-consulecs/agents/dataplane/byname"
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
	var table dnsproxy.Names
	if a.names != nil {
		table = a.names.Table
	}
	proxy, err := dnsproxy.Start(addr, dnsproxy.Consul{
		Link:  conn.Link(),
		Scope: mesh.Scope{Partition: params.GetPartition(), Namespace: params.GetNamespace()},
	}, table, a.log)
	if errors.Is(err, syscall.EACCES) {
		return nil, fmt.Errorf("%w\nhint: %s", err, byname.HintPorts)
	}
	if err != nil {
		return nil, err
	}
	a.log.Info("dns served", "addr", proxy.Addr().String())
	return proxy.Close, nil
}
