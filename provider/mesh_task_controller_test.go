package provider_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/awsfault"
)

const sharedController = "consul-ecs-shared-controller"

// sharing is a mesh task that takes part in the controller of its ECS cluster, with changes of the block. Moto's tasks never run, so that
// only a controller of no task is ever steady.
func sharing(family string, at surroundings, changes fields) fields {
	return owned(family, at, fields{"controller": with(fields{
		"token_secret_arn": "arn:aws:secretsmanager:us-east-1:123456789012:secret:token", "desired_count": 0,
	}, changes)})
}

func tasks(all fields) fields { return fields{"consulecs_mesh_task": all} }

// sharedOf is what there is of the shared controller of an ECS cluster, each by its kind.
func (c cloud) sharedOf(t *testing.T, at surroundings) []string {
	t.Helper()
	name := at.ecsCluster[strings.LastIndexByte(at.ecsCluster, '/')+1:]
	family := sharedController + "-" + name
	there := c.eventsLeft(t, family)
	for _, revision := range c.active(t, family) {
		there = append(there, "revision "+revision)
	}
	for _, role := range c.roles(t, c.config.Region+"-"+family) {
		there = append(there, "role "+strings.TrimPrefix(role, c.config.Region+"-"+family+"-"))
	}
	if c.serves(t, at, sharedController) {
		there = append(there, "service")
	}
	return there
}

// wantShared wants the shared controller to be there, as a whole and once.
func (c cloud) wantShared(t *testing.T, at surroundings, revision string) {
	t.Helper()
	family := sharedController + "-" + at.ecsCluster[strings.LastIndexByte(at.ecsCluster, '/')+1:]
	want := []string{family + "-events", family + "-events-dead", "rule " + family + "-events", "revision " + revision, "role execution", "role task", "service"}
	got := c.sharedOf(t, at)
	slices.Sort(want)
	if slices.Sort(got); !slices.Equal(got, want) {
		t.Errorf("of the shared controller there is %v, want %v", got, want)
	}
}

func (c cloud) wantNotShared(t *testing.T, at surroundings) {
	t.Helper()
	if got := c.sharedOf(t, at); len(got) > 0 {
		t.Errorf("of a shared controller there is %v", got)
	}
}

// in is the cloud in another Region.
func (c cloud) in(region string) cloud {
	cfg := c.config
	cfg.Region = region
	return cloud{url: c.url, config: cfg, ecs: ecs.NewFromConfig(cfg), iam: iam.NewFromConfig(cfg)}
}

// Five mesh tasks of one apply make one controller, and a destroy of all of them leaves nothing of it. Another Region's ECS cluster of the
// same name has one of its own.
func TestMeshTasksOfOneApplyShareAController(t *testing.T) {
	t.Parallel()
	c := binaries()[0].startMoto(t)
	us, eu := c.surroundings(t, "shared"), c.in("eu-west-1").ecsClusterAlone(t, "shared")
	all := fields{}
	for i := range 5 {
		name := fmt.Sprintf("shares-%d", i)
		all[name] = sharing(name, us, nil)
	}
	all["abroad"] = with(sharing("abroad", eu, nil), fields{"provider": "consulecs.eu"})
	config := c.frame(tasks(all))
	provider := config["provider"].(fields)["consulecs"].(fields)
	config["provider"] = fields{"consulecs": []any{provider, with(with(fields{}, provider), fields{"alias": "eu", "region": "eu-west-1"})}}
	dir := workDir(t)
	dir.write(t, "main.tf.json", config)
	tf := dir.terraform(t)
	applied(t, tf)
	c.wantShared(t, us, "1")
	c.in("eu-west-1").wantShared(t, eu, "1")
	for name := range all {
		arn, _ := outputs(t, tf, "consulecs_mesh_task."+name)["controller_service_arn"].(string)
		if !strings.HasSuffix(arn, "/shared/"+sharedController) || strings.Contains(arn, "eu-west-1") != (name == "abroad") {
			t.Errorf("%s takes part in %q", name, arn)
		}
	}
	destroyed(t, tf)
	c.wantNotShared(t, us)
	c.in("eu-west-1").wantNotShared(t, eu)
}

// both does something with two states at once.
func both(first, second *testenv.Terraform, act func(*testenv.Terraform)) {
	var all sync.WaitGroup
	all.Go(func() { act(first) })
	all.Go(func() { act(second) })
	all.Wait()
}

