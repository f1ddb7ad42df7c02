package control

import (
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/definition"
	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/names"
)

// TagResource sets tags on a cluster, a service, a task or a task definition.
func (c *Control) TagResource(in *ecs.TagResourceInput) (*ecs.TagResourceOutput, error) {
	if len(in.Tags) == 0 {
		return nil, badParameter("Tags can not be empty.")
	}
	if err := definition.CheckTags(in.Tags); err != nil {
		return nil, err
	}
	return &ecs.TagResourceOutput{}, c.retag(aws.ToString(in.ResourceArn), func(tags []ecstypes.Tag) ([]ecstypes.Tag, error) {
		tags = mergeTags(tags, in.Tags)
		return tags, definition.CheckTags(slices.DeleteFunc(slices.Clone(tags), ofAWS))
	})
}

// UntagResource removes tags by their keys.
func (c *Control) UntagResource(in *ecs.UntagResourceInput) (*ecs.UntagResourceOutput, error) {
	return &ecs.UntagResourceOutput{}, c.retag(aws.ToString(in.ResourceArn), func(tags []ecstypes.Tag) ([]ecstypes.Tag, error) {
		return slices.DeleteFunc(slices.Clone(tags), func(t ecstypes.Tag) bool {
			return slices.Contains(in.TagKeys, *t.Key) && !ofAWS(t)
		}), nil
	})
}

// ListTagsForResource lists the tags of a resource.
func (c *Control) ListTagsForResource(in *ecs.ListTagsForResourceInput) (*ecs.ListTagsForResourceOutput, error) {
	out := &ecs.ListTagsForResourceOutput{}
	c.mu.Lock()
	defer c.mu.Unlock()
	tags, _, err := c.tagged(aws.ToString(in.ResourceArn))
	if err != nil {
		return nil, err
	}
	out.Tags = orEmpty(*tags)
	return out, nil
}

func (c *Control) retag(arn string, change func([]ecstypes.Tag) ([]ecstypes.Tag, error)) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	tags, t, err := c.tagged(arn)
	if err != nil {
		return err
	}
	changed, err := change(*tags)
	if err != nil {
		return err
	}
	*tags = changed
	if t != nil {
		arn, tags := *t.TaskArn, changed
		c.outbox = append(c.outbox, func() { c.cfg.SetTags(arn, tags) })
	}
	c.touch()
	return nil
}

// tagged finds the tags of a resource, and the task if it is one. The caller holds the lock.
func (c *Control) tagged(arn string) (*[]ecstypes.Tag, *task, error) {
	var tags *[]ecstypes.Tag
	var owner *task
	switch names.Kind(arn) {
	case "cluster":
		cl, err := c.cluster(&arn)
		if err != nil {
			return nil, nil, err
		}
		tags = &cl.Tags
	case "service":
		if s, ok := c.state.Services[arn]; ok && *s.Status != inactive {
			tags = &s.Tags
		}
	case "task":
		if t, ok := c.state.Tasks[arn]; ok {
			tags, owner = &t.Tags, t
		}
	case "task-definition":
		if _, number, ok := names.FamilyRevision(arn); ok && number > 0 {
			if r := c.revision(&arn); r != nil {
				tags = &r.Tags
			}
		}
	default:
		return nil, nil, badParameter("Invalid resource ARN '%s'.", arn)
	}
	if tags == nil {
		return nil, nil, badParameter("The specified %s is not found.", names.Kind(arn))
	}
	return tags, owner, nil
}

// mergeTags lays the second list over the first.
func mergeTags(under, over []ecstypes.Tag) []ecstypes.Tag {
	out := slices.Clone(under)
	for _, t := range over {
		if i := slices.IndexFunc(out, func(o ecstypes.Tag) bool { return *o.Key == *t.Key }); i >= 0 {
			out[i] = t
		} else {
			out = append(out, t)
		}
	}
	return out
}

func ofAWS(t ecstypes.Tag) bool { return len(*t.Key) >= 4 && (*t.Key)[:4] == "aws:" }
