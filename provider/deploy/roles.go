package deploy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/hashicorp/terraform-plugin-log/tflog"

	"github.com/consulecs/terraform-provider-consulecs/internal/awsapi"
	"github.com/consulecs/terraform-provider-consulecs/provider/canonical"
	"github.com/consulecs/terraform-provider-consulecs/provider/lag"
	"github.com/consulecs/terraform-provider-consulecs/provider/ownership"
)

// ownRole finds the role that is to become want; nil if there is none. had is the role as the resource knew it before; its
// zero value means that it did not.
func (c *Client) ownRole(ctx context.Context, d Design, want, had RoleView) (*RoleView, error) {
	var found *RoleView
	err := lag.Through(ctx, func() error {
		var err error
		if found, err = c.readKeptRole(ctx, want.Name, want, had); err == nil && found != nil && c.run.hasRemoved(found.Tags[ownership.TagRoleID]) {
			err = errRemoved
		}
		return err
	}, removedShown)
	if err != nil || found == nil {
		return nil, err
	}
	return found, d.refuseRole(*found, want, had)
}

// errRemoved says that IAM shows a role which the same run has deleted, as when a resource is replaced.
var errRemoved = errors.New("it was deleted a moment ago, and IAM still shows it")

// refuseRole says why an existing role cannot become want; nil if it can.
func (d Design) refuseRole(found, want, had RoleView) error {
	switch {
	case had.Name == "" && !d.mayTake(found.Tags[ownership.TagRoleID]):
		return ownership.Taken(ownership.Clash{What: whatRole(want.Name), Tags: found.Tags})
	case found.Path != want.Path:
		return fmt.Errorf("role %s lies in path %s, want %s: IAM cannot move a role\nhint: give the role another name", want.Name, found.Path, want.Path)
	}
	return nil
}

// ensureRole makes the role, or corrects what differs. What had lists and want does not is removed.
func (c *Client) ensureRole(ctx context.Context, d Design, want, had RoleView, found *RoleView) error {
	c.run.writes(want.Name)
	if found == nil {
		return c.createRole(ctx, d, want)
	}
	return c.correctRole(ctx, want, had, *found)
}

func (c *Client) createRole(ctx context.Context, d Design, want RoleView) error {
	input := &iam.CreateRoleInput{
		RoleName: &want.Name, Path: &want.Path, AssumeRolePolicyDocument: aws.String(string(want.TrustPolicy)), Tags: iamTags(want.Tags),
		Description: aws.String("Made by Terraform for " + d.Owner.Name),
	}
	if want.PermissionsBoundary != "" {
		input.PermissionsBoundary = &want.PermissionsBoundary
	}
	_, err := c.iam.CreateRole(ctx, input)
	if awsapi.IsTaken(err) {
		return c.takeOnRole(ctx, d, want)
	}
	if err != nil {
		return fmt.Errorf("create role %s: %w", want.Name, err)
	}
	bare := RoleView{TrustPolicy: want.TrustPolicy, PermissionsBoundary: want.PermissionsBoundary, Tags: want.Tags}
	return lag.Through(ctx, func() error { return c.correctRole(ctx, want, RoleView{}, bare) }, roleMissing)
}

// takeOnRole corrects a role that was not there a moment ago and now is: made by a call of ours whose answer was lost, or by
// others.
func (c *Client) takeOnRole(ctx context.Context, d Design, want RoleView) error {
	began := time.Now()
	return lag.Poll(ctx, func() (bool, string, error) {
		found, err := c.readKeptRole(ctx, want.Name, want)
		switch {
		case err != nil:
			return false, "", err
		case found == nil && time.Since(began) < roleMissing.Within:
			return false, fmt.Sprintf("IAM has a role %s and does not show it", want.Name), nil
		case found == nil:
			return false, "", fmt.Errorf("create role %s: its name is taken by a role that IAM does not show", want.Name)
		}
		if err := d.refuseRole(*found, want, RoleView{}); err != nil {
			return false, "", err
		}
		tflog.Info(ctx, "role taken on", map[string]any{"role": want.Name})
		return true, "", lag.Through(ctx, func() error { return c.correctRole(ctx, want, RoleView{}, *found) }, roleMissing)
	})
}

// correctRole turns the role from found into want. Of what had lists and want does not, nothing stays.
func (c *Client) correctRole(ctx context.Context, want, had, found RoleView) error {
	if string(found.TrustPolicy) != string(want.TrustPolicy) {
		_, err := c.iam.UpdateAssumeRolePolicy(ctx, &iam.UpdateAssumeRolePolicyInput{RoleName: &want.Name, PolicyDocument: aws.String(string(want.TrustPolicy))})
		if err != nil {
			return fmt.Errorf("set trust policy of role %s: %w", want.Name, err)
		}
	}
	for _, step := range []func(context.Context, RoleView, RoleView, RoleView) error{
		c.correctBoundary, c.correctPolicies, c.correctAttachments, c.correctRoleTags,
	} {
		if err := step(ctx, want, had, found); err != nil {
			return err
		}
	}
	return nil
}

