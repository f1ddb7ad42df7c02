package provider_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"
)

const followImages = "revision_policy { follow_images = true }"

// ship registers the newest revision anew with other images, by container, as CI does.
func (c cloud) ship(ctx context.Context, family string, withTags bool, images map[string]string) error {
	described, err := c.ecs.DescribeTaskDefinition(ctx, &ecs.DescribeTaskDefinitionInput{TaskDefinition: &family, Include: []ecstypes.TaskDefinitionField{ecstypes.TaskDefinitionFieldTags}})
	if err != nil {
		return err
	}
	d := described.TaskDefinition
	for i, container := range d.ContainerDefinitions {
		if image, ok := images[*container.Name]; ok {
			d.ContainerDefinitions[i].Image = &image
		}
	}
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
func following(images map[string]string, s resource.TestStep) resource.TestStep {
	want := map[string]knownvalue.Check{}
	for name, image := range images {
		want[name] = knownvalue.StringExact(image)
	}
	s.ConfigStateChecks = []statecheck.StateCheck{statecheck.ExpectKnownValue(meshTaskName, tfjsonpath.New("followed_images"), knownvalue.MapExact(want))}
	return s
}

// wantImages checks the images of the newest revision, those of the injected containers aside.
func (c cloud) wantImages(t *testing.T, family string, want map[string]string) resource.TestCheckFunc {
	return world(func() error {
		described, err := c.ecs.DescribeTaskDefinition(t.Context(), &ecs.DescribeTaskDefinitionInput{TaskDefinition: &family})
		if err != nil {
			return err
		}
		got := map[string]string{}
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
	return world(func() error {
		if active, roles := c.active(t, family), c.roles(t, family); !slices.Equal(active, revisions) || len(roles) > 0 {
			return fmt.Errorf("left of %s: revisions %v, want %v, and roles %v", family, active, revisions, roles)
		}
		return nil
	})
}

// imagesTask is a mesh task with containers by name and image.
func imagesTask(family string, images map[string]string, more string) string {
	var containers strings.Builder
	for _, name := range slices.Sorted(maps.Keys(images)) {
		fmt.Fprintf(&containers, "container {\n name = %q\n image = %s\n}\n", name, images[name])
	}
	return fmt.Sprintf("resource \"consulecs_mesh_task\" \"this\" {\n family = %q\n service { port = 9090 }\n %s %s\n}\n", family, containers.String(), more)
}

type images = map[string]string

func TestImagesThatCIShipsAreFollowed(t *testing.T) {
	t.Parallel()
	c := startMoto(t)
	for family, withTags := range map[string]bool{"follow-tagged": true, "follow-untagged": false} {
		t.Run(family, func(t *testing.T) {
			t.Parallel()
			ship := func(image string) func() error {
				return func() error { return c.ship(t.Context(), family, withTags, images{"app": image}) }
			}
			config := func(image, more string) string {
				return c.provider() + imagesTask(family, images{"app": fmt.Sprintf("%q", image)}, followImages+"\n"+more)
			}
			changed, tagged := `sidecars { log_level = "DEBUG" }`, `tags = { a = "1" }`
			resource.UnitTest(t, resource.TestCase{
				ProtoV6ProviderFactories: factories(),
				CheckDestroy:             c.onlyLeft(t, family, "2", "4", "7"),
				Steps: []resource.TestStep{
					following(nil, step(config("app:1", ""), c.wantRevisions(t, family, "1"))),
					following(images{"app": "app:2"}, after(t, ship("app:2"), unchanged(config("app:1", ""), c.wantRevisions(t, family, "1", "2")))),
					// Terraform's next change, and the one after that, keep it; revisions of others stay.
					following(images{"app": "app:2"}, step(config("app:1", changed),
						c.wantRevisions(t, family, "2", "3"), c.wantImages(t, family, images{"app": "app:2"}))),
					following(images{"app": "app:3"}, after(t, ship("app:3"), unchanged(config("app:1", changed), c.wantRevisions(t, family, "2", "3", "4")))),
					// A tag is not set on a revision of others.
					following(images{"app": "app:3"}, step(config("app:1", changed+"\n"+tagged), c.wantRevisions(t, family, "2", "4", "5"), c.wantImages(t, family, images{"app": "app:3"}))),
					following(images{"app": "app:3"}, step(config("app:2", tagged), c.wantRevisions(t, family, "2", "4", "6"), c.wantImages(t, family, images{"app": "app:3"}))),
					// Once the configuration has caught up, it counts again, until CI ships another.
					following(nil, step(config("app:3", tagged), c.wantRevisions(t, family, "2", "4", "6"))),
					following(images{"app": "app:4"}, after(t, ship("app:4"), unchanged(config("app:3", tagged), c.wantRevisions(t, family, "2", "4", "6", "7")))),
					following(nil, step(config("app:4", tagged), c.wantRevisions(t, family, "2", "4", "6", "7"))),
					following(nil, step(config("app:5", tagged), c.wantRevisions(t, family, "2", "4", "7", "8"), c.wantImages(t, family, images{"app": "app:5"}))),
				},
			})
		})
	}
}
