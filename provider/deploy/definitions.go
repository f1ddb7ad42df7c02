package deploy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/hashicorp/terraform-plugin-log/tflog"

	"github.com/consulecs/terraform-provider-consulecs/internal/taskdef"
	"github.com/consulecs/terraform-provider-consulecs/provider/block"
)

// tagECSOwner is the tag of task definitions and ECS services that names the resource which made them.
const tagECSOwner = "consul.hashicorp.com/owner"

// Revision is a registered task definition.
type Revision struct {
	Definition *ecstypes.TaskDefinition
	Tags       map[string]string
}

func (r Revision) arn() string { return aws.ToString(r.Definition.TaskDefinitionArn) }

// register registers the definition. IAM may need a while until ECS sees roles that were just made.
func (c *Client) register(ctx context.Context, d *taskdef.Definition) (*ecstypes.TaskDefinition, error) {
	var registered *ecs.RegisterTaskDefinitionOutput
	err := untilRolesAreSeen(ctx, func() error {
		var err error
		registered, err = c.ecs.RegisterTaskDefinition(ctx, d)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("register task definition %s: %w", aws.ToString(d.Family), err)
	}
	tflog.Info(ctx, "task definition registered", map[string]any{"arn": aws.ToString(registered.TaskDefinition.TaskDefinitionArn)})
	return registered.TaskDefinition, nil
}

// activeRevisions are the ARNs of the ACTIVE revisions of the family, newest first.
func (c *Client) activeRevisions(ctx context.Context, family string) ([]string, error) {
	var arns []string
	pages := ecs.NewListTaskDefinitionsPaginator(c.ecs, &ecs.ListTaskDefinitionsInput{FamilyPrefix: &family, Status: ecstypes.TaskDefinitionStatusActive})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("list task definitions %s: %w", family, err)
		}
		for _, arn := range page.TaskDefinitionArns {
			if name, _ := familyAndRevision(arn); name == family { // not others that begin so
				arns = append(arns, arn)
			}
		}
	}
	slices.SortFunc(arns, func(a, b string) int {
		_, x := familyAndRevision(a)
		_, y := familyAndRevision(b)
		return y - x
	})
	return arns, nil
}

// latest is the newest ACTIVE revision of the family, whoever registered it; nil if there is none.
func (c *Client) latest(ctx context.Context, family string) (*Revision, error) {
	arns, err := c.activeRevisions(ctx, family)
	if err != nil || len(arns) == 0 {
		return nil, err
	}
	return c.DescribeRevision(ctx, arns[0])
}

// describeRevision finds a revision by ARN or family:revision.
func (c *Client) DescribeRevision(ctx context.Context, arn string) (*Revision, error) {
	described, err := c.ecs.DescribeTaskDefinition(ctx, &ecs.DescribeTaskDefinitionInput{
		TaskDefinition: &arn, Include: []ecstypes.TaskDefinitionField{ecstypes.TaskDefinitionFieldTags},
	})
	if err != nil {
		return nil, fmt.Errorf("describe task definition %s: %w", arn, err)
	}
	return &Revision{Definition: described.TaskDefinition, Tags: block.TagMap(described.Tags)}, nil
}

// retire deregisters the family's ACTIVE revisions that bear the owner's tag, except the current one and as many of the
// newest others as keep says. current "" retires all; deleted revisions do not hold their family's name for ever.
func (c *Client) retire(ctx context.Context, family, owner, current string, keep int) error {
	arns, err := c.activeRevisions(ctx, family)
	if err != nil {
		return err
	}
	var errs []error
	var retired []string
	for _, arn := range arns {
		if arn == current {
			continue
		}
		old, err := c.DescribeRevision(ctx, arn)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if old.Tags[tagECSOwner] != owner {
			continue // registered by others
		}
		if keep > 0 {
			keep--
			continue
		}
		if _, err := c.ecs.DeregisterTaskDefinition(ctx, &ecs.DeregisterTaskDefinitionInput{TaskDefinition: &arn}); err != nil {
			errs = append(errs, fmt.Errorf("deregister task definition %s: %w", arn, err))
			continue
		}
		tflog.Info(ctx, "task definition deregistered", map[string]any{"arn": arn})
		retired = append(retired, arn)
	}
	if current == "" {
		c.deleteRevisions(ctx, retired)
	}
	return errors.Join(errs...)
}

// deleteRevisions asks ECS to delete deregistered revisions. They cost nothing and run nothing, so a refusal, for want of a
// permission for instance, is only logged.
func (c *Client) deleteRevisions(ctx context.Context, arns []string) {
	const most = 10 // in one call
	for chunk := range slices.Chunk(arns, most) {
		if _, err := c.ecs.DeleteTaskDefinitions(ctx, &ecs.DeleteTaskDefinitionsInput{TaskDefinitions: chunk}); err != nil {
			tflog.Warn(ctx, "task definitions not deleted", map[string]any{"arns": chunk, "err": err.Error()})
		}
	}
}

// tagResource makes the tags of an ECS object so; of had's keys, those that want lacks are removed.
func (c *Client) tagResource(ctx context.Context, arn string, want, had map[string]string) error {
	changed := maps.Clone(want)
	maps.DeleteFunc(changed, func(key, value string) bool { was, ok := had[key]; return ok && was == value })
	if len(changed) > 0 {
		if _, err := c.ecs.TagResource(ctx, &ecs.TagResourceInput{ResourceArn: &arn, Tags: block.EcsTags(changed)}); err != nil {
			return fmt.Errorf("tag %s: %w", arn, err)
		}
	}
	if gone := missingKeys(had, want); len(gone) > 0 {
		if _, err := c.ecs.UntagResource(ctx, &ecs.UntagResourceInput{ResourceArn: &arn, TagKeys: gone}); err != nil {
			return fmt.Errorf("untag %s: %w", arn, err)
		}
	}
	return nil
}

// familyAndRevision reads an ARN of a task definition, or family:revision.
func familyAndRevision(arn string) (family string, revision int) {
	short := arn[strings.LastIndexByte(arn, '/')+1:]
	family, number, _ := strings.Cut(short, ":")
	revision, _ = strconv.Atoi(number) // 0: none was named
	return family, revision
}
