package deploy

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/hashicorp/terraform-plugin-log/tflog"

	"github.com/consulecs/terraform-provider-consulecs/internal/awsapi"
	"github.com/consulecs/terraform-provider-consulecs/provider/lag"
	"github.com/consulecs/terraform-provider-consulecs/provider/ownership"
)

// A role that the incumbent's module made has a managed policy that was made for it alone, of its name and in its path. The role's own
// policy, which is in the role, grants what that does. It goes once nothing runs by the rights of yesterday any more, so that no moment
// is without rights, and nothing is left that belongs to nobody's state.

// supersedable are the actions that such a policy grants. One that grants anything else is somebody's, and stays.
var supersedable = []string{"iam:GetRole", "logs:CreateLogStream", "logs:PutLogEvents", "secretsmanager:GetSecretValue"}

// supersededPolicies are the ARNs of such policies of a role, which has been read with its attachments.
func (c *Client) supersededPolicies(ctx context.Context, role RoleView) ([]string, error) {
	var all []string
	for _, arn := range role.PolicyARNs {
		if !strings.HasSuffix(arn, ":policy"+role.Path+role.Name) {
			continue
		}
		grants, err := c.grantsOfSole(ctx, arn)
		if awsapi.IsAccessDenied(err) || awsapi.IsNotFound(err) { // then it stays
			continue
		}
		if err != nil {
			return nil, err
		}
		if len(grants) > 0 && !slices.ContainsFunc(grants, func(action string) bool { return !slices.Contains(supersedable, action) }) {
			all = append(all, arn)
		}
	}
	return all, nil
}

// grantsOfSole are the actions of a managed policy that nothing but one role has; none of one that more have, or that denies something.
func (c *Client) grantsOfSole(ctx context.Context, arn string) ([]string, error) {
	policy, err := c.iam.GetPolicy(ctx, &iam.GetPolicyInput{PolicyArn: &arn})
	if err != nil {
		return nil, fmt.Errorf("get policy %s: %w", arn, err)
	}
	if aws.ToInt32(policy.Policy.AttachmentCount) > 1 || aws.ToInt32(policy.Policy.PermissionsBoundaryUsageCount) > 0 {
		return nil, nil
	}
	version, err := c.iam.GetPolicyVersion(ctx, &iam.GetPolicyVersionInput{PolicyArn: &arn, VersionId: policy.Policy.DefaultVersionId})
	if err != nil {
		return nil, fmt.Errorf("get version %s of policy %s: %w", aws.ToString(policy.Policy.DefaultVersionId), arn, err)
	}
	document, err := policyDocument(version.PolicyVersion.Document)
	if err != nil {
		return nil, fmt.Errorf("get version %s of policy %s: %w", aws.ToString(policy.Policy.DefaultVersionId), arn, err)
	}
	return grants(document), nil
}

// grants are the actions that a policy allows; none of one that says anything else.
func grants(policy json.RawMessage) []string {
	type oneOrMore any // a text, or a list of texts
	var document struct {
		Statement []struct {
			Effect string
			Action oneOrMore
		}
	}
	if json.Unmarshal(policy, &document) != nil {
		return nil
	}
	var all []string
	for _, statement := range document.Statement {
		if statement.Effect != "Allow" {
			return nil
		}
		switch action := statement.Action.(type) {
		case string:
			all = append(all, action)
		case []any:
			for _, one := range action {
				all = append(all, fmt.Sprint(one))
			}
		default: // NotAction
			return nil
		}
	}
	return all
}

// takenOver is a role that is found, as it is to be listed: with the policies of others that its own ones supersede.
func (c *Client) takenOver(ctx context.Context, found RoleView, listed RoleView) (RoleView, error) {
	found.PolicyARNs = nil
	if err := c.readAttachments(ctx, &found); err != nil {
		return listed, err
	}
	superseded, err := c.supersededPolicies(ctx, found)
	listed.Superseded = slices.DeleteFunc(superseded, func(arn string) bool { return slices.Contains(listed.PolicyARNs, arn) })
	return listed, err
}

