package deploy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/hashicorp/terraform-plugin-log/tflog"

	"github.com/consulecs/terraform-provider-consulecs/internal/awsapi"
	"github.com/consulecs/terraform-provider-consulecs/provider/events"
	"github.com/consulecs/terraform-provider-consulecs/provider/ownership"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
	"github.com/consulecs/terraform-provider-consulecs/provider/secrets"
)

// Create is Apply for a new resource. An error leaves nothing, or an ECS service that stays up, with its ARN in out: nothing that
// runs is taken down. What may be left besides, out tells.
func (c *Client) Create(ctx context.Context, d Design, out *Progress) error {
	err := c.Apply(ctx, d, Before{Revisions: NoRevisions()}, out)
	if err == nil || out.ECSServiceARN != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), takenBackWithin) // the resource's own time may be over
	defer cancel()
	if out.begun.service {
		made, lookErr := c.madeService(ctx, c.serviceFinder(!awsapi.IsRefused(err)), d, out)
		if lookErr != nil {
			out.leave(d, out.begun.roles)
			return fmt.Errorf("%w\nhint: whether the ECS service was made is not known (%w), so nothing was taken back", err, lookErr)
		}
		if made {
			return err
		}
	}
	return c.takeBack(ctx, d, out, err)
}

// IsInterrupted reports whether an apply did everything but wait: its user ended that, and nothing is wrong with what was made. Roles
// that are to go after the wait are something still to be done.
func IsInterrupted(ctx context.Context, err error, out *Progress) bool {
	return errors.As(err, new(*unsteady)) && errors.Is(ctx.Err(), context.Canceled) && !out.obsolete
}

// madeService looks whether a create whose answer was lost made the service after all.
func (c *Client) madeService(ctx context.Context, find serviceFinder, d Design, out *Progress) (bool, error) {
	found, err := find(ctx, row.Value(d.Service.Cluster), row.Value(d.Service.Name))
	if err != nil || found == nil || !d.Owner.Is(awsapi.TagMap(found.Tags)[ownership.TagECSID]) {
		return false, err
	}
	out.ECSServiceARN, out.ECSServiceRunning = found.ServiceArn, found.TaskDefinition
	return true, nil
}

// takeBack removes what a create made before it failed with err, and adds to the error what became of it.
func (c *Client) takeBack(ctx context.Context, d Design, out *Progress, err error) error {
	var left, roles []string
	made := out.begun.definition || len(out.begun.roles) > 0
	if begun := out.begun.events; begun != nil && begun.Begun() {
		made = true
		if problem := c.events.TakeBack(ctx, d.claim(), begun); problem != nil {
			left = append(left, fmt.Sprintf("queues and the event rule (%v)", problem))
		}
	}
	if begun := out.begun.secrets; begun != nil && begun.Begun() {
		made = true
		if problem := c.secrets.TakeBack(ctx, secrets.Claim{Owner: d.Owner}, begun); problem != nil {
			left = append(left, fmt.Sprintf("secrets (%v)", problem))
		}
	}
	if out.begun.definition {
		if problem := c.takeBackRevision(ctx, d, out); problem != nil {
			left = append(left, fmt.Sprintf("the newest revision of task definition %s (%v)", d.Family, problem))
		}
	}
	for _, name := range slices.Backward(out.begun.roles) {
		if problem := c.takeBackRole(ctx, name, d.Owner); problem != nil {
			left, roles = append(left, fmt.Sprintf("role %s (%v)", name, problem)), append(roles, name)
			continue
		}
		tflog.Info(ctx, "role taken back", map[string]any{"role": name})
	}
	switch {
	case len(left) > 0:
		out.leave(d, roles)
		return fmt.Errorf("%w\nhint: these were made and could not be removed again: %s", err, strings.Join(left, "; "))
	case made:
		return fmt.Errorf("%w\nhint: what this create had made was removed again: correct the cause and apply again", err)
	default:
		return err
	}
}

// leave has the state hold what a failed create may have left: of the roles those with the names, not what was there before it.
// Which revisions there are is asked when they are removed.
func (p *Progress) leave(d Design, roles []string) {
	views := slices.DeleteFunc(d.shownRoles(), func(v RoleView) bool { return !slices.Contains(roles, v.Name) })
	text, err := encodedRoles(views)
	if err != nil { // then no role is known to be left
		text = nil
	}
	p.Left, p.Roles, p.Revisions, p.Events, p.Secrets = true, text, nil, events.Outputs{}, secrets.Outputs{}
	if p.begun.events != nil {
		p.Events.Rendered = p.begun.events.Left(d.Owner)
	}
	if p.begun.secrets != nil {
		p.Secrets.Rendered = p.begun.secrets.Left(d.Owner)
	}
}

// takeBackRole removes a role that a create made. A role of that name which does not bear the owner's tag came from others.
func (c *Client) takeBackRole(ctx context.Context, name string, owner ownership.Owner) error {
	found, err := c.getRole(ctx, name)
	if err != nil || found == nil || !owner.Is(found.Tags[ownership.TagRoleID]) {
		return err
	}
	return c.deleteRole(ctx, name, owner)
}

// takeBackRevision removes the revision that a create registered, perhaps without getting the answer.
func (c *Client) takeBackRevision(ctx context.Context, d Design, out *Progress) error {
	number := revisionOf(out.Outcome)
	if number == 0 {
		unseen, err := c.abandoned(ctx, d, Outcome{}, out)
		if number = revisionOf(unseen); err != nil || number == 0 {
			return err
		}
	}
	if err := c.deregister(ctx, fmt.Sprintf("%s:%d", d.Family, number)); err != nil {
		return err
	}
	c.deleteRevisions(ctx, d.Family, Revisions{number})
	out.ARN, out.Revision = nil, aws.Int64(0)
	return nil
}
