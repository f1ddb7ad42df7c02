package controller

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/hashicorp/consul/api"
	"github.com/hashicorp/go-hclog"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/consul"
	"github.com/consulecs/terraform-provider-consulecs/internal/consul/acl"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskmeta"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/eventually"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/logbuffer"
)

// actAs makes an IAM role outside of the path of tasks, without tags, and gives this process its credentials.
func (w *world) actAs(t *testing.T, name string) {
	t.Helper()
	role, err := iam.NewFromConfig(w.aws).CreateRole(t.Context(), &iam.CreateRoleInput{
		RoleName: &name, Path: aws.String("/controllers/"), AssumeRolePolicyDocument: aws.String("{}"),
	})
	if err != nil {
		t.Fatal(err)
	}
	out, err := sts.NewFromConfig(w.aws).AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: role.Role.Arn, RoleSessionName: aws.String("task")})
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", *out.Credentials.AccessKeyId)
	t.Setenv("AWS_SECRET_ACCESS_KEY", *out.Credentials.SecretAccessKey)
	t.Setenv("AWS_SESSION_TOKEN", *out.Credentials.SessionToken)
}

// loggingIn is the configuration of a controller that logs in by its IAM role.
func (w *world) loggingIn() agentconfig.Config {
	cfg := w.config()
	cfg.ConsulLogin = &agentconfig.ConsulLogin{Enabled: true, STSEndpoint: w.moto, IAMEndpoint: w.moto}
	return cfg
}

// secret keeps text in Secrets Manager and returns its ARN.
func (w *world) secret(t *testing.T, text string) string {
	t.Helper()
	out, err := secretsmanager.NewFromConfig(w.aws).CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: &w.name, SecretString: &text})
	if err != nil {
		t.Fatal(err)
	}
	return *out.ARN
}

