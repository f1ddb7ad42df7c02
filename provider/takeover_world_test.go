package provider_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/eventually"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/fleet"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/incumbent"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/toolcache"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/world"
)

// takeover is a world with the incumbent's controller and a task of it, and the guide that tells how to take them over.
type takeover struct {
	*world.World
	cloud
	fleet *fleet.Fleet
	guide map[string][]string // the blocks of HCL and the commands of each section, in their order
}

var fenced = regexp.MustCompile("(?s)```(terraform|sh)\n(.*?)```")

// guideBlocks are the blocks of a guide by its sections.
func guideBlocks(t *testing.T, name string) map[string][]string {
	t.Helper()
	blocks := map[string][]string{}
	for heading, text := range sections(guide(t, name)) {
		for _, m := range fenced.FindAllStringSubmatch(text, -1) {
			blocks[heading] = append(blocks[heading], m[2])
		}
	}
	return blocks
}

// The guide, block by block and command by command: the incumbent's controller and a task with its ECS service are taken over while
// another task calls the service. No request is lost, no role is replaced, and the tasks are replaced once.
func TestTheGuideTakesAnAppliedModuleOver(t *testing.T) {
	w, err := world.Start(t.Context(), world.Config{Name: "takeover", Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	s := takeover{World: w, cloud: cloudAt(w.AWS), fleet: fleet.New(w.Address), guide: guideBlocks(t, "migrating-from-the-module")}
	controller := s.takeController(t)
	s.takeTask(t)
	s.importTask(t)
	destroyed(t, controller)
	if left := s.roles(t, "prod-consul-ecs-controller"); !slices.Equal(left, []string{"prod-consul-ecs-controller-execution"}) {
		t.Errorf("of the controller's roles %v are left, want the given one", left)
	}
}

// servers are Consul's, for the incumbent's modules.
func (s takeover) servers() incumbent.Servers {
	return incumbent.Servers{Hosts: s.ConsulHost, ServerName: s.ConsulServerName, CASecretARN: s.CASecretARN}
}

// dir is a configuration of blocks of the guide, with what they leave to the rest of a configuration.
func (s takeover) dir(t *testing.T, blocks ...string) configDir {
	t.Helper()
	frame := s.frame(nil)
	delete(frame, "resource")
	provider, _ := frame["provider"].(fields)["consulecs"].(fields)
	provider["agent_image"] = toolcache.AgentImage
	provider["consul_servers"] = fields{"hosts": s.ConsulHost, "tls": fields{"server_name": s.ConsulServerName, "ca_secret_arn": s.CASecretARN}}
	provider["login"] = fields{"sts_endpoint": s.AWS, "iam_endpoint": s.AWS}
	frame["variable"] = fields{
		"image": fields{"default": toolcache.DemoAppImage}, "subnets": fields{"default": []any{fleet.Subnet}}, "ecs_cluster_arn": fields{"default": s.Cluster},
		"token_secret_arn": fields{"default": s.TokenSecretARN}, "controller_execution_role_arn": fields{"default": s.givenRole()},
	}
	dir := workDir(t)
	dir.write(t, "main.tf.json", frame)
	dir.writeText(t, "guide.tf", blocks...)
	return dir
}

// writeText puts a file in Terraform's own syntax down.
func (d configDir) writeText(t *testing.T, name string, blocks ...string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(string(d), name), []byte(strings.Join(blocks, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
}

// givenRole is the role that the guide leaves to the module's user.
func (s takeover) givenRole() string {
	return "arn:aws:iam::123456789012:role/ecs/prod-consul-ecs-controller-execution"
}

// commands runs the commands of a block of the guide.
func commands(t *testing.T, tf *testenv.Terraform, block string) (said string) {
	t.Helper()
	for line := range strings.Lines(block) {
		words := strings.Fields(line)[1:]
		at := 1 // after the command
		if words[0] == "state" {
			at = 2
		} else {
			words = append(words, "-input=false", "-no-color")
		}
		if words[0] == "apply" {
			words = append(words, "-auto-approve")
		}
		out, err := tf.Output(t.Context(), slices.Insert(words, at, "-state="+tf.State())...)
		if err != nil {
			t.Fatal(err)
		}
		said += string(out)
	}
	return inOneLine(said)
}

// serve makes an ECS service of a task definition, as users of the modules do.
func (s takeover) serve(t *testing.T, name, definition string, tasks int32) *ecstypes.Service {
	t.Helper()
	made, err := s.ecs.CreateService(t.Context(), &ecs.CreateServiceInput{
		Cluster: &s.Cluster, ServiceName: &name, TaskDefinition: &definition, DesiredCount: &tasks, LaunchType: ecstypes.LaunchTypeEc2, PropagateTags: ecstypes.PropagateTagsTaskDefinition,
		NetworkConfiguration: &ecstypes.NetworkConfiguration{AwsvpcConfiguration: &ecstypes.AwsVpcConfiguration{Subnets: []string{fleet.Subnet}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return made.Service
}

// takeController takes the module's controller over. It has no task yet: its configuration names no endpoints of STS and IAM, and AWS's
// own are not there.
func (s takeover) takeController(t *testing.T) *testenv.Terraform {
	t.Helper()
	m := incumbent.Controller{Prefix: "prod", TokenSecretARN: s.TokenSecretARN, Servers: s.servers(), Image: toolcache.AgentImage}
	var err error
	if m.Roles, err = m.MakeRoles(t.Context(), s.iam); err != nil {
		t.Fatal(err)
	}
	registered, err := s.ecs.RegisterTaskDefinition(t.Context(), m.Definition())
	if err != nil {
		t.Fatal(err)
	}
	s.serve(t, incumbent.ControllerService, aws.ToString(registered.TaskDefinition.TaskDefinitionArn), 0)
	was := s.roleIDs(t, "prod-consul-ecs-controller")
	state := incumbent.NewState(onlyBinary().registry())
	if err := state.AddDefinition("controller", registered.TaskDefinition); err != nil {
		t.Fatal(err)
	}
	tf := onlyBinary().beside(t, s.dir(t, s.guide["The controller"]...), state)
	applied(t, tf)
	if is := s.roleIDs(t, "prod-consul-ecs-controller"); fmt.Sprint(is) != fmt.Sprint(was) {
		t.Errorf("the controller's roles are %v, want those of before, %v", is, was)
	}
	if _, inline := s.policies(t, "prod-consul-ecs-controller-task"); !slices.Contains(inline, "exec") {
		t.Errorf("the controller's task role has the policies %v, want exec among them", inline)
	}
	return tf
}

// onlyBinary is the Terraform, or the OpenTofu, of tests that take one.
func onlyBinary() *binary { return binaries()[0] }

// moduleAPI makes the module's task api, and an ECS service with so many of them.
func (s takeover) moduleAPI(t *testing.T, tasks int32) (moduleTask, *incumbent.State) {
	t.Helper()
	was := s.applyModule(t, incumbent.Task{
		Family: "api", Port: 9090, App: fleet.App("api", "0.0.0.0:9090", "", true), Servers: s.servers(), Image: toolcache.AgentImage,
		LaunchType: ecstypes.CompatibilityEc2, Env: []ecstypes.KeyValuePair{{Name: aws.String("AWS_ENDPOINT_URL"), Value: &s.AWS}},
	})
	state := incumbent.NewState(onlyBinary().registry())
	if err := state.AddTask("api", was.definition, was.Roles); err != nil {
		t.Fatal(err)
	}
	state.AddService("api", s.serve(t, "api", aws.ToString(was.definition.TaskDefinitionArn), tasks))
	return was, state
}

// importTask goes the other way of the guide, without tasks: what becomes of them is the same.
func (s takeover) importTask(t *testing.T) {
	t.Helper()
	if _, err := s.ecs.DeregisterTaskDefinition(t.Context(), &ecs.DeregisterTaskDefinitionInput{TaskDefinition: aws.String("api:2")}); err != nil {
		t.Fatal(err) // of the module that was taken over before
	}
	was, state := s.moduleAPI(t, 0)
	blocks := s.guide["By import"]
	tf := onlyBinary().beside(t, s.dir(t, s.guide["A task with its ECS service"][0], blocks[0]), state)
	if said := commands(t, tf, blocks[1]); !strings.Contains(said, "1 imported, 0 added, 1 changed, 0 destroyed") {
		t.Errorf("the guide's commands say:\n%s", said)
	}
	nothingToDo(t, tf)
	s.wantTakenOver(t, was)
	destroyed(t, tf)
}

func (s takeover) takeTask(t *testing.T) {
	t.Helper()
	const section = "A task with its ECS service"
	was, state := s.moduleAPI(t, 1)
	stop := s.call(t)

	blocks := s.guide[section]
	dir := s.dir(t, blocks[0], blocks[1])
	tf := onlyBinary().beside(t, dir, state)
	said := commands(t, tf, blocks[2])
	for _, want := range []string{"0 to add, 1 to change, 0 to destroy", "service api of ECS cluster mesh", "role api-task; its policy", "role api-execution; its policy"} {
		if !strings.Contains(said, want) {
			t.Errorf("the guide's commands do not say %q:\n%s", want, said)
		}
	}
	if load := stop(); len(load.Failed) > 0 {
		t.Errorf("requests were lost: %s", load)
	}
	nothingToDo(t, tf)
	dir.writeText(t, "guide.tf", blocks[0])
	nothingToDo(t, tf)
	s.wantReplacedOnce(t, s.wantTakenOver(t, was))
	destroyed(t, tf)
	if left := slices.Concat(s.roles(t, "api"), s.policiesNamed(t, "api")); len(left) > 0 {
		t.Errorf("after the destroy there are still %v", left)
	}
}

// wantReplacedOnce wants one task of the service to run, of the newest revision, and one to have run before it.
func (s takeover) wantReplacedOnce(t *testing.T, newest string) {
	t.Helper()
	for status, want := range map[ecstypes.DesiredStatus]string{ecstypes.DesiredStatusRunning: "api:" + newest, ecstypes.DesiredStatusStopped: "api:2"} {
		listed, err := s.ecs.ListTasks(t.Context(), &ecs.ListTasksInput{Cluster: &s.Cluster, ServiceName: aws.String("api"), DesiredStatus: status})
		if err != nil {
			t.Fatal(err)
		}
		if len(listed.TaskArns) != 1 {
			t.Errorf("of the service, %v are %s, want one", listed.TaskArns, status)
			continue
		}
		described, err := s.ecs.DescribeTasks(t.Context(), &ecs.DescribeTasksInput{Cluster: &s.Cluster, Tasks: listed.TaskArns})
		if err != nil || len(described.Tasks) != 1 || !strings.HasSuffix(aws.ToString(described.Tasks[0].TaskDefinitionArn), "/"+want) {
			t.Errorf("%s is %v, %v, want one of %s", status, described, err, want)
		}
	}
}

// call starts a task web that calls api through the mesh, and calls it until the returned function is called.
func (s takeover) call(t *testing.T) (stop func() fleet.Load) {
	t.Helper()
	catalog, err := fleet.NewCatalog(s.Address, s.Consul.BootstrapToken)
	if err != nil {
		t.Fatal(err)
	}
	if err := catalog.Allow(t.Context(), "web", "api"); err != nil {
		t.Fatal(err)
	}
	spec := s.fleet.Spec("web", 8080, fleet.App("web", "0.0.0.0:8080", "http://127.0.0.1:1234", true))
	spec.Proxy.Upstreams = append(spec.Proxy.Upstreams, fleet.Upstream("api", 1234))
	definition, err := s.fleet.Register(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	web, err := s.fleet.Run(t.Context(), definition)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.fleet.Stop(context.Background(), aws.ToString(web.TaskArn)) }) // the world goes anyway
	client := &http.Client{Timeout: 5 * time.Second}
	_, err = eventually.Seen(t.Context(), "web gets an answer from api", 5*time.Minute, func() (string, error) {
		described, err := s.ecs.DescribeTasks(t.Context(), &ecs.DescribeTasksInput{Cluster: &s.Cluster, Tasks: []string{aws.ToString(web.TaskArn)}})
		if err != nil {
			return "", err
		}
		web = described.Tasks[0]
		if fleet.IPAddress(web) == "" {
			return "it has no address", nil
		}
		if err := fleet.Ask(t.Context(), client, fmt.Sprintf("http://%s:8080/", fleet.IPAddress(web))); err != nil {
			return err.Error(), nil
		}
		return "", nil
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	loads := make(chan fleet.Load, 1)
	go func() {
		loads <- fleet.Apply(ctx, fmt.Sprintf("http://%s:8080/", fleet.IPAddress(web)), 20, 1<<20)
	}()
	return func() fleet.Load {
		cancel()
		load := <-loads
		if err := s.fleet.Stop(t.Context(), aws.ToString(web.TaskArn)); err != nil {
			t.Error(err)
		}
		return load
	}
}
