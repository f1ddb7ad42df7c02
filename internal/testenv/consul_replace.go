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

	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/engine"
)

// replaceLimit is for two busy cores.
const replaceLimit = 60 * time.Second

// ReplaceConsul has another server take the place of the world's, at another address, as operators do it: the new one joins,
// is given the data and a vote, clients hear of it, and the old one leaves. The world's Consul and its addresses are then the new one's.
func (w *World) ReplaceConsul(ctx context.Context) error {
	old := w.Consul
	next, err := StartConsul(ctx, ConsulConfig{Address: engine.LinkLocal().String(), UsualPorts: true, joins: old})
	if err != nil {
		return err
	}
	w.stops = append(w.stops, next.Stop)
	if err := old.handOver(ctx, next); err != nil {
		return fmt.Errorf("replace Consul at %s by one at %s: %w", old.Address, next.Address, err)
	}
	w.Consul = next
	w.ConsulHost, w.ConsulHTTPS = next.Address, net.JoinHostPort(next.Address, strconv.Itoa(next.HTTPPort))
	return nil
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
	return until(ctx, func() error { return next.ready(ctx) })
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

// until asks again and again until there is no error or ctx ends, then with the last error.
func until(ctx context.Context, do func() error) error {
	for {
		err := do()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ctx.Err(), err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}
