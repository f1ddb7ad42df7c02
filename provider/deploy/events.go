package deploy

import (
	"context"

	"github.com/consulecs/terraform-provider-consulecs/internal/eventqueue"
	"github.com/consulecs/terraform-provider-consulecs/provider/events"
	"github.com/consulecs/terraform-provider-consulecs/provider/ownership"
)

// claim is what the resource says to what it finds of its events.
func (d Design) claim() events.Claim {
	return events.Claim{Claim: ownership.Claim{Owner: d.Owner, Adopt: d.Adopt}, Home: d.Events.Home}
}

// applyEvents makes the queues and the rule, before the service whose tasks read from the queue.
func (c *Client) applyEvents(ctx context.Context, d Design, out *Progress) error {
	if d.Events == nil {
		return nil
	}
	progress, err := events.Begin(out.Events)
	if err != nil {
		return err
	}
	out.begun.events = progress
	if out.Events, err = events.Decided(d.Events, d.Owner); err != nil {
		return err
	}
	made := c.events.Ensure(ctx, *d.Events, d.claim(), progress)
	if out.Events.Rendered, err = progress.Listed(d.Owner); err != nil {
		return err
	}
	return made
}

// dropEvents removes what is no longer asked for, when the service's tasks no longer read from it.
func (c *Client) dropEvents(ctx context.Context, d Design, out *Progress) error {
	if d.Events != nil {
		return nil
	}
	if err := c.removeEvents(ctx, d.Owner, out.Events); err != nil {
		return err
	}
	out.Events = events.Outputs{}
	return nil
}

func (c *Client) removeEvents(ctx context.Context, owner ownership.Owner, had events.Outputs) error {
	if had.Rendered == nil {
		return nil
	}
	home, err := c.Home(ctx)
	if err != nil {
		return err
	}
	return c.events.Remove(ctx, events.Claim{Claim: ownership.Claim{Owner: owner}, Home: home}, had)
}

// LookAtEvents reads what is there of a resource's events into its outputs; it reports whether anything is.
func (c *Client) LookAtEvents(ctx context.Context, owner ownership.Owner, out *events.Outputs) (exist bool, err error) {
	defer func() { err = withCause(ctx, err) }()
	if out.Rendered == nil {
		return false, nil
	}
	home, err := c.Home(ctx)
	if err != nil {
		return false, err
	}
	return c.events.Look(ctx, events.Claim{Claim: ownership.Claim{Owner: owner}, Home: home}, out)
}

// ownedEvents are the queues and the rule that there are of the design's family and that bear the owner's ID.
func (c *Client) ownedEvents(ctx context.Context, want Design) (events.Outputs, error) {
	home, err := c.Home(ctx)
	if err != nil {
		return events.Outputs{}, err
	}
	return c.events.Owned(ctx, eventqueue.Of(eventqueue.Spec{Home: home, Family: want.Family}), want.Owner)
}

// eventClashes are the queues and rules that have the names of those to be made.
func (c *Client) eventClashes(ctx context.Context, d *eventqueue.Design, had events.Outputs) ([]ownership.Clash, error) {
	if d == nil || had.Rendered != nil {
		return nil, nil
	}
	return c.events.There(ctx, *d)
}
