// Package controller is the agent that looks after one ECS cluster's part of Consul. At start it makes sure of what tasks
// need to log in: ACL policies and roles, the auth method, its binding rules, and the synthetic node that tasks register
// their services on. Then it compares Consul with ECS again and again and removes the services and ACL tokens of tasks
// that are dead; a synthetic node that was lost is registered again. Where Consul's ACL system is off it says so, prepares
// the node alone and removes services; every ten minutes it looks whether that is still so.
//
// A task is dead if ECS says that it is STOPPED, or if ECS has not known it for a minute, in look after look. Whatever else ECS answers, errors and silence above all, means that nothing is done.
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
// It takes no arguments. SIGTERM and SIGINT end it well at any moment: a pass that is cut short is made up for by the
// next controller's first. It ends with an error if Consul cannot be reached or refuses it at the start; later troubles
// are logged and retried.
package controller

import (
	"cmp"
	"context"
	"errors"
	"io"
	"time"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentenv"
	"github.com/consulecs/terraform-provider-consulecs/internal/agentlog"
	"github.com/consulecs/terraform-provider-consulecs/internal/awsapi"
	"github.com/consulecs/terraform-provider-consulecs/internal/consul"
	"github.com/consulecs/terraform-provider-consulecs/internal/consul/acl"
	"github.com/consulecs/terraform-provider-consulecs/internal/footprint"
	"github.com/consulecs/terraform-provider-consulecs/internal/reconcile"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskmeta"
)

const (
	settleAfter = 30 * time.Second // until the start and a few passes are over
	interval    = 5 * time.Second  // between passes: a killed task has to leave the catalog within 12 s
	passTimeout = 2 * time.Minute  // a first pass after long absence has thousands of tokens to delete
	maxPause    = 15 * time.Second // between passes while they fail: one trouble that stays must not slow the rest down for long
)

// Run is the controller's life. It returns nil when ctx ends after a good start.
func Run(ctx context.Context, getenv func(string) string, _ []string, _, stderr io.Writer) error {
	cfg, err := agentenv.Load(getenv)
	if err != nil {
		return err
	}
	log := agentlog.New("controller", cfg.LogLevel, cfg.LogJSON, stderr)
	task, err := taskmeta.Read(ctx, getenv(taskmeta.Variable))
	if err != nil {
		return err
	}
	if !task.Address.IsValid() {
		return errors.New("read task metadata: the task has no address of its own\nhint: run the controller in network mode awsvpc")
	}
	awsConfig, err := awsapi.Load(ctx, awsapi.Config{Region: cmp.Or(getenv("AWS_REGION"), task.Region), UserAgent: "consulecs-agent/controller"})
	if err != nil {
		return err
	}
	rights, err := rightsOf(ctx, cfg, task, awsConfig, getenv)
	if err != nil {
		return err
	}
	k := keeper{
		task: task, rights: rights, said: map[acl.Change]bool{},
		ecs:    ecsView{awsapi.ECS(awsConfig), task.ClusterARN, task.ID},
		absent: map[string]time.Time{}, log: log,
	}
	if err := k.start(ctx); err != nil {
		if ctx.Err() != nil {
			return nil // told to stop before it was ready
		}
		return err
	}
	log.Info("controller ready", "ecs_cluster", task.ClusterARN, "auth_method", k.rights.want.Method.Name)
	go func() {
		if err := footprint.Settle(ctx, settleAfter); err != nil {
			log.Debug("memory not given back", "err", err)
		}
	}()
	reconcile.Loop{Interval: interval, Timeout: passTimeout, MaxPause: maxPause, Log: log}.Run(ctx, k.pass)
	log.Info("controller stopped")
	return k.consul.Close()
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
	return nil
}