// prepared has Consul prepared as consulecs-agent bootstrap does it, for a controller that acts as the IAM role.
func (w *world) prepared(t *testing.T, role string, writesACL bool) {
	t.Helper()
	settings, err := consul.SettingsOf(w.config(), w.self, w.getenv(nil))
	if err != nil {
		t.Fatal(err)
	}
	operator, err := consul.Connect(t.Context(), settings, hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	want, err := consul.WantedOf(t.Context(), w.config().ControllerSettings(), "aws", w.self.AccountID, w.self.Region)
	if err != nil {
		t.Fatal(err)
	}
	want.Controller = &acl.Controller{
		Method: acl.ControllerMethod, Role: acl.IAMRole{Partition: "aws", AccountID: w.self.AccountID, Name: role},
		ECSClusters: []string{w.self.ClusterARN}, WritesACL: writesACL,
	}
	_, err = operator.EnsureACL(t.Context(), want)
	if err := errors.Join(err, operator.Close()); err != nil {
		t.Fatal(err)
	}
}

// rights are those of a controller without a token in its environment.
func (w *world) rights(t *testing.T, cfg agentconfig.Config) rights {
	t.Helper()
	r, err := rightsOf(t.Context(), cfg, w.self, w.aws, w.getenv(map[string]string{mesh.VariableToken: ""}))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// mustGetIn connects by the rights, and logs to the world's log.
func (w *world) mustGetIn(t *testing.T, r rights) *consul.Connection {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	conn, err := r.connect(ctx, hclog.New(&hclog.LoggerOptions{Output: &w.log, Level: hclog.Debug}))
	if err != nil {
		t.Fatalf("%v\n%s", err, w.log.String())
	}
	t.Cleanup(func() {
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	})
	return conn
}

// bound are the names of the ACL roles of a token, and what else it has.
func (w *world) bound(t *testing.T, conn *consul.Connection) (names []string) {
	t.Helper()
	token, _, err := w.consul.ACL().TokenReadSelf(&api.QueryOptions{Token: conn.Token()})
	if err != nil {
		t.Fatal(err)
	}
	if len(token.ServiceIdentities)+len(token.Policies)+len(token.NodeIdentities) > 0 || token.ExpirationTime == nil {
		t.Errorf("the token is %+v, want one that expires, with roles alone", token)
	}
	for _, role := range token.Roles {
		names = append(names, role.Name)
	}
	return names
}

// doDuties runs all that a controller does with Consul: it prepares it, and takes the services of a dead task off, and its
// tokens where somebody has to.
func (w *world) doDuties(t *testing.T, r rights, conn *consul.Connection) {
	t.Helper()
	k := w.newKeeper(r)
	k.consul = conn
	if err := k.prepare(t.Context()); err != nil {
		t.Fatalf("prepare: %v", err)
	}
	role, tasks := w.role(t), w.runTasks(t, 2)
	var tokens []*api.ACLToken
	for _, task := range tasks {
		w.register(t, task)
		tokens = append(tokens, w.logIn(t, role, task))
	}
	mustLook(t, k)
	w.stopTask(t, tasks[0])
	mustLook(t, k)
	left := w.services(t)
	slices.Sort(left)
	id := mesh.ServiceID("web", tasks[1].ID)
	if want := []string{id, mesh.ProxyID(id)}; !slices.Equal(left, want) {
		t.Errorf("services %q are left, want those of the living task: %q", left, want)
	}
	if w.tokenExists(tokens[0].AccessorID) == r.managesACL || !w.tokenExists(tokens[1].AccessorID) {
		t.Errorf("the dead task's token exists: %v, the living one's: %v", w.tokenExists(tokens[0].AccessorID), w.tokenExists(tokens[1].AccessorID))
	}
	if _, err := w.consul.Catalog().Deregister(&api.CatalogDeregistration{Node: w.self.ClusterARN}, nil); err != nil {
		t.Fatal(err)
	}
	mustLook(t, k)
	if got := w.services(t); len(got) != 0 {
		t.Errorf("after the loss of the node: %q, want an empty node", got)
	}
}

// TestAGivenTokenDoesEveryDutyByThePoliciesThatArePrinted has a token of the policies that bootstrap -print -controller-writes-acl
// prints for the controller.
func TestAGivenTokenDoesEveryDutyByThePoliciesThatArePrinted(t *testing.T) {
	w := newWorld(t)
	want := acl.Wanted{Controller: &acl.Controller{ECSClusters: []string{w.self.ClusterARN}, WritesACL: true}}
	token := &api.ACLToken{}
	for _, policy := range want.Policies() {
		if !strings.HasPrefix(policy.Name, "consulecs-controller-") {
			continue
		}
		made, _, err := w.consul.ACL().PolicyCreate(&api.ACLPolicy{Name: "given-" + policy.Name, Rules: policy.Rules}, nil)
		if err != nil {
			t.Fatal(err)
		}
		token.Policies = append(token.Policies, &api.ACLLink{ID: made.ID})
	}
	token, _, err := w.consul.ACL().TokenCreate(token, nil)
	if err != nil || len(token.Policies) != 2 {
		t.Fatalf("the token is %+v, %v; want it with two policies", token, err)
	}
	r, err := rightsOf(t.Context(), w.config(), w.self, w.aws, w.getenv(map[string]string{mesh.VariableToken: token.SecretID}))
	if err != nil {
		t.Fatal(err)
	}
	w.doDuties(t, r, w.mustGetIn(t, r))
}

func TestTheFirstTokenPreparesConsulAndIsForgotten(t *testing.T) {
	w := newWorld(t)
	w.actAs(t, "first-"+w.name)
	cfg := w.loggingIn()
	arn := w.secret(t, `{"management":"`+w.server.BootstrapToken+`"}`)
	cfg.Controller.FirstTokenSecretARN = arn + ":management::"
	r := w.rights(t, cfg)
	conn := w.mustGetIn(t, r)
	want := []string{acl.ControllerName(w.self.ClusterARN)}
	if got := w.bound(t, conn); !slices.Equal(got, want) {
		t.Errorf("the controller's roles are %q, want %q", got, want)
	}
	w.doDuties(t, r, conn)

	// The next controller does without the secret, and finds everything as it should be.
	_, err := secretsmanager.NewFromConfig(w.aws).DeleteSecret(t.Context(), &secretsmanager.DeleteSecretInput{SecretId: &arn, ForceDeleteWithoutRecovery: aws.Bool(true)})
	if err != nil {
		t.Fatal(err)
	}
	next := w.mustGetIn(t, r)
	if changes, err := r.ensure(t.Context(), next); err != nil || len(changes) > 0 {
		t.Errorf("the next controller: %v, %v; want nothing to write", changes, err)
	}
	if text := w.log.String(); strings.Contains(text, w.server.BootstrapToken) || strings.Contains(text, conn.Token()) {
		t.Errorf("a token is in the log:\n%s", text)
	}

	// It gives itself the rights over one more ECS cluster, and has them at once.
	another := w.self.ClusterARN + "-2"
	cfg.Controller.ECSClusters = []string{another}
	more := w.rights(t, cfg)
	if changes, err := more.ensure(t.Context(), next); err != nil || len(changes) != 3 {
		t.Errorf("one more ECS cluster: %v, %v; want a policy, a role and a rule", changes, err)
	}
	got := w.bound(t, next)
	slices.Sort(got)
	if want := append(want, acl.ControllerName(another)); !slices.Equal(got, slices.Sorted(slices.Values(want))) {
		t.Errorf("the controller's roles are %q, want %q", got, want)
	}
	if _, err := next.EnsureNode(t.Context(), another, w.self.Address); err != nil {
		t.Errorf("the node of one more ECS cluster: %v", err)
	}
}

func TestTheFirstTokenIsReadOnlyWhereTheLoginIsRefused(t *testing.T) {
	w := newWorld(t)
	w.actAs(t, "unreached-"+w.name)
	var asked atomic.Int32
	secrets := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		rw.WriteHeader(http.StatusBadRequest)
	}))
	t.Cleanup(secrets.Close)
	cfg := w.loggingIn()
	cfg.Controller.FirstTokenSecretARN = "arn:aws:secretsmanager:us-east-1:123456789012:secret:first"
	r := w.rights(t, cfg)
	r.aws.BaseEndpoint = &secrets.URL
	for name, tc := range map[string]struct {
		port  int
		asked int32
		want  string
	}{
		"nobody listens": {1, 0, "connection refused"},
		"not prepared":   {w.server.GRPCPort, 1, "prepare Consul by the token in secret arn:aws:secretsmanager:us-east-1:123456789012:secret:first: read the secret"},
	} {
		asked.Store(0)
		r.settings.GRPC.Port = tc.port
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		_, err := r.connect(ctx, hclog.NewNullLogger())
		cancel()
		if err == nil || !strings.Contains(err.Error(), tc.want) || asked.Load() != tc.asked {
			t.Errorf("%s: the secret was asked for %d times, %v; want %d and %q", name, asked.Load(), err, tc.asked, tc.want)
		}
	}
}

