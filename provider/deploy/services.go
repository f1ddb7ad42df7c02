package deploy

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/hashicorp/terraform-plugin-log/tflog"

	"github.com/consulecs/terraform-provider-consulecs/internal/awsapi"
	"github.com/consulecs/terraform-provider-consulecs/provider/block"
	"github.com/consulecs/terraform-provider-consulecs/provider/lag"
)

// services describes ECS services for everyone in the process: what is asked at about the same time about one ECS cluster goes
// in one call. Many resources are refreshed, or wait, at once.
type services struct {
	ecs      *ecs.Client
	ignored  block.IgnoredTags
	mu       sync.Mutex
	open     map[string]*question // by ECS cluster, as the askers name it
	expected map[[2]string]*question
}

// question is one call of DescribeServices, to be or made.
type question struct {
	names    []string
	due      sync.Once // when the first asker needs the answer
	once     sync.Once
	answered chan struct{}
	found    map[string]ecstypes.Service // after answered is closed
	err      error
}

func newServices(client *ecs.Client, ignored block.IgnoredTags) *services {
	return &services{ecs: client, ignored: ignored, open: map[string]*question{}, expected: map[[2]string]*question{}}
}

// describe is the service as ECS shows it, also an inactive one; nil if it shows none.
func (s *services) describe(ctx context.Context, ecsCluster, name string) (*ecstypes.Service, error) {
	q := s.join(ctx, ecsCluster, name)
	select {
	case <-q.answered:
	case <-ctx.Done():
		return nil, fmt.Errorf("describe service %s in ECS cluster %s: %w", name, ecsCluster, context.Cause(ctx))
	}
	err := q.err
	if awsapi.IsAccessDenied(err) && len(q.names) > 1 { // perhaps for the sake of another service
		q = &question{names: []string{name}, answered: make(chan struct{})}
		s.ask(ctx, ecsCluster, q)
		err = q.err
	}
	found, ok := q.found[name]
	switch {
	case awsapi.IsNotFound(err): // the ECS cluster is gone, and the service with it
		return &ecstypes.Service{ServiceName: &name, Status: aws.String(serviceInactive)}, nil
	case err != nil:
		return nil, fmt.Errorf("describe service %s in ECS cluster %s: %w", name, ecsCluster, err)
	case !ok:
		return nil, nil
	}
	return &found, nil
}

// expect has the next describe of the service go along with that of whoever needs an answer first. Terraform refreshes ten resources
// at a time, each a little later than the other: those that only ask when they need it would ask alone.
func (s *services) expect(ctx context.Context, ecsCluster, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expected[[2]string{ecsCluster, name}] = s.add(ctx, ecsCluster, name)
}

// join finds the question that the name goes along with, and has it asked soon; not in the context of one asker, whose end would be
// that of all.
func (s *services) join(ctx context.Context, ecsCluster, name string) *question {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := [2]string{ecsCluster, name}
	q, ok := s.expected[key]
	if delete(s.expected, key); !ok {
		q = s.add(ctx, ecsCluster, name)
	}
	q.due.Do(func() {
		forAll := context.WithoutCancel(ctx)
		time.AfterFunc(gatherQuestions, func() { s.close(ecsCluster, q); s.ask(forAll, ecsCluster, q) })
	})
	return q
}

// add adds the name to the question that is open, or opens one. A question that is full is asked at once.
func (s *services) add(ctx context.Context, ecsCluster, name string) *question {
	q := s.open[ecsCluster]
	if q == nil {
		q = &question{answered: make(chan struct{})}
		s.open[ecsCluster] = q
	}
	if !slices.Contains(q.names, name) {
		q.names = append(q.names, name)
	}
	if len(q.names) == mostServicesAsk {
		delete(s.open, ecsCluster)
		go s.ask(context.WithoutCancel(ctx), ecsCluster, q)
	}
	return q
}

// close keeps further names from joining the question.
func (s *services) close(ecsCluster string, q *question) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open[ecsCluster] == q {
		delete(s.open, ecsCluster)
	}
}

func (s *services) ask(ctx context.Context, ecsCluster string, q *question) {
	q.once.Do(func() {
		defer close(q.answered)
		ctx, cancel := context.WithTimeout(ctx, describeWithin)
		defer cancel()
		described, err := s.ecs.DescribeServices(ctx, &ecs.DescribeServicesInput{
			Cluster: &ecsCluster, Services: q.names, Include: []ecstypes.ServiceField{ecstypes.ServiceFieldTags},
		})
		if q.err = err; err != nil {
			return
		}
		q.found = map[string]ecstypes.Service{}
		for _, service := range described.Services {
			service.Tags = slices.DeleteFunc(service.Tags, func(tag ecstypes.Tag) bool { return s.ignored.Has(aws.ToString(tag.Key)) })
			q.found[aws.ToString(service.ServiceName)] = service
		}
	})
}

