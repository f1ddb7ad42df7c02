// Package meshinit is the agent that brings a task into the mesh. It is the task's first container: the others start once
// it has exited with 0.
//
// It writes the dataplane's configuration into the shared volume, logs in to Consul with the task's IAM role, registers
// the task's service and its sidecar proxy with all their checks critical, logs out, and exits. It holds no state: running
// it again brings files and registration to what the configuration says and harms nothing.
//
// With transparentProxy.enabled it also makes the task's TCP traffic go through Envoy, and with consulDNS.enabled the
// task's DNS queries to Consul first: rules of the nat table and a line in /etc/resolv.conf, both for the whole task. That
// takes user 0 and the capability NET_ADMIN, and a root file system that can be written for the DNS. As group 5997 it keeps
// its own traffic out of the mesh. -dry-run prints the rules that follow from the configuration, without what Consul's own
// says about the proxy, and does nothing else.
//
// With names.enabled the application calls services by name, and nothing is redirected: the proxy is registered in transparent mode, and
// the line goes into /etc/resolv.conf. That takes user 0 and a root file system that can be written, and no capability.
//
// Each of services in the configuration is registered like the first, with a proxy of its own, which the dataplane runs beside
// the first one's.
//
// With service.networkResilienceConfig, the service's service-defaults get outlier detection for its upstreams, unless they
// have one. Settings that Consul's servers are too old for are left out with a warning.
//
// Where containers of other images need the agents' program (shareAgent in the configuration; by default where it has no
// proxy.dataplane, as the incumbent's module writes it), a copy goes to consul-ecs in the shared volume. The official
// dataplane cannot mint the bearer token that it logs in with: with consulLogin.embedBearerToken, its file holds one. It is
// good for some minutes, and all containers of the task can read it.
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
// It tries for two minutes to reach Consul, and ends at once where another try would not help. Exit codes: 0 registered,
// 1 not registered (the log says why), 2 wrong usage. SIGTERM ends it within seconds, with what it registered taken back;
// a second one ends it at once.
package meshinit

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentargs"
	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/agentenv"
	"github.com/consulecs/terraform-provider-consulecs/internal/agentlog"
	"github.com/consulecs/terraform-provider-consulecs/internal/consul"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/resolvconf"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskmeta"
)

// Name is the agent's name on the command line and in its log.
const Name = mesh.CommandMeshInit

// undoTimeout is how long a stopped mesh-init may take to take its registration back.
const undoTimeout = 3 * time.Second

// Run registers the task. ctx ends with the first SIGTERM.
func Run(ctx context.Context, getenv func(string) string, args []string, stdout, stderr io.Writer) error {
	flags := agentargs.New(Name, stderr)
	dryRun := flags.Bool("dry-run", false, "print the rules of traffic redirection and do nothing")
	if err := agentargs.ParseOnly(flags, args); err != nil {
		return err
	}
	cfg, err := agentenv.Load(getenv)
	if err != nil {
		return err
	}
	if *dryRun {
		return printRules(cfg, stdout)
	}
	task, err := taskmeta.Read(ctx, getenv(taskmeta.Variable))
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
	bearer, err := bearerToken(ctx, cfg, settings, log)
	if err != nil {
		return err
	}
	if err := writeFiles(cfg, settings, registration, bearer); err != nil {
		return explainVolume(err, cfg.BootstrapDir)
	}
	return register(ctx, cfg, settings, registration, bearer, log)
}

// bearerToken is the bearer token for the official dataplane; "" unless the configuration asks for it and somebody logs in.
func bearerToken(ctx context.Context, cfg agentconfig.Config, settings consul.Settings, log hclog.Logger) (bearer string, err error) {
	if settings.Login == nil || !cfg.Login().EmbedBearerToken {
		return "", nil
	}
	ctx, cancel := context.WithTimeout(ctx, consul.StartTimeout)
	defer cancel()
	err = consul.Retry(ctx, log, "mint the dataplane's bearer token", func(ctx context.Context) error {
		bearer, err = settings.Login.Mint(ctx, log)
		return err
	})
	return bearer, err
}

