package deploy

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/smithy-go/middleware"
	"github.com/hashicorp/terraform-plugin-log/tflog"

	"github.com/consulecs/terraform-provider-consulecs/internal/awsapi"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskdef"
	"github.com/consulecs/terraform-provider-consulecs/provider/lag"
	"github.com/consulecs/terraform-provider-consulecs/provider/ownership"
)

// Revision is a registered task definition.
type Revision struct {
	Definition *ecstypes.TaskDefinition
	Tags       map[string]string
}

func (r Revision) arn() string { return aws.ToString(r.Definition.TaskDefinitionArn) }

// register registers the definition. lost counts the calls before whose answers nobody got: each may have registered one, too.
func (c *Client) register(ctx context.Context, d *taskdef.Definition) (registered *ecstypes.TaskDefinition, lost int, err error) {
	err = lag.Through(ctx, func() error {
		out, err := c.ecs.RegisterTaskDefinition(ctx, d)
		if err == nil {
			registered, lost = out.TaskDefinition, unanswered(out.ResultMetadata)
		}
		return err
	}, roleRefused)
	if err != nil {
		return nil, 0, fmt.Errorf("register task definition %s: %w", aws.ToString(d.Family), err)
	}
	tflog.Info(ctx, "task definition registered", map[string]any{"arn": aws.ToString(registered.TaskDefinitionArn)})
	return registered, lost, nil
}

// unanswered counts the attempts of a call that may have done their work although they failed.
func unanswered(of middleware.Metadata) int {
	results, _ := retry.GetAttemptResults(of)
	lost := 0
	for _, attempt := range results.Results {
		if attempt.Err != nil && !awsapi.IsRefused(attempt.Err) {
			lost++
		}
	}
	return lost
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

// latest is the newest ACTIVE revision of the family, whoever registered it; nil if there is none. ECS finds it by the family's
// name, in one call. It refuses a family without an ACTIVE revision by a code that says nothing, so that then the list decides.
func (c *Client) latest(ctx context.Context, family string) (*Revision, error) {
	newest, err := c.DescribeRevision(ctx, family)
	if err == nil && newest.Definition.Status == ecstypes.TaskDefinitionStatusActive {
		return newest, nil
	}
	if err != nil && !awsapi.IsClientException(err) {
		return nil, err
	}
	arns, err := c.activeRevisions(ctx, family)
	if err != nil || len(arns) == 0 {
		return nil, err
	}
	return c.DescribeRevision(ctx, arns[0])
}

// active is the revision with the ARN, or the newest of a family, while it is ACTIVE; nil if it is not, or arn is.
func (c *Client) active(ctx context.Context, arn *string) (*Revision, error) {
	if arn == nil {
		return nil, nil
	}
	found, err := c.DescribeRevision(ctx, *arn)
	if awsapi.IsClientException(err) || err == nil && found.Definition.Status != ecstypes.TaskDefinitionStatusActive {
		return nil, nil
	}
	return found, err
}

// DescribeRevision finds a revision by ARN or family:revision.
func (c *Client) DescribeRevision(ctx context.Context, arn string) (*Revision, error) {
	described, err := c.ecs.DescribeTaskDefinition(ctx, &ecs.DescribeTaskDefinitionInput{
		TaskDefinition: &arn, Include: []ecstypes.TaskDefinitionField{ecstypes.TaskDefinitionFieldTags},
	})
	if err != nil {
		return nil, fmt.Errorf("describe task definition %s: %w", arn, err)
	}
	return &Revision{Definition: described.TaskDefinition, Tags: c.Defaults.IgnoredTags.Without(awsapi.TagMap(described.Tags))}, nil
}

// OwnedNames are the names of the resources of a kind that made a family, by the tags of its newest revision. It goes on after a family that
// could not be read.
func (c *Client) OwnedNames(ctx context.Context, kind string) iter.Seq2[string, error] {
	prefix := ownership.Name(kind, c.Region, "")
	return func(yield func(string, error) bool) {
		pages := ecs.NewListTaskDefinitionFamiliesPaginator(c.ecs, &ecs.ListTaskDefinitionFamiliesInput{Status: ecstypes.TaskDefinitionFamilyStatusActive})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				yield("", fmt.Errorf("list task definition families: %w", err))
				return
			}
			for _, family := range page.Families {
				revision, err := c.DescribeRevision(ctx, family)
				if awsapi.IsNotFound(err) { // deregistered since
					continue
				}
				name, owned := "", true
				if err == nil {
					name, owned = strings.CutPrefix(revision.Tags[ownership.TagECS], prefix)
				}
				if owned && !yield(name, err) {
					return
				}
			}
		}
	}
}

// tagResource makes the tags of an ECS object so; of had's keys, those that want lacks are removed, unless the user ignores them.
func (c *Client) tagResource(ctx context.Context, arn string, want, had map[string]string) error {
	changed, gone := ownership.Change(want, c.Defaults.IgnoredTags.Without(maps.Clone(had)), had)
	if len(changed) > 0 {
		if _, err := c.ecs.TagResource(ctx, &ecs.TagResourceInput{ResourceArn: &arn, Tags: awsapi.TagList(changed)}); err != nil {
			return fmt.Errorf("tag %s: %w", arn, err)
		}
	}
	if len(gone) > 0 {
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