// Two states share a controller, whoever of them made it: both may come, and go, at once. It has the settings of the one whose
// block changed last, which the other is told.
func TestMeshTasksOfTwoStatesShareAController(t *testing.T) {
	t.Parallel()
	c := binaries()[0].startMoto(t)
	around := c.surroundings(t, "two-states")
	firstDir, first := c.state(t, tasks(fields{"this": sharing("first", around, nil)}))
	_, second := c.state(t, tasks(fields{"this": sharing("second", around, nil)}))
	both(first, second, func(tf *testenv.Terraform) {
		if err := tf.Apply(t.Context()); err != nil {
			t.Error(err)
		}
	})
	if got := c.sharedOf(t, around); !slices.Contains(got, "service") {
		t.Fatalf("of the shared controller there is %v", got)
	}
	both(first, second, func(tf *testenv.Terraform) { nothingToDo(t, tf) })

	firstDir.write(t, "main.tf.json", c.frame(tasks(fields{"this": sharing("first", around, fields{"log_level": "DEBUG"})})))
	applied(t, first)
	if config := c.configOf(t, sharedController+"-two-states"); !strings.Contains(config, `"logLevel":"DEBUG"`) {
		t.Errorf("the controller is told %s", config)
	}
	out, err := second.Output(t.Context(), "plan", "-input=false", "-no-color", "-state="+second.State())
	if said := inOneLine(string(out)); err != nil || !strings.Contains(said, "Controller has other settings") || !strings.Contains(said, "No changes.") {
		t.Errorf("the other state's plan says %s, %v", said, err)
	}
	destroyed(t, first)
	if got := c.sharedOf(t, around); !slices.Contains(got, "service") {
		t.Errorf("the first to go left %v", got)
	}
	applied(t, first)
	both(first, second, func(tf *testenv.Terraform) {
		if err := tf.Destroy(t.Context()); err != nil {
			t.Error(err)
		}
	})
	c.wantNotShared(t, around)
}

// configOf is what the agent of the newest revision of a family reads.
func (c cloud) configOf(t *testing.T, family string) string {
	t.Helper()
	described, err := c.ecs.DescribeTaskDefinition(t.Context(), &ecs.DescribeTaskDefinitionInput{TaskDefinition: &family})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range described.TaskDefinition.ContainerDefinitions[0].Environment {
		if aws.ToString(v.Name) == "CONSUL_ECS_CONFIG_JSON" {
			return aws.ToString(v.Value)
		}
	}
	return ""
}

// Where there is a controller, of whatever name and whoever made it, a mesh task makes none, changes nothing of it and leaves it.
func TestMeshTasksTakePartInTheControllersOfOthers(t *testing.T) {
	t.Parallel()
	c := binaries()[0].startMoto(t)
	ours, named, theirs := c.surroundings(t, "has-ours"), c.surroundings(t, "has-named"), c.surroundings(t, "has-theirs")
	c.register(t, "made-by-hand")
	if _, err := c.ecs.CreateService(t.Context(), &ecs.CreateServiceInput{Cluster: &theirs.ecsCluster, ServiceName: aws.String("consul-ecs-controller"), TaskDefinition: aws.String("made-by-hand"), DesiredCount: aws.Int32(0)}); err != nil {
		t.Fatal(err)
	}
	controllers := fields{"ours": quickController(ours, nil), "named": quickController(named, fields{"name": "of-another-name"})}
	after := fields{"depends_on": []any{"consulecs_controller.ours", "consulecs_controller.named"}}
	dir, tf := c.state(t, fields{"consulecs_controller": controllers, "consulecs_mesh_task": fields{
		"ours":   with(sharing("has-ours", ours, fields{"log_level": "TRACE"}), after),
		"named":  with(sharing("has-named", named, nil), after),
		"theirs": sharing("has-theirs", theirs, nil),
	}})
	applied(t, tf)
	for name, service := range map[string]string{"ours": "consul-ecs-controller", "named": "of-another-name", "theirs": "consul-ecs-controller"} {
		arn, _ := outputs(t, tf, "consulecs_mesh_task."+name)["controller_service_arn"].(string)
		if !strings.HasSuffix(arn, "/has-"+name+"/"+service) {
			t.Errorf("%s takes part in %q, want %s", name, arn, service)
		}
	}
	if got := c.configOf(t, "consul-ecs-controller-has-ours"); strings.Contains(got, "TRACE") {
		t.Errorf("the block has changed another's controller: %s", got)
	}
	dir.write(t, "main.tf.json", c.frame(fields{"consulecs_controller": controllers}))
	applied(t, tf)
	for service, at := range map[string]surroundings{"consul-ecs-controller": ours, "of-another-name": named} {
		if c.wantNotShared(t, at); !c.serves(t, at, service) {
			t.Errorf("%s is gone", service)
		}
	}
	if c.wantNotShared(t, theirs); !c.serves(t, theirs, "consul-ecs-controller") {
		t.Error("the controller that others made is gone")
	}
}

