package provider_test

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"
)

// images are those of containers, by name.
type images = map[string]string

const followImages = "revision_policy { follow_images = true }"

// ship registers the newest revision anew with other images, by container, as CI does. A container without one is left out.
func (c cloud) ship(ctx context.Context, family string, withTags bool, shipped images) error {
	described, err := c.ecs.DescribeTaskDefinition(ctx, &ecs.DescribeTaskDefinitionInput{TaskDefinition: &family, Include: []ecstypes.TaskDefinitionField{ecstypes.TaskDefinitionFieldTags}})
	if err != nil {
		return err
	}
	d := described.TaskDefinition
	for i, container := range d.ContainerDefinitions {
		if image, ok := shipped[*container.Name]; ok {
			d.ContainerDefinitions[i].Image = &image
		}
	}
	d.ContainerDefinitions = slices.DeleteFunc(d.ContainerDefinitions, func(c ecstypes.ContainerDefinition) bool { return *c.Image == "" })
	input := &ecs.RegisterTaskDefinitionInput{
		Family: d.Family, ContainerDefinitions: d.ContainerDefinitions, Cpu: d.Cpu, Memory: d.Memory, NetworkMode: d.NetworkMode,
		TaskRoleArn: d.TaskRoleArn, ExecutionRoleArn: d.ExecutionRoleArn, Volumes: d.Volumes, RequiresCompatibilities: d.RequiresCompatibilities,
	}
	if withTags {
		input.Tags = described.Tags
	}
	_, err = c.ecs.RegisterTaskDefinition(ctx, input)
	return err
}

