// Package participation has mesh tasks share the controller of their ECS cluster: the first that takes part makes it, the last takes it
// down. No state remembers it, as any of several states may have made it and another be the last: whose it is follows from the ECS
// cluster, and who takes part is told by a tag of the mesh tasks' ECS services.
package participation

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/awsapi"
	"github.com/consulecs/terraform-provider-consulecs/internal/iamrole"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskdef"
	"github.com/consulecs/terraform-provider-consulecs/provider/block"
	"github.com/consulecs/terraform-provider-consulecs/provider/deploy"
	"github.com/consulecs/terraform-provider-consulecs/provider/meshcontroller"
	"github.com/consulecs/terraform-provider-consulecs/provider/ownership"
)

// Name is that of the shared controller's ECS service. No resource is called so by itself, so that none is in its way.
const Name = "consul-ecs-shared-controller"

// tagHash is the tag of the shared controller that says which settings it has.
const tagHash = "consul.hashicorp.com/controller-hash"

// Owner owns the shared controller of an ECS cluster. It is the same to everyone who takes part.
func Owner(ecsCluster string, home iamrole.Home) ownership.Owner {
	name := block.EcsClusterName(ecsCluster)
	return ownership.Owner{
		Name: ownership.Name("consulecs_mesh_task", home.Region, name+"/"+Name),
		ID:   ownership.Derived(home.Partition, home.Account, home.Region, name, Name),
	}
}

// Participant marks the design of a mesh task that takes part.
func Participant(d *deploy.Design) { d.Tag(mesh.TaskTagController, Name) }

// IsParticipant reports whether an ECS service with the tags takes part.
func IsParticipant(tags map[string]string) bool { return tags[mesh.TaskTagController] == Name }

// Wish is what a mesh task asks of the shared controller.
type Wish struct {
	Design  deploy.Design
	Hash    string        // of the settings, wherever its tasks run
	Former  deploy.Design // what the mesh task asked for before; its zero value where it asked for nothing
	Changed bool          // the mesh task asks for something else than before
}

// NewWish is a wish for the design, which is marked with its hash.
func NewWish(d deploy.Design, hash string) Wish {
	d.Tag(tagHash, hash)
	return Wish{Design: d, Hash: hash}
}

// Share is the controller of one ECS cluster, as the mesh tasks of one plan or apply see it.
type Share struct {
	client     *deploy.Client
	ecsCluster string // name or ARN
	owner      ownership.Owner

	turn chan struct{} // holds one: whoever makes, changes or removes the controller

	mu      sync.Mutex
	asked   func() (*ecstypes.Service, error) // what a plan has found out
	joining int                               // mesh tasks that were promised the controller, and whose ECS services may not be there yet
	made    bool                              // this apply has made it
	owed    bool                              // somebody left, and who was joining is to see to it
	ready   *ecstypes.Service                 // what this apply has found or made
}

type shareKey string

// Of is the share of the ECS cluster.
func Of(c *deploy.Client, ecsCluster string, home iamrole.Home) *Share {
	return deploy.Kept(c, shareKey(block.EcsClusterName(ecsCluster)), func() *Share {
		return &Share{client: c, ecsCluster: ecsCluster, owner: Owner(ecsCluster, home), turn: make(chan struct{}, 1)}
	})
}

// Controller is the ECS service of the controller that there is, whoever made it; nil if there is none. A plan asks once. last is
// the ARN of the one that there was.
func (s *Share) Controller(ctx context.Context, last string) (*ecstypes.Service, error) {
	s.mu.Lock()
	if s.asked == nil {
		s.asked = sync.OnceValues(func() (*ecstypes.Service, error) { return s.find(context.WithoutCancel(ctx), last) })
	}
	asked := s.asked
	s.mu.Unlock()
	return asked()
}

// find looks for the shared controller, then for one of the name that controllers have by themselves, the incumbent's among them, then
// for one that any consulecs_controller made. Only for the last every service of the ECS cluster is looked at.
func (s *Share) find(ctx context.Context, last string) (*ecstypes.Service, error) {
	names := []string{Name, taskdef.DefaultControllerFamily}
	if cluster, name, ok := serviceOf(last); ok && cluster == block.EcsClusterName(s.ecsCluster) && name != names[0] && name != names[1] {
		names = append(names, name)
	}
	there, err := s.client.FindServices(ctx, s.ecsCluster, names...)
	if err != nil {
		return nil, err
	}
	for i, name := range names {
		if found := there[name]; deploy.IsActive(found) && (i < 2 || isResource(*found)) {
			return found, nil
		}
	}
	var found *ecstypes.Service
	err = s.client.EachService(ctx, s.ecsCluster, func(service ecstypes.Service) bool {
		if deploy.IsActive(&service) && isResource(service) {
			found = &service
		}
		return found != nil
	})
	return found, err
}

// isResource reports whether a consulecs_controller made the service.
func isResource(service ecstypes.Service) bool {
	return strings.HasPrefix(awsapi.TagMap(service.Tags)[ownership.TagECS], meshcontroller.ResourceType+"/")
}

// IsShared reports whether a controller is the shared one, not somebody's own.
func (s *Share) IsShared(controller *ecstypes.Service) bool {
	return controller != nil && s.owner.Is(awsapi.TagMap(controller.Tags)[ownership.TagECSID])
}

// Differs reports whether a controller is the shared one and has other settings than those of the hash.
func (s *Share) Differs(controller *ecstypes.Service, hash string) bool {
	return s.IsShared(controller) && awsapi.TagMap(controller.Tags)[tagHash] != hash
}

// serviceOf reads the ARN of an ECS service.
func serviceOf(arn string) (ecsCluster, name string, ok bool) {
	parts := strings.Split(arn, "/")
	if len(parts) != 3 {
		return "", "", false
	}
	return parts[1], parts[2], true
}

// ECSClusterOf is the name of the ECS cluster in the ARN of a service; "" if there is none.
func ECSClusterOf(serviceARN string) string {
	ecsCluster, _, _ := serviceOf(serviceARN)
	return ecsCluster
}

// isNeeded reports whether the ECS service of any mesh task takes part, or is on its way out.
func (s *Share) isNeeded(ctx context.Context) (bool, error) {
	needed := false
	err := s.client.EachService(ctx, s.ecsCluster, func(service ecstypes.Service) bool {
		needed = IsParticipant(awsapi.TagMap(service.Tags))
		return needed
	})
	return needed, err
}

// take waits for its turn.
func (s *Share) take(ctx context.Context) (release func(), err error) {
	select {
	case s.turn <- struct{}{}:
		return func() { <-s.turn }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for the controller of ECS cluster %s: %w", block.EcsClusterName(s.ecsCluster), context.Cause(ctx))
	}
}

func (s *Share) name() string {
	return fmt.Sprintf("controller %s of ECS cluster %s", Name, block.EcsClusterName(s.ecsCluster))
}

// ARN is that of a controller's service; nil of none.
func ARN(controller *ecstypes.Service) *string {
	if controller == nil {
		return nil
	}
	return aws.String(aws.ToString(controller.ServiceArn))
}
