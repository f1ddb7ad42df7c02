package testenv

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/hashicorp/consul/api"
	"golang.org/x/sys/unix"

	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/pki"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/toolcache"
)

// ConsulConfig says what kind of Consul server is wanted.
type ConsulConfig struct {
	Address        string // to listen on; "" = 127.0.0.1
	UsualPorts     bool   // 8501 and 8503 with TLS, 8500 and 8502 without; else free ones
	Plaintext      bool   // no TLS
	Open           bool   // no ACLs: whoever comes may do anything
	BootstrapToken string // a UUID; "" = one of our own
	MaxConnections int    // of a client's to the HTTP API, beyond which it answers 429; 0 = Consul's own number
	Fresh          bool   // nobody has bootstrapped its ACLs: it knows no token, and its API has none
	Expects        int    // how many servers it wants to see before there is a leader; 0 = itself
	VirtualNetwork string // of IPv4, of which services get virtual addresses; "" = Consul's own, 240.0.0.0/4
	RaftMultiplier int    // how patient servers are with each other, Consul's own being 5; 0 = 1, with which a new leader is there soonest

	joins *Consul // the server whose cluster this one joins; nil = a cluster of its own
}

// Consul is a real Consul server with ACLs on, everything denied by default unless it is open, and its data on disk.
type Consul struct {
	*daemon
	Address        string
	HTTPPort       int // HTTPS unless plaintext
	GRPCPort       int // TLS unless plaintext
	ServerName     string
	CAPEM          string      // "" when plaintext
	BootstrapToken string      // "" where it is open
	API            *api.Client // with the bootstrap token

	args      []string
	fresh     bool
	serfPort  int
	raftPort  int
	authority *pki.Authority // nil when plaintext
}

// defaultBootstrapToken is the token of servers that were not given one. It opens nothing but a test's server.
const defaultBootstrapToken = "8d1f0b6e-52a3-4c1a-9c0e-7a6c1d0f3b21"

const (
	consulDatacenter = "dc1"
	consulStartLimit = 60 * time.Second
)

// StartConsul starts a server and waits until it has a leader and the Connect CA works.
func StartConsul(ctx context.Context, cfg ConsulConfig) (*Consul, error) {
	tools, err := toolcache.Find()
	if err != nil {
		return nil, err
	}
	c := &Consul{Address: cfg.Address, BootstrapToken: cfg.BootstrapToken, ServerName: "server." + consulDatacenter + ".consul"}
	if cfg.joins != nil {
		c.BootstrapToken, c.authority = cfg.joins.BootstrapToken, cfg.joins.authority
	}
	if c.Address == "" {
		c.Address = "127.0.0.1"
	}
	switch {
	case cfg.Open, cfg.Fresh:
		c.BootstrapToken, c.fresh = "", cfg.Fresh
	case c.BootstrapToken == "":
		c.BootstrapToken = defaultBootstrapToken
	}
	dir, err := os.MkdirTemp("", "consul-")
	if err != nil {
		return nil, err
	}
	settings, err := c.settings(cfg, dir)
	if err != nil {
		return nil, err
	}
	settings["telemetry"] = telemetry()
	file := filepath.Join(dir, "consul.json")
	raw, err := json.Marshal(settings)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(file, raw, 0o600); err != nil {
		return nil, err
	}
	if c.API, err = c.client(); err != nil {
		return nil, err
	}
	c.args = []string{tools.Consul, "agent", "-config-file", file}
	if err := c.start(ctx, dir); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *Consul) start(ctx context.Context, dir string) error {
	started, err := startDaemon(ctx, "Consul", dir, exec.Command(c.args[0], c.args[1:]...), consulStartLimit, c.ready)
	if err == nil { // else there is the one before still, which has ended
		c.daemon = started
	}
	return err
}

// ready is nil once writes are taken, the server has written itself into its catalog, and the CA of the mesh signs. Tests count
// what is written to the catalog and the ACLs, and that is the last of both that the start of a server writes. A fresh server is
// ready when it answers.
func (c *Consul) ready(ctx context.Context) error {
	if c.fresh {
		_, err := c.API.Status().LeaderWithQueryOptions((&api.QueryOptions{}).WithContext(ctx))
		return err
	}
	if c.BootstrapToken != "" {
		if err := c.bootstrap(ctx); err != nil {
			return err
		}
	}
	if _, _, err := c.API.ConfigEntries().Set(&api.MeshConfigEntry{}, (&api.WriteOptions{}).WithContext(ctx)); err != nil {
		return err
	}
	query := (&api.QueryOptions{}).WithContext(ctx)
	switch nodes, _, err := c.API.Catalog().Nodes(query); {
	case err != nil:
		return err
	case len(nodes) == 0:
		return errors.New("the server is not in its catalog yet")
	}
	_, _, err := c.API.Connect().CARoots(query)
	return err
}

// bootstrap makes the bootstrap token known, unless it is. It goes by the API, which keeps it off the disk.
func (c *Consul) bootstrap(ctx context.Context) error {
	_, _, unknown := c.API.ACL().TokenReadSelf((&api.QueryOptions{}).WithContext(ctx))
	if unknown == nil {
		return nil
	}
	secret := map[string]string{"BootstrapSecret": c.BootstrapToken}
	if _, err := c.API.Raw().Write("/v1/acl/bootstrap", secret, nil, (&api.WriteOptions{}).WithContext(ctx)); err != nil {
		return fmt.Errorf("bootstrap the ACLs: %w", errors.Join(unknown, err))
	}
	return nil
}

