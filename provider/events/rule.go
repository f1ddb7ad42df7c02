package events

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	ruletypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/hashicorp/terraform-plugin-log/tflog"

	"github.com/consulecs/terraform-provider-consulecs/internal/awsapi"
	"github.com/consulecs/terraform-provider-consulecs/internal/eventqueue"
	"github.com/consulecs/terraform-provider-consulecs/internal/iamrole"
	"github.com/consulecs/terraform-provider-consulecs/provider/canonical"
	"github.com/consulecs/terraform-provider-consulecs/provider/lag"
	"github.com/consulecs/terraform-provider-consulecs/provider/ownership"
)

const stateEnabled = string(ruletypes.RuleStateEnabled)

func (k *Keeper) ensureRule(ctx context.Context, want RuleView, by Claim, p *Progress) error {
	had := p.listed.Rule
	found, err := shown(ctx, k, func() (*RuleView, map[string]string, error) {
		r, err := k.readRule(ctx, want.Name, by.Home)
		if err != nil || r == nil {
			return nil, nil, err
		}
		return r, r.Tags, nil
	})
	if err != nil {
		return err
	}
	if found != nil {
		if err := by.Refuse(whatRule(want.Name), found.Tags, had != nil); err != nil {
			return err
		}
	}
	if had == nil {
		had, p.listed.Rule = &RuleView{}, &want
	}
	if found == nil {
		p.begun.Rule = &want
		return k.createRule(ctx, want, by)
	}
	return k.correctRule(ctx, want, *had, *found, by)
}

// createRule makes the rule. EventBridge changes one that was made in the meantime, but for its tags, which tell by whom.
func (k *Keeper) createRule(ctx context.Context, want RuleView, by Claim) error {
	if err := k.putRule(ctx, want, by, ruleTags(want.Tags)); err != nil {
		return err
	}
	tags, err := newTags(ctx, func() (map[string]string, error) { return k.ruleTags(ctx, want.Name, by.Home) })
	if err != nil {
		return fmt.Errorf("create event rule %s: %w", want.Name, err)
	}
	if err := by.Refuse(whatRule(want.Name), tags, false); err != nil {
		return err
	}
	tflog.Info(ctx, "event rule created", map[string]any{"rule": want.Name})
	return k.putTargets(ctx, want)
}

// putRule sets all of the rule but for its targets. Tags are for a new one: others keep theirs.
func (k *Keeper) putRule(ctx context.Context, want RuleView, by Claim, tags []ruletypes.Tag) error {
	_, err := k.rules.PutRule(ctx, &eventbridge.PutRuleInput{
		Name: &want.Name, EventPattern: aws.String(string(want.Pattern)), State: ruletypes.RuleState(want.State), Tags: tags,
		Description: aws.String("Made by Terraform for " + by.Owner.Name),
	})
	if err != nil {
		return fmt.Errorf("put event rule %s: %w", want.Name, err)
	}
	return nil
}

func (k *Keeper) correctRule(ctx context.Context, want, had, found RuleView, by Claim) error {
	if string(want.Pattern) != string(found.Pattern) || want.State != found.State {
		if err := k.putRule(ctx, want, by, nil); err != nil {
			return err
		}
		tflog.Info(ctx, "event rule changed", map[string]any{"rule": want.Name})
	}
	if !maps.Equal(want.Targets, only(found.Targets, want.Targets)) {
		if err := k.putTargets(ctx, want); err != nil {
			return err
		}
	}
	arn := eventqueue.RuleARN(by.Home, want.Name)
	set, remove := ownership.Change(want.Tags, k.Ignored.Without(maps.Clone(had.Tags)), found.Tags)
	if len(set) > 0 {
		if _, err := k.rules.TagResource(ctx, &eventbridge.TagResourceInput{ResourceARN: &arn, Tags: ruleTags(set)}); err != nil {
			return fmt.Errorf("tag event rule %s: %w", want.Name, err)
		}
	}
	if len(remove) > 0 {
		if _, err := k.rules.UntagResource(ctx, &eventbridge.UntagResourceInput{ResourceARN: &arn, TagKeys: remove}); err != nil {
			return fmt.Errorf("untag event rule %s: %w", want.Name, err)
		}
	}
	return nil
}