// after is a step before which something else happens.
func after(t *testing.T, happens func() error, s resource.TestStep) resource.TestStep {
	t.Helper()
	s.PreConfig = func() {
		if err := happens(); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// unchanged is a step of which the plan is empty.
func unchanged(config string, checks ...resource.TestCheckFunc) resource.TestStep {
	s := step(config, checks...)
	s.ConfigPlanChecks.PreApply = []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()}
	return s
}

// following adds to a step that these images are followed.
func following(followed images, s resource.TestStep) resource.TestStep {
	want := map[string]knownvalue.Check{}
	for name, image := range followed {
		want[name] = knownvalue.StringExact(image)
	}
	s.ConfigStateChecks = []statecheck.StateCheck{statecheck.ExpectKnownValue(meshTaskName, tfjsonpath.New("followed_images"), knownvalue.MapExact(want))}
	return s
}

// wantImages checks the images of the newest revision, those of the injected containers aside.
func (c cloud) wantImages(t *testing.T, family string, want images) resource.TestCheckFunc {
	return inAWS(func() error {
		described, err := c.ecs.DescribeTaskDefinition(t.Context(), &ecs.DescribeTaskDefinitionInput{TaskDefinition: &family})
		if err != nil {
			return err
		}
		got := images{}
		for _, container := range described.TaskDefinition.ContainerDefinitions {
			if !strings.HasPrefix(*container.Name, "consul-") {
				got[*container.Name] = *container.Image
			}
		}
		if !maps.Equal(got, want) {
			return fmt.Errorf("images of %s:%d: %v, want %v", family, described.TaskDefinition.Revision, got, want)
		}
		return nil
	})
}

// onlyLeft checks that of the family others' revisions are there, and nothing else.
func (c cloud) onlyLeft(t *testing.T, family string, revisions ...string) resource.TestCheckFunc {
	return inAWS(func() error {
		if active, roles := c.active(t, family), c.roles(t, family); !slices.Equal(active, revisions) || len(roles) > 0 {
			return fmt.Errorf("left of %s: revisions %v, want %v, and roles %v", family, active, revisions, roles)
		}
		return nil
	})
}

// imagesTask is a mesh task with containers by name and image.
func imagesTask(family string, configured images, more string) string {
	var containers strings.Builder
	for _, name := range slices.Sorted(maps.Keys(configured)) {
		fmt.Fprintf(&containers, "container {\n name = %q\n image = %q\n}\n", name, configured[name])
	}
	return fmt.Sprintf("resource \"consulecs_mesh_task\" \"this\" {\n family = %q\n service { port = 9090 }\n %s %s\n}\n", family, containers.String(), more)
}

func TestImagesThatCIShipsAreFollowed(t *testing.T) {
	t.Parallel()
	const family = "following"
	c := startMoto(t)
	ship := func(image string, withTags bool) func() error {
		return func() error { return c.ship(t.Context(), family, withTags, images{"app": image}) }
	}
	deregister := func() error {
		_, err := c.ecs.DeregisterTaskDefinition(t.Context(), &ecs.DeregisterTaskDefinitionInput{TaskDefinition: aws.String(family + ":8")})
		return err
	}
	config := func(image, more string) string {
		return c.provider() + imagesTask(family, images{"app": image}, followImages+"\n"+more)
	}
	const changed, tagged = `sidecars { log_level = "DEBUG" }`, `tags = { a = "1" }`
	app := func(image string) images { return images{"app": image} }
	resource.UnitTest(t, resource.TestCase{
		ProtoV6ProviderFactories: factories(),
		CheckDestroy:             c.onlyLeft(t, family, "2", "4", "7"),
		Steps: []resource.TestStep{
			following(nil, step(config("app:1", ""), c.wantRevisions(t, family, "1"))),
			following(app("app:2"), after(t, ship("app:2", false), unchanged(config("app:1", ""), c.wantRevisions(t, family, "1", "2")))),
			// Terraform's next change, and the one after that, keep it; revisions of others stay.
			following(app("app:2"), step(config("app:1", changed), c.wantRevisions(t, family, "2", "3"), c.wantImages(t, family, app("app:2")))),
			following(app("app:3"), after(t, ship("app:3", true), unchanged(config("app:1", changed), c.wantRevisions(t, family, "2", "3", "4")))),
			// A tag is not set on a revision of others.
			following(app("app:3"), step(config("app:1", changed+"\n"+tagged), c.wantRevisions(t, family, "2", "4", "5"), c.wantImages(t, family, app("app:3")))),
			following(app("app:3"), step(config("app:2", tagged), c.wantRevisions(t, family, "2", "4", "6"), c.wantImages(t, family, app("app:3")))),
			// Once the configuration has caught up, it counts again, until CI ships another.
			following(nil, step(config("app:3", tagged), c.wantRevisions(t, family, "2", "4", "6"))),
			following(app("app:4"), after(t, ship("app:4", false), unchanged(config("app:3", tagged), c.wantRevisions(t, family, "2", "4", "6", "7")))),
			following(nil, step(config("app:4", tagged), c.wantRevisions(t, family, "2", "4", "6", "7"))),
			// A bad one is deregistered: what was there before it counts again.
			following(app("app:x"), after(t, ship("app:x", true), unchanged(config("app:4", tagged)))),
			following(nil, after(t, deregister, unchanged(config("app:4", tagged), c.wantRevisions(t, family, "2", "4", "6", "7")))),
			following(nil, step(config("app:5", tagged), c.wantRevisions(t, family, "2", "4", "7", "9"), c.wantImages(t, family, app("app:5")))),
		},
	})
}

func TestWhatCIDoesNotShipStaysTheUsers(t *testing.T) {
	t.Parallel()
	const family = "follow-one-of-two"
	c := startMoto(t)
	ship := func(changed images) func() error {
		return func() error { return c.ship(t.Context(), family, true, changed) }
	}
	config := func(configured images) string { return c.provider() + imagesTask(family, configured, followImages) }
	resource.UnitTest(t, resource.TestCase{
		ProtoV6ProviderFactories: factories(),
		Steps: []resource.TestStep{
			step(config(images{"app": "app:1", "worker": "worker:1"})),
			following(images{"app": "app:2"}, after(t, ship(images{"app": "app:2"}), unchanged(config(images{"app": "app:1", "worker": "worker:1"})))),
			following(images{"app": "app:2"}, step(config(images{"app": "app:1", "worker": "worker:2"}), c.wantImages(t, family, images{"app": "app:2", "worker": "worker:2"}))),
			// A container that is added has the configured image; one that CI left out comes back with what CI shipped of it.
			following(images{"app": "app:2"}, step(config(images{"app": "app:1", "log": "log:1", "worker": "worker:2"}), c.wantImages(t, family, images{"app": "app:2", "log": "log:1", "worker": "worker:2"}))),
			following(images{"app": "app:2", "log": "log:2"}, after(t, ship(images{"app": "", "log": "log:2"}), step(config(images{"app": "app:1", "log": "log:1", "worker": "worker:2"}),
				c.wantImages(t, family, images{"app": "app:2", "log": "log:2", "worker": "worker:2"})))),
			// A container that is removed is not followed when it comes again.
			following(images{"app": "app:2"}, step(config(images{"app": "app:1", "worker": "worker:2"}), c.wantImages(t, family, images{"app": "app:2", "worker": "worker:2"}))),
			following(images{"app": "app:2"}, step(config(images{"app": "app:1", "log": "log:1", "worker": "worker:2"}), c.wantImages(t, family, images{"app": "app:2", "log": "log:1", "worker": "worker:2"}))),
		},
	})
}

func TestTheServiceIsLeftToThoseWhoShip(t *testing.T) {
	t.Parallel()
	const family = "follow-service"
	c := startMoto(t)
	around := c.surroundings(t, family)
	config := func(count int, more string) string {
		return c.provider() + imagesTask(family, images{"app": "app:1"}, fmt.Sprintf(`
revision_policy {
  follow_images = true
  keep          = 1
}
ecs_service {
  cluster         = %q
  launch_type     = "FARGATE"
  subnets         = [%q]
  security_groups = [%q]
  desired_count   = %d
}
%s`, around.ecsCluster, around.subnet, around.group, count, more))
	}
	runs := func(revision string) resource.TestCheckFunc {
		return inAWS(func() error {
			described, err := c.ecs.DescribeServices(t.Context(), &ecs.DescribeServicesInput{Cluster: &around.ecsCluster, Services: []string{family}})
			if err != nil || len(described.Services) != 1 {
				return fmt.Errorf("services %v: %w", described, err)
			}
			if got := *described.Services[0].TaskDefinition; !strings.HasSuffix(got, "/"+family+":"+revision) {
				return fmt.Errorf("the service runs %s, want revision %s", got, revision)
			}
			return nil
		})
	}
	ship := func() error { return c.ship(t.Context(), family, true, images{"app": "app:2"}) }
	deploy := func(revision string) func() error {
		return func() error {
			_, err := c.ecs.UpdateService(t.Context(), &ecs.UpdateServiceInput{Cluster: &around.ecsCluster, Service: aws.String(family), TaskDefinition: aws.String("arn:aws:ecs:us-east-1:123456789012:task-definition/" + family + ":" + revision)})
			return err
		}
	}
	resource.UnitTest(t, resource.TestCase{
		ProtoV6ProviderFactories: factories(),
		CheckDestroy:             c.onlyLeft(t, family, "2", "4"),
		Steps: []resource.TestStep{
			step(config(0, ""), runs("1")),
			// Registered only, perhaps rolled back: the service stays, also when it is changed otherwise.
			after(t, ship, unchanged(config(0, ""), runs("1"))),
			step(config(1, ""), runs("1"), c.wantRevisions(t, family, "1", "2")),
			after(t, deploy("2"), unchanged(config(1, ""), runs("2"))),
			step(config(0, ""), runs("2"), c.wantRevisions(t, family, "1", "2")),
			// Terraform's next revision runs what CI shipped.
			step(config(0, `tags = { a = "1" }`), runs("3"), c.wantImages(t, family, images{"app": "app:2"}), c.wantRevisions(t, family, "1", "2", "3")),
			// The next one, too, if CI's was not deployed; of the resource's own, as many stay as it keeps.
			after(t, ship, step(config(0, `tags = { a = "2" }`), runs("5"), c.wantRevisions(t, family, "2", "3", "4", "5"))),
		},
	})
}

// What is not followed is reverted, with a warning that names it.
func TestThePlanTellsWhatItReverts(t *testing.T) {
	t.Parallel()
	const family = "reverting"
	c := startMoto(t)
	dir := workDir(t)
	tf := dir.terraform(t)
	write := func(image string, policy any) {
		task := meshTask(fields{"family": family, "service": fields{"port": 9090}, "container": container(fields{"image": image}), "revision_policy": policy})
		dir.write(t, "main.tf.json", c.frame(fields{"consulecs_mesh_task": fields{"this": task}}))
	}
	run := func(args ...string) string {
		out, err := tf.Output(t.Context(), append(args, "-no-color", "-input=false", "-state="+tf.State())...)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(strings.Fields(strings.ReplaceAll(string(out), "│", "")), " ")
	}
	wants := func(out string, want ...string) {
		t.Helper()
		for _, text := range want {
			if !strings.Contains(out, text) {
				t.Errorf("no %q in\n%s", text, out)
			}
		}
	}
	warning := "Warning: Revision reverting:2 is reverted"
	write("app:1", nil)
	run("apply", "-auto-approve")
	if err := c.ship(t.Context(), family, true, images{"app": "app:2"}); err != nil {
		t.Fatal(err)
	}
	wants(run("plan"), warning, "the image of container app goes from app:2 to app:1", "set revision_policy.follow_images = true")
	write("app:2", nil)
	if out := run("plan"); strings.Contains(out, "reverted") || !strings.Contains(out, "1 to change") {
		t.Errorf("with CI's image in the configuration:\n%s", out)
	}
	// Switched on after CI shipped, then off again.
	write("app:1", fields{"follow_images": true})
	wants(run("plan"), "0 to add, 1 to change", `+ "app" = "app:2"`)
	run("apply", "-auto-approve")
	wants(run("plan"), "No changes")
	if got := c.active(t, family); !slices.Equal(got, []string{"1", "2"}) {
		t.Errorf("revisions %v, want nothing new", got)
	}
	write("app:1", nil)
	wants(run("plan"), warning, "goes from app:2 to app:1", `- "app" = "app:2"`)
	run("apply", "-auto-approve")
	wants(run("plan"), "No changes")
	if got := c.active(t, family); !slices.Equal(got, []string{"2", "3"}) {
		t.Errorf("revisions %v, want CI's and the one on top of it", got)
	}
	if err := c.registerElsewhere(t, family, func(d *ecstypes.TaskDefinition) { d.ContainerDefinitions[0].Command = []string{"other"} }); err != nil {
		t.Fatal(err)
	}
	wants(run("plan"), "Revision reverting:4 is reverted", "The images stay")
}

func TestARevisionThatThePlanDoesNotKnowIsNotBuried(t *testing.T) {
	t.Parallel()
	const family = "overtaken"
	c := startMoto(t)
	dir := workDir(t)
	tf := dir.terraform(t)
	write := func(label string) {
		task := meshTask(fields{"family": family, "container": container(fields{"docker_labels": fields{"a": label}}), "revision_policy": fields{"follow_images": true}})
		dir.write(t, "main.tf.json", c.frame(fields{"consulecs_mesh_task": fields{"this": task}}))
	}
	run := func(args ...string) error {
		_, err := tf.Output(t.Context(), append(args, "-no-color", "-input=false", "-state="+tf.State())...)
		return err
	}
	write("1")
	apply := []string{"apply", "-auto-approve"}
	if err := run(apply...); err != nil {
		t.Fatal(err)
	}
	write("2")
	plan := filepath.Join(t.TempDir(), "plan")
	if err := run("plan", "-out="+plan); err != nil {
		t.Fatal(err)
	}
	if err := c.ship(t.Context(), family, true, images{"app": "app:2"}); err != nil {
		t.Fatal(err)
	}
	_, err := tf.Output(t.Context(), "apply", "-no-color", "-input=false", "-state="+tf.State(), plan)
	if err == nil || !strings.Contains(err.Error(), family+":2 was registered after the plan was made") {
		t.Fatalf("applied over CI's revision: %v", err)
	}
	if err := run(apply...); err != nil {
		t.Fatal(err)
	}
	if err := c.wantImages(t, family, images{"app": "app:2"})(nil); err != nil {
		t.Error(err)
	}
	if got := c.active(t, family); !slices.Equal(got, []string{"2", "3"}) {
		t.Errorf("revisions %v, want CI's and the one on top of it", got)
	}
}

// What is not known yet leaves open what depends on it, and no more: where CI's image is in force, the configured one decides
// nothing.
func TestFollowingGoesWithWhatIsKnownLater(t *testing.T) {
	t.Parallel()
	const family = "follow-later"
	c := startMoto(t)
	config := func(image string, follow bool) string {
		later := strings.NewReplacer(`"image"`, "terraform_data.later.output.image", `"follow"`, "terraform_data.later.output.follow")
		return c.provider() + fmt.Sprintf("resource \"terraform_data\" \"later\" {\n input = { image = %q, follow = %v }\n}\n", image, follow) +
			later.Replace(imagesTask(family, images{"app": "image"}, `revision_policy { follow_images = "follow" }`))
	}
	ship := func(image string) func() error {
		return func() error { return c.ship(t.Context(), family, false, images{"app": image}) }
	}
	open := []plancheck.PlanCheck{
		plancheck.ExpectUnknownValue(meshTaskName, tfjsonpath.New("followed_images")), plancheck.ExpectUnknownValue(meshTaskName, tfjsonpath.New("revision")),
	}
	known := step(strings.ReplaceAll(config("app:3", true), "terraform_data.later.output.follow", "true"))
	known.ConfigPlanChecks.PreApply = []plancheck.PlanCheck{
		plancheck.ExpectUnknownValue(meshTaskName, tfjsonpath.New("followed_images")), plancheck.ExpectKnownValue(meshTaskName, tfjsonpath.New("revision"), knownvalue.Int64Exact(2)),
	}
	stopped := step(config("app:5", false), c.wantImages(t, family, images{"app": "app:5"}))
	stopped.ConfigPlanChecks.PreApply = open
	resource.UnitTest(t, resource.TestCase{
		ProtoV6ProviderFactories: factories(),
		Steps: []resource.TestStep{
			step(config("app:1", true)),
			following(images{"app": "app:2"}, after(t, ship("app:2"), known)),
			following(nil, after(t, ship("app:4"), step(config("app:4", true), c.wantRevisions(t, family, "1", "2", "3")))),
			following(images{"app": "app:x"}, after(t, ship("app:x"), step(config("app:6", true), c.wantRevisions(t, family, "1", "2", "3", "4")))),
			stopped,
			following(images{"app": "app:7"}, after(t, ship("app:7"), step(config("app:5", true), c.wantImages(t, family, images{"app": "app:7"})))),
		},
	})
}

func TestAnImportFollowsWhatIsThere(t *testing.T) {
	t.Parallel()
	const family = "follow-import"
	c := startMoto(t)
	const forget = "removed {\n from = consulecs_mesh_task.this\n lifecycle { destroy = false }\n}\n"
	config := func(more string) string { return c.provider() + imagesTask(family, images{"app": "app:1"}, more) }
	imported := fmt.Sprintf("import {\n to = consulecs_mesh_task.this\n id = %q\n}\n", family)
	resource.UnitTest(t, resource.TestCase{
		ProtoV6ProviderFactories: factories(),
		Steps: []resource.TestStep{
			step(config("")),
			after(t, func() error { return c.ship(t.Context(), family, true, images{"app": "app:2"}) }, resource.TestStep{Config: c.provider() + forget}),
			following(images{"app": "app:2"}, step(config(followImages)+imported, c.wantImages(t, family, images{"app": "app:2"}))),
			following(images{"app": "app:2"}, step(config(followImages+"\n sidecars { log_level = \"DEBUG\" }"), c.wantImages(t, family, images{"app": "app:2"}))),
		},
	})
}

// An update that fails has registered its revision on top of CI's, whose images the next one still knows.
func TestWhatWasFollowedOutlivesAFailedUpdate(t *testing.T) {
	t.Parallel()
	const family = "follow-failed"
	c := startMoto(t)
	config := func(more string) string { return c.provider() + imagesTask(family, images{"app": "app:1"}, more) }
	changed := followImages + "\n sidecars { log_level = \"DEBUG\" }\n"
	resource.UnitTest(t, resource.TestCase{
		ProtoV6ProviderFactories: factories(),
		CheckDestroy:             c.onlyLeft(t, family, "2"),
		Steps: []resource.TestStep{
			step(config("")),
			after(t, func() error { return c.ship(t.Context(), family, false, images{"app": "app:2"}) }, resource.TestStep{
				Config:      config(changed + "ecs_service {\n cluster = \"none\"\n subnets = [\"subnet-1\"]\n}"),
				ExpectError: regexp.MustCompile("Mesh task was not updated"),
			}),
			following(images{"app": "app:2"}, step(config(changed), c.wantRevisions(t, family, "2", "3"), c.wantImages(t, family, images{"app": "app:2"}))),
		},
	})
}
