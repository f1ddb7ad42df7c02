package deploy

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/awsfault"
)

var allNamed = Named{Family: true, TaskRole: true, ExecutionRole: true, Service: true}

func TestWhatHasTheNamesIsFoundBeforeTheCreate(t *testing.T) {
	t.Parallel()
	c := startCloud(t)
	d, out := wanted(t, "clashing", "app:1"), &Progress{}
	if err := c.sure.Create(t.Context(), d, out); err != nil {
		t.Fatal(err)
	}
	rival := another(t, d)
	adopting := rival
	adopting.Adopt = true
	renamed := wantedBy(t, "id", "clashing-not", "app:1")
	renamed.Service = d.Service
	all := []string{"role clashing-task", "role clashing-execution", "task definition clashing", "service clashing of ECS cluster " + testCluster}
	for name, row := range map[string]struct {
		d        Design
		had      Before
		named    Named
		replaced string
		read     string
		want     []string
	}{
		"a rival":                      {d: rival, named: allNamed, want: all},
		"a rival by roles alone":       {d: rival, named: Named{TaskRole: true, ExecutionRole: true}, want: all[:2]},
		"names not known yet":          {d: rival, want: nil},
		"the owner":                    {d: d, named: allNamed, want: nil},
		"what is to be adopted":        {d: adopting, named: allNamed, want: nil},
		"a replacement":                {d: rival, named: allNamed, replaced: d.Owner.ID, want: nil},
		"what was read in the run":     {d: rival, named: allNamed, read: d.Owner.ID, want: nil},
		"a service of another's name":  {d: renamed, named: allNamed, want: all[3:]},
		"what the state has is no one": {d: rival, had: out.was(d), named: allNamed, want: nil},
	} {
		client := startCloud(t)
		if row.read != "" {
			client.run.reads(row.read)
		}
		found, err := client.Clashes(t.Context(), row.d, row.had, row.named, row.replaced)
		var got []string
		for _, clash := range found {
			got = append(got, clash.What)
		}
		if err != nil || !slices.Equal(got, row.want) {
			t.Errorf("%s: got %v, %v, want %v", name, got, err, row.want)
		}
	}
	denied := startCloud(t)
	denied.proxy.Inject(awsfault.Rule{Times: always, Fault: awsfault.Refuse(403, "AccessDeniedException", "not authorized")})
	if found, err := denied.Clashes(t.Context(), rival, Before{}, allNamed, ""); err != nil || len(found) > 0 {
		t.Errorf("what may not be looked at: %v, %v", found, err)
	}
}

func TestManyNewRolesAreListedAtOnce(t *testing.T) {
	t.Parallel()
	c := startCloud(t)
	d, out := wanted(t, "Listed-29", "app:1"), &Progress{}
	if err := c.sure.Create(t.Context(), d, out); err != nil {
		t.Fatal(err)
	}
	for i := range 30 {
		found, err := c.Clashes(t.Context(), wantedBy(t, "rival", fmt.Sprintf("Listed-%02d", i), "app:1"), Before{}, Named{TaskRole: true, ExecutionRole: true}, "")
		if want := 2 * (i / 29); err != nil || len(found) != want {
			t.Errorf("%d: got %v, %v, want %d", i, found, err, want)
		}
	}
	if asked, listed := c.count("GetRole"), c.count("ListRoles"); asked != rolesAskedFor+2 || listed == 0 {
		t.Errorf("%d roles were asked for one by one, %d calls list them", asked, listed)
	}
}

// As when a resource is replaced: IAM may show for a while what was deleted a moment ago.
func TestARoleThatWasDeletedInTheSameRunIsWaitedFor(t *testing.T) {
	t.Parallel()
	c := startCloud(t)
	d, out := wanted(t, "still-shown", "app:1"), &Progress{}
	if err := c.Create(t.Context(), d, out); err != nil {
		t.Fatal(err)
	}
	role := d.roles()[0]
	if err := c.Remove(t.Context(), d.Family, d.Owner, out.was(d)); err != nil {
		t.Fatal(err)
	}
	_, err := c.sure.iam.CreateRole(t.Context(), &iam.CreateRoleInput{ // moto forgets at once
		RoleName: &role.Name, Path: &role.Path, AssumeRolePolicyDocument: aws.String(string(role.TrustPolicy)), Tags: iamTags(role.Tags),
	})
	if err != nil {
		t.Fatal(err)
	}
	c.proxy.Inject(awsfault.Rule{Action: "GetRole", Skip: 1, Times: 1, Fault: awsfault.Do(func() {
		if err := c.sure.deleteRole(t.Context(), role.Name, d.Owner); err != nil {
			t.Error(err)
		}
	})})
	next, out := another(t, d), &Progress{}
	if err := errors.Join(c.Create(t.Context(), next, out), c.is(t.Context(), next, out)); err != nil {
		t.Error(err)
	}
}