// putTargets sets the rule's own targets. EventBridge refuses some of them in an answer that is no error.
func (k *Keeper) putTargets(ctx context.Context, want RuleView) error {
	input := &eventbridge.PutTargetsInput{Rule: &want.Name}
	for _, id := range slices.Sorted(maps.Keys(want.Targets)) {
		input.Targets = append(input.Targets, ruletypes.Target{Id: &id, Arn: aws.String(want.Targets[id])})
	}
	put, err := k.rules.PutTargets(ctx, input)
	if err != nil {
		return fmt.Errorf("put targets of event rule %s: %w", want.Name, err)
	}
	for _, failed := range put.FailedEntries {
		return fmt.Errorf("put target %s of event rule %s: %s: %s", aws.ToString(failed.TargetId), want.Name, aws.ToString(failed.ErrorCode), aws.ToString(failed.ErrorMessage))
	}
	return nil
}

// readRule is the rule as EventBridge has it; nil if there is none.
func (k *Keeper) readRule(ctx context.Context, name string, home iamrole.Home) (*RuleView, error) {
	described, err := k.rules.DescribeRule(ctx, &eventbridge.DescribeRuleInput{Name: &name})
	if awsapi.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("describe event rule %s: %w", name, err)
	}
	r := &RuleView{Name: name, Pattern: canonical.JSON(aws.ToString(described.EventPattern)), State: string(described.State)}
	if r.Targets, err = k.targets(ctx, name); err != nil {
		return nil, err
	}
	if r.Tags, err = k.ruleTags(ctx, name, home); err != nil || r.Tags == nil {
		return nil, err
	}
	return r, nil
}

// targets are the ARNs of the rule's targets by their IDs.
func (k *Keeper) targets(ctx context.Context, name string) (map[string]string, error) {
	found := map[string]string{}
	for input := (&eventbridge.ListTargetsByRuleInput{Rule: &name}); ; {
		page, err := k.rules.ListTargetsByRule(ctx, input)
		if awsapi.IsNotFound(err) {
			return found, nil
		}
		if err != nil {
			return nil, fmt.Errorf("list targets of event rule %s: %w", name, err)
		}
		for _, target := range page.Targets {
			found[aws.ToString(target.Id)] = aws.ToString(target.Arn)
		}
		if input.NextToken = page.NextToken; input.NextToken == nil {
			return found, nil
		}
	}
}

// ruleTags are the tags of the rule; nil if there is none.
func (k *Keeper) ruleTags(ctx context.Context, name string, home iamrole.Home) (map[string]string, error) {
	arn := eventqueue.RuleARN(home, name)
	listed, err := k.rules.ListTagsForResource(ctx, &eventbridge.ListTagsForResourceInput{ResourceARN: &arn})
	if awsapi.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list tags of event rule %s: %w", name, err)
	}
	tags := map[string]string{}
	for _, tag := range listed.Tags {
		tags[aws.ToString(tag.Key)] = aws.ToString(tag.Value)
	}
	return k.Ignored.Without(tags), nil
}

// deleteRule removes the rule with all of its targets, by whomever: EventBridge deletes only rules without.
func (k *Keeper) deleteRule(ctx context.Context, name string, home iamrole.Home, may func(ownerID string) bool) error {
	tags, err := k.ruleTags(ctx, name, home)
	if err != nil || tags == nil || !may(tags[ownership.TagECSID]) {
		return err
	}
	targets, err := k.targets(ctx, name)
	if err != nil {
		return err
	}
	if len(targets) > 0 {
		removed, err := k.rules.RemoveTargets(ctx, &eventbridge.RemoveTargetsInput{Rule: &name, Ids: slices.Sorted(maps.Keys(targets))})
		if err != nil && !awsapi.IsNotFound(err) {
			return fmt.Errorf("remove targets of event rule %s: %w", name, err)
		}
		if err == nil && removed.FailedEntryCount > 0 {
			failed := removed.FailedEntries[0]
			return fmt.Errorf("remove target %s of event rule %s: %s: %s", aws.ToString(failed.TargetId), name, aws.ToString(failed.ErrorCode), aws.ToString(failed.ErrorMessage))
		}
	}
	err = lag.Through(ctx, func() error { _, err := k.rules.DeleteRule(ctx, &eventbridge.DeleteRuleInput{Name: &name}); return err }, targetsLeft)
	if err != nil && !awsapi.IsNotFound(err) {
		return fmt.Errorf("delete event rule %s: %w", name, err)
	}
	tflog.Info(ctx, "event rule deleted", map[string]any{"rule": name})
	return nil
}

func ruleTags(tags map[string]string) []ruletypes.Tag {
	var list []ruletypes.Tag
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		list = append(list, ruletypes.Tag{Key: aws.String(key), Value: aws.String(tags[key])})
	}
	return list
}
