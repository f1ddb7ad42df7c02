package bench

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/hashicorp/consul/api"

	"github.com/consulecs/terraform-provider-consulecs/internal/envoy"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/eventually"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/freeport"
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

// registerTask puts a service with its proxy into the catalog, as mesh-init does, and returns a token that is the service's.
func registerTask(ctx context.Context, c *testenv.Consul, service string, public netip.AddrPort, change func(*api.AgentServiceConnectProxyConfig)) (token string, err error) {
	serviceID := mesh.ServiceID(service, taskID)
	proxy := &api.AgentServiceConnectProxyConfig{DestinationServiceName: service, DestinationServiceID: serviceID, LocalServiceAddress: "127.0.0.1", LocalServicePort: 8080}
	change(proxy)
	for _, s := range []*api.AgentService{
		{ID: serviceID, Service: service, Address: public.Addr().String(), Port: proxy.LocalServicePort},
		{
			ID: mesh.ProxyID(serviceID), Service: mesh.ProxyName(service), Kind: api.ServiceKindConnectProxy, Address: public.Addr().String(), Port: int(public.Port()),
			Proxy: proxy,
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
