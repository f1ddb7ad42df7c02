package meshtask

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-cmp/cmp"

	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
	"github.com/consulecs/terraform-provider-consulecs/provider/block"
)

type images = map[string]string

// imagesModel is a model with containers, each a name and an image; "" is an image that is not known.
func imagesModel(family string, follow bool, followed images, containers ...string) *model {
	m := &model{Family: &family, RevisionPolicy: &revisionPolicy{FollowImages: &follow}, names: names{FollowedImages: followed}}
	for i := 0; i < len(containers); i += 2 {
		c := block.Container{Name: &containers[i]}
		if containers[i+1] != "" {
			c.Image = &containers[i+1]
		}
		m.Containers = append(m.Containers, c)
	}
	return m
}

func TestWhatARefreshFollows(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		followed, newest images
		foreign          bool
		want             images
	}{
		"nothing shipped":               {nil, images{"app": "app:1", "worker": "worker:1"}, false, images{}},
		"one of two shipped":            {nil, images{"app": "app:2", "worker": "worker:1", "consul-dataplane": "agent:1"}, true, images{"app": "app:2"}},
		"own revision after that":       {images{"app": "app:2"}, images{"app": "app:2", "worker": "worker:1"}, false, images{"app": "app:2"}},
		"shipped again":                 {images{"app": "app:2"}, images{"app": "app:3", "worker": "worker:2"}, true, images{"app": "app:3", "worker": "worker:2"}},
		"back to the configured image":  {images{"app": "app:2"}, images{"app": "app:1", "worker": "worker:1"}, true, images{}},
		"back to an own revision":       {images{"app": "app:3"}, images{"app": "app:2", "worker": "worker:1"}, false, images{"app": "app:2"}},
		"back to what was before CI":    {images{"app": "app:3"}, images{"app": "app:1", "worker": "worker:1"}, false, images{}},
		"an apply that did not end":     {nil, images{"app": "app:9", "worker": "worker:1"}, false, images{}},
		"a revision without it":         {images{"app": "app:2"}, images{"worker": "worker:1"}, true, images{"app": "app:2"}},
		"no revision":                   {images{"app": "app:2"}, nil, false, images{"app": "app:2"}},
		"a container of nobody's":       {nil, images{"other": "other:1"}, true, images{}},
		"the configuration has it, too": {images{"app": "app:1"}, nil, false, images{}},
	} {
		m := imagesModel("web", true, c.followed, "app", "app:1", "worker", "worker:1")
		m.see(c.newest, c.foreign)
		if diff := cmp.Diff(c.want, m.FollowedImages); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestWhatAPlanFollows(t *testing.T) {
	t.Parallel()
	imageOf := problem.At("container", 0, "image")
	state := imagesModel("web", true, images{"app": "app:2"}, "app", "app:1")
	since := images{"app": "app:3"}
	off := imagesModel("web", false, nil, "app", "app:1")
	for name, c := range map[string]struct {
		m, state *model
		unknown  []problem.Path
		want     images
		awaited  int // places
		open     bool
	}{
		"as before":                   {imagesModel("web", true, nil, "app", "app:1"), state, nil, images{"app": "app:2"}, 0, false},
		"a new image does not count":  {imagesModel("web", true, nil, "app", "app:9"), state, nil, images{"app": "app:2"}, 0, false},
		"the followed image counts":   {imagesModel("web", true, nil, "app", "app:2"), state, nil, images{}, 0, false},
		"another container":           {imagesModel("web", true, nil, "web", "web:1"), state, nil, images{}, 0, false},
		"no longer":                   {imagesModel("web", false, nil, "app", "app:1"), state, nil, nil, 0, false},
		"from now on":                 {imagesModel("web", true, nil, "app", "app:1"), off, nil, images{"app": "app:3"}, 0, false},
		"a new resource":              {imagesModel("web", true, nil, "app", "app:1"), &model{}, nil, images{}, 0, false},
		"another family":              {imagesModel("other", true, nil, "app", "app:1"), state, nil, images{}, 0, false},
		"an image known later":        {imagesModel("web", true, nil, "app", ""), state, []problem.Path{imageOf}, images{"app": "app:2"}, 0, true},
		"another's image known later": {imagesModel("web", true, nil, "web", ""), state, []problem.Path{imageOf}, images{}, 1, false},
		"containers known later":      {imagesModel("web", true, nil), state, []problem.Path{problem.At("container")}, images{"app": "app:2"}, 1, true},
		"whether to is known later":   {imagesModel("web", false, nil, "app", "app:1"), state, []problem.Path{problem.At("revision_policy")}, images{"app": "app:2"}, 2, true},
		"whether to begin is, too":    {imagesModel("web", false, nil, "app", "app:1"), off, []problem.Path{problem.At("revision_policy", "follow_images")}, images{"app": "app:3"}, 2, true},
		"whether to, of a new one":    {imagesModel("web", false, nil, "app", "app:1"), &model{}, []problem.Path{problem.At("revision_policy")}, images{}, 1, true},
	} {
		foreign := since
		if c.state.Family == nil {
			foreign = nil
		}
		got := c.m.planFollowed(c.state, foreign, c.unknown)
		if diff := cmp.Diff(c.want, c.m.FollowedImages); diff != "" || len(got) != c.awaited || c.m.followedOpen(c.unknown) != c.open {
			t.Errorf("%s: %v are awaited, want %d; open: want %v; %s", name, got, c.awaited, c.open, diff)
		}
	}
	if diff := cmp.Diff(images{"app": "app:2"}, state.FollowedImages); diff != "" {
		t.Errorf("a plan changed the state: %s", diff)
	}
}

func TestFollowedImagesAreInTheSpec(t *testing.T) {
	t.Parallel()
	spec := imagesModel("web", true, images{"app": "app:2"}, "app", "app:1", "worker", "worker:1").spec(block.Defaults{})
	if app, worker := aws.ToString(spec.Containers[0].Definition.Image), aws.ToString(spec.Containers[1].Definition.Image); app != "app:2" || worker != "worker:1" {
		t.Errorf("images %s and %s", app, worker)
	}
}
