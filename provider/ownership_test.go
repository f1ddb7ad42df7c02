package provider_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
)

// owned is a mesh task with an ECS service.
func owned(family string, at surroundings, changes fields) fields {
	return meshTask(with(fields{
		"family":      family,
		"ecs_service": fields{"cluster": at.ecsCluster, "subnets": []any{at.subnet}, "security_groups": []any{at.group}, "launch_type": "FARGATE", "desired_count": 0},
	}, changes))
}

// state is a configuration with a state of its own.
func (c cloud) state(t *testing.T, resources fields) (configDir, *testenv.Terraform) {
	t.Helper()
	dir := workDir(t)
	dir.write(t, "main.tf.json", c.frame(resources))
	return dir, dir.terraform(t)
}

// refused wants a plan to be refused with each of the texts.
func refused(t *testing.T, tf *testenv.Terraform, texts ...string) {
	t.Helper()
	changes, err := tf.PlanChanges(t.Context())
	if err == nil {
		t.Errorf("planned are %v, want errors with %q", changes, texts)
		return
	}
	said := inOneLine(err.Error())
	for _, want := range texts {
		if !strings.Contains(said, want) {
			t.Errorf("want %q, got\n%v", want, err)
		}
	}
}

// inOneLine undoes the line breaks and the frame that Terraform puts around messages.
func inOneLine(text string) string {
	return strings.Join(strings.Fields(strings.ReplaceAll(text, "│", " ")), " ")
}

// applied applies and wants the plan after it to be empty.
func applied(t *testing.T, tf *testenv.Terraform) {
	t.Helper()
	if err := tf.Apply(t.Context()); err != nil {
		t.Fatal(err)
	}
	nothingToDo(t, tf)
}

