package deploy

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/terraform-plugin-log/tflog"

	"github.com/consulecs/terraform-provider-consulecs/internal/awsapi"
	"github.com/consulecs/terraform-provider-consulecs/internal/sleep"
)

// Times between two looks at AWS.
const (
	firstLook   = 500 * time.Millisecond
	longestLook = 10 * time.Second
)

// How long AWS is given.
const (
	rolesSeenWithin  = 2 * time.Minute  // until ECS uses a new role, and IAM itself knows it everywhere
	attachedWithin   = 5 * time.Minute  // until a load balancer that is made in the same apply uses a target group
	shownWithin      = 30 * time.Second // until ECS shows a new service, or a new deployment, to those who wait for it
	missingWithin    = 10 * time.Second // until a service that the state knows is taken for deleted
	conflictsWithin  = 30 * time.Second // until IAM has forgotten the policies of a role that is to go
	describeWithin   = 5 * time.Minute  // for one call that many wait for
	takenBackWithin  = 2 * time.Minute  // for taking back what a failed create made
	explainedWithin  = 10 * time.Second // for asking ECS why a service is not steady
	gatherQuestions  = 50 * time.Millisecond
	mostServicesAsk  = 10  // services in one DescribeServices
	mostTasksAsk     = 100 // tasks in one DescribeTasks
	mostRevisionsAsk = 10  // revisions in one DeleteTaskDefinitions
	mostRolesList    = 1000
)

// lag is something that one part of AWS knows and another learns later.
type lag struct {
	what   string // in the log
	is     func(error) bool
	within time.Duration
}

var (
	roleMissing  = lag{"IAM does not know the new role everywhere", awsapi.IsRoleMissing, rolesSeenWithin}
	roleRefused  = lag{"ECS does not use the new role", awsapi.IsRoleRefused, rolesSeenWithin}
	unattached   = lag{"no load balancer uses the target group", awsapi.IsTargetGroupUnattached, attachedWithin}
	removedShown = lag{"IAM still shows a role that was deleted", func(err error) bool { return errors.Is(err, errRemoved) }, rolesSeenWithin}
	policiesLeft = lag{"IAM has not forgotten the role's policies", awsapi.IsRoleInUse, conflictsWithin}
)

// through repeats call while it fails for one of the lags, each within its bound. call has to bear repetition.
func through(ctx context.Context, call func() error, lags ...lag) error {
	began := time.Now()
	return poll(ctx, func() (bool, string, error) {
		err := call()
		for _, l := range lags {
			if l.is(err) && time.Since(began) < l.within {
				tflog.Info(ctx, "waiting for AWS", map[string]any{"for": l.what, "err": err.Error()})
				return false, err.Error(), nil
			}
		}
		return true, "", err
	})
}

// withCause says why ctx ended beside an error that only says that it did. The SDK knows nothing of causes.
func withCause(ctx context.Context, err error) error {
	cause := context.Cause(ctx)
	if err == nil || cause == nil || errors.Is(err, cause) {
		return err
	}
	return fmt.Errorf("%w: %w", cause, err)
}

// poll looks at once and then at growing intervals until look is done, fails, or ctx ends; the last reason that look gave is
// then part of the error.
func poll(ctx context.Context, look func() (done bool, reason string, err error)) error {
	var last string
	for wait := firstLook; ; wait = min(longestLook, wait*3/2) {
		done, reason, err := look()
		if done || err != nil && ctx.Err() == nil {
			return err
		}
		if reason != "" {
			last = ": " + reason
		}
		if !sleep.For(ctx, wait) {
			return fmt.Errorf("%w%s", context.Cause(ctx), last)
		}
	}
}
