// Package doctor is the agent that looks for what keeps a task out of the mesh, and says how to mend it:
//
//	consulecs-agent doctor [-json] [-timeout 30s]
//	consulecs-agent doctor -fargate [-write | -definition -image IMAGE -execution-role ARN -log-group NAME -region REGION]
//
// It runs in a container of the task, as one more container of the definition or through ECS Exec, with the environment of
// mesh-init; by hand elsewhere it checks what can be checked there. To look at the rules of traffic redirection it needs
// mesh-init's user (0:5997) and the capability NET_ADMIN too; user 5996 is right for everything else.
//
// The checks, by their names, which stay as they are:
//
//	config, ca-certificates                the agents' configuration, and the certificates that the servers are verified by
//	metadata, task-address, launch-type    the task metadata endpoint, the task's own address, what the launch type allows
//	task-tags                              the tags by which controllers know the task, propagated from its definition
//	aws-credentials, sts, iam-get-role     the task role: its credentials, who it is, and that it may read itself
//	role-tags, role-path                   the service that the role stands for, and where the auth method wants roles
//	server-addresses                       the addresses of Consul's servers
//	grpc-tcp, grpc-tls, http-tcp,          the servers' ports, with what is wrong about their certificates
//	http-tls, http-api
//	login, dataplane-features, logout      the login, as refused or taken, or the static token; what the servers offer
//	synthetic-node, permissions,           what a registration needs, and how the task's registration and its checks are
//	registration
//	zones                                  where a task that prefers its zone sees the others
//	port-public, port-ready, port-admin,   the ports of Envoy and the dataplane: theirs or free, or taken by something else
//	port-outbound, port-dns,
//	port-upstreams, port-exposed
//	port-names                             the ports at which the application calls services by name
//	port-start, bind-device                names: whether users other than root may listen at low ports, and on loopback alone
//	envoy-ready                            whether the proxy serves
//	doctor-user, net-admin, iptables,      transparent proxy: who looks, and what can and has been redirected
//	redirect-rules, resolv-conf            (resolv-conf with names too)
//	app, app-bypass                        whether the proxy reaches the application, and whether others reach it past the proxy
//
// It prints a line for each check: ok, warn, FAIL or skip, the name, what was found, and what to do about it; in the end a
// summary. With -json it prints an array of objects with the keys check, status (ok, warn, fail, skip), found and fix. A check
// takes ten seconds at the most, all of them -timeout. One that cannot be made says on which it depends.
//
// With -fargate it asks what only a task can tell for which AWS chooses the kernel, and names need to know. It needs neither Consul nor a
// configuration: the checks are metadata, launch-type, port-start, bind-device, resolv-conf (whether it has what another container wrote) and
// names (a name is served and called as in a mesh task). -write is for the container that writes, as root: it adds the name server to
// /etc/resolv.conf, the one thing that a doctor ever changes, and prints nothing. -definition prints the task definition with all that, for
// aws ecs register-task-definition --cli-input-json.
//
// It changes nothing: the one login that it makes is logged out again, also after SIGTERM. Neither tokens nor keys nor the
// configuration are printed.
//
// Environment:
//
//	CONSUL_ECS_CONFIG_JSON         the configuration, see internal/agentconfig
//	ECS_CONTAINER_METADATA_URI_V4  set by ECS
//	CONSUL_HTTP_TOKEN              a static ACL token; then nobody logs in
//	CONSUL_GRPC_CACERT_PEM         the CA of the servers' gRPC port as PEM text, instead of a file
//	CONSUL_HTTPS_CACERT_PEM        the same for their HTTPS port
//	AWS_*                          credentials and endpoints as the AWS SDK reads them; ECS sets what is needed
//
// Exit codes: 0 no check failed, 1 one did, or SIGTERM came, 2 wrong usage.
//
// # Organization
//
// doctor.go lists the checks, examine.go makes them, finding.go prints what they found. The other files each have the checks of one subject:
// task.go, role.go, servers.go, login.go, ports.go, redirect.go, names.go, app.go. fargate.go is the check task.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentargs"
	"github.com/consulecs/terraform-provider-consulecs/internal/resolvconf"
)

// Name is the agent's name on the command line.
const Name = "doctor"

const defaultTimeout = 30 * time.Second

// ErrFound means that the report, which is printed, holds failures.
var ErrFound = errors.New("a check failed")

// Run makes the checks and prints what they found. ctx ends with the first SIGTERM.
func Run(ctx context.Context, getenv func(string) string, args []string, stdout, stderr io.Writer) error {
	flags := agentargs.New(Name, stderr)
	asJSON := flags.Bool("json", false, "print the findings as JSON")
	timeout := flags.Duration("timeout", defaultTimeout, "how long all the checks may take")
	var task checkTask
	flags.BoolVar(&task.on, "fargate", false, "ask what names need of Fargate, without Consul")
	flags.BoolVar(&task.write, "write", false, "with -fargate: add the name server to "+resolvconf.Path)
	flags.BoolVar(&task.definition, "definition", false, "with -fargate: print the definition of the task that asks")
	flags.StringVar(&task.image, "image", "", "with -definition: the agents' image")
	flags.StringVar(&task.role, "execution-role", "", "with -definition: ARN of the execution role, which pulls the image and writes the log")
	flags.StringVar(&task.logGroup, "log-group", "", "with -definition: log group of CloudWatch for what is found")
	flags.StringVar(&task.region, "region", "", "with -definition: its Region")
	if err := agentargs.ParseOnly(flags, args); err != nil {
		return err
	}
	if done, err := task.run(stdout); done || err != nil {
		return err
	}
	if *timeout <= 0 {
		return agentargs.Errorf("-timeout is %s, want more than 0", *timeout)
	}
	f := &facts{getenv: getenv, log: hclog.NewNullLogger()}
	limited, cancel := context.WithTimeout(ctx, *timeout)
	defer cancel()
	wanted := checks()
	if task.on {
		wanted = fargateChecks()
	}
	found := examine(limited, wanted, f)
	if f.conn != nil {
		found = append(found, f.logOut())
	}
	if err := found.write(stdout, *asJSON); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return fmt.Errorf("look for what is wrong: %w", context.Cause(ctx))
	}
	if found.count(Fail) > 0 {
		return ErrFound
	}
	return nil
}

