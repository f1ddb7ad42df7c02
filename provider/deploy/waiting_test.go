package deploy

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/smithy-go"

	"github.com/consulecs/terraform-provider-consulecs/provider/lag"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

var notSeen = &smithy.GenericAPIError{Code: "InvalidParameterException", Message: "ECS was unable to assume the role 'arn:aws:iam::123456789012:role/web'"}

func TestANewRoleIsWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		err := lag.Through(t.Context(), func() error {
			if calls++; calls < 4 {
				return notSeen
			}
			return nil
		}, roleRefused)
		if err != nil || calls != 4 {
			t.Errorf("%d calls, %v; want 4 and no error", calls, err)
		}
	})
}

func TestARoleThatIsNeverSeenIsGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		err := lag.Through(t.Context(), func() error { return notSeen }, roleRefused)
		if took := time.Since(began); !errors.Is(err, error(notSeen)) || took < rolesSeenWithin || took > rolesSeenWithin+lag.LongestLook {
			t.Errorf("given up after %v with %v", took, err)
		}
	})
}

func TestOtherRefusalsAreNotRetried(t *testing.T) {
	t.Parallel()
	for _, err := range []error{errors.New("x"), &smithy.GenericAPIError{Code: "InvalidParameterException", Message: "no such subnet"}, &smithy.GenericAPIError{Code: "AccessDeniedException", Message: "not authorized to assume role"}} {
		calls := 0
		if got := lag.Through(t.Context(), func() error { calls++; return err }, roleRefused, unattached, roleMissing); !errors.Is(got, err) || calls != 1 {
			t.Errorf("%v: %d calls, %v", err, calls, got)
		}
	}
}

func TestAWaitThatEndsSaysHowThingsStood(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		err := row.WithTimeout(t.Context(), time.Minute, func(ctx context.Context) error {
			return lag.Poll(ctx, func() (bool, string, error) { return false, "0 of 1 tasks run", nil })
		})
		if err == nil || !strings.Contains(err.Error(), "not done within 1m0s") || !strings.Contains(err.Error(), "0 of 1 tasks run") {
			t.Errorf("got %v", err)
		}
		looks := 0
		err = row.WithTimeout(t.Context(), time.Minute, func(ctx context.Context) error {
			return lag.Poll(ctx, func() (bool, string, error) {
				if looks++; looks == 1 {
					return false, "0 of 1 tasks run", nil
				}
				<-ctx.Done() // the time ends inside a call
				return false, "", ctx.Err()
			})
		})
		if err == nil || !strings.HasSuffix(err.Error(), ": 0 of 1 tasks run") {
			t.Errorf("got %v", err)
		}
	})
}

func TestSteadyStateIsRecognised(t *testing.T) {
	t.Parallel()
	deployment := func(arn string, state ecstypes.DeploymentRolloutState) ecstypes.Deployment {
		return ecstypes.Deployment{TaskDefinition: aws.String(arn), RolloutState: state, RolloutStateReason: aws.String("tasks failed to start")}
	}
	for name, c := range map[string]struct {
		service ecstypes.Service
		done    bool
		failure string
	}{
		"all run":            {ecstypes.Service{DesiredCount: 2, RunningCount: 2, Deployments: []ecstypes.Deployment{deployment("new", "COMPLETED")}}, true, ""},
		"none is desired":    {ecstypes.Service{Deployments: []ecstypes.Deployment{deployment("new", "")}}, true, ""},
		"one is missing":     {ecstypes.Service{DesiredCount: 2, RunningCount: 1, Deployments: []ecstypes.Deployment{deployment("new", "IN_PROGRESS")}}, false, ""},
		"old ones still run": {ecstypes.Service{DesiredCount: 1, RunningCount: 1, Deployments: []ecstypes.Deployment{deployment("new", "IN_PROGRESS"), deployment("old", "")}}, false, ""},
		"given up":           {ecstypes.Service{DesiredCount: 1, Deployments: []ecstypes.Deployment{deployment("new", "FAILED"), deployment("old", "")}}, false, "tasks failed to start"},
		"rolled back":        {ecstypes.Service{DesiredCount: 1, Deployments: []ecstypes.Deployment{deployment("old", "")}}, false, "rolled back"},
	} {
		done, _, err := steady(c.service, "new")
		if done != c.done || (err != nil) != (c.failure != "") || err != nil && !strings.Contains(err.Error(), c.failure) {
			t.Errorf("%s: %v, %v", name, done, err)
		}
	}
}

// A controller has its time since the last task stopped, and no more, whatever the clocks say.
func TestAControllerHasItsTimeForWhatStoppedLast(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ ago, want time.Duration }{
		"just now": {0, reapedWithin}, "a while ago": {4 * time.Second, reapedWithin - 4*time.Second}, "long ago": {time.Hour, 0}, "by a clock that is ahead": {-time.Hour, reapedWithin},
	} {
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			if err := awaitReaped(t.Context(), began.Add(-c.ago)); err != nil || time.Since(began) != c.want {
				t.Errorf("%s: waited %v, %v, want %v", name, time.Since(began), err, c.want)
			}
			began = time.Now()
			if err := awaitReaped(t.Context(), time.Time{}); err != nil || time.Since(began) != 0 {
				t.Errorf("nothing has stopped: waited %v, %v", time.Since(began), err)
			}
		})
	}
}
