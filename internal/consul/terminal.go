package consul

import (
	"fmt"

	"github.com/hashicorp/consul/api"
)

// ConnectByEnvironment is for somebody at a terminal: it reaches the HTTP API alone, by the environment of Consul's own
// command (CONSUL_HTTP_ADDR and its kin), and nothing is asked yet. What takes gRPC does not work on the connection.
func ConnectByEnvironment(partition string) (*Connection, error) {
	cfg := api.DefaultConfig()
	if partition != "" {
		cfg.Partition = partition
	}
	client, err := api.NewClient(cfg)
	if err != nil {
		return nil, fmt.Errorf("connect to Consul at %s: %w", cfg.Address, err)
	}
	return &Connection{http: client}, nil
}
