// Package events makes what brings ECS's events to a controller as its resource wants it, and looks at what is there: the queues and
// the rule that eventqueue decides on. What bears the ID of another resource, or of none, is never taken.
package events

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/consulecs/terraform-provider-consulecs/internal/awsapi"
	"github.com/consulecs/terraform-provider-consulecs/internal/eventqueue"
	"github.com/consulecs/terraform-provider-consulecs/internal/iamrole"
	"github.com/consulecs/terraform-provider-consulecs/provider/block"
	"github.com/consulecs/terraform-provider-consulecs/provider/lag"
	"github.com/consulecs/terraform-provider-consulecs/provider/ownership"
)

// How long AWS is given.
const (
	nameFreeWithin  = 2 * time.Minute // until the name of a deleted queue is free again: SQS says 60 s
	seenWithin      = 2 * time.Minute // until AWS shows what is new, and the settings of what changed
	forgottenWithin = 30 * time.Second
)

var (
	errRemoved  = errors.New("it was deleted a moment ago, and AWS still shows it")
	errNotShown = errors.New("AWS does not show it")

	nameTaken      = lag.Lag{What: "SQS keeps the name of a deleted queue for a minute", Is: awsapi.IsQueueDeletedRecently, Within: nameFreeWithin}
	notShown       = lag.Lag{What: "AWS does not show what is new everywhere", Is: func(err error) bool { return errors.Is(err, errNotShown) }, Within: seenWithin}
	lettersMissing = lag.Lag{What: "SQS does not know the new queue for dead letters", Is: awsapi.IsDeadLetterQueueMissing, Within: seenWithin}
	removedShown   = lag.Lag{What: "AWS still shows what was deleted", Is: func(err error) bool { return errors.Is(err, errRemoved) }, Within: nameFreeWithin}
	targetsLeft    = lag.Lag{What: "EventBridge has not forgotten the rule's targets", Is: awsapi.IsRuleInUse, Within: forgottenWithin}
)

// Keeper makes and reads.
type Keeper struct {
	sqs     *sqs.Client
	rules   *eventbridge.Client
	removed func(ownerID string) bool

	Ignored block.IgnoredTags // of others, which neither show nor go
}

// NewKeeper makes the clients of one AWS configuration. removed tells whether a resource was removed in the same run.
func NewKeeper(cfg aws.Config, removed func(ownerID string) bool) *Keeper {
	return &Keeper{sqs: awsapi.SQS(cfg), rules: awsapi.EventBridge(cfg), removed: removed}
}

// Claim is who wants the events, and where.
type Claim struct {
	ownership.Claim
	Home iamrole.Home
}

func whatQueue(name string) string { return "queue " + name }

func whatRule(name string) string { return "event rule " + name }

// Outputs is what a resource computes of its events.
type Outputs struct {
	QueueURL           *string `tfsdk:"event_queue_url"`
	QueueARN           *string `tfsdk:"event_queue_arn"`
	DeadLetterQueueARN *string `tfsdk:"event_dead_letter_queue_arn"`
	RuleARN            *string `tfsdk:"event_rule_arn"`
	Rendered           *string `tfsdk:"rendered_events_json"`
}

// Decided are the outputs that a design leads to; none of no design.
func Decided(d *eventqueue.Design, owner ownership.Owner) (Outputs, error) {
	if d == nil {
		return Outputs{}, nil
	}
	url, err := awsapi.QueueURL(d.Home.Region, d.Home.Account, d.Queue.Name)
	if err != nil {
		return Outputs{}, err
	}
	text, err := encode(viewOf(*d, owner).shownTo(owner))
	return Outputs{&url, &d.Queue.ARN, &d.DeadLetterQueue.ARN, &d.Rule.ARN, text}, err
}

// Progress tells how far an apply of the events got.
type Progress struct {
	listed View // what the state has to hold
	begun  View // what was not there before
}

// Begin is the progress of an apply that has done nothing yet.
func Begin(had Outputs) (*Progress, error) {
	listed, err := decode(had.Rendered)
	return &Progress{listed: listed}, err
}

// Listed is what the state has to hold of the events, whatever becomes of the rest.
func (p *Progress) Listed(owner ownership.Owner) (*string, error) {
	return encode(p.listed.shownTo(owner))
}

// Left is what the state has to hold after a create that failed: what it made, and could not take back.
func (p *Progress) Left(owner ownership.Owner) *string {
	text, err := encode(p.begun.shownTo(owner))
	if err != nil { // then nothing is known to be left
		return nil
	}
	return text
}

// Begun reports whether something is made that was not there before.
func (p *Progress) Begun() bool { return !p.begun.isEmpty() }

// Ensure makes the queues and the rule, or corrects what differs. Each is listed before it is made, so that a destroy finds it.
func (k *Keeper) Ensure(ctx context.Context, d eventqueue.Design, by Claim, p *Progress) error {
	want := viewOf(d, by.Owner)
	for _, q := range want.Queues {
		if err := k.ensureQueue(ctx, q, by, p); err != nil {
			return err
		}
	}
	if err := k.ensureRule(ctx, *want.Rule, by, p); err != nil {
		return err
	}
	p.listed = want
	return nil
}

