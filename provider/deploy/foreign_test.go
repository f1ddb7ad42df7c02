package deploy

import (
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-cmp/cmp"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/awsfault"
	"github.com/consulecs/terraform-provider-consulecs/provider/block"
	"github.com/consulecs/terraform-provider-consulecs/provider/ownership"
)

func TestWhoseARevisionIs(t *testing.T) {
	t.Parallel()
	outcome := func(number int64, owner string) Outcome {
		return Outcome{Revision: &number, TagsAll: map[string]string{ownership.TagECS: owner}}
	}
	for name, c := range map[string]struct {
		out  Outcome
		own  Revisions
		want bool
	}{
		"none":                            {Outcome{}, Revisions{1}, false},
		"own by its number":               {outcome(2, "others"), Revisions{2, 1}, false},
		"a copy with its tags":            {outcome(3, "me"), Revisions{2, 1}, true},
		"the first, of others":            {outcome(1, ""), NoRevisions(), true},
		"own by its tag, after an import": {outcome(3, "me"), nil, false},
		"foreign by its tag":              {outcome(3, ""), nil, true},
	} {
		if got := IsForeign(c.out, "me", c.own); got != c.want {
			t.Errorf("%s: foreign is %v, want %v", name, got, c.want)
		}
	}
}

func TestImagesAreReadFromRenderedContainers(t *testing.T) {
	t.Parallel()
	got := Images(map[string]string{"app": `{"image":"app:1","name":"app"}`, "none": `{"name":"none"}`, "later": ""})
	if diff := cmp.Diff(map[string]string{"app": "app:1"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestWhichRevisionTheServiceRuns(t *testing.T) {
	t.Parallel()
	service, moved := &block.ECSService{Cluster: aws.String("a"), Name: aws.String("web")}, &block.ECSService{Cluster: aws.String("b"), Name: aws.String("web")}
	had := Outcome{ARN: aws.String("web:2"), ECSServiceRunning: aws.String("web:1")}
	for name, c := range map[string]struct {
		d      Design
		before Before
		newest string
		want   string
	}{
		"CI's is not deployed yet": {Design{Service: service, FollowImages: true}, Before{Outcome: had, Service: service, Foreign: true}, "web:2", "web:1"},
		"an own one on top":        {Design{Service: service, FollowImages: true}, Before{Outcome: had, Service: service, Foreign: true}, "web:3", "web:3"},
		"own, changed elsewhere":   {Design{Service: service, FollowImages: true}, Before{Outcome: had, Service: service}, "web:2", "web:2"},
		"not followed":             {Design{Service: service}, Before{Outcome: had, Service: service, Foreign: true}, "web:2", "web:2"},
		"the service moves":        {Design{Service: moved, FollowImages: true}, Before{Outcome: had, Service: service, Foreign: true}, "web:2", "web:2"},
		"the service is new":       {Design{Service: service, FollowImages: true}, Before{Outcome: Outcome{ARN: had.ARN}, Foreign: true}, "web:2", "web:2"},
	} {
		if got := c.d.runs(c.before, &c.newest); *got != c.want {
			t.Errorf("%s: runs %s, want %s", name, *got, c.want)
		}
	}
}

// CI registers between the look at what is there and the registration.
func TestARevisionRegisteredMeanwhileIsNotBuried(t *testing.T) {
	t.Parallel()
	c := startCloud(t)
	const family = "meanwhile"
	d, out := wanted(t, family, "app:1"), &Progress{}
	if err := c.Create(t.Context(), d, out); err != nil {
		t.Fatal(err)
	}
	next := wanted(t, family, "app:2")
	next.FollowImages = true
	c.proxy.Inject(awsfault.Rule{Action: "RegisterTaskDefinition", Times: 1, Fault: awsfault.Do(func() {
		copied := *d.definition // with its tags
		if _, _, err := c.sure.register(t.Context(), &copied); err != nil {
			t.Error(err)
		}
	})})
	had := out.was(d)
	out = had.Begin()
	err := c.Apply(t.Context(), next, had, out)
	if err == nil || !strings.Contains(err.Error(), "meanwhile:2 was registered after the plan was made") {
		t.Errorf("got %v", err)
	}
	if arns, err := c.sure.activeRevisions(t.Context(), family); err != nil || len(arns) != 2 || !strings.HasSuffix(arns[0], ":2") {
		t.Errorf("ACTIVE are %v, %v, want the first and CI's", arns, err)
	}
	if *out.Revision != 1 || !slices.Equal(out.Revisions, Revisions{1}) {
		t.Errorf("the state knows revision %d and as its own %v", *out.Revision, out.Revisions)
	}
	if err := c.Remove(t.Context(), family, d.Owner, out.was(d)); err != nil {
		t.Fatal(err)
	}
	if newest, err := c.sure.latest(t.Context(), family); err != nil || newest == nil || newest.Definition.Revision != 2 {
		t.Errorf("after the destroy: %v, %v, want CI's revision", newest, err)
	}
}

// A gap that revisions leave which are INACTIVE by now is none.
func TestRevisionsThatAreGoneAreNoObstacle(t *testing.T) {
	t.Parallel()
	c := startCloud(t)
	const family = "gone-meanwhile"
	d, out := wanted(t, family, "app:1"), &Progress{}
	if err := c.Create(t.Context(), d, out); err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.sure.register(t.Context(), d.definition); err != nil {
		t.Fatal(err)
	}
	if err := c.sure.deregister(t.Context(), family+":2"); err != nil {
		t.Fatal(err)
	}
	next := wanted(t, family, "app:2")
	next.FollowImages, next.Service.WaitForSteadyState = true, nil // moto shows no new deployment
	had := out.was(d)
	out = had.Begin()
	if err := c.Apply(t.Context(), next, had, out); err != nil || *out.Revision != 3 {
		t.Errorf("revision %d, %v", *out.Revision, err)
	}
}
