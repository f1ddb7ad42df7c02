// Package bootstrap is the agent that prepares Consul for a mesh on ECS once, so that no controller needs a token that may
// write ACLs. It runs as a task of its own or on a laptop:
//
//	consulecs-agent bootstrap -ecs-cluster ARN -controller-role NAME [flags]
//
// It makes sure of the ACL policies and roles of gateways, the auth method by which tasks log in, its binding rules, what
// anonymous requests may read, the synthetic node of each ECS cluster, and the identity of controllers: an auth method of
// their own, and for each ECS cluster an ACL policy and an ACL role. A second run writes nothing. What an operator has
// changed stays and is told, unless it is an earlier text of ours.
//
// A controller with such an identity has manageACL: false and consulLogin.enabled: true in its configuration. It holds no
// right over ACLs; the tokens of tasks end by themselves, an hour after the login unless -token-ttl says else.
//
// Flags:
//
//	-ecs-cluster ARN            an ECS cluster, again for each; default: that of the task, and ecsClusters of the configuration
//	-controller-role NAME|ARN   the IAM role of the controller; without it, controllers get no identity
//	-controller-auth-method     by which controllers log in; default consulecs-controller
//	-controller-writes-acl      the controller prepares Consul from now on: it may do everything
//	-auth-method                by which tasks log in; default iam-ecs-service-token
//	-iam-role-path              the IAM path of the tasks' roles; default /consul-ecs/
//	-trust-all-roles            says yes to the path /, below which every role of the account may log in
//	-token-ttl                  how long the token of a login lives, a minute to a day; default 1h. 0 leaves that as it is: agents of
//	                            the incumbent, which share the auth method, do not log in again
//	-max-retries                how often Consul's servers repeat a request to STS or IAM that fails; default: Consul's own
//	-server-id-header           what each login must have in the header X-Consul-IAM-ServerID
//	-sts-endpoint, -iam-endpoint  where Consul's servers send the requests of a login
//	-anonymous-reads            anonymous requests may read nodes and services, as Consul DNS needs; default true
//	-partition                  Consul Enterprise: the admin partition, made if it is missing
//	-namespace                  Consul Enterprise: a namespace of tasks, made if it is missing; again for each
//	-node-address               of a synthetic node that is missing; default: the task's, else 127.0.0.1. Controllers write their own
//	-dry-run                    tells what would be written, and writes nothing
//	-print                      prints the ACL policies and asks nobody. With -controller-role and -controller-writes-acl, those called
//	                            consulecs-controller- are also what a token takes that a controller is given in CONSUL_HTTP_TOKEN
//	-timeout                    how long it may take; default 2m
//
// Environment:
//
//	CONSUL_HTTP_TOKEN               a token with acl = "write", agent_prefix "" read and node_prefix "" write, such as the first one
//	CONSUL_ECS_CONFIG_JSON          the controller's configuration, if there; flags beat it
//	ECS_CONTAINER_METADATA_URI_V4   set by ECS
//	CONSUL_HTTPS_CACERT_PEM, CONSUL_GRPC_CACERT_PEM  as the controller reads them, with a configuration
//	CONSUL_HTTP_ADDR, CONSUL_CACERT, CONSUL_HTTP_SSL_VERIFY, CONSUL_HTTP_TOKEN_FILE, CONSUL_PARTITION and the rest
//	                                as Consul's own command reads them, without a configuration or where CONSUL_HTTP_ADDR is set
//
// Exit codes: 0 Consul is prepared, 1 it is not, 2 wrong usage.
package bootstrap

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/hashicorp/go-hclog"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentlog"
	"github.com/consulecs/terraform-provider-consulecs/internal/consul"
	"github.com/consulecs/terraform-provider-consulecs/internal/consul/acl"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
)

// Name is the agent's name on the command line.
const Name = "bootstrap"

// variableAddress is by which Consul's own command finds Consul.
const variableAddress = "CONSUL_HTTP_ADDR"

