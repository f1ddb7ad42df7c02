package controller

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	iamauth "github.com/hashicorp/consul-awsauth"
	"github.com/hashicorp/consul/api"
	"github.com/hashicorp/go-hclog"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/consul/acl"
	"github.com/consulecs/terraform-provider-consulecs/internal/controllerhttp"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/metrics"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskmeta"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
)

// world is a real Consul with ACLs and moto as AWS. Between the controller and moto's ECS stands a proxy that answers as
// AWS does where moto does not, and badly where a test wants it to.
type world struct {
	server *testenv.Consul
	consul *api.Client // with the bootstrap token

	name    string     // of the test's ECS cluster and role
	aws     aws.Config // straight to moto
	moto    string     // URL
	ecsURL  string     // through the proxy
	self    taskmeta.Task
	trouble trouble
	looks   atomic.Int64 // calls of ListTasks
	ahead   atomic.Int64 // how far the controller's clock is put forward
	log     bytes.Buffer
}

// moto serves all tests, each with an ECS cluster and a role of its own. TestMain ends it.
var (
	moto   testenv.SharedMoto
	worlds atomic.Int64
)

// trouble changes ECS's answers.
type trouble struct {
	sync.Mutex
	change func(action string, answer map[string]any) (status int, changed map[string]any)
}

func (tr *trouble) set(change func(action string, answer map[string]any) (int, map[string]any)) {
	tr.Lock()
	defer tr.Unlock()
	tr.change = change
}

func newWorld(t *testing.T) *world {
	t.Helper()
	server := testenv.ConsulDuring(t, testenv.ConsulConfig{})
	w := &world{server: server, consul: server.API, moto: moto.URL(t), name: fmt.Sprintf("mesh-%03d", worlds.Add(1))}
	w.aws = aws.Config{
		Region: "us-east-1", BaseEndpoint: &w.moto,
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	}
	proxy := httptest.NewServer(http.HandlerFunc(w.serveECS))
	t.Cleanup(proxy.Close)
	w.ecsURL = proxy.URL
	w.makeCluster(t)
	w.self = w.runTasks(t, 1)[0]
	w.self.Address = netip.MustParseAddr("127.0.0.7")
	return w
}

// serveECS hands a request on to moto. Like AWS, it lists as MISSING the tasks asked for that are not described.
func (w *world) serveECS(rw http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	out, _ := http.NewRequestWithContext(r.Context(), r.Method, w.moto+r.URL.Path, bytes.NewReader(body))
	out.Header = r.Header.Clone()
	resp, err := http.DefaultClient.Do(out)
	if err != nil {
		http.Error(rw, err.Error(), http.StatusBadGateway)
		return
	}
	defer resp.Body.Close()
	var answer, asked map[string]any
	_ = json.NewDecoder(resp.Body).Decode(&answer)
	if r.Context().Err() != nil {
		return // the caller has gone, perhaps in the middle of the answer
	}
	_ = json.Unmarshal(body, &asked)
	_, action, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	if action == "ListTasks" {
		w.looks.Add(1)
	}
	status := resp.StatusCode
	if action == "DescribeTasks" && status == http.StatusOK {
		for _, task := range answer["tasks"].([]any) { // moto has a task end after it was described a few times
			if task := task.(map[string]any); task["desiredStatus"] == "RUNNING" {
				task["lastStatus"] = "RUNNING"
			}
		}
		answer["failures"] = notDescribed(asked["tasks"].([]any), answer["tasks"].([]any))
	}
	w.trouble.Lock()
	change := w.trouble.change
	w.trouble.Unlock()
	if change != nil && status == http.StatusOK {
		status, answer = change(action, answer)
	}
	rw.Header().Set("Content-Type", "application/x-amz-json-1.1")
	rw.WriteHeader(status)
	_ = json.NewEncoder(rw).Encode(answer)
}

func notDescribed(asked, described []any) []any {
	failures := []any{}
	for _, id := range asked {
		found := slices.ContainsFunc(described, func(d any) bool { return nameOf(d.(map[string]any)["taskArn"].(string)) == nameOf(id.(string)) })
		if !found {
			failures = append(failures, map[string]any{"arn": arnPrefix + nameOf(id.(string)), "reason": "MISSING"})
		}
	}
	return failures
}