func TestAPreparedConsulTakesAControllerWithoutRightsOverACLs(t *testing.T) {
	w := newWorld(t)
	t.Setenv("AWS_ENDPOINT_URL_ECS", w.ecsURL)
	name := "narrow-" + w.name
	w.actAs(t, name)
	w.prepared(t, name, false)
	cfg := w.loggingIn()
	no := false
	cfg.Controller.ManageACL = &no
	r := w.rights(t, cfg)
	conn := w.mustGetIn(t, r)
	w.bound(t, conn)
	w.doDuties(t, r, conn)
	w.checkDenied(t, conn.Token())

	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var log logbuffer.Buffer
	done := make(chan error, 1)
	getenv := w.getenv(map[string]string{mesh.VariableToken: "", mesh.ConfigVariable: encode(t, cfg), taskmeta.Variable: metadata(t, w.self)})
	go func() { done <- Agent{}.Run(ctx, getenv, nil, nil, &log) }()
	eventually.True(t, "the whole controller is ready", 30*time.Second, func() bool { return strings.Contains(log.String(), "controller ready") })
	looked := w.looks.Load()
	task := w.runTasks(t, 1)[0]
	w.register(t, task)
	eventually.True(t, "passes go on", 30*time.Second, func() bool { return w.looks.Load() > looked+1 })
	stop()
	if err := <-done; err != nil {
		t.Errorf("Run = %v\n%s", err, log.String())
	}
	if text := log.String(); strings.Contains(text, "ermission denied") || strings.Contains(text, "[WARN]") {
		t.Errorf("the log has refusals or warnings:\n%s", text)
	}
}

