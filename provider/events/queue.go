package events

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/hashicorp/terraform-plugin-log/tflog"

	"github.com/consulecs/terraform-provider-consulecs/internal/awsapi"
	"github.com/consulecs/terraform-provider-consulecs/internal/iamrole"
	"github.com/consulecs/terraform-provider-consulecs/provider/lag"
	"github.com/consulecs/terraform-provider-consulecs/provider/ownership"
)

func (k *Keeper) ensureQueue(ctx context.Context, want QueueView, by Claim, p *Progress) error {
	had := p.listed.queue(want.Name)
	found, err := shown(ctx, k, func() (*QueueView, map[string]string, error) {
		q, err := k.readQueue(ctx, want, by.Home)
		if err != nil || q == nil {
			return nil, nil, err
		}
		return q, q.Tags, nil
	})
	if err != nil {
		return err
	}
	if found != nil {
		if err := by.Refuse(whatQueue(want.Name), found.Tags, had != nil); err != nil {
			return err
		}
	}
	if had == nil {
		had = &QueueView{}
		p.listed.Queues = append(p.listed.Queues, want)
	}
	if found == nil {
		p.begun.Queues = append(p.begun.Queues, want)
		return k.createQueue(ctx, want, by)
	}
	return k.correctQueue(ctx, want, *had, *found, by.Home)
}

// createQueue makes the queue. SQS makes none, and says nothing, where there is one of the name with the same settings, and refuses
// where it has others: by whom it was made, its tags tell.
func (k *Keeper) createQueue(ctx context.Context, want QueueView, by Claim) error {
	input := &sqs.CreateQueueInput{QueueName: &want.Name, Attributes: plain(want.Attributes), Tags: want.Tags}
	err := lag.Through(ctx, func() error { _, err := k.sqs.CreateQueue(ctx, input); return err }, nameTaken, lettersMissing)
	taken := awsapi.IsTaken(err)
	if err != nil && !taken {
		return fmt.Errorf("create queue %s: %w", want.Name, err)
	}
	tags, err := newTags(ctx, func() (map[string]string, error) { return k.queueTags(ctx, want.Name, by.Home) })
	if err != nil {
		return fmt.Errorf("create queue %s: %w", want.Name, err)
	}
	if err := by.Refuse(whatQueue(want.Name), tags, false); err != nil {
		return err
	}
	if !taken {
		tflog.Info(ctx, "queue created", map[string]any{"queue": want.Name})
		return k.awaitQueue(ctx, want, by.Home)
	}
	found, err := k.readQueue(ctx, want, by.Home)
	if err != nil || found == nil {
		return errors.Join(fmt.Errorf("create queue %s: its name is taken", want.Name), err)
	}
	return k.correctQueue(ctx, want, QueueView{}, *found, by.Home)
}

// correctQueue turns the queue from found into want. Of the tags that had lists and want does not, none stays.
func (k *Keeper) correctQueue(ctx context.Context, want, had, found QueueView, home iamrole.Home) error {
	url, err := queueURL(home, want.Name)
	if err != nil {
		return err
	}
	set, remove := ownership.Change(want.Tags, k.Ignored.Without(maps.Clone(had.Tags)), found.Tags)
	if len(set) > 0 {
		if _, err := k.sqs.TagQueue(ctx, &sqs.TagQueueInput{QueueUrl: &url, Tags: set}); err != nil {
			return fmt.Errorf("tag queue %s: %w", want.Name, err)
		}
	}
	if len(remove) > 0 {
		if _, err := k.sqs.UntagQueue(ctx, &sqs.UntagQueueInput{QueueUrl: &url, TagKeys: remove}); err != nil {
			return fmt.Errorf("untag queue %s: %w", want.Name, err)
		}
	}
	wrong := want.wrong(found)
	if len(wrong) == 0 {
		return nil
	}
	// All are said, right or wrong: emulators forget a policy that is left out.
	input := &sqs.SetQueueAttributesInput{QueueUrl: &url, Attributes: plain(want.Attributes)}
	err = lag.Through(ctx, func() error { _, err := k.sqs.SetQueueAttributes(ctx, input); return err }, lettersMissing)
	if err != nil {
		return fmt.Errorf("set attributes of queue %s: %w", want.Name, err)
	}
	tflog.Info(ctx, "queue changed", map[string]any{"queue": want.Name, "attributes": slices.Sorted(maps.Keys(wrong))})
	return k.awaitQueue(ctx, want, home)
}

