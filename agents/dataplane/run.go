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
// The operator's envoy_* keys in Consul (proxy-defaults, service-defaults) shape the bootstrap, unless the file says
// telemetry.useCentralConfig: false. envoy_bootstrap_json_tpl, a template for all of it, is refused.
//
// On loopback, port 20300 by default: /healthz answers 200 or 503 with what the agent needs to be of use, /graceful_startup
// answers 200 once Envoy is ready or 503 when envoy.startupGracePeriodSeconds are over, /graceful_shutdown is as SIGTERM.
// Where the keys ask for a Prometheus listener, the agent merges on loopback, port 20100 by default, its own metrics with
// Envoy's and those of telemetry.prometheus.serviceMetricsURL.
//
// Where the file has a locality, Envoy calls instances in the task's own zone first. Where instances are, the agent asks the HTTP API of
// Consul's servers, with the task's token; as long as it gets no answer, calls go to all of them.
//
// With furtherProxies in the file, it runs an Envoy for each proxy, all on one connection and one login. The first of them has the
// ports that follow on those named here, 20301 and so on, the next one those after that. They start one after the other and stop
// together, and when one of them ends by itself, the agent ends the others. Where two of them would have the same port for their
// metrics, the second one has none.
//
// With names in the file, the application calls services by name: Envoy listens for all of them at the ports there, on the loopback device
// alone, and the agent answers for the names. A port that another program has is left out and tried again. Without any port, or
// any right to them, and where /etc/resolv.conf lacks the line of mesh-init's, the agent ends.
//
// SIGTERM: Envoy serves until the application's containers have stopped and envoy.shutdownGracePeriodSeconds are over, or
// until the time that envoy.stopWithinSeconds allows is nearly over (25 by default, less than the 30 s after which ECS
// kills). Then it drains, ends, or is killed. A second SIGTERM means now. A log-out follows, and exit code 0.
// envoy.shutdownDrainListenersEnabled makes it drain at once, envoy.dumpEnvoyConfigOnExitEnabled first prints its
// configuration to stdout.
//
// When Envoy ends by itself, even with exit code 0, the agent ends with an error that tells Envoy's exit and last lines, so
// that ECS's restart policy starts the container again. So it does when Envoy hangs, that is when its ready listener has left ten
// questions in a row without an answer, which takes about a minute, or is not ready for five. Envoy dies with the agent in any case.
package dataplane

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/consulecs/terraform-provider-consulecs/agents/dataplane/byname"
	"github.com/consulecs/terraform-provider-consulecs/internal/agentargs"
	"github.com/consulecs/terraform-provider-consulecs/internal/agentlog"
	"github.com/consulecs/terraform-provider-consulecs/internal/consul"
	"github.com/consulecs/terraform-provider-consulecs/internal/dataplanefile"
	"github.com/consulecs/terraform-provider-consulecs/internal/envoy"
	"github.com/consulecs/terraform-provider-consulecs/internal/footprint"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/metrics"
	"github.com/consulecs/terraform-provider-consulecs/internal/process"
	"github.com/consulecs/terraform-provider-consulecs/internal/sleep"
	"github.com/consulecs/terraform-provider-consulecs/internal/xds"
)

// Name is the agent's name on the command line and in its log.
const Name = mesh.CommandDataplane

// lateAfter is when a first configuration is remarkably late: it takes a fraction of a second. Consul does not tell that it
// withholds a configuration because it cannot make the proxy's certificate with the token.
const lateAfter = 10 * time.Second

// errStart ends a start that does not come to an end.
var errStart = errors.New("start took too long")

// settleAfter is how long the work of a first configuration lingers.
const settleAfter = time.Second

// agent is one run of the dataplane, for one proxy.
type agent struct {
	file     dataplanefile.File
	getenv   func(string) string
	log      hclog.Logger
	stdout   io.Writer // Envoy's
	envoyLog *envoy.Log
	names    *byname.Listener // nil where the application calls nobody by name
}

// Run runs the agent until Envoy has ended or ctx, which SIGTERM ends, says to stop.
func Run(ctx context.Context, getenv func(string) string, args []string, stdout, stderr io.Writer) error {
	flags := agentargs.New(Name, stderr)
	path := flags.String("config-file", dataplanefile.DefaultPath, "the file that mesh-init left")
	if err := agentargs.Parse(flags, args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return agentargs.Errorf("unexpected argument %q\nhint: arguments for Envoy are not passed on; what can be set is in the file", flags.Arg(0))
	}
	file, err := dataplanefile.Read(*path)
	if err != nil {
		return err
	}
	log := agentlog.New(Name, file.Logging.LogLevel, file.Logging.LogJSON, stderr)
	envoyLog := agentlog.New("envoy", file.Logging.LogLevel, file.Logging.LogJSON, stderr)
	var all []*agent
	for _, one := range file.Each() {
		all = append(all, &agent{file: one, getenv: getenv, stdout: stdout, log: log.With("proxy_id", one.Proxy.ID), envoyLog: envoy.NewLog(envoyLog, xds.Replaced)})
	}
	agentlog.NoteProxy(log, getenv)
	for _, remark := range file.Remarks {
		all[0].log.Warn("configuration file has something odd in it", "remark", remark)
	}
	return run(ctx, all)
}

// run is the life of the agents, one a proxy. Whatever they started has ended when it returns. They share the connection to Consul,
// and with it the login, whose token is for all services of the task.
func run(told context.Context, all []*agent) error {
	ctx, stop := context.WithCancel(told)
	defer stop()
	startBy := time.Now().Add(consul.StartTimeout)
	starting, cancel := context.WithDeadlineCause(ctx, startBy, errStart)
	defer cancel()
	own := metrics.NewDataplane()
	conn, err := all[0].connect(starting, own)
	if err != nil {
		return unlessStopped(ctx, err)
	}
	defer func() {
		if err := conn.Close(); err != nil {
			all[0].log.Warn("not logged out: the token is left to the controller", "err", err)
		}
	}()
	c := &company{conn: conn, startBy: startBy, stop: stop, signalled: func() bool { return told.Err() != nil }, failed: make(chan struct{})}
	return c.run(ctx, all, own)
}

