package testenv

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/consul/proto-public/pbserverdiscovery"
	"google.golang.org/grpc"
	expcredentials "google.golang.org/grpc/experimental/credentials"
	"google.golang.org/grpc/metadata"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/eventually"
)

// replaceLimit is for two busy cores.
const replaceLimit = 60 * time.Second

// Replace has another server, at the address, take this one's place, as operators do it: the new one joins, is given the data
// and a vote, clients hear of it, and the old one leaves.
func (c *Consul) Replace(ctx context.Context, address string) (*Consul, error) {
	next, err := StartConsul(ctx, ConsulConfig{Address: address, UsualPorts: true, joins: c})
	if err != nil {
		return nil, err
	}
	if err := c.handOver(ctx, next); err != nil {
		return nil, errors.Join(fmt.Errorf("replace Consul at %s by one at %s: %w", c.Address, next.Address, err), next.Stop())
	}
	return next, nil
}

// handOver leaves the cluster once next has a vote in it, and waits until next takes writes alone.
func (c *Consul) handOver(ctx context.Context, next *Consul) error {
	ctx, cancel := context.WithTimeout(ctx, replaceLimit)
	defer cancel()
	if err := c.giveVote(ctx, next); err != nil {
		return err
	}
	if err := c.announces(ctx, next.Address); err != nil {
		return err
	}
	if err := c.API.Agent().Leave(); err != nil {
		return err
	}
	select {
	case <-c.done:
	case <-ctx.Done():
		return errors.New("the old server does not end")
	}
	_, err := eventually.Seen(ctx, "the new server takes writes", replaceLimit, func() (string, error) { return "", next.ready(ctx) })
	return err
}

// announces waits until the server tells its clients of another one. All of them hear of it at the same time.
func (c *Consul) announces(ctx context.Context, address string) error {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(c.CAPEM))
	conn, err := grpc.NewClient(net.JoinHostPort(c.Address, strconv.Itoa(c.GRPCPort)),
		grpc.WithTransportCredentials(expcredentials.NewTLSWithALPNDisabled(&tls.Config{RootCAs: roots, ServerName: c.ServerName})))
	if err != nil {
		return err
	}
	defer conn.Close()
	ctx = metadata.AppendToOutgoingContext(ctx, "x-consul-token", c.BootstrapToken)
	stream, err := pbserverdiscovery.NewServerDiscoveryServiceClient(conn).WatchServers(ctx, &pbserverdiscovery.WatchServersRequest{})
	if err != nil {
		return err
	}
	for {
		known, err := stream.Recv()
		if err != nil {
			return fmt.Errorf("wait for the new server to be announced: %w", err)
		}
		if slices.ContainsFunc(known.GetServers(), func(s *pbserverdiscovery.Server) bool { return strings.HasPrefix(s.GetAddress(), address) }) {
			return nil
		}
	}
}