// Look reads what is there into the outputs. exist is false when nothing is left. What another resource has adopted does not show,
// and counts as left.
func (k *Keeper) Look(ctx context.Context, by Claim, out *Outputs) (exist bool, err error) {
	kept, err := decode(out.Rendered)
	if err != nil {
		return false, err
	}
	var view View
	for _, q := range kept.Queues {
		found, err := k.readQueue(ctx, q, by.Home)
		if err != nil {
			return false, err
		}
		exist = exist || found != nil
		if found != nil && !by.Owner.IsNot(found.Tags[ownership.TagECSID]) {
			view.Queues = append(view.Queues, found.within(q))
		}
	}
	if kept.Rule != nil {
		found, err := k.readRule(ctx, kept.Rule.Name, by.Home)
		if err != nil {
			return false, err
		}
		exist = exist || found != nil
		if found != nil && !by.Owner.IsNot(found.Tags[ownership.TagECSID]) {
			rule := found.within(*kept.Rule)
			view.Rule = &rule
		}
	}
	out.Rendered, err = encode(view.shownTo(by.Owner))
	return exist, err
}

// Remove takes down what the outputs list. What is gone already is no error; what bears another owner's ID is left alone.
func (k *Keeper) Remove(ctx context.Context, by Claim, had Outputs) error {
	kept, err := decode(had.Rendered)
	if err != nil {
		return err
	}
	return k.remove(ctx, kept, by, func(id string) bool { return !by.Owner.IsNot(id) })
}

// TakeBack removes what an apply made that failed. What does not bear the owner's ID came from others.
func (k *Keeper) TakeBack(ctx context.Context, by Claim, p *Progress) error {
	err := k.remove(ctx, p.begun, by, by.Owner.Is)
	if err == nil {
		p.begun = View{}
	}
	return err
}

// remove deletes in the opposite order of making: a rule whose targets are gone first, then the queues.
func (k *Keeper) remove(ctx context.Context, kept View, by Claim, may func(ownerID string) bool) error {
	var errs []error
	if kept.Rule != nil {
		errs = append(errs, k.deleteRule(ctx, kept.Rule.Name, by.Home, may))
	}
	for _, q := range slices.Backward(kept.Queues) {
		errs = append(errs, k.deleteQueue(ctx, q.Name, by.Home, may))
	}
	return errors.Join(errs...)
}

// There are the names that are taken, with the tags of what has them. What may not be looked at is left out.
func (k *Keeper) There(ctx context.Context, d eventqueue.Design) ([]ownership.Clash, error) {
	var found []ownership.Clash
	var errs []error
	note := func(what string, tags map[string]string, err error) {
		switch {
		case err == nil && tags != nil:
			found = append(found, ownership.Clash{What: what, Tags: tags})
		case !awsapi.IsAccessDenied(err):
			errs = append(errs, err)
		}
	}
	for _, q := range []eventqueue.Queue{d.DeadLetterQueue, d.Queue} {
		tags, err := k.queueTags(ctx, q.Name, d.Home)
		note(whatQueue(q.Name), tags, err)
	}
	tags, err := k.ruleTags(ctx, d.Rule.Name, d.Home)
	note(whatRule(d.Rule.Name), tags, err)
	return found, errors.Join(errs...)
}

// Owned are the outputs that list what there is of a design's names and bears the owner's ID.
func (k *Keeper) Owned(ctx context.Context, d eventqueue.Design, owner ownership.Owner) (Outputs, error) {
	var own View
	all := viewOf(d, owner)
	for _, q := range all.Queues {
		tags, err := k.queueTags(ctx, q.Name, d.Home)
		if err != nil {
			return Outputs{}, err
		}
		if owner.Is(tags[ownership.TagECSID]) {
			own.Queues = append(own.Queues, q)
		}
	}
	tags, err := k.ruleTags(ctx, all.Rule.Name, d.Home)
	if err != nil {
		return Outputs{}, err
	}
	if owner.Is(tags[ownership.TagECSID]) {
		own.Rule = all.Rule
	}
	text, err := encode(own.shownTo(owner))
	return Outputs{Rendered: text}, err
}

// shown reads something that may be shown though it was deleted in the same run, as when a resource is replaced.
func shown[V any](ctx context.Context, k *Keeper, read func() (*V, map[string]string, error)) (*V, error) {
	var found *V
	err := lag.Through(ctx, func() error {
		is, tags, err := read()
		if err == nil && is != nil && k.removed(tags[ownership.TagECSID]) {
			err = errRemoved
		}
		found = is
		return err
	}, removedShown)
	return found, err
}

// newTags reads the tags of something that was just made.
func newTags(ctx context.Context, read func() (map[string]string, error)) (map[string]string, error) {
	var tags map[string]string
	err := lag.Through(ctx, func() error {
		var err error
		if tags, err = read(); err == nil && tags == nil {
			err = errNotShown
		}
		return err
	}, notShown)
	return tags, err
}