// run is the agent's life among the others. It closes started when its Envoy has started.
func (a *agent) run(ctx context.Context, c *company, own *metrics.Dataplane, started chan<- struct{}) error {
	conn := c.conn
	starting, cancel := context.WithDeadlineCause(ctx, c.startBy, errStart)
	defer cancel()
	proxy, err := a.serveXDS(conn)
	if err != nil {
		return err
	}
	defer proxy.Close()
	watch(own, conn, proxy)
	if a.file.Names != nil {
		if a.names, err = byname.New(a.file, a.log); err != nil {
			return err
		}
		a.names.Start(ctx, proxy, own)
	}
	life, err := serve(a.file.Envoy.Graceful(), a.lifeCycle(c.stop, func(r *http.Request) health { return a.health(r, conn, proxy) }),
		"another program of the task listens there; envoy.gracefulPort names another port")
	if err != nil {
		return err
	}
	defer life.close()
	params, err := fetchParams(starting, conn, a.file.Proxy, a.log)
	if err != nil {
		return unlessStopped(ctx, err)
	}
	zone, err := a.shape(ctx, conn, proxy, params, own)
	if err != nil {
		return err
	}
	endDNS, err := a.serveDNS(conn, params)
	if err != nil {
		return err
	}
	defer endDNS()
	bootstrap, err := a.bootstrap(params, proxy.Addr())
	if err != nil {
		return err
	}
	bootstrap.Region, bootstrap.Zone = zone.Region, zone.Zone
	c.claim(a, &bootstrap.Central)
	ends := []ending{{proxy.Done(), proxy.Err}, life.ending(), c.ending()}
	if bootstrap.Central.Prometheus.IsValid() {
		page, err := serve(bootstrap.Prometheus.Backend, a.metricsPage(own), "another program of the task listens there; telemetry.prometheus.mergePort names another port")
		if err != nil {
			return err
		}
		defer page.close()
		ends = append(ends, page.ending())
	}
	child, err := a.startEnvoy(bootstrap)
	if err != nil {
		return err
	}
	close(started)
	ends = append(ends, watchHang(ctx, envoy.NewReadiness(a.file.Envoy.Ready()).Check))
	go a.watchStart(ctx, proxy.Configured())
	return a.supervise(ctx, c.signalled, child, ends)
}

// unlessStopped is err, unless the reason of it is that the agent was told to stop: that is a clean end at any time.
func unlessStopped(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (a *agent) connect(ctx context.Context, own *metrics.Dataplane) (*consul.Connection, error) {
	settings, err := a.consulSettings(ctx)
	if err != nil {
		return nil, err
	}
	settings.Took = func(step consul.Step, d time.Duration) { own.Took(string(step), d) }
	began := time.Now()
	conn, err := consul.Connect(ctx, settings, a.log)
	if err == nil {
		own.Took(metrics.StepConnect, time.Since(began))
	}
	return conn, err
}

func (a *agent) serveXDS(conn *consul.Connection) (*xds.Proxy, error) {
	return xds.Start(a.file.XDSServer.Listen(), conn.Link(), a.log)
}

func (a *agent) startEnvoy(b envoy.Bootstrap) (*process.Child, error) {
	bootstrap, err := b.JSON()
	if err != nil {
		return nil, err
	}
	e := a.file.Envoy
	path := a.getenv(envoy.EnvPath)
	if path == "" {
		path = e.ExecutablePath
	}
	child, err := envoy.Start(bootstrap, envoy.Settings{
		Path: path, Concurrency: e.Concurrency, DrainTimeSeconds: *e.DrainTimeSeconds, DrainStrategy: e.DrainStrategy,
		LogLevel: a.file.Logging.LogLevel, Stdout: a.stdout, Stderr: a.envoyLog,
	})
	if err != nil {
		return nil, err
	}
	a.log.Info("envoy started", "pid", child.PID(), "service", b.Service)
	return child, nil
}

// ending is the end of something that should not end by itself, and why it did.
type ending struct {
	done <-chan struct{}
	err  func() error
}

// supervise waits until Envoy or one of our servers ends, which none should, or until ctx says to stop. signalled tells whether a
// signal has said so.
func (a *agent) supervise(ctx context.Context, signalled func() bool, child *process.Child, ends []ending) error {
	first := make(chan ending, len(ends))
	for _, e := range ends {
		go func() {
			select {
			case <-e.done:
				first <- e
			case <-ctx.Done():
			}
		}()
	}
	select {
	case <-ctx.Done():
		return a.stop(ctx, child, signalled())
	case <-child.Done():
		return unexpected(child)
	case e := <-first:
		a.envoyLog.ExpectEnd()
		return errors.Join(e.err(), child.Stop(context.WithoutCancel(ctx), killAfter))
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
	if !sleep.For(ctx, settleAfter) {
		return
	}
	if err := footprint.Trim(); err != nil {
		a.log.Debug("memory not given back", "err", err)
	}
}

// unexpected is the error of an Envoy that ended by itself.
func unexpected(child *process.Child) error {
	if err := child.Err(); err != nil {
		return fmt.Errorf("envoy ended by itself: %w", err)
	}
	return fmt.Errorf("envoy ended by itself: exit code 0, last lines:\n\t%s", strings.Join(child.LastLines(), "\n\t"))
}