func (w *world) makeCluster(t *testing.T) {
	t.Helper()
	client := ecs.NewFromConfig(w.aws)
	if _, err := client.CreateCluster(t.Context(), &ecs.CreateClusterInput{ClusterName: &w.name}); err != nil {
		t.Fatal(err)
	}
	_, err := client.RegisterTaskDefinition(t.Context(), &ecs.RegisterTaskDefinitionInput{
		Family: aws.String("web"), NetworkMode: ecstypes.NetworkModeAwsvpc, Cpu: aws.String("256"), Memory: aws.String("512"),
		RequiresCompatibilities: []ecstypes.Compatibility{ecstypes.CompatibilityFargate},
		ContainerDefinitions:    []ecstypes.ContainerDefinition{{Name: aws.String("web"), Image: aws.String("web"), Cpu: 10, Memory: aws.Int32(16)}},
	})
	if err != nil {
		t.Fatal(err)
	}
}

// runTasks starts tasks without any tags.
func (w *world) runTasks(t *testing.T, n int) (tasks []taskmeta.Task) {
	t.Helper()
	for n > len(tasks) {
		out, err := ecs.NewFromConfig(w.aws).RunTask(t.Context(), &ecs.RunTaskInput{
			Cluster: &w.name, TaskDefinition: aws.String("web"), LaunchType: ecstypes.LaunchTypeFargate, Count: aws.Int32(int32(min(10, n-len(tasks)))),
			NetworkConfiguration: &ecstypes.NetworkConfiguration{AwsvpcConfiguration: &ecstypes.AwsVpcConfiguration{Subnets: []string{w.subnet(t)}, SecurityGroups: []string{"sg-1"}}},
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, task := range out.Tasks {
			tasks = append(tasks, taskmeta.Task{
				ARN: *task.TaskArn, ID: nameOf(*task.TaskArn), ClusterARN: *task.ClusterArn,
				Partition: "aws", Region: "us-east-1", AccountID: "123456789012",
			})
		}
	}
	return tasks
}

var subnetID = regexp.MustCompile("subnet-[0-9a-f]+")

// subnet is one of moto's default subnets; there is no EC2 client in this module.
func (w *world) subnet(t *testing.T) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.moto, strings.NewReader("Action=DescribeSubnets&Version=2016-11-15"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/ec2/aws4_request, SignedHeaders=host, Signature=0")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	id := subnetID.FindString(string(body))
	if err != nil || id == "" {
		t.Fatalf("moto has no subnet: %v: %s", err, body)
	}
	return id
}

func (w *world) stopTask(t *testing.T, task taskmeta.Task) {
	t.Helper()
	if _, err := ecs.NewFromConfig(w.aws).StopTask(t.Context(), &ecs.StopTaskInput{Cluster: &w.name, Task: &task.ARN}); err != nil {
		t.Fatal(err)
	}
}

// register puts the task's service and proxy into the catalog, as mesh-init does.
func (w *world) register(t *testing.T, task taskmeta.Task) {
	t.Helper()
	id := mesh.ServiceID("web", task.ID)
	for _, s := range []api.AgentService{{ID: id, Service: "web"}, {ID: mesh.ProxyID(id), Service: mesh.ProxyName("web")}} {
		s.Meta = map[string]string{mesh.MetaTaskID: task.ID, mesh.MetaTaskARN: task.ARN, mesh.MetaSource: mesh.Source}
		w.registerService(t, &s)
	}
}

func (w *world) registerService(t *testing.T, s *api.AgentService) {
	t.Helper()
	_, err := w.consul.Catalog().Register(&api.CatalogRegistration{Node: w.self.ClusterARN, SkipNodeUpdate: true, Service: s}, nil)
	if err != nil {
		t.Fatal(err)
	}
}

// services lists what is on the synthetic node.
func (w *world) services(t *testing.T) (ids []string) {
	t.Helper()
	list, _, err := w.consul.Catalog().NodeServiceList(w.self.ClusterARN, nil)
	if err != nil {
		t.Fatal(err)
	}
	if list == nil || list.Node == nil {
		return []string{"no node"}
	}
	for _, s := range list.Services {
		ids = append(ids, s.ID)
	}
	return ids
}

// role makes the task role of service web and returns its credentials.
func (w *world) role(t *testing.T) aws.Credentials {
	t.Helper()
	role, err := iam.NewFromConfig(w.aws).CreateRole(t.Context(), &iam.CreateRoleInput{
		RoleName: &w.name, Path: aws.String("/consul-ecs/"), AssumeRolePolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[]}`),
		Tags: []iamtypes.Tag{{Key: aws.String(mesh.RoleTagServiceName), Value: aws.String("web")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	out, err := sts.NewFromConfig(w.aws).AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: role.Role.Arn, RoleSessionName: aws.String("task")})
	if err != nil {
		t.Fatal(err)
	}
	c := out.Credentials
	return aws.Credentials{AccessKeyID: *c.AccessKeyId, SecretAccessKey: *c.SecretAccessKey, SessionToken: *c.SessionToken}
}

// logIn gets a token for the task by the auth method that the controller made.
func (w *world) logIn(t *testing.T, role aws.Credentials, task taskmeta.Task) *api.ACLToken {
	t.Helper()
	data, err := iamauth.GenerateLoginData(&iamauth.LoginInput{
		Creds:            credentials.NewStaticCredentialsProvider(role.AccessKeyID, role.SecretAccessKey, role.SessionToken),
		IncludeIAMEntity: true, STSEndpoint: w.moto, IAMEndpoint: w.moto, STSRegion: "us-east-1", Logger: hclog.NewNullLogger(),
		GetEntityMethodHeader: "X-Consul-IAM-GetEntity-Method", GetEntityURLHeader: "X-Consul-IAM-GetEntity-URL",
		GetEntityHeadersHeader: "X-Consul-IAM-GetEntity-Headers", GetEntityBodyHeader: "X-Consul-IAM-GetEntity-Body",
	})
	if err != nil {
		t.Fatal(err)
	}
	bearer, err := json.Marshal(data)
	if err != nil {
		t.Fatal(err)
	}
	token, _, err := w.consul.ACL().Login(&api.ACLLoginParams{
		AuthMethod: mesh.AuthMethod, BearerToken: string(bearer),
		Meta: map[string]string{mesh.LoginMetaTaskID: task.ID, mesh.LoginMetaCluster: task.ClusterARN},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func (w *world) tokenExists(accessorID string) bool {
	_, _, err := w.consul.ACL().TokenRead(accessorID, nil)
	return err == nil
}

// keeper is a controller that has made its preparations; the test has it look.
func (w *world) keeper(t *testing.T) *keeper {
	t.Helper()
	r, err := rightsOf(t.Context(), w.config(), w.self, w.aws, w.getenv(nil))
	if err != nil {
		t.Fatal(err)
	}
	k := w.newKeeper(r)
	if err := k.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := k.consul.Close(); err != nil {
			t.Error(err)
		}
	})
	return k
}

// newKeeper is a controller whose clock the test can put forward.
func (w *world) newKeeper(r rights) *keeper {
	k := &keeper{
		task: w.self, settings: w.config().ControllerSettings(), rights: r, counts: metrics.NewController(metrics.About{}),
		pulse: controllerhttp.NewPulse(time.Minute), wake: make(chan struct{}, 1), said: map[acl.Change]bool{}, known: map[string]known{},
		log: hclog.New(&hclog.LoggerOptions{Output: &w.log, Level: hclog.Debug}),
	}
	k.see(w.views())
	began := time.Now()
	k.clusters[0].engine.Now = func() time.Duration { return time.Since(began) + time.Duration(w.ahead.Load()) }
	return k
}

// views are the ECS cluster as a controller sees it that may call ECS as often as it likes.
func (w *world) views() []ecsView {
	client := ecs.NewFromConfig(w.aws, func(o *ecs.Options) { o.BaseEndpoint, o.RetryMaxAttempts = &w.ecsURL, 1 })
	return newECSViews(client, client, []string{w.self.ClusterARN})
}

// minute puts the controller's clock forward.
func (w *world) minute() { w.ahead.Add(int64(61 * time.Second)) }

func (w *world) config() agentconfig.Config {
	return agentconfig.Config{
		BootstrapDir: "/consul",
		ConsulServers: agentconfig.ConsulServers{
			Hosts: w.server.Address, Defaults: &agentconfig.ServerDefaults{TLSServerName: w.server.ServerName}, SkipServerWatch: true,
			HTTP: &agentconfig.ServerHTTP{Port: w.server.HTTPPort}, GRPC: &agentconfig.ServerGRPC{Port: w.server.GRPCPort},
		},
		Controller: &agentconfig.Controller{HTTPAddress: "127.0.0.1:0", AuthMethod: &agentconfig.AuthMethod{STSEndpoint: w.moto, IAMEndpoint: w.moto + "/"}},
	}
}

// getenv is the controller's environment, with more on top.
func (w *world) getenv(more map[string]string) func(string) string {
	env := map[string]string{
		mesh.VariableToken: w.server.BootstrapToken, mesh.VariableGRPCCACert: w.server.CAPEM, mesh.VariableHTTPSCACert: w.server.CAPEM,
	}
	maps.Copy(env, more)
	return func(name string) string { return env[name] }
}

// mustLook has the controller compare all of Consul with all of ECS, which has to succeed.
func mustLook(t *testing.T, k *keeper) {
	t.Helper()
	if err := k.look(t.Context()); err != nil {
		t.Fatalf("look: %v", err)
	}
}

// arnPrefix begins the ARN of a task that ECS does not know.
const arnPrefix = "arn:aws:ecs:us-east-1:123456789012:task/mesh/"
