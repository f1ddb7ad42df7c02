// Package controller is the agent that looks after an ECS cluster's part of Consul. At start it makes sure of what tasks need
// to log in: ACL policies and roles, the auth method, its binding rules, and the synthetic node that tasks register their
// services on. Then it removes the services and ACL tokens of tasks that are dead: at once where an event says so and ECS
// confirms it, and by comparing all of Consul with all of ECS now and then. What is promised of that is internal/reap's to say.
//
// Any number of controllers may run. One of them leads, by a lock in Consul, and alone removes anything; the others wait for it.
// Where Consul's ACL system is off the controller says so, prepares the node alone and removes services.
//
// It gets at Consul on one of three ways:
//
//   - by the ACL token in CONSUL_HTTP_TOKEN, which may do everything;
//   - by its IAM role, with consulLogin.enabled and a token for the first start alone, controller.firstTokenSecretArn: where the
//     login is refused because nobody has prepared Consul, it reads the token from Secrets Manager, prepares Consul, its own
//     identity included, logs in, and forgets the token;
//   - by its IAM role, with consulLogin.enabled and controller.manageACL false, where consulecs-agent bootstrap has prepared
//     Consul. It then writes no ACL object and deletes no token, and has rights over the synthetic node alone.
//
// To log in, it uses the auth method consulecs-controller unless consulLogin.method names another.
//
// Environment:
//
//	CONSUL_ECS_CONFIG_JSON          the configuration, required; see internal/agentconfig
//	ECS_CONTAINER_METADATA_URI_V4   set by ECS; the task of the controller says which cluster is looked after
//	CONSUL_HTTP_TOKEN               an ACL token: with it nobody logs in
//	CONSUL_HTTPS_CACERT_PEM         CA certificate of Consul's HTTP API, as text
//	CONSUL_GRPC_CACERT_PEM          CA certificate of Consul's gRPC port, as text
//	AWS_REGION                      default: the region of the task's ARN
//	AWS_*                           as the AWS SDK reads them, AWS_ENDPOINT_URL and its kin among them
//
// It takes no arguments. SIGTERM and SIGINT end it within seconds and hand the lead over: work that is cut short is made up
// for by the next leader's first look. It ends with an error if Consul cannot be reached or refuses it at the start; later
// troubles are logged and retried.
package controller

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/agentenv"
	"github.com/consulecs/terraform-provider-consulecs/internal/agentlog"
	"github.com/consulecs/terraform-provider-consulecs/internal/awsapi"
	"github.com/consulecs/terraform-provider-consulecs/internal/consul"
	"github.com/consulecs/terraform-provider-consulecs/internal/consul/acl"
	"github.com/consulecs/terraform-provider-consulecs/internal/controllerhttp"
	"github.com/consulecs/terraform-provider-consulecs/internal/footprint"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/metrics"
	"github.com/consulecs/terraform-provider-consulecs/internal/reap"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskevent"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskmeta"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskverdict"
)

// Name is the agent's name on the command line and in its log.
const Name = mesh.CommandController

// settleAfter is how long the start and a few looks take: what they need of memory is given back then.
const settleAfter = 30 * time.Second

// Agent is the controller.
type Agent struct {
	Version string // of the program, for its metrics
}

// keeper keeps Consul in step with ECS clusters.
type keeper struct {
	task     taskmeta.Task // the controller's own
	settings agentconfig.Controller
	rights   rights
	consul   *consul.Connection
	clusters []*ecsCluster    // the controller's own first
	queue    *taskevent.Queue // nil: nobody tells of events
	counts   *metrics.Controller
	log      hclog.Logger

	pulse *controllerhttp.Pulse
	wake  chan struct{} // a word on it begins the next full look at once
	state state
	said  map[acl.Change]bool // what was kept and has been told
	known map[string]known    // by the ARN of the ECS cluster; full looks' alone
}

// ecsCluster is one ECS cluster that is looked after.
type ecsCluster struct {
	arn    string
	engine *reap.Engine
}

