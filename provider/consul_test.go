package provider_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/consul/api"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
)

// watched is a Consul with the node of an ECS cluster, an auth method for operators, and the ECS cluster itself.
type watched struct {
	cloud
	consul  *testenv.Consul
	cluster string // ARN
	role    string // ARN, of who may log in
	tasks   map[string]string
}

const operators = "operators"

func watchMesh(t *testing.T, c cloud) watched {
	t.Helper()
	w := watched{cloud: c, consul: testenv.ConsulDuring(t, testenv.ConsulConfig{}), tasks: map[string]string{}}
	const name = "prod" // as in the examples
	w.cluster = clusterOf(t, w.cloud, name)
	w.prepareLogin(t, name)
	w.register(t, name)
	for _, task := range []string{"running", "unregistered", "stopped"} {
		ran, err := w.ecs.RunTask(t.Context(), &ecs.RunTaskInput{
			Cluster: &w.cluster, TaskDefinition: aws.String(name), LaunchType: ecstypes.LaunchTypeFargate,
			NetworkConfiguration: &ecstypes.NetworkConfiguration{AwsvpcConfiguration: &ecstypes.AwsVpcConfiguration{Subnets: []string{w.subnet(t)}}},
			Tags:                 []ecstypes.Tag{{Key: aws.String(mesh.TaskTagMesh), Value: aws.String("true")}, {Key: aws.String(mesh.TaskTagServiceName), Value: aws.String("web")}},
		})
		if err != nil || len(ran.Tasks) != 1 {
			t.Fatal(err, ran)
		}
		arn := *ran.Tasks[0].TaskArn
		w.tasks[task] = arn[strings.LastIndexByte(arn, '/')+1:]
	}
	if _, err := w.ecs.StopTask(t.Context(), &ecs.StopTaskInput{Cluster: &w.cluster, Task: aws.String(w.tasks["stopped"])}); err != nil {
		t.Fatal(err)
	}
	w.tasks["missing"] = taskNumber
	for _, task := range []string{"running", "stopped", "missing"} {
		w.inConsul(t, "web-"+w.tasks[task], w.tasks[task], map[string]string{"app": api.HealthPassing, "proxy": api.HealthWarning})
	}
	w.inConsul(t, "by-hand", "", nil)
	return w
}

// prepareLogin makes an IAM role, and an auth method that gives it the right to read.
func (w *watched) prepareLogin(t *testing.T, name string) {
	t.Helper()
	role, err := w.iam.CreateRole(t.Context(), &iam.CreateRoleInput{RoleName: &name, AssumeRolePolicyDocument: aws.String("{}")})
	if err != nil {
		t.Fatal(err)
	}
	w.role = *role.Role.Arn
	acl := w.consul.API.ACL()
	policy := &api.ACLPolicy{Name: operators, Rules: `node_prefix "" { policy = "read" } service_prefix "" { policy = "read" }`}
	if _, _, err := acl.PolicyCreate(policy, nil); err != nil {
		t.Fatal(err)
	}
	if _, _, err := acl.RoleCreate(&api.ACLRole{Name: operators, Policies: []*api.ACLRolePolicyLink{{Name: operators}}}, nil); err != nil {
		t.Fatal(err)
	}
	method := &api.ACLAuthMethod{Name: operators, Type: "aws-iam", Config: map[string]any{
		"BoundIAMPrincipalARNs": []string{w.role}, "EnableIAMEntityDetails": true, "STSEndpoint": w.url, "IAMEndpoint": w.url,
	}}
	if _, _, err := acl.AuthMethodCreate(method, nil); err != nil {
		t.Fatal(err)
	}
	if _, _, err := acl.BindingRuleCreate(&api.ACLBindingRule{AuthMethod: operators, BindType: api.BindingRuleBindTypeRole, BindName: operators}, nil); err != nil {
		t.Fatal(err)
	}
}

// inConsul registers a service on the node of the ECS cluster.
func (w *watched) inConsul(t *testing.T, id, task string, checks map[string]string) {
	t.Helper()
	entry := &api.CatalogRegistration{Node: w.cluster, Address: "127.0.0.1", Service: &api.AgentService{ID: id, Service: "web"}}
	if task != "" {
		entry.Service.Meta = map[string]string{mesh.MetaTaskID: task}
	}
	for name, status := range checks {
		entry.Checks = append(entry.Checks, &api.HealthCheck{Node: w.cluster, CheckID: id + "-" + name, Name: name, ServiceID: id, Status: status})
	}
	if _, err := w.consul.API.Catalog().Register(entry, nil); err != nil {
		t.Fatal(err)
	}
}

// api is the provider's block for Consul.
func (w *watched) api(token any) fields {
	return fields{"address": fmt.Sprintf("https://%s:%d", w.consul.Address, w.consul.HTTPPort), "ca_pem": w.consul.CAPEM, "server_name": w.consul.ServerName, "token": token}
}