// settings is the server's configuration. It chooses the ports and, unless plaintext, makes the certificates.
func (c *Consul) settings(cfg ConsulConfig, dir string) (map[string]any, error) {
	free, err := freePorts(c.Address, 4)
	if err != nil {
		return nil, err
	}
	c.HTTPPort, c.GRPCPort, c.serfPort, c.raftPort = free[0], free[1], free[2], free[3]
	ports := map[string]int{"http": -1, "https": -1, "grpc": -1, "grpc_tls": -1, "dns": -1, "serf_lan": c.serfPort, "serf_wan": -1, "server": c.raftPort}
	settings := map[string]any{
		"server": true, "bootstrap_expect": cmp.Or(cfg.Expects, 1), "datacenter": consulDatacenter, "node_name": "server",
		"bind_addr": c.Address, "client_addr": c.Address, "data_dir": filepath.Join(dir, "data"), "log_level": "INFO",
		"connect": map[string]any{"enabled": true}, "ui_config": map[string]any{"enabled": true},
		"performance": map[string]any{"raft_multiplier": cmp.Or(cfg.RaftMultiplier, 1)}, "ports": ports,
		"acl": map[string]any{"enabled": !cfg.Open, "default_policy": "deny"}, // no token is in a file: see bootstrap
	}
	if cfg.VirtualNetwork != "" {
		settings["connect"] = map[string]any{"enabled": true, "virtual_ip_cidr_v4": cfg.VirtualNetwork}
	}
	if cfg.MaxConnections > 0 {
		settings["limits"] = map[string]any{"http_max_conns_per_client": cfg.MaxConnections}
	}
	if joined := cfg.joins; joined != nil {
		delete(settings, "bootstrap_expect")
		settings["node_name"] = fmt.Sprint("server-", c.serfPort)
		settings["retry_join"] = []string{net.JoinHostPort(joined.Address, strconv.Itoa(joined.serfPort))}
		settings["retry_interval"] = "1s"
	}
	if cfg.Plaintext {
		if cfg.UsualPorts {
			c.HTTPPort, c.GRPCPort = mesh.PortConsulHTTP, mesh.PortConsulGRPC
		}
		ports["http"], ports["grpc"] = c.HTTPPort, c.GRPCPort
		return settings, nil
	}
	if cfg.UsualPorts {
		c.HTTPPort, c.GRPCPort = mesh.PortConsulHTTPS, mesh.PortConsulGRPCTLS
	}
	ports["https"], ports["grpc_tls"] = c.HTTPPort, c.GRPCPort
	settings["tls"], err = c.tls(dir)
	return settings, err
}

// tls makes the server's certificate, and an authority where it has none yet, and the settings that use them.
func (c *Consul) tls(dir string) (_ map[string]any, err error) {
	if c.authority == nil {
		if c.authority, err = pki.New("Consul test CA"); err != nil {
			return nil, err
		}
	}
	leaf, err := c.authority.Leaf([]string{c.ServerName, "localhost"}, net.ParseIP(c.Address))
	if err != nil {
		return nil, err
	}
	c.CAPEM = c.authority.PEM
	ca := filepath.Join(dir, "ca.pem")
	if err := errors.Join(leaf.Write(dir), os.WriteFile(ca, []byte(c.authority.PEM), 0o600)); err != nil {
		return nil, err
	}
	defaults := map[string]any{
		"verify_incoming": false, "verify_outgoing": true,
		"ca_file": ca, "cert_file": filepath.Join(dir, "cert.pem"), "key_file": filepath.Join(dir, "key.pem"),
	}
	return map[string]any{"defaults": defaults, "internal_rpc": map[string]any{"verify_server_hostname": false}}, nil
}

func (c *Consul) client() (*api.Client, error) {
	cfg := &api.Config{
		Address: net.JoinHostPort(c.Address, strconv.Itoa(c.HTTPPort)), Scheme: "http", Token: c.BootstrapToken,
		Transport: &http.Transport{MaxIdleConnsPerHost: 4},
	}
	if c.CAPEM != "" {
		cfg.Scheme = "https"
		cfg.TLSConfig = api.TLSConfig{CAPem: []byte(c.CAPEM), Address: c.ServerName}
	}
	return api.NewClient(cfg)
}

// Kill ends the server without a goodbye; Restart brings it back with its data.
func (c *Consul) Kill() { c.end(syscall.SIGKILL) }

// Restart starts a server that was killed, on its data and its ports.
func (c *Consul) Restart(ctx context.Context) error { return c.start(ctx, c.dir) }

// Freeze stops the server's process without ending it; Thaw lets it go on.
func (c *Consul) Freeze() error {
	pid := c.cmd.Process.Pid
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		return err
	}
	// On a busy machine its threads run on for a while.
	return unix.Waitid(unix.P_PID, pid, nil, unix.WSTOPPED|unix.WEXITED|unix.WNOWAIT, nil)
}

// Thaw undoes Freeze.
func (c *Consul) Thaw() error { return syscall.Kill(c.cmd.Process.Pid, syscall.SIGCONT) }
