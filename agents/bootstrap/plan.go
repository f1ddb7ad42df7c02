package bootstrap

import (
	"cmp"
	"context"
	"flag"
	"io"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/arn"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentargs"
	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/agentenv"
	"github.com/consulecs/terraform-provider-consulecs/internal/consul"
	"github.com/consulecs/terraform-provider-consulecs/internal/consul/acl"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskmeta"
)

const (
	defaultTTL     = time.Hour
	defaultTimeout = consul.StartTimeout
)

// list is a flag that may be given several times.
type list []string

func (l *list) String() string { return strings.Join(*l, ",") }

// Set adds a value.
func (l *list) Set(value string) error {
	*l = append(*l, value)
	return nil
}

// flags are the arguments; given says which of them there are.
type flags struct {
	ecsClusters, namespaces          list
	controllerRole, controllerMethod string
	controllerWritesACL              bool
	method, rolePath, serverID       string
	stsEndpoint, iamEndpoint         string
	trustAllRoles, anonymousReads    bool
	tokenTTL, timeout                time.Duration
	maxRetries                       int
	partition, nodeAddress           string
	dryRun, print                    bool
	given                            map[string]bool
}

func parse(args []string, stderr io.Writer) (flags, error) {
	f := flags{given: map[string]bool{}}
	set := agentargs.New(Name, stderr)
	set.Var(&f.ecsClusters, "ecs-cluster", "`ARN` of an ECS cluster, again for each")
	set.StringVar(&f.controllerRole, "controller-role", "", "`name` or ARN of the IAM role by which the controller logs in")
	set.StringVar(&f.controllerMethod, "controller-auth-method", acl.ControllerMethod, "auth `method` by which controllers log in")
	set.BoolVar(&f.controllerWritesACL, "controller-writes-acl", false, "the controller prepares Consul from now on: it may do everything")
	set.StringVar(&f.method, "auth-method", mesh.AuthMethod, "auth `method` by which tasks log in")
	set.StringVar(&f.rolePath, "iam-role-path", mesh.RolePath, "IAM `path` of the tasks' roles")
	set.BoolVar(&f.trustAllRoles, "trust-all-roles", false, "says yes to the path /, below which every role of the account may log in")
	set.DurationVar(&f.tokenTTL, "token-ttl", defaultTTL, "how long the token of a login lives; 0 leaves that as it is")
	set.IntVar(&f.maxRetries, "max-retries", 0, "how often Consul's servers repeat a request to STS or IAM that fails (default: Consul's own)")
	set.StringVar(&f.serverID, "server-id-header", "", "`value` that each login must have in the header X-Consul-IAM-ServerID")
	set.StringVar(&f.stsEndpoint, "sts-endpoint", "", "`URL` to which Consul's servers send a login's request to STS")
	set.StringVar(&f.iamEndpoint, "iam-endpoint", "", "`URL` to which they send its request to IAM")
	set.BoolVar(&f.anonymousReads, "anonymous-reads", true, "anonymous requests may read nodes and services, as Consul DNS needs")
	set.StringVar(&f.partition, "partition", "", "Consul Enterprise: the admin `partition`, made if it is missing")
	set.Var(&f.namespaces, "namespace", "Consul Enterprise: a `namespace` of tasks, made if it is missing, again for each")
	set.StringVar(&f.nodeAddress, "node-address", "", "IP `address` of a synthetic node that is missing (default: the task's, else 127.0.0.1)")
	set.BoolVar(&f.dryRun, "dry-run", false, "tell what would be written, and write nothing")
	set.BoolVar(&f.print, "print", false, "print the ACL policies and ask nobody")
	set.DurationVar(&f.timeout, "timeout", defaultTimeout, "how long it may take")
	if err := agentargs.ParseOnly(set, args); err != nil {
		return flags{}, err
	}
	set.Visit(func(given *flag.Flag) { f.given[given.Name] = true })
	if f.timeout <= 0 {
		return flags{}, agentargs.Errorf("-timeout is %s, want more than 0", f.timeout)
	}
	if f.tokenTTL != 0 && (f.tokenTTL < time.Minute || f.tokenTTL > 24*time.Hour) {
		return flags{}, agentargs.Errorf("-token-ttl is %s, want a minute to a day, or 0", f.tokenTTL)
	}
	return f, nil
}