// checks lists everything that is looked at. What a check reads of the facts, it waits for.
func checks() []check {
	return []check{
		{name: "config", look: (*facts).lookConfig},
		{name: "ca-certificates", needs: []string{"config"}, look: (*facts).lookTrust},

		{name: "metadata", look: (*facts).lookMetadata},
		{name: "task-address", needs: []string{"config", "metadata"}, look: (*facts).lookAddress},
		{name: "launch-type", needs: []string{"config", "metadata"}, look: (*facts).lookLaunchType},
		{name: "task-tags", needs: []string{"config", "metadata"}, look: (*facts).lookTaskTags},

		{name: "aws-credentials", needs: []string{"config"}, after: []string{"metadata"}, look: (*facts).lookCredentials},
		{name: "sts", needs: []string{"aws-credentials"}, look: (*facts).lookSTS},
		{name: "iam-get-role", needs: []string{"sts"}, look: (*facts).lookRole},
		{name: "role-tags", needs: []string{"iam-get-role"}, look: (*facts).lookRoleTags},
		{name: "role-path", needs: []string{"iam-get-role"}, look: (*facts).lookRolePath},

		{name: "server-addresses", needs: []string{"ca-certificates"}, look: (*facts).lookServers},
		{name: "grpc-tcp", needs: []string{"server-addresses"}, look: (*facts).lookGRPCPort},
		{name: "grpc-tls", needs: []string{"grpc-tcp"}, look: (*facts).lookGRPCGreeting},
		{name: "http-tcp", needs: []string{"server-addresses"}, look: (*facts).lookHTTPPort},
		{name: "http-tls", needs: []string{"http-tcp"}, look: (*facts).lookHTTPGreeting},
		{name: "http-api", needs: []string{"http-tls"}, look: (*facts).lookLeader},

		{name: "login", needs: []string{"grpc-tls", "sts"}, after: []string{"metadata"}, look: (*facts).lookLogin},
		{name: "dataplane-features", needs: []string{"login"}, look: (*facts).lookFeatures},
		{name: "synthetic-node", needs: []string{"login", "http-api", "metadata"}, look: (*facts).lookNode},
		{name: "permissions", needs: []string{"login", "http-api", "task-address"}, look: (*facts).lookPermissions},
		{name: "registration", needs: []string{"login", "http-api", "task-address"}, look: (*facts).lookRegistration},

		{name: "zones", needs: []string{"login", "http-api", "task-address"}, look: (*facts).lookZones},

		{name: "port-public", needs: []string{"config"}, after: []string{"metadata"}, look: (*facts).lookPublicPort},
		{name: "port-ready", needs: []string{"config"}, after: []string{"metadata"}, look: (*facts).lookReadyPort},
		{name: "port-admin", needs: []string{"config"}, after: []string{"metadata"}, look: (*facts).lookAdminPort},
		{name: "port-outbound", needs: []string{"config"}, after: []string{"metadata"}, look: (*facts).lookOutboundPort},
		{name: "port-dns", needs: []string{"config"}, after: []string{"metadata"}, look: (*facts).lookDNSPort},
		{name: "port-names", needs: []string{"config"}, after: []string{"metadata"}, look: (*facts).lookNamesPorts},
		{name: "port-upstreams", needs: []string{"config"}, after: []string{"metadata"}, look: (*facts).lookUpstreamPorts},
		{name: "port-exposed", needs: []string{"config"}, after: []string{"metadata"}, look: (*facts).lookExposedPorts},
		{name: "envoy-ready", needs: []string{"config"}, after: []string{"metadata"}, look: (*facts).lookReady},

		{name: "doctor-user", needs: []string{"config"}, look: (*facts).lookUser},
		{name: "net-admin", needs: []string{"config"}, after: []string{"metadata"}, look: (*facts).lookNetAdmin},
		{name: "iptables", needs: []string{"config"}, look: (*facts).lookIptables},
		{name: "redirect-rules", needs: []string{"config", "iptables"}, after: []string{"net-admin", "registration"}, look: (*facts).lookRules},
		{name: "port-start", needs: []string{"config"}, look: (*facts).lookPortStart},
		{name: "bind-device", needs: []string{"config"}, look: (*facts).lookBindDevice},
		{name: "resolv-conf", needs: []string{"config"}, after: []string{"metadata"}, look: (*facts).lookResolver},

		{name: "app", needs: []string{"config"}, after: []string{"metadata"}, look: (*facts).lookApp},
		{name: "app-bypass", needs: []string{"config"}, look: (*facts).lookBypass},
	}
}