// asRole is the provider's configuration of who may log in.
func (w *watched) asRole(token any) fields {
	return with(w.ours(), fields{"assume_role": fields{"role_arn": w.role}, "consul": w.api(token)})
}

// loggedIn are the tokens that logins have made and nobody has logged out.
func (w *watched) loggedIn(t *testing.T) int {
	t.Helper()
	tokens, _, err := w.consul.API.ACL().TokenListFiltered(api.ACLTokenFilterOptions{AuthMethod: operators}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return len(tokens)
}

func plainOf(t testing.TB, v tftypes.Value) any {
	t.Helper()
	switch typ := v.Type(); {
	case v.IsNull():
		return nil
	case typ.Is(tftypes.String):
		return textOf(t, v)
	case typ.Is(tftypes.Bool):
		var flag bool
		if err := v.As(&flag); err != nil {
			t.Fatal(err)
		}
		return flag
	case typ.Is(tftypes.List{}):
		var elements []tftypes.Value
		if err := v.As(&elements); err != nil {
			t.Fatal(err)
		}
		all := []any{}
		for _, e := range elements {
			all = append(all, plainOf(t, e))
		}
		return all
	}
	var members map[string]tftypes.Value
	if err := v.As(&members); err != nil {
		t.Fatal(err)
	}
	all := fields{}
	for name, member := range members {
		all[name] = plainOf(t, member)
	}
	return all
}

func TestTheProviderAndConsul(t *testing.T) {
	t.Parallel()
	w := watchMesh(t, startMoto(t))
	t.Run("what differs is told", w.testDifferences)
	t.Run("what a token may not read is told", w.testPartial)
	t.Run("what is wrong is told", w.testRefusals)
	t.Run("a token lives from open to close", w.testTokenLife)
	t.Run("no token is left of a run", w.testRun)
}

func (w watched) testDifferences(t *testing.T) {
	p := speak(t)
	p.configure(t, with(w.ours(), fields{"consul": w.api(w.consul.BootstrapToken)}))
	got, said := p.read(t, "consulecs_mesh", fields{"cluster": w.cluster[strings.LastIndexByte(w.cluster, '/')+1:]})
	if len(said) > 0 {
		t.Fatal(detailsOf(said))
	}
	orphan := func(task, says string) any {
		return fields{"task_id": w.tasks[task], "ecs_says": says, "service_ids": []any{"web-" + w.tasks[task]}}
	}
	// The emulator gives no answer about a task that it does not know, and what nobody answers for is not dead.
	if diff := cmp.Diff([]any{orphan("stopped", "stopped")}, plainOf(t, got["orphans"])); diff != "" {
		t.Errorf("orphans: want -, got +:\n%s", diff)
	}
	tasks := map[string]any{}
	for _, task := range plainOf(t, got["tasks"]).([]any) {
		tasks[task.(fields)["id"].(string)] = task.(fields)["registered"]
	}
	if diff := cmp.Diff(map[string]any{w.tasks["running"]: true, w.tasks["unregistered"]: false}, tasks); diff != "" {
		t.Errorf("tasks: want -, got +:\n%s", diff)
	}
	services := map[string]any{}
	for _, service := range plainOf(t, got["services"]).([]any) {
		services[service.(fields)["id"].(string)] = []any{service.(fields)["status"], service.(fields)["task_id"]}
	}
	if diff := cmp.Diff([]any{"warning", w.tasks["running"]}, services["web-"+w.tasks["running"]]); diff != "" || len(services) != 4 {
		t.Errorf("services %v: want -, got +:\n%s", services, diff)
	}
	if diff := cmp.Diff([]any{"passing", nil}, services["by-hand"]); diff != "" {
		t.Errorf("a service of no task: want -, got +:\n%s", diff)
	}
	p = speak(t)
	p.configure(t, w.ours()) // no Consul
	got, said = p.read(t, "consulecs_mesh", fields{"cluster": w.cluster})
	if len(said) > 0 || plainOf(t, got["services"]) != nil || plainOf(t, got["orphans"]) != nil || plainOf(t, got["consul_address"]) != nil || len(plainOf(t, got["tasks"]).([]any)) != 2 {
		t.Errorf("without Consul: %v, %v", got, detailsOf(said))
	}
}

func (w watched) testPartial(t *testing.T) {
	token, _, err := w.consul.API.ACL().TokenCreate(&api.ACLToken{Description: "no rights"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	p := speak(t)
	p.configure(t, with(w.ours(), fields{"consul": w.api(token.SecretID)}))
	_, said := p.read(t, "consulecs_mesh", fields{"cluster": w.cluster})
	if text := strings.Join(detailsOf(said), "\n"); !strings.Contains(text, "left out what its token may not read") {
		t.Error(text)
	}
}

func (w watched) testRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		consul  fields
		cluster string
		want    string
	}{
		"a token of nobody's":      {w.api("00000000-0000-0000-0000-000000000001"), w.cluster, "hint: Consul does not know the token: see consul.token of the provider"},
		"another CA":               {with(w.api(nil), fields{"ca_pem": nil}), w.cluster, "hint: see consul.address, consul.ca_file or consul.ca_pem"},
		"plain HTTP":               {with(w.api(nil), fields{"address": fmt.Sprintf("http://%s:%d", w.consul.Address, w.consul.HTTPPort)}), w.cluster, "begin consul.address of the provider with https://"},
		"nobody there":             {with(w.api(nil), fields{"address": "https://127.0.0.1:1"}), w.cluster, "hint: see consul.address of the provider, or CONSUL_HTTP_ADDR"},
		"a token to come":          {with(w.api(nil), fields{"token": unknown{}}), w.cluster, "The provider's consul.token depends on a resource that does not exist yet"},
		"an ECS cluster of nobody": {w.api(w.consul.BootstrapToken), "nobody", "list tasks of ECS cluster arn:aws:ecs:us-east-1:123456789012:cluster/nobody"},
	} {
		p := speak(t)
		p.configure(t, with(w.ours(), fields{"consul": c.consul}))
		_, said := p.read(t, "consulecs_mesh", fields{"cluster": c.cluster})
		if text := strings.Join(detailsOf(said), "\n"); !strings.Contains(text, c.want) {
			t.Errorf("%s: %s, want %s", name, text, c.want)
		}
	}
}

// open opens the ephemeral resource: its attributes and what has to be given back to close it, or what is said in their stead.
func (p protocol) open(t *testing.T, config fields) (all map[string]tftypes.Value, private []byte, said []*tfprotov6.Diagnostic) {
	t.Helper()
	block := p.schemas.EphemeralResourceSchemas["consulecs_consul_token"].Block
	opened, err := p.OpenEphemeralResource(t.Context(), &tfprotov6.OpenEphemeralResourceRequest{TypeName: "consulecs_consul_token", Config: dynamic(t, object(t, block, config))})
	if err != nil {
		t.Fatal(err)
	}
	if len(opened.Diagnostics) > 0 {
		return nil, nil, opened.Diagnostics
	}
	return attributesOf(t, opened.Result, block), opened.Private, nil
}

func (w watched) testTokenLife(t *testing.T) {
	p := speak(t)
	p.configure(t, w.asRole(nil))
	got, private, said := p.open(t, fields{"auth_method": operators, "meta": fields{"run": "1"}})
	if len(said) > 0 {
		t.Fatal(detailsOf(said))
	}
	self, _, err := w.consul.API.ACL().TokenReadSelf(&api.QueryOptions{Token: textOf(t, got["token"])})
	if err != nil || self.AccessorID != textOf(t, got["accessor_id"]) || self.AuthMethod != operators || !strings.Contains(self.Description, `"run":"1"`) {
		t.Errorf("%+v, %v", self, err)
	}
	for range 2 { // one that is gone already is no error
		closed, err := p.CloseEphemeralResource(t.Context(), &tfprotov6.CloseEphemeralResourceRequest{TypeName: "consulecs_consul_token", Private: private})
		if err != nil || len(closed.Diagnostics) > 0 {
			t.Error(err, detailsOf(closed.Diagnostics))
		}
	}
	if n := w.loggedIn(t); n != 0 {
		t.Errorf("%d tokens are left", n)
	}
	nobody := speak(t)
	other, err := w.iam.CreateRole(t.Context(), &iam.CreateRoleInput{RoleName: aws.String("other-" + fmt.Sprint(time.Now().UnixNano())), AssumeRolePolicyDocument: aws.String("{}")})
	if err != nil {
		t.Fatal(err)
	}
	nobody.configure(t, with(w.asRole(nil), fields{"assume_role": fields{"role_arn": *other.Role.Arn}}))
	nowhere := speak(t)
	nowhere.configure(t, w.ours())
	for name, c := range map[string]struct {
		with   protocol
		config fields
		want   string
	}{
		"a method of nobody":   {p, fields{"auth_method": "nobody"}, "log in by auth method nobody: Consul at https://"},
		"a role of nobody":     {nobody, fields{"auth_method": operators}, "is not trusted)\nhint: see the auth method: BoundIAMPrincipalARNs"},
		"no STS":               {p, fields{"auth_method": operators, "sts_endpoint": "http://127.0.0.1:1"}, "hint: it is signed with the provider's own AWS credentials"},
		"no Consul":            {nowhere, fields{"auth_method": operators}, "set consul.address of the provider, or CONSUL_HTTP_ADDR"},
		"a datacenter of none": {p, fields{"auth_method": operators, "datacenter": "dc9"}, "No path to datacenter"},
	} {
		_, _, said := c.with.open(t, c.config)
		if text := strings.Join(detailsOf(said), "\n"); !strings.Contains(text, c.want) {
			t.Errorf("%s: %s, want %s", name, text, c.want)
		}
	}
}

// uuid is the shape of ACL tokens and of their accessors.
var uuid = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)

