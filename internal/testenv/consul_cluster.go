package testenv

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/eventually"
)

// StartConsulCluster starts a server at each of the addresses, which all have a vote in one datacenter. Clients expect all servers
// at the same ports: for them, ask for the usual ones, and name each address once. The first is the leader, to begin with.
func StartConsulCluster(ctx context.Context, cfg ConsulConfig, addresses ...string) (servers []*Consul, err error) {
	defer func() {
		for _, s := range servers {
			if err != nil {
				err = errors.Join(err, s.Stop())
			}
		}
	}()
	for _, address := range addresses {
		cfg.Address = address
		server, err := StartConsul(ctx, cfg)
		if err != nil {
			return servers, err
		}
		servers = append(servers, server)
		if cfg.joins = servers[0]; len(servers) == 1 {
			continue
		}
		if err := servers[0].giveVote(ctx, server); err != nil {
			return servers, fmt.Errorf("give server %s a vote: %w", address, err)
		}
	}
	return servers, nil
}

// giveVote waits until the server that has joined has a vote, which it gets at once.
func (c *Consul) giveVote(ctx context.Context, next *Consul) error {
	ctx, cancel := context.WithTimeout(ctx, replaceLimit)
	defer cancel()
	operator := c.API.Operator()
	settings, err := operator.AutopilotGetConfiguration((&api.QueryOptions{}).WithContext(ctx))
	if err != nil {
		return err
	}
	settings.ServerStabilizationTime = api.NewReadableDuration(100 * time.Millisecond)
	if err := operator.AutopilotSetConfiguration(settings, (&api.WriteOptions{}).WithContext(ctx)); err != nil {
		return err
	}
	address := net.JoinHostPort(next.Address, strconv.Itoa(next.raftPort))
	_, err = eventually.Seen(ctx, "the new server has a vote", replaceLimit, func() (missing string, err error) {
		raft, err := operator.RaftGetConfiguration((&api.QueryOptions{}).WithContext(ctx))
		if err == nil && !slices.ContainsFunc(raft.Servers, func(s *api.RaftServer) bool { return s.Address == address && s.Voter }) {
			missing = "it has none"
		}
		return missing, err
	})
	return err
}
