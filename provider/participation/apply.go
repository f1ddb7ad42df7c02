package participation

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/hashicorp/terraform-plugin-log/tflog"

	"github.com/consulecs/terraform-provider-consulecs/internal/awsapi"
	"github.com/consulecs/terraform-provider-consulecs/provider/block"
	"github.com/consulecs/terraform-provider-consulecs/provider/deploy"
	"github.com/consulecs/terraform-provider-consulecs/provider/lag"
	"github.com/consulecs/terraform-provider-consulecs/provider/occupancy"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

// givenUpWithin is how long a mesh task that could not be made takes to remove the controller that was made for it.
const givenUpWithin = 2 * time.Minute

// Join has a mesh task take part: the controller runs before act makes what is the mesh task's own, and is still there afterwards. If act
// fails, and nobody else takes part, a controller that this apply has made goes again.
func (s *Share) Join(ctx context.Context, w Wish, act func(context.Context) error) (*ecstypes.Service, error) {
	s.count(1)
	controller, made, err := s.ensure(ctx, w)
	if err != nil {
		err = fmt.Errorf("make %s ready: %w", s.name(), err)
	} else if err = act(ctx); err == nil {
		if controller, err = s.confirm(ctx, w, made); err != nil {
			err = fmt.Errorf("look at %s again: %w", s.name(), err)
		}
	}
	s.count(-1)
	if err == nil || !s.mayLeave() {
		return controller, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), givenUpWithin) // the resource's own time may be over
	defer cancel()
	if left := s.leave(ctx, w); left != nil {
		err = fmt.Errorf("%w\nhint: the %s may be left, without a mesh task that takes part (%w): the next apply uses it, and the destroy of the last mesh task with a controller block removes it", err, s.name(), left)
	}
	return controller, err
}

func (s *Share) count(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.joining += n
}

// mayLeave reports whether a controller that nobody uses is this apply's to remove.
func (s *Share) mayLeave() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.made || s.owed
}

// ensure finds a controller or makes the shared one, and waits until it runs. One mesh task at a time does so, and those after it take
// what it found.
func (s *Share) ensure(ctx context.Context, w Wish) (controller *ecstypes.Service, made bool, err error) {
	release, err := s.take(ctx)
	if err != nil {
		return nil, false, err
	}
	defer release()
	if s.ready != nil && !w.Changed {
		return s.ready, false, nil
	}
	return s.bring(ctx, w)
}

// confirm looks whether the controller is still there, now that the mesh task's service shows that it is needed: who left at the same time
// may have removed it before that. Of one that the mesh task made, a part may be gone.
func (s *Share) confirm(ctx context.Context, w Wish, made bool) (*ecstypes.Service, error) {
	release, err := s.take(ctx)
	if err != nil {
		return nil, err
	}
	ready := s.ready
	if made {
		defer release()
		if err := s.apply(ctx, w); err != nil {
			return ready, err
		}
		return ready, s.client.AwaitRunning(ctx, s.ecsCluster, Name)
	}
	release()
	name := aws.ToString(ready.ServiceName)
	there, err := s.client.FindServices(ctx, s.ecsCluster, name)
	if err != nil || deploy.IsActive(there[name]) {
		return ready, err
	}
	tflog.Info(ctx, "controller gone", map[string]any{"service": name, "ecs_cluster": s.ecsCluster})
	if release, err = s.take(ctx); err != nil {
		return ready, err
	}
	defer release()
	if s.ready != ready { // another mesh task was faster
		return s.ready, nil
	}
	controller, _, err := s.bring(ctx, w)
	return controller, err
}

// bring is ensure for whoever has the turn.
func (s *Share) bring(ctx context.Context, w Wish) (controller *ecstypes.Service, made bool, err error) {
	if controller, err = s.find(ctx, ""); err != nil {
		return nil, false, err
	}
	switch {
	case controller == nil:
		if controller, err = s.begin(ctx, w); err != nil {
			return nil, false, err
		}
		made = s.IsShared(controller)
	case w.Changed && s.IsShared(controller) && (s.Differs(controller, w.Hash) || !runsIn(controller, w.Design.Service)):
		if err := s.apply(ctx, w); err != nil {
			return nil, false, err
		}
	}
	if s.IsShared(controller) {
		if err := s.client.AwaitRunning(ctx, s.ecsCluster, Name); err != nil {
			return nil, false, err
		}
	}
	s.ready = controller
	return controller, made, nil
}

