package controllerbench

import (
	"context"
	"errors"
	"slices"

	"github.com/hashicorp/consul/api"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
)

// servers are a Consul cluster on this machine, in plain text: TLS is the front's.
type servers []*testenv.Consul

func startServers(ctx context.Context, n int) (servers, error) {
	return testenv.StartConsulCluster(ctx, testenv.ConsulConfig{Plaintext: true}, slices.Repeat([]string{"127.0.0.1"}, n)...)
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
