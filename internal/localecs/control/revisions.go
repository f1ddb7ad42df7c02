package control

import (
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/names"
)

const maxRevisionsDescribed = 20

// revisionARN names the service revision that a deployment brings: arn:aws:ecs:region:account:service-revision/cluster/service/number.
func (s *service) revisionARN(r *rollout) string {
	return strings.Replace(*s.ServiceArn, ":service/", ":service-revision/", 1) + "/" + names.Last(*r.Id)
}

// currentRevisions are those that a service's deployments are of, with the tasks that described counts.
func (s *service) currentRevisions(described []ecstypes.Deployment) (all []ecstypes.ServiceCurrentRevisionSummary) {
	for i, d := range described {
		all = append(all, ecstypes.ServiceCurrentRevisionSummary{
			Arn: aws.String(s.revisionARN(s.Rollouts[i])), RequestedTaskCount: d.DesiredCount, RunningTaskCount: d.RunningCount, PendingTaskCount: d.PendingCount,
		})
	}
	return all
}

// DescribeServiceRevisions describes up to twenty service revisions, of the deployments that there still are.
func (c *Control) DescribeServiceRevisions(in *ecs.DescribeServiceRevisionsInput) (*ecs.DescribeServiceRevisionsOutput, error) {
	if n := len(in.ServiceRevisionArns); n == 0 || n > maxRevisionsDescribed {
		return nil, badParameter("Between 1 and %d service revisions can be described, not %d.", maxRevisionsDescribed, n)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	out := &ecs.DescribeServiceRevisionsOutput{ServiceRevisions: []ecstypes.ServiceRevision{}, Failures: []ecstypes.Failure{}}
	for _, arn := range in.ServiceRevisionArns {
		if revision := c.serviceRevision(arn); revision != nil {
			out.ServiceRevisions = append(out.ServiceRevisions, *revision)
		} else {
			out.Failures = append(out.Failures, missing(arn))
		}
	}
	return out, nil
}

// serviceRevision finds a service revision. The caller holds the lock.
func (c *Control) serviceRevision(arn string) *ecstypes.ServiceRevision {
	for _, s := range c.state.Services {
		i := slices.IndexFunc(s.Rollouts, func(r *rollout) bool { return s.revisionARN(r) == arn })
		if i < 0 {
			continue
		}
		r := s.Rollouts[i]
		return &ecstypes.ServiceRevision{
			ServiceRevisionArn: &arn, ServiceArn: s.ServiceArn, ClusterArn: s.ClusterArn, CreatedAt: r.CreatedAt, TaskDefinition: r.TaskDefinition, LaunchType: r.LaunchType,
			CapacityProviderStrategy: r.CapacityProviderStrategy, NetworkConfiguration: r.NetworkConfiguration, PlatformVersion: r.PlatformVersion, PlatformFamily: r.PlatformFamily,
			VolumeConfigurations: r.VolumeConfigurations, Monitoring: r.Monitoring, LoadBalancers: s.LoadBalancers, ServiceRegistries: s.ServiceRegistries, VpcLatticeConfigurations: s.Lattice,
		}
	}
	return nil
}
