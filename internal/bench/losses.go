package bench

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/hashicorp/consul/api"

	"github.com/consulecs/terraform-provider-consulecs/internal/bench/figures"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/sleep"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/fleet"
)

// heals deletes the service of a task behind its back, again and again, and times until it is whole again.
func (b *bench) heals(ctx context.Context) error {
	s, definition, err := b.sampled(ctx, false, nil)
	if err != nil {
		return err
	}
	task, err := s.passing(ctx, definition)
	if err != nil {
		return err
	}
	id := fleet.TaskID(task)
	for i := range b.Samples {
		// Later than the start, where a task looks often.
		if !sleep.For(ctx, 2*time.Second) {
			return context.Cause(ctx)
		}
		begin := time.Now()
		lost := &api.CatalogDeregistration{Node: s.Cluster, ServiceID: mesh.ServiceID(sample, id)}
		if _, err := s.catalog.Catalog().Deregister(lost, (&api.WriteOptions{}).WithContext(ctx)); err != nil {
			return err
		}
		whole, err := s.await(ctx, "it is whole again", id, allPass)
		if err != nil {
			return err
		}
		b.add(figures.Figure{Name: "lost registration healed", Unit: "s", Goal: "< 3 s", Incumbent: "never"}, whole.Sub(begin).Seconds())
		b.say("%d of %d healed", i+1, b.Samples)
	}
	return s.ended(ctx, aws.ToString(task.TaskArn))
}

// kills kills tasks outright and times how the controller cleans up after them.
func (b *bench) kills(ctx context.Context) error {
	s, definition, err := b.sampled(ctx, false, nil)
	if err != nil {
		return err
	}
	for i := range b.Samples {
		task, err := s.passing(ctx, definition)
		if err != nil {
			return err
		}
		begin := time.Now()
		if err := s.KillTask(ctx, aws.ToString(task.TaskArn)); err != nil {
			return err
		}
		gone, err := s.await(ctx, "it leaves the catalog", fleet.TaskID(task), none)
		if err != nil {
			return err
		}
		b.add(figures.Figure{Name: "killed task → out of the catalog", Unit: "s", Goal: "< 12 s"}, gone.Sub(begin).Seconds())
		b.say("%d of %d cleaned up", i+1, b.Samples)
	}
	return nil
}
