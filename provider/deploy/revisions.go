package deploy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/hashicorp/terraform-plugin-log/tflog"

	"github.com/consulecs/terraform-provider-consulecs/internal/awsapi"
	"github.com/consulecs/terraform-provider-consulecs/provider/ownership"
)

// Revisions are the numbers of the ACTIVE revisions that a resource registered, newest first. They are kept beside the state: ECS
// can list a family, but not whose its revisions are, and asking each of hundreds that CI registered takes hundreds of calls.
// nil means that nobody kept them, as after an import.
type Revisions []int64

// NoRevisions are those of a new resource.
func NoRevisions() Revisions { return Revisions{} }

// RevisionsFrom reads what JSON wrote; nil from nothing.
func RevisionsFrom(text []byte) (r Revisions) {
	if json.Unmarshal(text, &r) != nil {
		return nil
	}
	return r
}

// JSON is the text to keep.
func (r Revisions) JSON() []byte {
	text, err := json.Marshal([]int64(r))
	if err != nil {
		return []byte("null")
	}
	return text
}

// with adds a revision.
func (r Revisions) with(number int64) Revisions {
	if slices.Contains(r, number) {
		return r
	}
	r = append(slices.Clone(r), number)
	slices.SortFunc(r, func(a, b int64) int { return int(b - a) })
	return r
}

// split parts the current revision and the newest others, as many as keep says, from those that are to go. current 0 is none.
func (r Revisions) split(current int64, keep int) (kept, gone Revisions) {
	kept = NoRevisions()
	for _, number := range r {
		switch {
		case number == current:
			kept = append(kept, number)
		case keep > 0:
			keep--
			kept = append(kept, number)
		default:
			gone = append(gone, number)
		}
	}
	return kept, gone
}

// ownRevisions are the revisions that the resource knows to be its own. One that bears its tag may be a copy that others registered.
// Of a resource that knows none they are looked up.
func (c *Client) ownRevisions(ctx context.Context, family string, owner ownership.Owner, had Before) (Revisions, error) {
	if had.Revisions == nil {
		return c.searchRevisions(ctx, family, owner.Registered)
	}
	return had.Revisions, nil
}

// searchRevisions asks each ACTIVE revision of the family whose it is, by its tags.
func (c *Client) searchRevisions(ctx context.Context, family string, isOurs func(tags map[string]string) bool) (Revisions, error) {
	arns, err := c.activeRevisions(ctx, family)
	if err != nil {
		return nil, err
	}
	own := NoRevisions()
	for _, arn := range arns {
		found, err := c.DescribeRevision(ctx, arn)
		if err != nil {
			return nil, err
		}
		if isOurs(found.Tags) {
			own = own.with(int64(found.Definition.Revision))
		}
	}
	return own, nil
}

// retire deregisters revisions of the family that are the resource's own and returns those that it could not.
func (c *Client) retire(ctx context.Context, family string, gone Revisions) (left Revisions, err error) {
	var errs []error
	for _, number := range gone {
		if err := c.deregister(ctx, fmt.Sprintf("%s:%d", family, number)); err != nil {
			errs, left = append(errs, err), left.with(number)
		}
	}
	return left, errors.Join(errs...)
}

// deregister makes a revision INACTIVE. One that others have deregistered or deleted is no error.
func (c *Client) deregister(ctx context.Context, revision string) error {
	_, err := c.ecs.DeregisterTaskDefinition(ctx, &ecs.DeregisterTaskDefinitionInput{TaskDefinition: &revision})
	if awsapi.IsClientException(err) {
		found, lookErr := c.DescribeRevision(ctx, revision)
		if awsapi.IsClientException(lookErr) || lookErr == nil && found.Definition.Status != ecstypes.TaskDefinitionStatusActive {
			return nil
		}
	}
	if err != nil {
		return fmt.Errorf("deregister task definition %s: %w", revision, err)
	}
	tflog.Info(ctx, "task definition deregistered", map[string]any{"revision": revision})
	return nil
}

// lostRevisions finds revisions that calls without an answer registered before the one that was answered.
func (c *Client) lostRevisions(ctx context.Context, d Design, answered int64, lost int) (Revisions, error) {
	found := NoRevisions()
	for number := answered - 1; number > 0 && number >= answered-int64(lost); number-- {
		revision, err := c.DescribeRevision(ctx, fmt.Sprintf("%s:%d", d.Family, number))
		if awsapi.IsClientException(err) {
			continue // there is none
		}
		if err != nil {
			return nil, err
		}
		if d.Owner.Registered(revision.Tags) && revision.Definition.Status == ecstypes.TaskDefinitionStatusActive {
			found = found.with(number)
		}
	}
	return found, nil
}

// deleteRevisions asks ECS to delete deregistered revisions, so that they do not hold their family's name for ever. They cost
// nothing and run nothing, so a refusal, for want of a permission for instance, is only logged.
func (c *Client) deleteRevisions(ctx context.Context, family string, revisions Revisions) {
	for chunk := range slices.Chunk(revisions, mostRevisionsAsk) {
		var names []string
		for _, number := range chunk {
			names = append(names, fmt.Sprintf("%s:%d", family, number))
		}
		if _, err := c.ecs.DeleteTaskDefinitions(ctx, &ecs.DeleteTaskDefinitionsInput{TaskDefinitions: names}); err != nil {
			tflog.Warn(ctx, "task definitions not deleted", map[string]any{"revisions": names, "err": err.Error()})
		}
	}
}

// revisionOf is the number of a revision, 0 for none.
func revisionOf(out Outcome) int64 { return aws.ToInt64(out.Revision) }