// testRun has the real Terraform do what the example says: log in, read with the token, which the provider takes as its own
// configuration, and log out. OpenTofu has ephemeral resources from 1.11 on.
func (w watched) testRun(t *testing.T) {
	on := binaries()[0]
	if on.name() == "tofu" {
		return // the protocol has been spoken above
	}
	dir := workDir(t)
	example, err := os.ReadFile(filepath.Join("..", "examples", "ephemeral-resources", "consulecs_consul_token", "ephemeral-resource.tf"))
	if err == nil {
		err = os.WriteFile(filepath.Join(string(dir), "example.tf"), example, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	dir.write(t, "main.tf.json", fields{
		"terraform": requirements(),
		"resource":  fields{"terraform_data": fields{"orphans": fields{"input": "${data.consulecs_mesh.prod.orphans[*].task_id}"}}},
	})
	assumed, err := sts.NewFromConfig(w.config).AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: &w.role, RoleSessionName: aws.String("operator")})
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err == nil {
		err = os.WriteFile(ca, []byte(w.consul.CAPEM), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	cfg := on.config(t, dir)
	cfg.Env = append(cfg.Env, "AWS_REGION=us-east-1", "AWS_ENDPOINT_URL="+w.url, "AWS_ACCESS_KEY_ID="+*assumed.Credentials.AccessKeyId,
		"AWS_SECRET_ACCESS_KEY="+*assumed.Credentials.SecretAccessKey, "AWS_SESSION_TOKEN="+*assumed.Credentials.SessionToken,
		"CONSUL_HTTP_ADDR="+w.api(nil)["address"].(string), "CONSUL_CACERT="+ca, "CONSUL_TLS_SERVER_NAME="+w.consul.ServerName)
	tf := newTerraform(t, cfg)
	if err := tf.Apply(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := w.loggedIn(t); n != 0 {
		t.Errorf("%d tokens are left", n)
	}
	if changes, err := tf.PlanChanges(t.Context()); err != nil || len(changes) > 0 {
		t.Errorf("%v, %v", changes, err)
	}
	state, err := os.ReadFile(tf.State())
	if err != nil {
		t.Fatal(err)
	}
	plan, err := tf.Output(t.Context(), "show", "-json", filepath.Join(filepath.Dir(tf.State()), "plan"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(state), `"input"`) || !strings.Contains(string(state), w.tasks["stopped"]) {
		t.Error("the state does not tell of the orphan: Consul was not read with the token")
	}
	for name, text := range map[string]string{"state": string(state), "plan": string(plan)} {
		for _, known := range append(lineages(t, text), w.tasks["running"], w.tasks["unregistered"], w.tasks["stopped"]) {
			text = strings.ReplaceAll(text, known, "")
		}
		if found := uuid.FindString(text); found != "" {
			t.Errorf("the %s holds %s", name, found)
		}
	}
}

// lineages are the UUIDs of Terraform's own in a document: of the state, and of its resources of type terraform_data.
func lineages(t *testing.T, text string) []string {
	t.Helper()
	var all []string
	var walk func(key string, v any)
	walk = func(key string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for k, below := range v {
				walk(k, below)
			}
		case []any:
			for _, below := range v {
				walk(key, below)
			}
		case string:
			if key == "lineage" || key == "id" {
				all = append(all, v)
			}
		}
	}
	var document any
	if err := json.Unmarshal([]byte(text), &document); err != nil {
		t.Fatal(err)
	}
	walk("", document)
	return all
}

// subnet is any that the emulator has.
func (c cloud) subnet(t *testing.T) string {
	t.Helper()
	found, err := ec2.NewFromConfig(c.config).DescribeSubnets(t.Context(), &ec2.DescribeSubnetsInput{})
	if err != nil || len(found.Subnets) == 0 {
		t.Fatal(err, found)
	}
	return *found.Subnets[0].SubnetId
}

// securityGroup is any that the emulator has.
func (c cloud) securityGroup(t *testing.T) string {
	t.Helper()
	found, err := ec2.NewFromConfig(c.config).DescribeSecurityGroups(t.Context(), &ec2.DescribeSecurityGroupsInput{})
	if err != nil || len(found.SecurityGroups) == 0 {
		t.Fatal(err, found)
	}
	return *found.SecurityGroups[0].GroupId
}