// dropPolicy detaches a superseded policy and deletes it. One that others use in the meantime stays.
func (c *Client) dropPolicy(ctx context.Context, role, arn string) error {
	if _, err := c.iam.DetachRolePolicy(ctx, &iam.DetachRolePolicyInput{RoleName: &role, PolicyArn: &arn}); err != nil && !awsapi.IsNotFound(err) {
		return fmt.Errorf("detach policy %s from role %s: %w", arn, role, err)
	}
	versions, err := c.iam.ListPolicyVersions(ctx, &iam.ListPolicyVersionsInput{PolicyArn: &arn}) // of which there are five at the most
	if awsapi.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("list versions of policy %s, which is detached from role %s: %w\nhint: delete the policy yourself", arn, role, err)
	}
	for _, version := range versions.Versions {
		if version.IsDefaultVersion {
			continue
		}
		if _, err := c.iam.DeletePolicyVersion(ctx, &iam.DeletePolicyVersionInput{PolicyArn: &arn, VersionId: version.VersionId}); err != nil && !awsapi.IsNotFound(err) {
			return fmt.Errorf("delete version %s of policy %s: %w", aws.ToString(version.VersionId), arn, err)
		}
	}
	err = lag.Through(ctx, func() error { _, err := c.iam.DeletePolicy(ctx, &iam.DeletePolicyInput{PolicyArn: &arn}); return err }, policiesLeft)
	switch {
	case awsapi.IsRoleInUse(err):
		tflog.Warn(ctx, "policy not deleted", map[string]any{"policy": arn, "err": err.Error()})
	case err != nil && !awsapi.IsNotFound(err):
		return fmt.Errorf("delete policy %s, which is detached from role %s: %w\nhint: delete it yourself", arn, role, err)
	default:
		tflog.Info(ctx, "policy deleted", map[string]any{"policy": arn})
	}
	return nil
}

// obsolete is what goes when no task uses it any more.
type obsolete struct {
	roles    []string
	policies []attachedPolicy
}

type attachedPolicy struct{ role, arn string }

// obsoleteOf are the roles that the resource made and no longer wants, and the policies that those which it wants supersede.
func obsoleteOf(listed, want []RoleView) (gone obsolete) {
	for _, v := range listed {
		if !slices.ContainsFunc(want, func(w RoleView) bool { return w.Name == v.Name }) {
			gone.roles = append(gone.roles, v.Name)
			continue
		}
		for _, arn := range v.Superseded {
			gone.policies = append(gone.policies, attachedPolicy{v.Name, arn})
		}
	}
	return gone
}

func (o obsolete) isEmpty() bool { return len(o.roles)+len(o.policies) == 0 }

func (o obsolete) String() string {
	var parts []string
	if len(o.roles) > 0 {
		parts = append(parts, "roles "+strings.Join(o.roles, ", "))
	}
	for _, p := range o.policies {
		parts = append(parts, fmt.Sprintf("policy %s of role %s", p.arn, p.role))
	}
	return strings.Join(parts, ", ")
}

// TakenOver says what an apply takes over that others made, each with what becomes of what is in it. What may not be looked at is left
// out.
func (c *Client) TakenOver(ctx context.Context, d Design, had Before, named Named) ([]string, error) {
	if !d.Adopt {
		return nil, nil
	}
	var all []string
	for _, name := range d.newRoles(had, named) {
		said, err := c.roleTakenOver(ctx, d, name)
		if awsapi.IsAccessDenied(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, said...)
	}
	if named.Service && d.Service != nil && !d.Service.SameName(had.Service) {
		tags, err := c.serviceTags(ctx, d.Service)
		if err != nil {
			return nil, err
		}
		if tags != nil && !d.Owner.Is(tags[ownership.TagECSID]) {
			all = append(all, whatService(d.Service))
		}
	}
	return all, nil
}

func (c *Client) roleTakenOver(ctx context.Context, d Design, name string) ([]string, error) {
	role, err := c.readRole(ctx, name)
	if err != nil || role == nil || d.Owner.Is(role.Tags[ownership.TagRoleID]) {
		return nil, err
	}
	at := slices.IndexFunc(d.roles(), func(v RoleView) bool { return v.Name == name })
	listed, err := c.takenOver(ctx, *role, d.roles()[at])
	if err != nil {
		return nil, err
	}
	said := whatRole(name)
	for _, arn := range listed.Superseded {
		said += fmt.Sprintf("; its policy %s goes when the tasks run with the role's own, and is deleted", arn)
	}
	for _, arn := range role.PolicyARNs {
		if !slices.Contains(listed.Superseded, arn) && !slices.Contains(listed.PolicyARNs, arn) {
			said += fmt.Sprintf("; policy %s stays attached", arn)
		}
	}
	for _, policy := range slices.Sorted(maps.Keys(role.Policies)) {
		if _, ours := listed.Policies[policy]; !ours {
			said += fmt.Sprintf("; its inline policy %s stays", policy)
		}
	}
	return []string{said}, nil
}
