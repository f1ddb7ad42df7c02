// Package healthsync is the agent that keeps Consul told how the task is. It runs as long as the task does.
//
// It mirrors ECS's verdict on each tracked container (healthSyncContainers in the configuration) in a check of its own.
// The proxy's readiness and all the verdicts together make the dataplane's checks, on which traffic depends; their output
// names whatever is not well. A container without an ECS health check is well while it runs. One with a readiness probe
// (readinessProbes) is asked directly for as long as ECS has no verdict on it: ten times a second until it is ready, then
// every six seconds; three failures in a row take that back.
//
// Consul is written to when something changes, and not otherwise. It watches the checks of service and proxy, and when
// somebody else has changed or removed something it looks and registers again what is missing, within seconds; where the
// synthetic node is missing, as soon as the controller has made it again. Every half minute it looks without being told. A
// restarted health-sync goes on where the last one was.
//
// Where the task is several services, each has checks of all tracked containers and of the dataplane: nobody says which container
// is for which service. They change, leave and come back together.
//
// On SIGTERM the checks turn critical at once and stay so. When the dataplane's container has stopped, or one second
// after the time that the dataplane has for it (proxy.dataplane.stopWithinSeconds, 25 s by default), service and proxy are
// deregistered and the login ends; a second SIGTERM means now. All of it is retried for as long as there is time: the
// container's stop timeout should be five seconds longer than the dataplane's time.
//
// Environment:
//
//	CONSUL_ECS_CONFIG_JSON         the configuration, see internal/agentconfig; required
//	ECS_CONTAINER_METADATA_URI_V4  set by ECS; required
//	CONSUL_HTTP_TOKEN              a static ACL token; then nobody logs in
//	CONSUL_GRPC_CACERT_PEM         the CA of the servers' gRPC port as PEM text, instead of a file
//	CONSUL_HTTPS_CACERT_PEM        the same for their HTTPS port
//	AWS_REGION                     for the service's locality; otherwise the region of the task
//	AWS_*                          credentials and endpoints as the AWS SDK reads them; ECS sets what is needed
//
// Exit codes: 0 deregistered after SIGTERM, 1 an error, which the log's last line names: Consul was not reached within two
// minutes of the start, or deregistration failed (the controller makes up for it), 2 wrong usage.
package healthsync

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/agentenv"
	"github.com/consulecs/terraform-provider-consulecs/internal/agentlog"
	"github.com/consulecs/terraform-provider-consulecs/internal/consul"
	"github.com/consulecs/terraform-provider-consulecs/internal/footprint"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskmeta"
)

// Name is the agent's name on the command line and in its log.
const Name = mesh.CommandHealthSync

const (
	settleAfter = 8 * time.Second // until a task of the usual kind has started

	stopWithin = 25 * time.Second        // the dataplane's default
	afterProxy = time.Second             // for ECS to notice that the dataplane has stopped
	atTheEnd   = 1500 * time.Millisecond // to deregister; logging out takes two seconds at the most
)

// errStopTime ends what is still under way when ECS is about to kill us.
var errStopTime = errors.New("the time to stop is over")

// Run mirrors until ctx ends with the first SIGTERM, then drains and deregisters.
func Run(ctx context.Context, getenv func(string) string, _ []string, _, stderr io.Writer) error {
	cfg, err := agentenv.Load(getenv)
	if err != nil {
		return err
	}
	wait := stopTime(cfg)
	life, cancel := outlive(ctx, wait+atTheEnd)
	defer cancel()
	again := secondSignal(ctx, life)
	early, started := context.WithCancel(life)
	defer started()
	go func() {
		select {
		case <-again:
			started() // there is no time left to look for anything
		case <-early.Done():
		}
	}()
	metadata, err := taskmeta.New(getenv(taskmeta.Variable))
	if err != nil {
		return err
	}
	task, err := metadata.Wait(early)
	if err != nil {
		return err
	}
	settings, err := consul.SettingsOf(cfg, task, getenv)
	if err != nil {
		return err
	}
	registration, err := consul.NewRegistration(cfg, task, getenv("AWS_REGION"))
	if err != nil {
		return err
	}
	log := agentlog.New(Name, cfg.LogLevel, cfg.LogJSON, stderr).With("service_id", registration.ServiceID, "task_arn", task.ARN)
	agentlog.NoteProxy(log, getenv)
	start, cancelStart := context.WithTimeout(early, consul.StartTimeout)
	defer cancelStart()
	conn, err := consul.Connect(start, settings, log)
	if err != nil {
		return err
	}
	gate, err := newGate(life)
	if err != nil {
		return errors.Join(err, conn.Close())
	}
	go gate.serve()
	defer gate.close()
	m := &mirror{
		log: log, registration: registration, held: newLedger(), passed: gate.passed, suspected: make(chan struct{}, 1),
		task: metadata.Task, proxyProblem: proxyProblems(cfg.Pairs("")),
		probes: newProbes(cfg), lookup: conn.Lookup, register: conn.Register, setChecks: conn.SetChecks, deregister: conn.Deregister,
	}
	log.Info("mirroring the task's health", "containers", cfg.HealthSyncContainers)
	go settle(ctx, log)
	go conn.Watch(ctx, registration, m.suspect)
	m.run(ctx)
	return errors.Join(m.drain(life, wait, again), conn.Close())
}

// settle makes the agent small once the start is over. One thread at a time does for what is left to do: the runtime need not
// wake a second one with each answer.
func settle(ctx context.Context, log hclog.Logger) {
	runtime.GOMAXPROCS(1)
	if err := footprint.Settle(ctx, settleAfter); err != nil {
		log.Debug("memory not given back", "err", err)
	}
}

// stopTime is how long after SIGTERM the dataplane may still serve.
func stopTime(cfg agentconfig.Config) time.Duration {
	if d := cfg.ProxySettings().Dataplane; d != nil && d.StopWithinSeconds > 0 {
		return time.Duration(d.StopWithinSeconds)*time.Second + afterProxy
	}
	return stopWithin + afterProxy
}

// secondSignal is closed at the signal after the one that ends ctx. From here on no signal ends the program, which after the
// first one would leave the task in Consul's catalog; life is how long that is to be so.
func secondSignal(ctx, life context.Context) <-chan struct{} {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, os.Interrupt)
	first := ctx.Err() == nil // is still to come
	again := make(chan struct{})
	go func() {
		defer signal.Stop(signals)
		for {
			select {
			case <-life.Done():
				return
			case <-signals:
				if !first {
					close(again)
					<-life.Done()
					return
				}
				first = false
			}
		}
	}()
	return again
}

// outlive is a context that ends some time after ctx has.
func outlive(ctx context.Context, by time.Duration) (context.Context, context.CancelFunc) {
	life, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	context.AfterFunc(ctx, func() { time.AfterFunc(by, func() { cancel(errStopTime) }) })
	return life, func() { cancel(nil) }
}