// A controller that is gone shows in the plan and is made again; a block that is taken out lets it go, and so does a move to another
// ECS cluster, which gets one.
func TestASharedControllerFollowsTheBlock(t *testing.T) {
	t.Parallel()
	c := binaries()[0].startMoto(t)
	here, there := c.surroundings(t, "follows-here"), c.surroundings(t, "follows-there")
	dir, tf := c.state(t, tasks(fields{"this": sharing("follows", here, nil)}))
	applied(t, tf)
	if _, err := c.ecs.DeleteService(t.Context(), &ecs.DeleteServiceInput{Cluster: &here.ecsCluster, Service: aws.String(sharedController), Force: aws.Bool(true)}); err != nil {
		t.Fatal(err)
	}
	out, err := tf.Output(t.Context(), "plan", "-input=false", "-no-color", "-state="+tf.State())
	if said := string(out); err != nil || !strings.Contains(said, "controller_service_arn") || !strings.Contains(said, "1 to change") {
		t.Errorf("the plan says %s, %v", said, err)
	}
	applied(t, tf)
	c.wantShared(t, here, "1")
	dir.write(t, "main.tf.json", c.frame(tasks(fields{"this": sharing("follows", there, nil)})))
	applied(t, tf)
	c.wantNotShared(t, here)
	c.wantShared(t, there, "1")
	dir.write(t, "main.tf.json", c.frame(tasks(fields{"this": owned("follows", there, nil)})))
	applied(t, tf)
	c.wantNotShared(t, there)
	if tags := c.serviceTagsOf(t, there, "follows"); tags["consul.hashicorp.com/controller"] != "" {
		t.Errorf("the service's tags are %v", tags)
	}
}

func (c cloud) serviceTagsOf(t *testing.T, at surroundings, name string) map[string]string {
	t.Helper()
	described, err := c.ecs.DescribeServices(t.Context(), &ecs.DescribeServicesInput{Cluster: &at.ecsCluster, Services: []string{name}, Include: []ecstypes.ServiceField{ecstypes.ServiceFieldTags}})
	if err != nil || len(described.Services) != 1 {
		t.Fatal(described, err)
	}
	tags := map[string]string{}
	for _, tag := range described.Services[0].Tags {
		tags[*tag.Key] = *tag.Value
	}
	return tags
}

// A mesh task that cannot be made takes back the controller that was made for it; one that others take part in stays.
func TestAFailedCreateTakesItsControllerBack(t *testing.T) {
	t.Parallel()
	c := binaries()[0].startMoto(t)
	around := c.surroundings(t, "fails-to-share")
	bad := with(sharing("fails", around, nil), fields{"iam": fields{"task_role": fields{"policy_arns": []any{"arn:aws:iam::123456789012:policy/no-such-policy"}}}})
	dir, tf := c.state(t, tasks(fields{"bad": bad}))
	fails := func() {
		t.Helper()
		if err := tf.Apply(t.Context()); err == nil || !strings.Contains(err.Error(), "no-such-policy") {
			t.Fatalf("got %v", err)
		}
	}
	fails()
	c.wantNotShared(t, around)
	dir.write(t, "main.tf.json", c.frame(tasks(fields{"good": sharing("succeeds", around, nil), "bad": bad})))
	fails()
	c.wantShared(t, around, "1")
	destroyed(t, tf)
	c.wantNotShared(t, around)
}

