package controllerbench

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/hashicorp/consul/api"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/procs"
)

// servers are a Consul cluster on this machine, in plain text: TLS is the front's.
type servers []*testenv.Consul

// raftMultiplier is Consul's own. With 1, which suits servers that have their machines to themselves, a leader that waits for half
// a second for a core is replaced; here all servers share the cores with each other and with the bench.
const raftMultiplier = 5

func startServers(ctx context.Context, n int) (servers, error) {
	cfg := testenv.ConsulConfig{Plaintext: true}
	if n > 1 {
		cfg.RaftMultiplier = raftMultiplier
	}
	return testenv.StartConsulCluster(ctx, cfg, slices.Repeat([]string{"127.0.0.1"}, n)...)
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

// serversOf is a number of servers in words.
func serversOf(n int) string {
	if n == 1 {
		return "1 server"
	}
	return fmt.Sprint(n, " servers")
}

// last is the server that the controller calls: the last, which does not lead where there are several.
func (s servers) last() *testenv.Consul { return s[len(s)-1] }

// writes is how many entries Raft's log has had. Each is counted by the server that led at the time.
func (s servers) writes(ctx context.Context) (sum int, err error) {
	for _, server := range s {
		w, err := server.Writes(ctx)
		if err != nil {
			return 0, err
		}
		sum += w.All
	}
	return sum, nil
}

// peak is the most memory that the servers have had resident, each at its own time, in bytes.
func (s servers) peak() (sum int64, err error) {
	for _, server := range s {
		n, err := procs.Peak(server.PID())
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}

// What there has to be of memory: of each server for each task, with its two services and two tokens, and for all else, the bench
// itself included. At its peak, a server of Consul 1.22.7 had 59 KiB a task of 10,000, and 73 of 50,000.
const (
	memoryPerTask = 80 << 10
	memoryBesides = 1 << 30
)

// room says of a number of tasks what is wrong with measuring it in so much free memory, "" for nothing.
func room(tasks, servers int, free int64) (lacking string) {
	want := int64(tasks)*int64(servers)*memoryPerTask + memoryBesides
	if want <= free {
		return ""
	}
	return fmt.Sprintf("%d tasks on %s may take %.1f GiB of memory, and %.1f GiB are free", tasks, serversOf(servers), gibibytes(want), gibibytes(free))
}

func gibibytes(bytes int64) float64 { return float64(bytes) / (1 << 30) }