func (c *Client) correctBoundary(ctx context.Context, want, _, found RoleView) error {
	if want.PermissionsBoundary == found.PermissionsBoundary {
		return nil
	}
	var err error
	if want.PermissionsBoundary == "" {
		_, err = c.iam.DeleteRolePermissionsBoundary(ctx, &iam.DeleteRolePermissionsBoundaryInput{RoleName: &want.Name})
	} else {
		_, err = c.iam.PutRolePermissionsBoundary(ctx, &iam.PutRolePermissionsBoundaryInput{RoleName: &want.Name, PermissionsBoundary: &want.PermissionsBoundary})
	}
	if err != nil {
		return fmt.Errorf("set permissions boundary of role %s: %w", want.Name, err)
	}
	return nil
}

func (c *Client) correctPolicies(ctx context.Context, want, had, found RoleView) error {
	for _, name := range slices.Sorted(maps.Keys(want.Policies)) {
		if string(found.Policies[name]) == string(want.Policies[name]) {
			continue
		}
		_, err := c.iam.PutRolePolicy(ctx, &iam.PutRolePolicyInput{RoleName: &want.Name, PolicyName: &name, PolicyDocument: aws.String(string(want.Policies[name]))})
		if err != nil {
			return fmt.Errorf("put policy %s of role %s: %w", name, want.Name, err)
		}
	}
	for name := range had.Policies {
		if _, wanted := want.Policies[name]; wanted {
			continue
		}
		if _, err := c.iam.DeleteRolePolicy(ctx, &iam.DeleteRolePolicyInput{RoleName: &want.Name, PolicyName: &name}); err != nil && !awsapi.IsNotFound(err) {
			return fmt.Errorf("delete policy %s of role %s: %w", name, want.Name, err)
		}
	}
	return nil
}

func (c *Client) correctAttachments(ctx context.Context, want, had, found RoleView) error {
	for _, arn := range want.PolicyARNs {
		if slices.Contains(found.PolicyARNs, arn) {
			continue
		}
		if _, err := c.iam.AttachRolePolicy(ctx, &iam.AttachRolePolicyInput{RoleName: &want.Name, PolicyArn: &arn}); err != nil {
			return fmt.Errorf("attach policy %s to role %s: %w", arn, want.Name, err)
		}
	}
	for _, arn := range had.PolicyARNs {
		if slices.Contains(want.PolicyARNs, arn) {
			continue
		}
		if _, err := c.iam.DetachRolePolicy(ctx, &iam.DetachRolePolicyInput{RoleName: &want.Name, PolicyArn: &arn}); err != nil && !awsapi.IsNotFound(err) {
			return fmt.Errorf("detach policy %s from role %s: %w", arn, want.Name, err)
		}
	}
	return nil
}

func (c *Client) correctRoleTags(ctx context.Context, want, had, found RoleView) error {
	wrong, obsolete := ownership.Change(want.Tags, c.Defaults.IgnoredTags.Without(maps.Clone(had.Tags)), found.Tags)
	if len(wrong) > 0 {
		if _, err := c.iam.TagRole(ctx, &iam.TagRoleInput{RoleName: &want.Name, Tags: iamTags(wrong)}); err != nil {
			return fmt.Errorf("tag role %s: %w", want.Name, err)
		}
	}
	if len(obsolete) == 0 {
		return nil
	}
	if _, err := c.iam.UntagRole(ctx, &iam.UntagRoleInput{RoleName: &want.Name, TagKeys: obsolete}); err != nil {
		return fmt.Errorf("untag role %s: %w", want.Name, err)
	}
	return nil
}

// readRole is the whole role as IAM has it; nil if there is none.
func (c *Client) readRole(ctx context.Context, name string) (*RoleView, error) {
	v, err := c.getRole(ctx, name)
	if err != nil || v == nil {
		return nil, err
	}
	if err := c.readPolicies(ctx, v); err != nil {
		return nil, err
	}
	return v, c.readAttachments(ctx, v)
}

// readKeptRole is the role as far as one of the views keeps it; nil if there is none. Each call that it spares counts: there
// are many roles, and IAM answers twenty calls a second or so.
func (c *Client) readKeptRole(ctx context.Context, name string, kept ...RoleView) (*RoleView, error) {
	v, err := c.getRole(ctx, name)
	if err != nil || v == nil {
		return nil, err
	}
	attachments := false
	for _, view := range kept {
		attachments = attachments || len(view.PolicyARNs)+len(view.Superseded) > 0
		for _, policy := range slices.Sorted(maps.Keys(view.Policies)) {
			if _, read := v.Policies[policy]; read {
				continue
			}
			if err := c.readPolicy(ctx, v, policy); err != nil && !awsapi.IsNotFound(err) {
				return nil, err
			}
		}
	}
	if attachments {
		err = c.readAttachments(ctx, v)
	}
	return v, err
}