// An import knows a mesh task that takes part by its service's tag, so that its destroy does not leave the controller behind.
func TestAnImportedMeshTaskTakesPart(t *testing.T) {
	t.Parallel()
	c := binaries()[0].startMoto(t)
	around := c.surroundings(t, "imports-sharing")
	resources := tasks(fields{"this": sharing("imported-sharing", around, nil)})
	_, first := c.state(t, resources)
	if err := first.Apply(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, second := c.state(t, resources)
	if _, err := second.Output(t.Context(), "import", "-input=false", "-no-color", "-state="+second.State(), "-state-out="+second.State(), "consulecs_mesh_task.this", "imported-sharing"); err != nil {
		t.Fatal(err)
	}
	applied(t, second)
	destroyed(t, second)
	c.wantNotShared(t, around)
}

// Ctrl-C while the controller is waited for leaves neither the mesh task nor the controller that was made for it; a limit of time does as
// well, and says so.
func TestAnInterruptedWaitForAControllerLeavesNothing(t *testing.T) {
	t.Parallel()
	c := binaries()[0].startMoto(t)
	around := c.surroundings(t, "waits-to-share")
	waiting := sharing("waits", around, fields{"desired_count": 1})
	dir, tf := c.state(t, tasks(fields{"this": waiting}))
	said := inOneLine(interrupted(t, tf, func() bool { return c.serves(t, around, sharedController) }))
	if !strings.Contains(said, "Error: Mesh task was not created") || strings.Contains(said, "may be left") || strings.Contains(said, "Everything was made") {
		t.Errorf("got %s", said)
	}
	c.wantNotShared(t, around)
	dir.write(t, "main.tf.json", c.frame(tasks(fields{"this": with(waiting, fields{"timeouts": fields{"create": "5s"}})})))
	if err := tf.Apply(t.Context()); err == nil || !strings.Contains(inOneLine(err.Error()), "not done within 5s, the limit in timeouts") {
		t.Errorf("got %v", err)
	}
	c.wantNotShared(t, around)
	if left := c.roles(t, "waits"); len(left) > 0 {
		t.Errorf("left are the roles %v", left)
	}
}

// Ctrl-C while an update adds the block, wherever it is, again and again: the mesh task is still known, and nothing of the controller is
// left until the task's service says that it takes part. The last apply, which nobody interrupts, does the rest.
func TestAnInterruptedUpdateThatAddsAControllerIsMadeUpFor(t *testing.T) {
	t.Parallel()
	c := binaries()[0].startMoto(t)
	around := c.surroundings(t, "interrupts")
	proxy := awsfault.Start(t, c.url)
	dir, tf := cloudAt(proxy.URL).state(t, tasks(fields{"this": owned("adds", around, nil)}))
	applied(t, tf)
	dir.write(t, "main.tf.json", cloudAt(proxy.URL).frame(tasks(fields{"this": sharing("adds", around, nil)})))
	for _, moment := range []struct {
		call   string
		skip   int
		lost   bool // it is given up before AWS hears of it
		stands bool // the controller stays
	}{
		{"CreateQueue", 0, false, false},
		{"CreateService", 0, true, false},
		{"TagResource", 1, true, false}, // by which the mesh task's service is to say that it takes part, after its revision
		{"TagResource", 1, false, true},
	} {
		said := interruptedAt(t, tf, proxy, awsfault.Rule{Action: moment.call, Skip: moment.skip}, moment.lost)
		if got := c.sharedOf(t, around); slices.Contains(got, "service") != moment.stands || len(got) > 0 && !moment.stands {
			t.Errorf("interrupted at %+v: of the controller there is %v, and Terraform said\n%s", moment, got, said)
		}
		changes, err := tf.PlanChanges(t.Context())
		if err != nil || !slices.Equal(changes, []string{"consulecs_mesh_task.this (update)"}) {
			t.Errorf("interrupted at %+v: to do is %v, %v; want an update", moment, changes, err)
		}
	}
	applied(t, tf)
	c.wantShared(t, around, strings.Join(c.active(t, sharedController+"-interrupts"), ", "))
	if tags := c.serviceTagsOf(t, around, "adds"); tags[mesh.TaskTagController] != sharedController {
		t.Errorf("the service's tags are %v", tags)
	}
	destroyed(t, tf)
	c.wantNotShared(t, around)
}

// interruptedAt applies, and sends the process SIGINT when the call of the rule is on its way. It returns what the process said.
func interruptedAt(t *testing.T, tf *testenv.Terraform, proxy *awsfault.Proxy, call awsfault.Rule, lost bool) string {
	t.Helper()
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	call.Times = 1
	call.Fault = awsfault.DoOnceDone(interrupt)
	if lost { // the signal goes from Terraform to the provider, which gives the call up
		call.Fault = awsfault.DoAndHang(interrupt)
	}
	proxy.Inject(call)
	err := tf.Apply(ctx)
	if ctx.Err() == nil || err == nil {
		t.Fatalf("the apply was not interrupted: %v", err)
	}
	return inOneLine(err.Error())
}