// begin makes the shared controller. Another Terraform may do so at the same time: what matters is that there is one in the end.
func (s *Share) begin(ctx context.Context, w Wish) (*ecstypes.Service, error) {
	s.mu.Lock()
	s.made = true // or a part of it
	s.mu.Unlock()
	failed := s.apply(ctx, w)
	controller, err := s.find(ctx, "")
	if controller == nil || err != nil {
		return nil, errors.Join(failed, err, missing(failed, err))
	}
	if failed != nil {
		tflog.Warn(ctx, "controller made by others", map[string]any{"service": aws.ToString(controller.ServiceArn), "err": failed.Error()})
	}
	return controller, nil
}

// missing is an error where there is no other.
func missing(errs ...error) error {
	if errors.Join(errs...) != nil {
		return nil
	}
	return errors.New("ECS does not show the service that was made")
}

func (s *Share) apply(ctx context.Context, w Wish) error {
	return s.onOwned(ctx, w, func(had deploy.Before) error { return s.client.Apply(ctx, w.Design, had, had.Begin()) })
}

// overtaken tells that what was there a moment ago is gone: another Terraform makes or removes the controller at the same time.
var overtaken = lag.Lag{
	What: "another Terraform makes or removes the controller", Within: 10 * time.Second,
	Is: func(err error) bool { return awsapi.IsNotFound(err) || awsapi.IsClientException(err) },
}

// onOwned does something with what there is of the shared controller.
func (s *Share) onOwned(ctx context.Context, w Wish, do func(deploy.Before) error) error {
	return lag.Through(ctx, func() error {
		had, err := s.client.Owned(ctx, w.Design, w.Former)
		if err != nil {
			return err
		}
		return do(had)
	}, overtaken)
}

// runsIn reports whether a service has the network.
func runsIn(is *ecstypes.Service, want *block.ECSService) bool {
	sorted := func(ids []string) []string { return slices.Sorted(slices.Values(ids)) }
	n := row.Value(is.NetworkConfiguration).AwsvpcConfiguration
	return n != nil && slices.Equal(sorted(n.Subnets), sorted(want.Subnets)) && slices.Equal(sorted(n.SecurityGroups), sorted(want.SecurityGroups)) &&
		(n.AssignPublicIp == ecstypes.AssignPublicIpEnabled) == row.Value(want.AssignPublicIP) && (want.LaunchType == nil || string(is.LaunchType) == *want.LaunchType) &&
		(len(want.CapacityProviderStrategy) == 0 || sameProviders(is.CapacityProviderStrategy, want.CapacityProviderStrategy))
}

func sameProviders(is []ecstypes.CapacityProviderStrategyItem, want []block.CapacityProvider) bool {
	var asked []ecstypes.CapacityProviderStrategyItem
	row.ToSpec(&asked, want)
	return reflect.DeepEqual(is, asked)
}

// Leave removes the shared controller once no mesh task takes part any more. The one that leaves must not be there any more, or not bear
// the tag. What is gone already is no error.
func (s *Share) Leave(ctx context.Context, w Wish) error {
	if err := s.leave(ctx, w); err != nil {
		return fmt.Errorf("leave %s: %w", s.name(), err)
	}
	return nil
}

func (s *Share) leave(ctx context.Context, w Wish) error {
	release, err := s.take(ctx)
	if err != nil {
		return err
	}
	defer release()
	if s.isJoined() {
		return nil
	}
	for range 2 { // the second time, the last tasks were waited for
		if needed, err := s.isNeeded(ctx); needed || err != nil {
			return err
		}
		there, err := s.client.FindServices(ctx, s.ecsCluster, Name)
		if err != nil {
			return err
		}
		if !s.IsShared(there[Name]) {
			break
		}
		if err := s.client.AwaitReaped(ctx, occupancy.Mesh{ECSClusters: []string{s.ecsCluster}}); err != nil {
			return err
		}
	}
	remove := func(had deploy.Before) error { return s.client.Remove(ctx, w.Design.Family, s.owner, had) }
	if err := s.onOwned(ctx, w, remove); err != nil {
		return err
	}
	s.mu.Lock()
	s.made, s.owed, s.ready = false, false, nil
	s.mu.Unlock()
	if needed, err := s.isNeeded(ctx); !needed || err != nil || !w.Design.IsFinished() {
		return err
	}
	tflog.Info(ctx, "controller needed again", map[string]any{"ecs_cluster": s.ecsCluster})
	controller, err := s.find(ctx, "")
	if err != nil || controller != nil && !s.IsShared(controller) {
		return err
	}
	s.client.Remade(s.owner) // others may have made it again while it was removed, and a part of theirs may be gone
	return s.apply(ctx, w)
}

// isJoined reports whether mesh tasks of this apply take part whose services may not be there yet: the last of them sees to the rest.
func (s *Share) isJoined() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.owed = s.owed || s.joining > 0
	return s.joining > 0
}
