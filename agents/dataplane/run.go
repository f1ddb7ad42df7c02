// Package dataplane is the agent that runs Envoy: it starts it, gives it its configuration, keeps it, and ends it after
// the application.
//
// It reads the file that mesh-init left (-config-file, default /consul/consul-dataplane.json), logs in to Consul with the
// task role, asks for the proxy's bootstrap parameters, and starts Envoy with a bootstrap that is handed over in memory.
// Envoy's xDS stream goes through the agent, which adds the current token, renews it when it is lost, and follows
// Consul's servers when they change.
//
// Environment: CONSUL_HTTP_TOKEN is a static token that takes the place of the login; CONSUL_GRPC_CACERT_PEM is the CA of
// the servers and beats the file's; CONSULECS_ENVOY is Envoy's program; ECS_CONTAINER_METADATA_URI_V4 is set by ECS.
//
// SIGTERM: Envoy serves until the application's containers have stopped, or until the time that
// envoy.stopWithinSeconds allows is nearly over (25 by default, less than the 30 s after which ECS kills). Then
// it drains, ends, or is killed. A second SIGTERM means now. A log-out follows, and exit code 0.
//
// When Envoy ends by itself, even with exit code 0, the agent ends with an error that tells Envoy's exit and last lines, so
// that ECS's restart policy starts the container again. Envoy dies with the agent in any case.
package dataplane

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"

	"github.com/hashicorp/consul/proto-public/pbdataplane"
	"github.com/hashicorp/go-hclog"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentlog"
	"github.com/consulecs/terraform-provider-consulecs/internal/consul"
	"github.com/consulecs/terraform-provider-consulecs/internal/dataplanefile"
	"github.com/consulecs/terraform-provider-consulecs/internal/envoy"
	"github.com/consulecs/terraform-provider-consulecs/internal/footprint"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/process"
	"github.com/consulecs/terraform-provider-consulecs/internal/xds"
)

// Name is the agent's name on the command line and in its log.
const Name = "dataplane"

// lateAfter is when a first configuration is remarkably late: it takes a fraction of a second. Consul does not tell that it
// withholds a configuration because it cannot make the proxy's certificate with the token.
const lateAfter = 10 * time.Second

// settleAfter is how long the work of a first configuration lingers.
const settleAfter = time.Second

// agent is one run of the dataplane.
type agent struct {
	file           dataplanefile.File
	getenv         func(string) string
	log            hclog.Logger
	stdout, stderr io.Writer // Envoy's
}

// Run runs the agent until Envoy has ended or ctx, which SIGTERM ends, says to stop.
func Run(ctx context.Context, getenv func(string) string, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet(Name, flag.ContinueOnError)
	flags.SetOutput(stderr)
	path := flags.String("config-file", dataplanefile.DefaultPath, "the file that mesh-init left")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil {
		return err
	}
	file, err := dataplanefile.Read(*path)
	if err != nil {
		return err
	}
	a := &agent{
		file: file, getenv: getenv, stdout: stdout, stderr: stderr,
		log: agentlog.New(Name, file.Logging.LogLevel, file.Logging.LogJSON, stderr).With("proxy_id", file.Proxy.ID),
	}
	return a.run(ctx)
}

// run is the agent's life. Whatever it started has ended when it returns.
func (a *agent) run(ctx context.Context) error {
	starting, cancel := context.WithTimeoutCause(ctx, consul.StartTimeout, errors.New("start took too long"))
	defer cancel()
	conn, err := a.connect(starting)
	if err != nil {
		return unlessStopped(ctx, err)
	}
	defer func() {
		if err := conn.Close(); err != nil {
			a.log.Warn("not logged out: the token is left to the controller", "err", err)
		}
	}()
	proxy, err := a.serveXDS(conn)
	if err != nil {
		return err
	}
	defer proxy.Close()
	params, err := fetchParams(starting, conn, a.file.Proxy, a.log)
	if err != nil {
		return unlessStopped(ctx, err)
	}
	child, err := a.startEnvoy(params, proxy.Addr())
	if err != nil {
		return err
	}
	return a.supervise(ctx, child, proxy)
}

// unlessStopped is err, unless the reason of it is that the agent was told to stop: that is a clean end at any time.
func unlessStopped(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (a *agent) connect(ctx context.Context) (*consul.Connection, error) {
	settings, err := a.consulSettings(ctx)
	if err != nil {
		return nil, err
	}
	return consul.Connect(ctx, settings, a.log)
}

func (a *agent) serveXDS(conn *consul.Connection) (*xds.Proxy, error) {
	return xds.Start(a.file.XDSServer.Listen(), xds.Consul{Conn: conn.GRPC, Token: conn.Token, Renew: conn.Renew}, a.log)
}

func (a *agent) startEnvoy(params *pbdataplane.GetEnvoyBootstrapParamsResponse, xdsAddr netip.AddrPort) (*process.Child, error) {
	e := a.file.Envoy
	bootstrap, err := envoy.Bootstrap{
		ProxyID: a.file.Proxy.ID, Service: params.GetIdentity(), NodeName: params.GetNodeName(),
		Namespace: params.GetNamespace(), Partition: params.GetPartition(), AccessLogs: params.GetAccessLogs(),
		XDS: xdsAddr, Admin: e.Admin(), Ready: e.Ready(),
	}.JSON()
	if err != nil {
		return nil, err
	}
	path := a.getenv(envoy.EnvPath)
	if path == "" {
		path = e.ExecutablePath
	}
	child, err := envoy.Start(bootstrap, envoy.Settings{
		Path: path, Concurrency: e.Concurrency, DrainTimeSeconds: e.DrainTimeSeconds,
		LogLevel: a.file.Logging.LogLevel, LogJSON: a.file.Logging.LogJSON, Stdout: a.stdout, Stderr: a.stderr,
	})
	if err != nil {
		return nil, err
	}
	a.log.Info("envoy started", "pid", child.PID(), "service", params.GetIdentity())
	return child, nil
}

// supervise waits until Envoy or the xDS proxy ends, which neither should, or until the agent is told to stop.
func (a *agent) supervise(ctx context.Context, child *process.Child, proxy *xds.Proxy) error {
	go a.watchStart(ctx, proxy.Configured())
	select {
	case <-ctx.Done():
		return a.stop(ctx, child)
	case <-child.Done():
		return unexpected(child)
	case <-proxy.Done():
		return errors.Join(proxy.Err(), child.Stop(context.WithoutCancel(ctx), killAfter))
	}
}

// watchStart tells when the first configuration is late, and makes the agent small once there is little left to do.
func (a *agent) watchStart(ctx context.Context, configured <-chan struct{}) {
	select {
	case <-ctx.Done():
		return
	case <-configured:
	case <-time.After(lateAfter):
		a.log.Warn("no configuration from Consul yet: envoy serves nothing",
			"hint", "the token may be for another service: the tag "+mesh.RoleTagServiceName+" of the task role must be the name of the service")
		select {
		case <-ctx.Done():
			return
		case <-configured:
		}
	}
	select {
	case <-ctx.Done():
	case <-time.After(settleAfter):
		if err := footprint.Trim(); err != nil {
			a.log.Debug("memory not given back", "err", err)
		}
	}
}

// unexpected is the error of an Envoy that ended by itself.
func unexpected(child *process.Child) error {
	if err := child.Err(); err != nil {
		return fmt.Errorf("envoy ended by itself: %w", err)
	}
	return fmt.Errorf("envoy ended by itself: exit code 0, last lines:\n\t%s", strings.Join(child.LastLines(), "\n\t"))
}
