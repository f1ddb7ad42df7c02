package secrets

import (
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/awsfault"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

// nameOf is a name of Secrets Manager's for that of a test.
func nameOf(text string) string { return strings.ReplaceAll(text, " ", "-") }

// An apply that changes tags alone makes no value anew, and one that was cut off between two secrets makes all.
func TestValuesAreMadeAnewTogetherOrNotAtAll(t *testing.T) {
	t.Parallel()
	c, d, by := startCloud(t), wanted("together", "a"), claimOf("together")
	out, _, err := c.ensure(t.Context(), d, by, Outputs{})
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]string{}
	for _, name := range d.Names.All() {
		values[name] = c.value(t, name)
	}
	again, _, err := c.ensure(t.Context(), wanted("together", "b"), by, out)
	if err != nil || row.Value(again.Version) != row.Value(out.Version) {
		t.Fatalf("version %s is %s now: %v", row.Value(out.Version), row.Value(again.Version), err)
	}
	for _, name := range d.Names.All() {
		if c.value(t, name) != values[name] {
			t.Errorf("secret %s was made anew", name)
		}
	}
	c.proxy.Inject(awsfault.Rule{Action: "PutSecretValue", Skip: 1, Times: 1, Fault: awsfault.Refuse(400, "AccessDeniedException", "no")})
	if _, err := c.sure.client.DeleteSecret(t.Context(), &secretsmanager.DeleteSecretInput{SecretId: &d.Names.CA, ForceDeleteWithoutRecovery: aws.Bool(true)}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.ensure(t.Context(), d, by, out); err == nil || !strings.Contains(err.Error(), "were changed after the plan was made\nhint: plan and apply again") {
		t.Fatalf("against the plan: %v", err)
	}
	out.Version = nil
	if _, _, err := c.ensure(t.Context(), d, by, out); err == nil || !strings.Contains(err.Error(), "put the value of secret together/server") {
		t.Fatalf("cut off: %v", err)
	}
	if out, _, err = c.ensure(t.Context(), d, by, out); err != nil {
		t.Fatal(err)
	}
	for _, name := range d.Names.All() {
		if c.value(t, name) == values[name] {
			t.Errorf("secret %s was not made anew", name)
		}
	}
	if err := c.is(t.Context(), d, by, out); err != nil {
		t.Error(err)
	}
}

// What AWS learns late is waited for.
func TestTheNameOfADeletedSecretIsWaitedFor(t *testing.T) {
	t.Parallel()
	c, d, by := startCloud(t), wanted("late", "a"), claimOf("late")
	const deleting = "You can't create this secret because a secret with this name is already scheduled for deletion."
	c.proxy.Inject(awsfault.Rule{Action: "CreateSecret", Times: 2, Fault: awsfault.Refuse(400, "InvalidRequestException", deleting)})
	out, _, err := c.ensure(t.Context(), d, by, Outputs{})
	if err := errors.Join(err, c.is(t.Context(), d, by, out)); err != nil {
		t.Error(err)
	}
}

// What another resource made, or nobody, is refused and left alone; one that is taken over goes on with its values.
func TestWhatIsAnothersIsNeverTaken(t *testing.T) {
	t.Parallel()
	c := startCloud(t)
	d, by, other := wanted("another", "a"), claimOf("another"), claimOf("other")
	made, _, err := c.ensure(t.Context(), d, other, Outputs{})
	if err != nil {
		t.Fatal(err)
	}
	out, p, err := c.ensure(t.Context(), d, by, Outputs{})
	if err == nil || !strings.Contains(err.Error(), `secret another/ca exists already and belongs to another resource, consulecs_dev_server/us-east-1/other with the owner ID "id-of-other"`) {
		t.Errorf("got %v", err)
	}
	if out.Rendered != nil || p.Begun() {
		t.Errorf("the state has %s", row.Value(out.Rendered))
	}
	if err := errors.Join(c.Remove(t.Context(), by, made), c.TakeBack(t.Context(), by, p), c.is(t.Context(), d, other, made)); err != nil {
		t.Error(err)
	}
	seen := made
	if exist, err := c.Look(t.Context(), by, d.Names, &seen); err != nil || !exist || seen.Rendered != nil || seen.CASecretARN != nil {
		t.Errorf("what another has shows as %s, %v", row.Value(seen.Rendered), err)
	}
	by.Adopt = true
	out, _, err = c.ensure(t.Context(), d, by, Outputs{})
	if err := errors.Join(err, c.is(t.Context(), d, by, out)); err != nil || row.Value(out.Version) != row.Value(made.Version) {
		t.Errorf("taken over, version %s is %s: %v", row.Value(made.Version), row.Value(out.Version), err)
	}
	if err := errors.Join(c.Remove(t.Context(), by, out), c.isGone(t.Context(), d)); err != nil {
		t.Error(err)
	}
}

// A create that failed takes back what it made, and nothing else.
func TestWhatAFailedCreateMadeIsTakenBack(t *testing.T) {
	t.Parallel()
	c, d, by := startCloud(t), wanted("back", "a"), claimOf("back")
	if _, err := c.sure.client.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: &d.Names.Server, SecretString: aws.String("of nobody")}); err != nil {
		t.Fatal(err)
	}
	c.proxy.Inject(awsfault.Rule{Action: "DescribeSecret", Skip: 2, Times: 1, Fault: awsfault.Refuse(400, "ResourceNotFoundException", "not shown yet")})
	_, p, err := c.ensure(t.Context(), d, by, Outputs{})
	if err == nil || !strings.Contains(err.Error(), "secret back/server exists already and was not made by a resource") || !p.Begun() {
		t.Fatalf("got %v", err)
	}
	if err := c.TakeBack(t.Context(), by, p); err != nil || p.Begun() || p.Left(by.Owner) != nil {
		t.Errorf("taken back: %v", err)
	}
	there, err := c.sure.There(t.Context(), d.Names)
	if err != nil || len(there) != 1 || there[0].What != "secret back/server" || c.value(t, d.Names.Server) != "of nobody" {
		t.Errorf("there is %v, %v, want what was made by hand alone", there, err)
	}
}