// checkDenied tries what a controller with rights over its own node alone must not do.
func (w *world) checkDenied(t *testing.T, token string) {
	t.Helper()
	queries, writes := &api.QueryOptions{Token: token}, &api.WriteOptions{Token: token}
	client, node := w.consul, w.self.ClusterARN
	if _, err := client.Catalog().Register(&api.CatalogRegistration{Node: "another", Address: "10.0.0.9"}, nil); err != nil {
		t.Fatal(err)
	}
	tokens, _, err := client.ACL().TokenList(nil)
	if err != nil {
		t.Fatal(err)
	}
	web := &api.AgentService{ID: "w", Service: "web"}
	for what, try := range map[string]func() error{
		"list tokens":    func() error { _, _, err := client.ACL().TokenList(queries); return err },
		"delete a token": func() error { _, err := client.ACL().TokenDelete(tokens[0].AccessorID, writes); return err },
		"make a token":   func() error { _, _, err := client.ACL().TokenCreate(&api.ACLToken{}, writes); return err },
		"read a policy": func() error {
			_, _, err := client.ACL().PolicyReadByName(acl.ControllerName(node), queries)
			return err
		},
		"make a policy":        func() error { _, _, err := client.ACL().PolicyCreate(&api.ACLPolicy{Name: "x"}, writes); return err },
		"read the auth method": func() error { _, _, err := client.ACL().AuthMethodRead(acl.ControllerMethod, queries); return err },
		"make a binding rule": func() error {
			_, _, err := client.ACL().BindingRuleCreate(&api.ACLBindingRule{AuthMethod: acl.ControllerMethod, BindType: "service", BindName: "web"}, writes)
			return err
		},
		"register a service": func() error {
			_, err := client.Catalog().Register(&api.CatalogRegistration{Node: node, SkipNodeUpdate: true, Service: web}, writes)
			return err
		},
		"register one on another node": func() error {
			_, err := client.Catalog().Register(&api.CatalogRegistration{Node: "another", SkipNodeUpdate: true, Service: web}, writes)
			return err
		},
		"register another node": func() error {
			_, err := client.Catalog().Register(&api.CatalogRegistration{Node: "third", Address: "10.0.0.9"}, writes)
			return err
		},
		"take another node off": func() error {
			_, err := client.Catalog().Deregister(&api.CatalogDeregistration{Node: "another"}, writes)
			return err
		},
		"write another key": func() error {
			_, err := client.KV().Put(&api.KVPair{Key: mesh.ControllerKey(node) + "x"}, writes)
			return err
		},
		"have another node's session": func() error {
			_, _, err := client.Session().CreateNoChecks(&api.SessionEntry{Node: "another"}, writes)
			return err
		},
		"write a config entry": func() error {
			_, _, err := client.ConfigEntries().Set(&api.ServiceConfigEntry{Kind: api.ServiceDefaults, Name: "web"}, writes)
			return err
		},
		"read the server's settings": func() error { _, err := client.Raw().Query("/v1/agent/self", new(any), queries); return err },
	} {
		var status api.StatusError
		if err := try(); !errors.As(err, &status) || status.Code != http.StatusForbidden {
			t.Errorf("%s: %v, want a refusal", what, err)
		}
	}
	// And what it needs to lead.
	session, _, err := client.Session().CreateNoChecks(&api.SessionEntry{Node: node, TTL: "10s"}, writes)
	if err != nil {
		t.Fatalf("make a session: %v", err)
	}
	key := &api.KVPair{Key: mesh.ControllerKey(node), Session: session}
	if led, _, err := client.KV().Acquire(key, writes); err != nil || !led {
		t.Errorf("take the key: %v, %v", led, err)
	}
	if _, _, err := client.KV().Get(key.Key, queries); err != nil {
		t.Errorf("read the key: %v", err)
	}
	if _, err := client.Session().Destroy(session, writes); err != nil {
		t.Errorf("end the session: %v", err)
	}
}