// FindServices are those of the names that there are, active or on their way out. They are asked for in one call.
func (c *Client) FindServices(ctx context.Context, ecsCluster string, names ...string) (map[string]*ecstypes.Service, error) {
	for _, name := range names {
		c.services.expect(ctx, ecsCluster, name)
	}
	all := map[string]*ecstypes.Service{}
	for _, name := range names {
		found, err := c.findService(ctx, ecsCluster, name)
		if err != nil {
			return nil, err
		}
		if found != nil {
			all[name] = found
		}
	}
	return all, nil
}

// EachService shows the services of an ECS cluster, active or on their way out, until that is enough.
func (c *Client) EachService(ctx context.Context, ecsCluster string, enough func(ecstypes.Service) bool) error {
	pages := ecs.NewListServicesPaginator(c.ecs, &ecs.ListServicesInput{Cluster: &ecsCluster, MaxResults: aws.Int32(mostServicesList)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if awsapi.IsNotFound(err) { // the ECS cluster is gone, and its services with it
			return nil
		}
		if err != nil {
			return fmt.Errorf("list services of ECS cluster %s: %w", ecsCluster, err)
		}
		for arns := range slices.Chunk(page.ServiceArns, mostServicesAsk) {
			described, err := c.ecs.DescribeServices(ctx, &ecs.DescribeServicesInput{Cluster: &ecsCluster, Services: arns, Include: []ecstypes.ServiceField{ecstypes.ServiceFieldTags}})
			if err != nil {
				return fmt.Errorf("describe services of ECS cluster %s: %w", ecsCluster, err)
			}
			for _, service := range described.Services {
				if aws.ToString(service.Status) != serviceInactive && enough(service) {
					return nil
				}
			}
		}
	}
	return nil
}

// serviceRevision is the service revision that all tasks of a service are of, which tells more than the service. While a deployment goes
// on there are several, and what is wanted is not there yet: then it is nil. It is nil, too, for whoever may not ask, and where the
// endpoint does not know the question: the state keeps what it has.
func (c *Client) serviceRevision(ctx context.Context, service ecstypes.Service) (*ecstypes.ServiceRevision, error) {
	if len(service.CurrentServiceRevisions) != 1 || len(service.Deployments) != 1 || service.Deployments[0].RolloutState != ecstypes.DeploymentRolloutStateCompleted {
		return nil, nil
	}
	arn := aws.ToString(service.CurrentServiceRevisions[0].Arn)
	described, err := c.ecs.DescribeServiceRevisions(ctx, &ecs.DescribeServiceRevisionsInput{ServiceRevisionArns: []string{arn}})
	switch {
	case awsapi.IsAccessDenied(err), awsapi.IsUnsupported(err):
		warnOfUnread(ctx, service, err)
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("describe service revision %s: %w", arn, err)
	case len(described.ServiceRevisions) == 0: // gone in the meantime
		return nil, nil
	}
	return &described.ServiceRevisions[0], nil
}

func warnOfUnread(ctx context.Context, service ecstypes.Service, err error) {
	tflog.Warn(ctx, "settings of an ecs service not read", map[string]any{"service": aws.ToString(service.ServiceName), "settings": "monitoring, gateway_connector", "err": err.Error()})
}

// isSettledRefusal reports whether AWS refuses a call for good: not because there were too many.
func isSettledRefusal(err error) bool { return awsapi.IsRefused(err) && !awsapi.IsThrottled(err) }

// IsActive reports whether a service that was found is there to stay.
func IsActive(service *ecstypes.Service) bool {
	return service != nil && aws.ToString(service.Status) == serviceActive
}

// serviceFinder is findService or findKnownService.
type serviceFinder func(ctx context.Context, ecsCluster, name string) (*ecstypes.Service, error)

// serviceFinder chooses by whether the service was there before.
func (c *Client) serviceFinder(known bool) serviceFinder {
	if known {
		return c.findKnownService
	}
	return c.findService
}

// findService finds the service, active or on its way out; nil if there is none.
func (c *Client) findService(ctx context.Context, ecsCluster, name string) (*ecstypes.Service, error) {
	found, err := c.services.describe(ctx, ecsCluster, name)
	if err != nil || found == nil || aws.ToString(found.Status) == serviceInactive {
		return nil, err
	}
	return found, nil
}

// findKnownService is findService for a service that there was. ECS may not show one that was made a moment ago: that it is
// missing is believed only when it stays so, or when ECS shows it as inactive.
func (c *Client) findKnownService(ctx context.Context, ecsCluster, name string) (*ecstypes.Service, error) {
	began := time.Now()
	var found *ecstypes.Service
	err := lag.Poll(ctx, func() (bool, string, error) {
		var err error
		found, err = c.services.describe(ctx, ecsCluster, name)
		if err != nil || found != nil || time.Since(began) >= missingWithin {
			return true, "", err
		}
		tflog.Info(ctx, "waiting for AWS", map[string]any{"for": "ECS does not show a service", "service": name, "ecs_cluster": ecsCluster})
		return false, fmt.Sprintf("ECS shows no service %s", name), nil
	})
	if err != nil || found == nil || aws.ToString(found.Status) == serviceInactive {
		return nil, err
	}
	return found, nil
}