// register brings the task into Consul's catalog, and where the configuration asks for it, outlier detection into the
// service's defaults and the task's traffic into the mesh. If it is stopped or refused half way, it leaves nothing of the
// task behind.
func register(ctx context.Context, cfg agentconfig.Config, settings consul.Settings, r consul.Registration, bearer string, log hclog.Logger) error {
	start := time.Now()
	try, cancel := context.WithTimeout(ctx, consul.StartTimeout)
	defer cancel()
	conn, err := consul.Connect(try, settings, log)
	if err != nil {
		return err
	}
	defer func() {
		if err := conn.Close(); err != nil {
			log.Warn("left the ACL token to the controller", agentlog.Fields(err)...) // the task is registered nonetheless
		}
	}()
	if err := noteTokenLife(try, cfg, settings, r, bearer, conn, log); err != nil {
		return err
	}
	err = consul.Retry(try, log, "register the task", func(ctx context.Context) error { return conn.Register(ctx, r) })
	for i, pair := range cfg.Pairs("") {
		if outliers := pair.Service.Outliers(); err == nil && outliers != nil {
			err = setOutlierDetection(try, conn, r.Pairs()[i].ServiceName, *outliers, log)
		}
	}
	if err == nil && cfg.RedirectsTraffic() {
		err = redirectTraffic(try, cfg, conn, r, log)
	}
	if err == nil && cfg.CallsByName() {
		if err = resolvconf.Add(resolvconf.Path, loopback); err == nil {
			log.Info("name server added", "path", resolvconf.Path, "server", loopback)
		}
	}
	if err == nil && ctx.Err() == nil {
		took := time.Since(start).Round(time.Millisecond).String()
		for _, pair := range r.Pairs() {
			log.Info("task registered", "service", pair.ServiceName, "proxy_id", pair.ProxyID, "took", took)
		}
		return nil
	}
	undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTimeout)
	defer cancel()
	if undone := conn.Deregister(undo, r); undone != nil {
		log.Warn("left the registration to the controller", agentlog.Fields(undone)...)
	}
	if err == nil {
		err = fmt.Errorf("register the task: %w", context.Cause(ctx))
	}
	return err
}

// noteTokenLife tells the dataplane how long its tokens will live, where they do not live as long as the task. The dataplane,
// which reaches Consul's gRPC port alone, could not find it out.
func noteTokenLife(ctx context.Context, cfg agentconfig.Config, settings consul.Settings, r consul.Registration, bearer string, conn *consul.Connection, log hclog.Logger) error {
	if settings.Login == nil {
		return nil
	}
	var life time.Duration
	err := consul.Retry(ctx, log, "find out how long the ACL token lives", func(ctx context.Context) (err error) {
		life, err = conn.TokenLife(ctx)
		return err
	})
	if err != nil || life == 0 {
		return err
	}
	login := *settings.Login
	login.TokenLife, settings.Login = life, &login
	return explainVolume(writeDataplane(cfg, settings, r, bearer), cfg.BootstrapDir)
}

// setOutlierDetection writes the service's outlier detection where nobody has set one.
func setOutlierDetection(ctx context.Context, conn *consul.Connection, service string, o agentconfig.OutlierDetection, log hclog.Logger) error {
	return consul.Retry(ctx, log, "set outlier detection", func(ctx context.Context) error {
		done, err := conn.SetOutlierDetection(ctx, service, o)
		switch {
		case err != nil:
			return err
		case !done.Written:
			log.Info("outlier detection left as the service-defaults have it", "service", service)
		default:
			log.Info("outlier detection written to the service-defaults", "service", service)
		}
		if len(done.Dropped) > 0 {
			log.Warn("Consul's servers are too old for some settings of outlier detection: left out", "service", service, "settings", done.Dropped)
		}
		return nil
	})
}
