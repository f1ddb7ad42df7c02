package deploy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/google/go-cmp/cmp"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/awsfault"
	"github.com/consulecs/terraform-provider-consulecs/provider/ownership"
)

const gathers = "GetAccountAuthorizationDetails"

// hasSeenMany has the next look at a role be one of many.
func (c *Client) hasSeenMany() {
	for range rolesSeenOneByOne {
		c.run.seesMany()
	}
}

// makeRoles makes resources that have nothing but roles, and returns those as they are kept.
func (c cloud) makeRoles(t *testing.T, name string, n int) (kept []RoleView) {
	t.Helper()
	for i := range n {
		d := wanted(t, fmt.Sprintf("%s-%02d", name, i), "app:1")
		if _, err := c.sure.applyRoles(t.Context(), d, nil, &Progress{}); err != nil {
			t.Fatal(err)
		}
		kept = append(kept, d.roles()...)
	}
	return kept
}

// written is what a state says of a role of which kept is kept; "[]" if there is none.
func written(role *RoleView, kept RoleView) string {
	var views []RoleView
	if role != nil {
		views = append(views, role.within(kept))
	}
	text, _ := encodeRoles(views) // views can be written
	return text
}

func TestManyRolesAreReadAtOnce(t *testing.T) {
	t.Parallel()
	c := startCloud(t)
	kept := c.makeRoles(t, "gathered", rolesSeenOneByOne)
	c.proxy.Forget()
	c.proxy.Inject(awsfault.Rule{Action: gathers, Times: 1, Fault: awsfault.EmptyPage})
	var all sync.WaitGroup
	for _, role := range kept {
		all.Go(func() {
			if found, err := c.seeRole(t.Context(), role); err != nil || written(found, role) != written(&role, role) {
				t.Errorf("got %s, %v, want %s", written(found, role), err, written(&role, role))
			}
		})
	}
	all.Wait()
	if one, pages := c.count("GetRole"), c.count(gathers); one != rolesSeenOneByOne || pages != 2 {
		t.Errorf("%d of %d roles were read one by one, the others by %d calls", one, len(kept), pages)
	}
}

