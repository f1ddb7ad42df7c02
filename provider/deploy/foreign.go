package deploy

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/consulecs/terraform-provider-consulecs/provider/ownership"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

// A foreign revision is one of the resource's family that others registered, CI for instance.

// IsForeign reports whether others registered the revision of an outcome. The numbers decide where they are known: who copies a
// definition often copies its tags, too, the owner's among them.
func IsForeign(out Outcome, owner string, own Revisions) bool {
	switch {
	case out.Revision == nil:
		return false
	case own != nil:
		return !slices.Contains(own, *out.Revision)
	default:
		return out.TagsAll[ownership.TagECS] != owner
	}
}

// Images are those of rendered containers, by the containers' names.
func Images(rendered map[string]string) map[string]string {
	images := map[string]string{}
	for name, text := range rendered {
		var container struct{ Image string }
		if json.Unmarshal([]byte(text), &container) == nil && container.Image != "" {
			images[name] = container.Image
		}
	}
	return images
}

// follows reports whether the newest revision is a foreign one whose images the design follows. Such a revision is not touched:
// where it is not all that is wanted, an own one is registered on top of it.
func (d Design) follows(before Before) bool { return d.FollowImages && before.Foreign }

// keeps reports whether the newest revision will do. The tags of an own one can be changed in place.
func (d Design) keeps(before Before, decided Outcome) bool {
	had := before.Outcome
	return had.ARN != nil && row.Value(had.ContentHash) == row.Value(decided.ContentHash) &&
		(!d.follows(before) || maps.Equal(had.TagsAll, decided.TagsAll))
}

// runs is the revision for the ECS service to run: the newest. A foreign one is deployed by those who registered it, so that until
// then, or after ECS rolled their deployment back, the service stays with what it runs.
func (d Design) runs(before Before, newest *string) *string {
	had := before.Outcome
	if d.Service.ByCodeDeploy() && had.ECSServiceRunning != nil && d.Service.SameService(before.Service) { // a deployment of CodeDeploy brings it there
		return had.ECSServiceRunning
	}
	if d.follows(before) && row.Value(newest) == row.Value(had.ARN) && had.ECSServiceRunning != nil && d.Service.SameService(before.Service) {
		return had.ECSServiceRunning
	}
	return newest
}

// refuseNewer refuses an apply that would bury a revision which others registered after the plan was made: it knows nothing of
// their images.
func (c *Client) refuseNewer(ctx context.Context, d Design, before Before) error {
	if !d.FollowImages || before.Outcome.Revision == nil {
		return nil
	}
	newest, err := c.latest(ctx, d.Family)
	if err != nil || newest == nil {
		return err
	}
	number := int64(newest.Definition.Revision)
	if number <= *before.Outcome.Revision || slices.Contains(before.Revisions, number) {
		return nil
	}
	return overtaken(d.Family, number)
}

func overtaken(family string, number int64) error {
	return fmt.Errorf("task definition %s:%d was registered after the plan was made, which knows nothing of its images\nhint: plan and apply again", family, number)
}

// refuseBetween is refuseNewer for what was registered between that look and the resource's own registration. ECS numbers the
// revisions of a family one by one, so that a gap tells of it without a further call. The own revision goes again, lest the next
// refresh takes it for the last word.
func (c *Client) refuseBetween(ctx context.Context, d Design, before Before, out *Progress, lost int) error {
	had, made := revisionOf(before.Outcome), revisionOf(out.Outcome)
	if !d.FollowImages || had == 0 || made <= had+1+int64(lost) {
		return nil
	}
	arns, err := c.activeRevisions(ctx, d.Family)
	if err != nil {
		return err
	}
	for _, arn := range arns {
		_, revision := familyAndRevision(arn)
		number := int64(revision)
		if number >= made || number <= had || slices.Contains(out.Revisions, number) {
			continue
		}
		if err := c.deregister(ctx, fmt.Sprintf("%s:%d", d.Family, made)); err != nil {
			out.Revisions = out.Revisions.with(made)
			return err
		}
		out.ARN, out.Revision = before.Outcome.ARN, aws.Int64(had)
		return overtaken(d.Family, number)
	}
	return nil
}