// over puts the flags that are given over the controller's settings.
func (f flags) over(c agentconfig.Controller) agentconfig.Controller {
	method := agentconfig.AuthMethod{}
	if c.AuthMethod != nil {
		method = *c.AuthMethod
	}
	for name, text := range map[string]struct{ into, value *string }{
		"auth-method": {&method.Name, &f.method}, "server-id-header": {&method.ServerIDHeaderValue, &f.serverID},
		"sts-endpoint": {&method.STSEndpoint, &f.stsEndpoint}, "iam-endpoint": {&method.IAMEndpoint, &f.iamEndpoint},
		"iam-role-path": {&c.IAMRolePath, &f.rolePath}, "partition": {&c.Partition, &f.partition},
	} {
		if f.given[name] {
			*text.into = *text.value
		}
	}
	if f.given["trust-all-roles"] {
		c.TrustAllRoles = f.trustAllRoles
	}
	if f.given["anonymous-reads"] {
		c.AnonymousReads = &f.anonymousReads
	}
	if f.given["max-retries"] {
		method.MaxRetries = &f.maxRetries
	}
	if seconds := int(f.tokenTTL / time.Second); f.given["token-ttl"] || method.TokenTTLSeconds == nil {
		method.TokenTTLSeconds = &seconds
	}
	if *method.TokenTTLSeconds == 0 {
		method.TokenTTLSeconds = nil
	}
	if len(f.ecsClusters) > 0 {
		c.ECSClusters = f.ecsClusters
	}
	c.AuthMethod = &method
	c.PartitionsEnabled = c.PartitionsEnabled || c.Partition != ""
	return c
}

// plan is what is to be prepared.
type plan struct {
	want        acl.Wanted
	ecsClusters []string
	namespaces  []string
	address     netip.Addr // of nodes that are missing

	cfg        agentconfig.Config
	configured bool // there is a configuration
	task       taskmeta.Task
}

// planOf gathers the plan from the flags, the configuration and the task, as far as there are any.
func planOf(ctx context.Context, f flags, getenv func(string) string) (plan, error) {
	p := plan{namespaces: f.namespaces, address: netip.AddrFrom4([4]byte{127, 0, 0, 1})}
	var err error
	if p.configured = getenv(mesh.ConfigVariable) != ""; p.configured {
		if p.cfg, err = agentenv.Load(getenv); err != nil {
			return plan{}, err
		}
	}
	if uri := getenv(taskmeta.Variable); uri != "" {
		if p.task, err = taskmeta.Read(ctx, uri); err != nil {
			return plan{}, err
		}
		if p.task.Address.IsValid() {
			p.address = p.task.Address
		}
	}
	if f.nodeAddress != "" {
		if p.address, err = netip.ParseAddr(f.nodeAddress); err != nil {
			return plan{}, agentargs.Errorf("-node-address is %q, want an IP address", f.nodeAddress)
		}
	}
	settings := agentconfig.Controller{}
	if p.cfg.Controller != nil {
		settings = *p.cfg.Controller
	}
	if settings = f.over(settings); !f.given["partition"] && !p.configured {
		settings.Partition = getenv("CONSUL_PARTITION")
		settings.PartitionsEnabled = settings.Partition != ""
	}
	checked := agentconfig.Config{BootstrapDir: "/consul", ConsulServers: agentconfig.ConsulServers{Hosts: "localhost"}, Controller: &settings}
	if err := checked.Problems().Err(); err != nil {
		return plan{}, agentargs.Errorf("flags and configuration do not make a controller's settings: %w", err)
	}
	p.ecsClusters = settings.ECSClusters
	if p.task.ClusterARN != "" && len(f.ecsClusters) == 0 {
		p.ecsClusters = append([]string{p.task.ClusterARN}, p.ecsClusters...)
	}
	return p, p.fill(ctx, f, checked.ControllerSettings())
}

// fill derives what Consul shall hold. A controller's ECS clusters are of one account and Region, as its IAM role is.
func (p *plan) fill(ctx context.Context, f flags, settings agentconfig.Controller) error {
	if len(p.ecsClusters) == 0 {
		return agentargs.Errorf("no ECS cluster is named: give its ARN in -ecs-cluster")
	}
	first, err := arn.Parse(p.ecsClusters[0])
	if err != nil {
		return agentargs.Errorf("-ecs-cluster %s: %v", p.ecsClusters[0], err)
	}
	for _, other := range p.ecsClusters {
		if parsed, err := arn.Parse(other); err != nil || parsed.AccountID != first.AccountID || parsed.Region != first.Region {
			return agentargs.Errorf("-ecs-cluster %s is of another account or Region than %s: run bootstrap once for each", other, p.ecsClusters[0])
		}
	}
	if p.want, err = consul.WantedOf(ctx, settings, first.Partition, first.AccountID, first.Region); err != nil {
		return err
	}
	p.want.DryRun = f.dryRun
	if f.controllerRole == "" {
		return nil
	}
	role := acl.IAMRole{Partition: first.Partition, AccountID: first.AccountID, Name: f.controllerRole}
	if strings.HasPrefix(f.controllerRole, "arn:") {
		if role, err = acl.RoleOf(f.controllerRole); err != nil {
			return agentargs.Errorf("-controller-role: %v", err)
		}
	}
	method := f.controllerMethod
	if login := p.cfg.ConsulLogin; login != nil && !f.given["controller-auth-method"] {
		method = cmp.Or(login.Method, method)
	}
	p.want.Controller = &acl.Controller{
		Method: method, Role: role, ECSClusters: slices.Clone(p.ecsClusters), WritesACL: f.controllerWritesACL,
	}
	return nil
}