// awaitQueue waits until SQS shows the settings, which takes it a minute at times: the next plan would take them for changed. Should
// it never show them so, the next plan says it.
func (k *Keeper) awaitQueue(ctx context.Context, want QueueView, home iamrole.Home) error {
	began := time.Now()
	return lag.Poll(ctx, func() (bool, string, error) {
		found, err := k.readQueue(ctx, want, home)
		late := time.Since(began) >= seenWithin
		switch {
		case err != nil:
			return false, "", err
		case found != nil && len(want.wrong(*found)) == 0 || late:
			return true, "", nil
		}
		tflog.Info(ctx, "waiting for AWS", map[string]any{"for": "SQS does not show the settings of a queue", "queue": want.Name})
		return false, fmt.Sprintf("SQS does not show the settings of queue %s", want.Name), nil
	})
}

// readQueue is the queue with the attributes that kept has, as SQS has them, and its tags; nil if there is none.
func (k *Keeper) readQueue(ctx context.Context, kept QueueView, home iamrole.Home) (*QueueView, error) {
	url, err := queueURL(home, kept.Name)
	if err != nil {
		return nil, err
	}
	var names []sqstypes.QueueAttributeName
	for _, name := range slices.Sorted(maps.Keys(kept.Attributes)) {
		names = append(names, sqstypes.QueueAttributeName(name))
	}
	got, err := k.sqs.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: names})
	if awsapi.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("get attributes of queue %s: %w", kept.Name, err)
	}
	tags, err := k.queueTags(ctx, kept.Name, home)
	if err != nil || tags == nil {
		return nil, err
	}
	return &QueueView{Name: kept.Name, Attributes: attributes(got.Attributes), Tags: tags}, nil
}

// queueTags are the tags of the queue; nil if there is none.
func (k *Keeper) queueTags(ctx context.Context, name string, home iamrole.Home) (map[string]string, error) {
	url, err := queueURL(home, name)
	if err != nil {
		return nil, err
	}
	listed, err := k.sqs.ListQueueTags(ctx, &sqs.ListQueueTagsInput{QueueUrl: &url})
	if awsapi.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list tags of queue %s: %w", name, err)
	}
	tags := map[string]string{}
	maps.Copy(tags, listed.Tags)
	return k.Ignored.Without(tags), nil
}

func (k *Keeper) deleteQueue(ctx context.Context, name string, home iamrole.Home, may func(ownerID string) bool) error {
	tags, err := k.queueTags(ctx, name, home)
	if err != nil || tags == nil || !may(tags[ownership.TagECSID]) {
		return err
	}
	url, err := queueURL(home, name)
	if err != nil {
		return err
	}
	if _, err := k.sqs.DeleteQueue(ctx, &sqs.DeleteQueueInput{QueueUrl: &url}); err != nil && !awsapi.IsNotFound(err) {
		return fmt.Errorf("delete queue %s: %w", name, err)
	}
	tflog.Info(ctx, "queue deleted", map[string]any{"queue": name})
	return nil
}

func queueURL(home iamrole.Home, name string) (string, error) {
	return awsapi.QueueURL(home.Region, home.Account, name)
}

func plain(attributes map[string]json.RawMessage) map[string]string {
	all := map[string]string{}
	for name, value := range attributes {
		all[name] = string(value)
	}
	return all
}