func TestAnotherIAMRoleGetsNoControllersRights(t *testing.T) {
	w := newWorld(t)
	w.prepared(t, "ctl-"+w.name, false)
	w.prepared(t, "second-"+w.name, false) // both are admitted, each for itself
	for _, name := range []string{"other-" + w.name, "ctl-" + w.name + "x"} {
		w.actAs(t, name)
		r := w.rights(t, w.loggingIn())
		if _, err := r.logIn(t.Context(), hclog.NewNullLogger(), 1); !errors.Is(err, consul.ErrUnprepared) {
			t.Errorf("%s: %v, want a refusal", name, err)
		}
	}
}

func TestAControllerThatNobodyPreparedConsulForSaysWhoDoes(t *testing.T) {
	w := newWorld(t)
	w.actAs(t, "unprepared-"+w.name)
	cfg := w.loggingIn()
	no := false
	cfg.Controller.ManageACL = &no
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	_, err := w.rights(t, cfg).connect(ctx, hclog.NewNullLogger())
	if err == nil || !strings.Contains(err.Error(), "hint: run consulecs-agent bootstrap") || strings.Count(err.Error(), "hint:") != 1 {
		t.Errorf("connect = %v, want a hint at bootstrap alone", err)
	}
	if ctx.Err() != nil {
		t.Error("it went on until the end of its time")
	}
	if methods, _, err := w.consul.ACL().AuthMethodList(nil); err != nil || len(methods) > 0 {
		t.Errorf("%d auth methods (%v), want none written", len(methods), err)
	}
}

func TestNoneOfTheRightsOfAControllerIsTooMany(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	node := w.self.ClusterARN
	var rules string
	for _, policy := range (acl.Wanted{Controller: &acl.Controller{ECSClusters: []string{node}}}).Policies() {
		if policy.Name == acl.ControllerName(node) {
			rules = policy.Rules
		}
	}
	each := strings.SplitAfter(rules, "}\n")
	each = each[:len(each)-1]
	duties := map[string]func(token string) bool{
		"node": func(token string) bool {
			_, err := w.consul.Catalog().Register(&api.CatalogRegistration{Node: node, Address: "10.0.0.8"}, &api.WriteOptions{Token: token})
			return err == nil
		},
		"service_prefix": func(token string) bool {
			list, _, err := w.consul.Catalog().NodeServiceList(node, &api.QueryOptions{Token: token})
			return err == nil && len(list.Services) == 1
		},
		"session": func(token string) bool {
			_, _, err := w.consul.Session().CreateNoChecks(&api.SessionEntry{Node: node, TTL: "10s"}, &api.WriteOptions{Token: token})
			return err == nil
		},
		"key": func(token string) bool {
			_, err := w.consul.KV().Put(&api.KVPair{Key: mesh.ControllerKey(node)}, &api.WriteOptions{Token: token})
			return err == nil
		},
	}
	if len(each) != len(duties) {
		t.Fatalf("%d rules for %d duties:\n%s", len(each), len(duties), rules)
	}
	if _, err := w.consul.Catalog().Register(&api.CatalogRegistration{Node: node, Address: "10.0.0.7", Service: &api.AgentService{ID: "web", Service: "web"}}, nil); err != nil {
		t.Fatal(err)
	}
	for i, without := range each {
		rest := strings.Join(slices.Delete(slices.Clone(each), i, i+1), "")
		if strings.HasPrefix(without, "node ") { // the services of a node are seen by who may read it
			rest += strings.Replace(without, "write", "read", 1)
		}
		policy, _, err := w.consul.ACL().PolicyCreate(&api.ACLPolicy{Name: fmt.Sprint("without-", i), Rules: rest}, nil)
		if err != nil {
			t.Fatal(err)
		}
		token, _, err := w.consul.ACL().TokenCreate(&api.ACLToken{Policies: []*api.ACLLink{{ID: policy.ID}}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		for duty, do := range duties {
			if did, want := do(token.SecretID), !strings.HasPrefix(without, duty+" "); did != want {
				t.Errorf("without %q the duty %s is done: %v, want %v", without, duty, did, want)
			}
		}
	}
}
