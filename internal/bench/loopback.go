package bench

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/hashicorp/consul/api"

	"github.com/consulecs/terraform-provider-consulecs/internal/dataplanefile"
	"github.com/consulecs/terraform-provider-consulecs/internal/envoy"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/process"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/eventually"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/freeport"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/toolcache"
)

// node is what the services of the parts without a world hang on: the synthetic node of an ECS cluster that is not there.
const node = "arn:aws:ecs:us-east-1:123456789012:cluster/bench"

// taskID is that of the one task on it.
const taskID = "1f3a"

// loopbacks are free addresses, other ones at each call.
func loopbacks(n int) ([]netip.AddrPort, error) {
	var all []netip.AddrPort
	for range n {
		port, err := freeport.Find("127.0.0.1")
		if err != nil {
			return nil, err
		}
		all = append(all, netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(port)))
	}
	return all, nil
}

// withConsul runs use beside a Consul of its own, which ends with it.
func withConsul(ctx context.Context, cfg testenv.ConsulConfig, use func(*testenv.Consul) error) error {
	consul, err := testenv.StartConsul(ctx, cfg)
	if err != nil {
		return err
	}
	return errors.Join(use(consul), consul.Stop())
}

// registerTask puts a task of a service with its proxy into the catalog, as mesh-init does. change adds to the proxy. It returns a token that is the service's.
func registerTask(ctx context.Context, c *testenv.Consul, service, id string, public netip.AddrPort, change func(*api.AgentServiceConnectProxyConfig)) (token string, err error) {
	return registerAt(ctx, c, nil, service, id, public, change)
}

// registerAt is registerTask for a task of which is known where it is.
func registerAt(ctx context.Context, c *testenv.Consul, at *api.Locality, service, id string, public netip.AddrPort, change func(*api.AgentServiceConnectProxyConfig)) (token string, err error) {
	serviceID := mesh.ServiceID(service, id)
	proxy := &api.AgentServiceConnectProxyConfig{DestinationServiceName: service, DestinationServiceID: serviceID, LocalServiceAddress: "127.0.0.1", LocalServicePort: 8080}
	change(proxy)
	for _, s := range []*api.AgentService{
		{ID: serviceID, Service: service, Address: public.Addr().String(), Port: proxy.LocalServicePort, Locality: at},
		{
			ID: mesh.ProxyID(serviceID), Service: mesh.ProxyName(service), Kind: api.ServiceKindConnectProxy, Address: public.Addr().String(), Port: int(public.Port()),
			Locality: at, Proxy: proxy,
		},
	} {
		if err := register(ctx, c, s); err != nil {
			return "", err
		}
	}
	made, _, err := c.API.ACL().TokenCreate(&api.ACLToken{ServiceIdentities: []*api.ACLServiceIdentity{{ServiceName: service}}}, (&api.WriteOptions{}).WithContext(ctx))
	if err != nil {
		return "", fmt.Errorf("create token of service %s: %w", service, err)
	}
	return made.SecretID, nil
}

// runDataplane starts the agent that ships, for a proxy that is registered, and waits until its Envoy serves. change adds to its file.
func (b *bench) runDataplane(ctx context.Context, c *testenv.Consul, serviceID, token string, change func(*dataplanefile.File)) (child *process.Child, err error) {
	at, err := loopbacks(3)
	if err != nil {
		return nil, err
	}
	admin, ready, graceful := at[0], at[1], at[2]
	tools, err := toolcache.Find()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(b.Dir, "dataplane-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir) // the agent reads it at its start
	file := dataplanefile.File{
		Consul: dataplanefile.Consul{Addresses: c.Address, GRPCPort: c.GRPCPort, TLS: dataplanefile.TLS{ServerName: c.ServerName}},
		Proxy:  dataplanefile.Proxy{NodeName: node, ID: mesh.ProxyID(serviceID)},
		Envoy: dataplanefile.Envoy{
			AdminBindPort: int(admin.Port()), ReadyBindAddress: ready.Addr().String(), ReadyBindPort: int(ready.Port()), GracefulPort: int(graceful.Port()),
			Concurrency: 1, ExecutablePath: tools.Envoy,
		},
	}
	change(&file)
	if err := dataplanefile.Write(dir, file); err != nil {
		return nil, err
	}
	child, err = process.Start(process.Command{
		Path: b.Agent, Args: []string{mesh.CommandDataplane, "-config-file", filepath.Join(dir, dataplanefile.Name)},
		Env: append(os.Environ(), mesh.VariableToken+"="+token, mesh.VariableGRPCCACert+"="+c.CAPEM),
	})
	if err != nil {
		return nil, err
	}
	if err := awaitEnvoy(ctx, ready, child.Done()); err != nil {
		last := child.LastLines()
		killed(child)
		return nil, fmt.Errorf("start a dataplane: %w; its last lines:\n\t%s", err, strings.Join(last, "\n\t"))
	}
	return child, nil
}

// killed kills an agent, and with it its Envoy: no ECS is there to tell it that its application has stopped.
func killed(child *process.Child) {
	_ = child.Signal(syscall.SIGKILL) // an error: it has ended
	<-child.Done()
}

func register(ctx context.Context, c *testenv.Consul, s *api.AgentService) error {
	_, err := c.API.Catalog().Register(&api.CatalogRegistration{Node: node, Address: c.Address, Service: s}, (&api.WriteOptions{}).WithContext(ctx))
	if err != nil {
		return fmt.Errorf("register service %s: %w", s.ID, err)
	}
	return nil
}

// awaitEnvoy returns once the Envoy whose ready listener is at addr serves. done is closed where it ends.
func awaitEnvoy(ctx context.Context, addr netip.AddrPort, done <-chan struct{}) error {
	_, err := eventually.Seen(ctx, "envoy is ready", limit, func() (string, error) {
		err := envoy.CheckReady(ctx, addr)
		select {
		case <-done:
			err = eventually.Never{Err: errors.New("it ended")}
		default:
		}
		return "", err
	})
	return err
}