// Run prepares Consul and prints what it wrote.
func Run(ctx context.Context, getenv func(string) string, args []string, stdout, stderr io.Writer) error {
	f, err := parse(args, stderr)
	if err != nil {
		return err
	}
	p, err := planOf(ctx, f, getenv)
	if err != nil {
		return err
	}
	if f.print {
		printPolicies(stdout, p.want)
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	log := agentlog.New(Name, p.cfg.LogLevel, p.cfg.LogJSON, stderr)
	conn, err := p.connect(ctx, getenv, log)
	if err != nil {
		return err
	}
	err = p.prepare(ctx, conn, stdout, log)
	return errors.Join(err, conn.Close())
}

// connect reaches Consul as the controller does where there is a configuration, else as Consul's own command.
func (p plan) connect(ctx context.Context, getenv func(string) string, log hclog.Logger) (*consul.Connection, error) {
	if !p.configured || getenv(variableAddress) != "" {
		return consul.ConnectByEnvironment(p.want.Partition)
	}
	settings, err := consul.SettingsOf(p.cfg, p.task, getenv)
	if err != nil {
		return nil, err
	}
	if settings.Token == "" {
		return nil, fmt.Errorf("%s is not set\nhint: bootstrap takes a token that may write ACLs", mesh.VariableToken)
	}
	settings.Scope.Partition = p.want.Partition
	return consul.Connect(ctx, settings, log)
}

// prepare brings Consul to what is planned. What was written is printed also where it ends half way.
func (p plan) prepare(ctx context.Context, conn *consul.Connection, stdout io.Writer, log hclog.Logger) error {
	tally := tally{out: stdout, dryRun: p.want.DryRun}
	err := consul.Retry(ctx, log, "prepare Consul", func(ctx context.Context) error {
		changes, err := conn.EnsureACL(ctx, p.want)
		tally.tell(changes...)
		if err != nil || len(p.namespaces) == 0 {
			return err
		}
		changes, err = conn.EnsureNamespaces(ctx, p.want, p.namespaces)
		tally.tell(changes...)
		return err
	})
	if err != nil {
		return err
	}
	for _, node := range p.ecsClusters {
		if err := p.ensureNode(ctx, conn, node, &tally); err != nil {
			return err
		}
	}
	tally.sum()
	return nil
}

// ensureNode registers the synthetic node where it is missing. One that is there may have a controller's address.
func (p plan) ensureNode(ctx context.Context, conn *consul.Connection, node string, tally *tally) error {
	found, err := conn.HasNode(ctx, node)
	if err != nil || found {
		return err
	}
	if !p.want.DryRun {
		if _, err := conn.EnsureNode(ctx, node, p.address); err != nil {
			return err
		}
	}
	tally.tell(acl.Change{Verb: acl.Created, Kind: "synthetic node", Name: node})
	return nil
}

// tally prints changes and counts them.
type tally struct {
	out           io.Writer
	dryRun        bool
	written, kept int
}

func (t *tally) tell(changes ...acl.Change) {
	for _, c := range changes {
		line := c.String()
		switch {
		case c.Verb == acl.Kept:
			t.kept++
		case t.dryRun:
			line = "would be " + line
			t.written++
		default:
			t.written++
		}
		fmt.Fprintln(t.out, line)
	}
}

func (t *tally) sum() {
	verb := "written"
	if t.dryRun {
		verb = "to write"
	}
	fmt.Fprintf(t.out, "Consul is prepared: %d %s, %d kept as an operator has them, the rest as it should be\n", t.written, verb, t.kept)
}

// printPolicies prints each policy as rules that Consul takes.
func printPolicies(out io.Writer, want acl.Wanted) {
	var texts []string
	for _, p := range want.Policies() {
		texts = append(texts, fmt.Sprintf("# %s: %s\n%s", p.Name, p.Description, p.Rules))
	}
	fmt.Fprint(out, strings.Join(texts, "\n"))
}