func nothingToDo(t *testing.T, tf *testenv.Terraform) {
	t.Helper()
	changes, err := tf.PlanChanges(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(changes) > 0 {
		t.Errorf("there is still something to do: %v", changes)
	}
}

func destroyed(t *testing.T, tf *testenv.Terraform) {
	t.Helper()
	if err := tf.Destroy(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// isUp says whether a family has its two roles, one ACTIVE revision and an active ECS service.
func (c cloud) isUp(t *testing.T, family string, at surroundings) bool {
	t.Helper()
	described, err := c.ecs.DescribeServices(t.Context(), &ecs.DescribeServicesInput{Cluster: &at.ecsCluster, Services: []string{family}})
	if err != nil {
		t.Fatal(err)
	}
	return len(c.roles(t, family)) == 2 && len(c.active(t, family)) == 1 && len(described.Services) == 1 && *described.Services[0].Status == "ACTIVE"
}

func TestAFamilyOfTwoStatesBelongsToOne(t *testing.T) {
	t.Parallel()
	const family = "in-two-states"
	c := startMoto(t)
	around := c.surroundings(t, family)
	_, first := c.state(t, fields{"consulecs_mesh_task": fields{"web": owned(family, around, nil)}})
	applied(t, first)

	dir, second := c.state(t, fields{"consulecs_mesh_task": fields{"web": owned(family, around, nil)}})
	refused(t, second, "Name taken",
		"role in-two-states-task exists already and belongs to another resource, consulecs_mesh_task/us-east-1/in-two-states with the owner ID",
		"role in-two-states-execution exists", "task definition in-two-states exists", "service in-two-states of ECS cluster in-two-states exists",
		"iam.name_prefix", "import", "adopt_existing = true")
	destroyed(t, second)
	nothingToDo(t, first)

	dir.write(t, "main.tf.json", c.frame(fields{"consulecs_mesh_task": fields{"web": owned(family, around, fields{"adopt_existing": true, "tags": fields{"state": "second"}})}}))
	applied(t, second)
	if err := first.Apply(t.Context()); err == nil || !strings.Contains(inOneLine(err.Error()), "Warning: Name taken") || !strings.Contains(err.Error(), "was not updated") {
		t.Errorf("the first state's apply says %v", err)
	}
	destroyed(t, first)
	if !c.isUp(t, family, around) {
		t.Error("the destroy of the first state took down what the second had adopted")
	}
	nothingToDo(t, second)
	destroyed(t, second)
	if c.isUp(t, family, around) || len(c.roles(t, family)) > 0 || len(c.active(t, family)) > 0 {
		t.Errorf("left are the roles %v and the revisions %v", c.roles(t, family), c.active(t, family))
	}
}

func TestNamesPlannedTwiceAreRefused(t *testing.T) {
	t.Parallel()
	const family = "planned-twice"
	c := startMoto(t)
	around := c.surroundings(t, family)
	twice := fields{"a": owned(family, around, nil), "b": owned(family, around, nil)}
	dir, tf := c.state(t, fields{"consulecs_mesh_task": twice})
	refused(t, tf, "Name planned twice", "task definition planned-twice, role planned-twice-task, role planned-twice-execution, service planned-twice of ECS cluster planned-twice")
	dir.write(t, "main.tf.json", c.frame(fields{"consulecs_mesh_task": fields{"a": twice["a"]}}))
	applied(t, tf)
	dir.write(t, "main.tf.json", c.frame(fields{"consulecs_mesh_task": twice}))
	refused(t, tf, "Name planned twice")
	named := owned("planned-beside", around, fields{"iam": fields{"task_role": fields{"name": "Planned-Twice-Task"}}})
	dir.write(t, "main.tf.json", c.frame(fields{"consulecs_mesh_task": fields{"a": twice["a"], "b": named}}))
	refused(t, tf, "Name planned twice", "role planned-twice-task.")
	dir.write(t, "main.tf.json", c.frame(fields{"terraform_data": fields{"other": fields{}}}))
	destroyed(t, tf)
}

func TestAReplacementMayHaveTheNames(t *testing.T) {
	t.Parallel()
	const family = "replaced"
	c := startMoto(t)
	around := c.surroundings(t, family)
	_, tf := c.state(t, fields{"consulecs_mesh_task": fields{"web": owned(family, around, nil)}})
	applied(t, tf)
	for _, with := range [][]string{nil, {"-refresh=false"}, {"-replace=consulecs_mesh_task.web"}, {"-replace=consulecs_mesh_task.web", "-refresh=false"}} {
		if !slices.Contains(with, "-replace=consulecs_mesh_task.web") {
			if _, err := tf.Output(t.Context(), "taint", "-state="+tf.State(), "consulecs_mesh_task.web"); err != nil {
				t.Fatal(err)
			}
		}
		was := c.ownerOf(t, family)
		args := append([]string{"apply", "-auto-approve", "-input=false", "-no-color", "-state=" + tf.State()}, with...)
		if _, err := tf.Output(t.Context(), args...); err != nil {
			t.Fatalf("%v: %v", with, err)
		}
		if is := c.ownerOf(t, family); is == was || is == "" {
			t.Errorf("%v: the owner is %q after %q", with, is, was)
		}
		nothingToDo(t, tf)
	}
	destroyed(t, tf)
}

// ownerOf is the owner's ID by the tags of the task role.
func (c cloud) ownerOf(t *testing.T, family string) string {
	t.Helper()
	tags, err := c.iam.ListRoleTags(t.Context(), &iam.ListRoleTagsInput{RoleName: aws.String(family + "-task")})
	if err != nil {
		t.Fatal(err)
	}
	for _, tag := range tags.Tags {
		if *tag.Key == "consul.hashicorp.com.owner-id" {
			return *tag.Value
		}
	}
	return ""
}

func TestRolesOfTwoRegionsAreToldApartByAPrefix(t *testing.T) {
	t.Parallel()
	const family = "in-two-regions"
	c := startMoto(t)
	frame := func(eu fields) fields {
		us := owned(family, surroundings{}, fields{"ecs_service": nil})
		config := c.frame(fields{"consulecs_mesh_task": fields{"us": us, "eu": with(owned(family, surroundings{}, fields{"ecs_service": nil, "provider": "consulecs.eu"}), eu)}})
		provider := config["provider"].(fields)["consulecs"].(fields)
		config["provider"] = fields{"consulecs": []any{provider, with(with(fields{}, provider), fields{"alias": "eu", "region": "eu-west-1"})}}
		return config
	}
	dir := workDir(t)
	dir.write(t, "main.tf.json", frame(nil))
	tf := dir.terraform(t)
	if _, err := tf.Output(t.Context(), "apply", "-auto-approve", "-input=false", "-no-color", "-state="+tf.State(), "-target=consulecs_mesh_task.us"); err != nil {
		t.Fatal(err)
	}
	refused(t, tf, "role in-two-regions-task exists already and belongs to another resource, consulecs_mesh_task/us-east-1/in-two-regions", "iam.name_prefix is for roles, which all Regions share")
	dir.write(t, "main.tf.json", frame(fields{"iam": fields{"name_prefix": "eu-"}}))
	applied(t, tf)
	if got := slices.Sorted(slices.Values(c.roles(t, "eu-"+family))); !slices.Equal(got, []string{"eu-in-two-regions-execution", "eu-in-two-regions-task"}) {
		t.Errorf("the other Region's roles are %v", got)
	}
	destroyed(t, tf)
	if got := append(c.roles(t, family), c.roles(t, "eu-"+family)...); len(got) > 0 {
		t.Errorf("left are the roles %v", got)
	}
}

func TestControllersOfOneNameConverge(t *testing.T) {
	t.Parallel()
	c := startMoto(t)
	resources, moved := fields{}, fields{}
	for _, name := range []string{"two-controllers-a", "two-controllers-b"} {
		around := c.surroundings(t, name)
		config := controller(fields{"cluster": around.ecsCluster, "subnets": []any{around.subnet}, "security_groups": []any{around.group}, "wait_for_steady_state": false})
		resources[name], moved[name] = config, with(with(fields{}, config), fields{"image": "agent:2"})
	}
	dir, tf := c.state(t, fields{"consulecs_controller": resources})
	applied(t, tf)
	moved["two-controllers-a"] = resources["two-controllers-a"]
	dir.write(t, "main.tf.json", c.frame(fields{"consulecs_controller": moved}))
	changes, err := tf.PlanChanges(t.Context())
	if err != nil || !slices.Equal(changes, []string{"consulecs_controller.two-controllers-b (update)"}) {
		t.Errorf("a change of the one plans %v, %v", changes, err)
	}
	applied(t, tf)
	destroyed(t, tf)
}

// What was made by hand, or by others, is named before anything is made. Revisions in the family are no objects of anybody's.
func TestWhatOthersMadeIsNamedByThePlan(t *testing.T) {
	t.Parallel()
	const family = "by-hand"
	c := startMoto(t)
	around := c.surroundings(t, family)
	_, tf := c.state(t, fields{"consulecs_mesh_task": fields{"web": owned(family, around, nil)}})
	role := family + "-task"
	if _, err := c.iam.CreateRole(t.Context(), &iam.CreateRoleInput{RoleName: &role, Path: aws.String("/consul-ecs/"), AssumeRolePolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[]}`)}); err != nil {
		t.Fatal(err)
	}
	c.register(t, family)
	if _, err := c.ecs.CreateService(t.Context(), &ecs.CreateServiceInput{Cluster: &around.ecsCluster, ServiceName: aws.String(family), TaskDefinition: aws.String(family), DesiredCount: aws.Int32(0)}); err != nil {
		t.Fatal(err)
	}
	refused(t, tf, "role by-hand-task exists already and was not made by a resource of this provider", "service by-hand of ECS cluster by-hand exists already and was not made")
	if got := c.roles(t, family); !slices.Equal(got, []string{role}) {
		t.Errorf("roles %v, want the foreign one alone", got)
	}
	if _, err := c.iam.DeleteRole(t.Context(), &iam.DeleteRoleInput{RoleName: &role}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.ecs.DeleteService(t.Context(), &ecs.DeleteServiceInput{Cluster: &around.ecsCluster, Service: aws.String(family), Force: aws.Bool(true)}); err != nil {
		t.Fatal(err)
	}
	applied(t, tf)
	destroyed(t, tf)
}

func TestAnECSClusterThatIsNotThereIsTold(t *testing.T) {
	t.Parallel()
	c := startMoto(t)
	_, tf := c.state(t, fields{"consulecs_mesh_task": fields{"web": owned("nowhere", surroundings{ecsCluster: "no-such-cluster", subnet: "subnet-1", group: "sg-1"}, nil)}})
	out, err := tf.Output(t.Context(), "plan", "-input=false", "-no-color")
	if err != nil || !strings.Contains(inOneLine(string(out)), "There is no active ECS cluster no-such-cluster.") {
		t.Errorf("%v\n%s", err, out)
	}
}

// An import takes a resource with all that it made over, by the family's name alone, too.
func TestAnImportByFamilyTakesTheServiceOver(t *testing.T) {
	t.Parallel()
	const family = "import-by-family"
	c := startMoto(t)
	around := c.surroundings(t, family)
	resources := fields{"consulecs_mesh_task": fields{"web": owned(family, around, nil)}}
	_, first := c.state(t, resources)
	applied(t, first)
	was := c.ownerOf(t, family)
	_, second := c.state(t, resources)
	if _, err := second.Output(t.Context(), "import", "-input=false", "-no-color", "-state="+second.State(), "-state-out="+second.State(), "consulecs_mesh_task.web", family); err != nil {
		t.Fatal(err)
	}
	if err := second.Apply(t.Context()); err != nil {
		t.Fatal(err)
	}
	if is := c.ownerOf(t, family); is != was || !c.isUp(t, family, around) {
		t.Errorf("the owner is %q after %q", is, was)
	}
	destroyed(t, second)
	if left := append(c.roles(t, family), c.active(t, family)...); c.isUp(t, family, around) || len(left) > 0 {
		t.Errorf("left are %v", left)
	}
}