// Run is the controller's life. It returns nil when ctx ends after a good start.
func (a Agent) Run(ctx context.Context, getenv func(string) string, _ []string, _, stderr io.Writer) error {
	k, err := a.newKeeper(ctx, getenv, stderr)
	if err != nil {
		return err
	}
	if _, err := controllerhttp.Serve(ctx, k.settings.HTTPAddress, k.answers()); err != nil {
		return err
	}
	if err := k.start(ctx); err != nil {
		if ctx.Err() != nil {
			return nil // told to stop before it was ready
		}
		return err
	}
	k.log.Info("controller ready", "ecs_cluster", k.task.ClusterARN, "auth_method", k.rights.want.Method.Name)
	go func() {
		if err := footprint.Settle(ctx, settleAfter); err != nil {
			k.log.Debug("memory not given back", "err", err)
		}
	}()
	k.campaign(ctx)
	k.log.Info("controller stopped")
	return k.consul.Close()
}

// newKeeper reads everything that the controller is told, and touches nothing but the metadata endpoint, and AWS where it has
// to say who the controller is.
func (a Agent) newKeeper(ctx context.Context, getenv func(string) string, stderr io.Writer) (*keeper, error) {
	cfg, err := agentenv.Load(getenv)
	if err != nil {
		return nil, err
	}
	task, err := taskmeta.Read(ctx, getenv(taskmeta.Variable))
	if err != nil {
		return nil, err
	}
	if !task.Address.IsValid() {
		return nil, errors.New("read task metadata: the task has no address of its own\nhint: run the controller in network mode awsvpc")
	}
	k := &keeper{
		task: task, settings: cfg.ControllerSettings(), log: agentlog.New(Name, cfg.LogLevel, cfg.LogJSON, stderr),
		counts: metrics.NewController(metrics.About{ECSCluster: nameOf(task.ClusterARN), Version: a.Version}),
		pulse:  controllerhttp.NewPulse(pulseLimit), wake: make(chan struct{}, 1), said: map[acl.Change]bool{}, known: map[string]known{},
	}
	k.counts.DryRun(k.settings.DryRun)
	awsConfig, err := awsapi.Load(ctx, awsapi.Config{
		Region: cmp.Or(getenv("AWS_REGION"), task.Region), UserAgent: "consulecs-agent/controller", Count: k.counts.AWSRequest,
	})
	if err != nil {
		return nil, err
	}
	if k.rights, err = rightsOf(ctx, cfg, task, awsConfig, getenv); err != nil {
		return nil, err
	}
	k.rights.settings.Sent = k.counts.ConsulRequest
	looks, urgent := taskverdict.Paced(awsConfig)
	k.see(newECSViews(looks, urgent, k.ecsClusters()))
	if k.settings.EventQueueURL == "" {
		return k, nil
	}
	k.queue, err = taskevent.New(taskevent.Config{AWS: awsConfig, URL: k.settings.EventQueueURL, ECSClusters: k.ecsClusters(), Logger: k.log})
	if err != nil {
		return nil, fmt.Errorf("controller.eventQueueUrl: %w", err)
	}
	k.counts.WatchQueue(k.counted)
	return k, nil
}

// see gives each ECS cluster its engine.
func (k *keeper) see(views []ecsView) {
	for _, view := range views {
		k.clusters = append(k.clusters, &ecsCluster{view.Cluster, k.engine(view)})
	}
}

// ecsClusters are the ARNs of those that are looked after.
func (k *keeper) ecsClusters() []string { return ecsClusters(k.task, k.settings) }

// ecsClusters are the ARN of the ECS cluster of the controller's own task, and those that the settings name besides.
func ecsClusters(task taskmeta.Task, settings agentconfig.Controller) []string {
	return append([]string{task.ClusterARN}, settings.ECSClusters...)
}

// start connects to Consul and brings it into the state that tasks need.
func (k *keeper) start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, consul.StartTimeout)
	defer cancel()
	var err error
	if k.consul, err = k.rights.connect(ctx, k.log); err != nil {
		return err
	}
	if err := consul.Retry(ctx, k.log, "prepare Consul for tasks", k.prepare); err != nil {
		return errors.Join(err, k.consul.Close())
	}
	k.state.set(func(s *standing) { s.ready = true })
	return nil
}

func nameOf(arn string) string { return arn[strings.LastIndexByte(arn, '/')+1:] }
