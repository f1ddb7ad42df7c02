package deploy

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/consulecs/terraform-provider-consulecs/internal/awsapi"
	"github.com/consulecs/terraform-provider-consulecs/provider/lag"
)

// How long AWS is given.
const (
	rolesSeenWithin  = 2 * time.Minute  // until ECS uses a new role, and IAM itself knows it everywhere
	attachedWithin   = 5 * time.Minute  // until a load balancer that is made in the same apply uses a target group
	shownWithin      = 30 * time.Second // until ECS shows a new service, or a new deployment, to those who wait for it
	missingWithin    = 10 * time.Second // until a service that the state knows is taken for deleted
	conflictsWithin  = 30 * time.Second // until IAM has forgotten the policies of a role that is to go
	describeWithin   = 5 * time.Minute  // for one call that many wait for
	gatheredWithin   = time.Minute      // for reading all roles at once, before they are read one by one
	policiesKnown    = 10 * time.Second // until IAM knows everywhere the policies of a role that has others so far
	takenBackWithin  = 2 * time.Minute  // for taking back what a failed create made
	unmovedWithin    = 5 * time.Minute  // until tasks of the mesh that do not stop keep a controller from being destroyed
	reapedWithin     = 10 * time.Second // for a controller to remove from Consul what stopped last
	explainedWithin  = 10 * time.Second // for asking ECS why a service is not steady
	gatherQuestions  = 50 * time.Millisecond
	mostServicesAsk  = 10  // services in one DescribeServices
	mostServicesList = 100 // services in one page
	mostTasksAsk     = 100 // tasks in one DescribeTasks
	mostRevisionsAsk = 10  // revisions in one DeleteTaskDefinitions
	mostRolesList    = 1000
)

var (
	roleMissing  = lag.Lag{What: "IAM does not know the new role everywhere", Is: awsapi.IsRoleMissing, Within: rolesSeenWithin}
	roleRefused  = lag.Lag{What: "ECS does not use the new role", Is: awsapi.IsRoleRefused, Within: rolesSeenWithin}
	unattached   = lag.Lag{What: "no load balancer uses the target group", Is: awsapi.IsTargetGroupUnattached, Within: attachedWithin}
	removedShown = lag.Lag{What: "IAM still shows a role that was deleted", Is: func(err error) bool { return errors.Is(err, errRemoved) }, Within: rolesSeenWithin}
	goneMeantime = lag.Lag{What: "IAM knows nothing of a role that it still shows", Is: awsapi.IsNotFound, Within: rolesSeenWithin}
	policiesLeft = lag.Lag{What: "IAM has not forgotten the role's policies", Is: awsapi.IsRoleInUse, Within: conflictsWithin}
)

// withCause says why ctx ended beside an error that only says that it did. The SDK knows nothing of causes.
func withCause(ctx context.Context, err error) error {
	cause := context.Cause(ctx)
	if err == nil || cause == nil || errors.Is(err, cause) {
		return err
	}
	return fmt.Errorf("%w: %w", cause, err)
}