// getRole is the role without its policies; nil if there is none.
func (c *Client) getRole(ctx context.Context, name string) (*RoleView, error) {
	got, err := c.iam.GetRole(ctx, &iam.GetRoleInput{RoleName: &name})
	if awsapi.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("get role %s: %w", name, err)
	}
	v := &RoleView{Name: name, Path: aws.ToString(got.Role.Path), Policies: map[string]json.RawMessage{}, Tags: c.Defaults.IgnoredTags.Without(tagsOfRole(got.Role.Tags))}
	if v.TrustPolicy, err = policyDocument(got.Role.AssumeRolePolicyDocument); err != nil {
		return nil, fmt.Errorf("get role %s: %w", name, err)
	}
	if got.Role.PermissionsBoundary != nil {
		v.PermissionsBoundary = aws.ToString(got.Role.PermissionsBoundary.PermissionsBoundaryArn)
	}
	return v, nil
}

func (c *Client) readAttachments(ctx context.Context, v *RoleView) error {
	attached := iam.NewListAttachedRolePoliciesPaginator(c.iam, &iam.ListAttachedRolePoliciesInput{RoleName: &v.Name})
	for attached.HasMorePages() {
		page, err := attached.NextPage(ctx)
		if err != nil {
			return fmt.Errorf("list attached policies of role %s: %w", v.Name, err)
		}
		for _, p := range page.AttachedPolicies {
			v.PolicyARNs = append(v.PolicyARNs, aws.ToString(p.PolicyArn))
		}
	}
	slices.Sort(v.PolicyARNs)
	return nil
}

func (c *Client) readPolicies(ctx context.Context, v *RoleView) error {
	inline := iam.NewListRolePoliciesPaginator(c.iam, &iam.ListRolePoliciesInput{RoleName: &v.Name})
	for inline.HasMorePages() {
		page, err := inline.NextPage(ctx)
		if err != nil {
			return fmt.Errorf("list policies of role %s: %w", v.Name, err)
		}
		for _, name := range page.PolicyNames {
			if err := c.readPolicy(ctx, v, name); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *Client) readPolicy(ctx context.Context, v *RoleView, name string) error {
	got, err := c.iam.GetRolePolicy(ctx, &iam.GetRolePolicyInput{RoleName: &v.Name, PolicyName: &name})
	if err != nil {
		return fmt.Errorf("get policy %s of role %s: %w", name, v.Name, err)
	}
	document, err := policyDocument(got.PolicyDocument)
	if err != nil {
		return fmt.Errorf("get policy %s of role %s: %w", name, v.Name, err)
	}
	v.Policies[name] = document
	return nil
}

// deleteRole removes the role and whatever is attached to it, by whom ever: IAM deletes only bare roles. A role that bears
// another owner's ID is left alone.
func (c *Client) deleteRole(ctx context.Context, name string, owner ownership.Owner) error {
	c.run.writes(name)
	var found *RoleView
	err := lag.Through(ctx, func() (err error) { found, err = c.readRole(ctx, name); return err }, goneMeantime) // others may remove it, too
	if err != nil || found == nil || owner.IsNot(found.Tags[ownership.TagRoleID]) {
		return err
	}
	for _, arn := range found.PolicyARNs {
		if _, err := c.iam.DetachRolePolicy(ctx, &iam.DetachRolePolicyInput{RoleName: &name, PolicyArn: &arn}); err != nil && !awsapi.IsNotFound(err) {
			return fmt.Errorf("detach policy %s from role %s: %w", arn, name, err)
		}
	}
	for policy := range found.Policies {
		if _, err := c.iam.DeleteRolePolicy(ctx, &iam.DeleteRolePolicyInput{RoleName: &name, PolicyName: &policy}); err != nil && !awsapi.IsNotFound(err) {
			return fmt.Errorf("delete policy %s of role %s: %w", policy, name, err)
		}
	}
	err = lag.Through(ctx, func() error { _, err := c.iam.DeleteRole(ctx, &iam.DeleteRoleInput{RoleName: &name}); return err }, policiesLeft)
	if err != nil && !awsapi.IsNotFound(err) {
		return fmt.Errorf("delete role %s: %w", name, err)
	}
	return nil
}

// policyDocument is a policy as IAM returns it, URL-encoded.
func policyDocument(encoded *string) (json.RawMessage, error) {
	plain, err := url.PathUnescape(aws.ToString(encoded)) // a plus sign stands for itself
	if err != nil {
		return nil, fmt.Errorf("decode policy: %w", err)
	}
	return canonical.JSON(plain), nil
}

func iamTags(tags map[string]string) []iamtypes.Tag {
	var list []iamtypes.Tag
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		list = append(list, iamtypes.Tag{Key: aws.String(key), Value: aws.String(tags[key])})
	}
	return list
}
