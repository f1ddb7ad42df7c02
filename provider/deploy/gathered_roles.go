package deploy

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/hashicorp/terraform-plugin-log/tflog"

	"github.com/consulecs/terraform-provider-consulecs/provider/ownership"
)

// rolesSeenOneByOne is how many roles a run looks at one by one, with two or three calls each. For more, all of the account are read at
// once, a thousand in a call: IAM answers twenty calls a second or so.
const rolesSeenOneByOne = 40

// gathered are roles of the account as they were at one moment of a run, for looks alone: what an apply changes it reads by itself.
// They may be other people's, so they are kept in memory, and only those of the provider in this Region.
type gathered struct {
	begin sync.Once
	done  chan struct{}
	roles map[string]iamtypes.RoleDetail // by name, after done is closed; nil: they could not be read
}

// seeRole is a kept role as a look shows it; nil if there is none. Where a run looks at many, those are read at once, if that is
// allowed. What it does not find there may have been made since, and is read by itself; so is a role for which all others take too
// long: of a look with a limit, at least half is left for that.
func (c *Client) seeRole(ctx context.Context, kept RoleView) (*RoleView, error) {
	if !c.run.seesMany() {
		return c.readKeptRole(ctx, kept.Name, kept)
	}
	all := &c.run.gathered
	all.begin.Do(func() { go c.gatherRoles(context.WithoutCancel(ctx)) }) // not in the context of one of many
	patient, cancel := halfOf(ctx)
	defer cancel()
	var found iamtypes.RoleDetail
	ok := false
	select {
	case <-all.done:
		found, ok = all.roles[kept.Name]
	case <-patient.Done():
		if ctx.Err() != nil {
			return nil, fmt.Errorf("get role %s: %w", kept.Name, context.Cause(ctx))
		}
	}
	if !ok || c.run.hasWritten(kept.Name) {
		return c.readKeptRole(ctx, kept.Name, kept)
	}
	return c.viewOfDetail(found)
}

// halfOf ends when half of what is left of ctx is over.
func halfOf(ctx context.Context) (context.Context, context.CancelFunc) {
	end, limited := ctx.Deadline()
	if !limited {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Until(end)/2)
}

// gatherRoles reads them. Whatever keeps it from that, roles are then read one by one, and say so themselves if that fails, too.
func (c *Client) gatherRoles(ctx context.Context) {
	all := &c.run.gathered
	defer close(all.done)
	ctx, cancel := context.WithTimeout(ctx, gatheredWithin)
	defer cancel()
	roles, err := c.rolesOfProvider(ctx)
	if err != nil {
		tflog.Debug(ctx, "roles are read one by one", map[string]any{"err": err.Error()})
		return
	}
	all.roles = roles
}

// rolesOfProvider are the roles that bear the tag of a resource of the provider in this Region, by name.
func (c *Client) rolesOfProvider(ctx context.Context) (map[string]iamtypes.RoleDetail, error) {
	found := map[string]iamtypes.RoleDetail{}
	pages := iam.NewGetAccountAuthorizationDetailsPaginator(c.iam, &iam.GetAccountAuthorizationDetailsInput{
		Filter: []iamtypes.EntityType{iamtypes.EntityTypeRole}, MaxItems: aws.Int32(mostRolesList),
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("get all roles: %w", err)
		}
		for _, role := range page.RoleDetailList {
			if ownership.RegionOf(tagsOfRole(role.Tags)[ownership.TagRole]) == c.Region {
				role.InstanceProfileList = nil
				found[aws.ToString(role.RoleName)] = role
			}
		}
	}
	return found, nil
}

// viewOfDetail is a whole role, with whatever others added to it.
func (c *Client) viewOfDetail(role iamtypes.RoleDetail) (*RoleView, error) {
	v := RoleView{
		Name: aws.ToString(role.RoleName), Path: aws.ToString(role.Path), Policies: map[string]json.RawMessage{},
		Tags: c.Defaults.IgnoredTags.Without(tagsOfRole(role.Tags)),
	}
	if role.PermissionsBoundary != nil {
		v.PermissionsBoundary = aws.ToString(role.PermissionsBoundary.PermissionsBoundaryArn)
	}
	var err error
	if v.TrustPolicy, err = policyDocument(role.AssumeRolePolicyDocument); err != nil {
		return nil, fmt.Errorf("get role %s: %w", v.Name, err)
	}
	for _, policy := range role.RolePolicyList {
		name := aws.ToString(policy.PolicyName)
		if v.Policies[name], err = policyDocument(policy.PolicyDocument); err != nil {
			return nil, fmt.Errorf("get policy %s of role %s: %w", name, v.Name, err)
		}
	}
	for _, attached := range role.AttachedManagedPolicies {
		v.PolicyARNs = append(v.PolicyARNs, aws.ToString(attached.PolicyArn))
	}
	slices.Sort(v.PolicyARNs)
	return &v, nil
}

func tagsOfRole(list []iamtypes.Tag) map[string]string {
	tags := map[string]string{}
	for _, tag := range list {
		tags[aws.ToString(tag.Key)] = aws.ToString(tag.Value)
	}
	return tags
}
