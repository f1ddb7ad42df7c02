package controllerbench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
)

const votersLimit = 90 * time.Second // for servers that joined to get their vote

// servers are a Consul cluster on this machine, in plain text: TLS is the front's.
type servers []*testenv.Consul

func startServers(ctx context.Context, n int) (s servers, err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, s.stop())
		}
	}()
	first, err := testenv.StartConsul(ctx, testenv.ConsulConfig{Plaintext: true})
	if err != nil {
		return s, err
	}
	s = append(s, first)
	for len(s) < n {
		member, err := first.StartMember(ctx)
		if err != nil {
			return s, err
		}
		s = append(s, member)
	}
	return s, until(ctx, fmt.Sprintf("%d servers have a vote", n), votersLimit, func() (bool, error) {
		raft, err := first.API.Operator().RaftGetConfiguration((&api.QueryOptions{}).WithContext(ctx))
		if err != nil {
			return false, err
		}
		voters := 0
		for _, server := range raft.Servers {
			if server.Voter {
				voters++
			}
		}
		return voters == n, nil
	})
}

func (s servers) stop() error {
	var errs []error
	for _, server := range s {
		errs = append(errs, server.Stop())
	}
	return errors.Join(errs...)
}

// client is that of the first server, with a token for everything.
func (s servers) client() *api.Client { return s[0].API }

// last is the server that the controller calls: the last, which does not lead where there are several.
func (s servers) last() *testenv.Consul { return s[len(s)-1] }

// writes is how many entries Raft's log has had.
func (s servers) writes(ctx context.Context) (int, error) {
	most := 0
	for _, server := range s { // the leader alone counts
		w, err := server.Writes(ctx)
		if err != nil {
			return 0, err
		}
		most = max(most, w.All)
	}
	return most, nil
}

// until asks again and again until it is so.
func until(ctx context.Context, what string, limit time.Duration, so func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		done, err := so()
		if done {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: not within %s: %w", what, limit, errors.Join(context.Cause(ctx), err))
		case <-time.After(20 * time.Millisecond):
		}
	}
}