// What people do to a role by hand shows alike, however it is read.
func TestARoleShowsAlikeAmongMany(t *testing.T) {
	t.Parallel()
	c := startCloud(t)
	for i, role := range c.makeRoles(t, "alike+=,.@_", 1) {
		for change, do := range map[string]func(ctx context.Context) error{
			"nothing": func(context.Context) error { return nil },
			"a policy of others": func(ctx context.Context) error {
				_, err := c.sure.iam.PutRolePolicy(ctx, &iam.PutRolePolicyInput{RoleName: &role.Name, PolicyName: aws.String("others"), PolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:Get*","Resource":"arn:aws:s3:::a+b %25e/*"}]}`)})
				return err
			},
			"the trust": func(ctx context.Context) error {
				_, err := c.sure.iam.UpdateAssumeRolePolicy(ctx, &iam.UpdateAssumeRolePolicyInput{RoleName: &role.Name, PolicyDocument: aws.String(strings.ReplaceAll(string(role.TrustPolicy), "ecs-tasks.", "ec2."))})
				return err
			},
			"a boundary": func(ctx context.Context) error {
				_, err := c.sure.iam.PutRolePermissionsBoundary(ctx, &iam.PutRolePermissionsBoundaryInput{RoleName: &role.Name, PermissionsBoundary: aws.String(extraPolicy)})
				return err
			},
			"tags": func(ctx context.Context) error {
				return c.sure.correctRoleTags(ctx, RoleView{Name: role.Name, Tags: map[string]string{"image": "by hand + 1", "more": ""}}, RoleView{}, RoleView{})
			},
			"attached": func(ctx context.Context) error {
				return c.sure.correctAttachments(ctx, RoleView{Name: role.Name, PolicyARNs: []string{extraPolicy}}, RoleView{}, RoleView{})
			},
			"the policy": func(ctx context.Context) error {
				if len(role.Policies) == 0 {
					return nil
				}
				return c.sure.correctPolicies(ctx, RoleView{Name: role.Name}, RoleView{Policies: role.Policies}, RoleView{})
			},
		} {
			if err := do(t.Context()); err != nil {
				t.Fatalf("%s: %v", change, err)
			}
			among, err := clientAt(t.Context(), c.proxy.URL)
			if err != nil {
				t.Fatal(err)
			}
			among.hasSeenMany()
			alone, err := c.sure.readRole(t.Context(), role.Name)
			if err != nil {
				t.Fatal(err)
			}
			found, err := among.seeRole(t.Context(), role)
			if diff := cmp.Diff(alone, found); err != nil || diff != "" {
				t.Errorf("role %d, %s: %v\n%s", i, change, err, diff)
			}
		}
	}
	if c.count(gathers) == 0 {
		t.Error("none was read among many")
	}
}

func TestWhatTheManyLackIsReadByItself(t *testing.T) {
	t.Parallel()
	c := startCloud(t)
	before := c.makeRoles(t, "before", 1)
	c.hasSeenMany()
	see := func(what string, role RoleView, want *RoleView) {
		t.Helper()
		found, err := c.seeRole(t.Context(), role)
		if got, want := written(found, role), written(want, role); err != nil || got != want {
			t.Errorf("%s: got %s, %v, want %s", what, got, err, want)
		}
	}
	see("one that there was", before[0], &before[0])
	since := c.makeRoles(t, "since", 1)[0]
	see("one that was made since", since, &since)
	see("one that there is not", RoleView{Name: "nobody's"}, nil)
	if n := c.count("GetRole"); n != 2 {
		t.Errorf("%d roles were read by themselves, want 2", n)
	}
	changed := wanted(t, "before-00", "app:2")
	kept := changed.roles()[0]
	if found, err := c.readKeptRole(t.Context(), kept.Name, kept); err != nil || c.ensureRole(t.Context(), changed, kept, before[0], found) != nil {
		t.Fatal(err)
	}
	see("one that the run has changed", kept, &kept)
	if err := c.deleteRole(t.Context(), before[1].Name, changed.Owner); err != nil {
		t.Fatal(err)
	}
	see("one that the run has deleted", before[1], nil)
	if n := c.count(gathers); n != 1 {
		t.Errorf("all were read %d times", n)
	}
}

// Other people's roles are none of the provider's business, nor are those of its own in other Regions.
func TestOthersRolesAreNotKept(t *testing.T) {
	t.Parallel()
	c := startCloud(t)
	own := c.makeRoles(t, "own", 1)[0]
	for name, owner := range map[string]string{"others": "", "elsewhere": ownership.Name(testKind, "eu-central-1", "own-00")} {
		tags := map[string]string{"team": "x"}
		if owner != "" {
			tags[ownership.TagRole] = owner
		}
		if _, err := c.sure.iam.CreateRole(t.Context(), &iam.CreateRoleInput{RoleName: &name, AssumeRolePolicyDocument: aws.String("{}"), Tags: iamTags(tags)}); err != nil {
			t.Fatal(err)
		}
	}
	found, err := c.rolesOfProvider(t.Context())
	if _, has := found[own.Name]; err != nil || !has {
		t.Errorf("%v, %v", found, err)
	}
	for _, name := range []string{"others", "elsewhere"} {
		if _, has := found[name]; has {
			t.Errorf("%s is kept", name)
		}
	}
}

func TestManyRolesAreReadOneByOneWhereAllMayNotBe(t *testing.T) {
	t.Parallel()
	kept := startCloud(t).makeRoles(t, "single", 3)
	for name, fault := range map[string]awsfault.Fault{
		"denied": awsfault.Refuse(403, "AccessDenied", "not authorized to perform: iam:GetAccountAuthorizationDetails"),
		"unfit":  awsfault.Refuse(400, "ValidationError", "no"),
	} {
		c := startCloud(t)
		c.hasSeenMany()
		c.proxy.Inject(awsfault.Rule{Action: gathers, Times: always, Fault: fault})
		for _, role := range kept {
			if found, err := c.seeRole(t.Context(), role); err != nil || written(found, role) != written(&role, role) {
				t.Errorf("%s: got %s, %v, want %s", name, written(found, role), err, written(&role, role))
			}
		}
		if n := c.count(gathers); n != 1 {
			t.Errorf("%s: asked %d times for all", name, n)
		}
	}
}

func TestALookThatIsCancelledDoesNotWaitForTheOthers(t *testing.T) {
	t.Parallel()
	c := startCloud(t)
	c.hasSeenMany()
	c.proxy.Inject(awsfault.Rule{Action: gathers, Times: 1, Fault: awsfault.Hang})
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("the user has enough")
	cancel(why)
	if _, err := c.seeRole(ctx, RoleView{Name: "any", Policies: map[string]json.RawMessage{}}); !errors.Is(err, why) {
		t.Errorf("got %v", err)
	}
}

// The rest of the account is not worth a look that could have been done by itself.
func TestALookWithALimitDoesNotSpendAllOfItOnTheOthers(t *testing.T) {
	t.Parallel()
	c := startCloud(t)
	role := c.makeRoles(t, "limited", 1)[0]
	c.hasSeenMany()
	c.proxy.Inject(awsfault.Rule{Action: gathers, Times: 1, Fault: awsfault.Hang})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second) // half of it is enough for two calls, even on a busy machine
	defer cancel()
	if found, err := c.seeRole(ctx, role); err != nil || written(found, role) != written(&role, role) {
		t.Errorf("got %s, %v, want %s", written(found, role), err, written(&role, role))
	}
}
