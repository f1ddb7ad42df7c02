package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/consulecs/terraform-provider-consulecs/internal/bench/figures"
	"github.com/consulecs/terraform-provider-consulecs/internal/sleep"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
)

// quiet is how long nothing may be written for the writes of something to be over. The agents write what is due at once,
// but for health-sync's look, a second after a stop, whether its last write stands.
const quiet = 1500 * time.Millisecond

// writes counts what starts and stops write, first with the controller at work, then without it: what is more with it is
// the controller's.
func (b *bench) writes(ctx context.Context) error {
	s, definition, err := b.sampled(ctx, false, nil)
	if err != nil {
		return err
	}
	if err := b.countWrites(ctx, s, definition, "", figures.Figure{Goal: "≤ 7", Incumbent: "9"}, figures.Figure{Goal: "≤ 4", Incumbent: "5"}); err != nil {
		return err
	}
	if err := s.ended(ctx, s.controller); err != nil {
		return err
	}
	if err := b.countWrites(ctx, s, definition, ", without a controller", figures.Figure{}, figures.Figure{}); err != nil {
		return err
	}
	written, err := s.controllerWrites(ctx)
	if err != nil {
		return err
	}
	b.add(figures.Figure{Name: "Raft writes of a controller that finds Consul set up"}, written)
	return nil
}

// countWrites counts the writes of starts and stops, in a world where nothing else happens. How the figures are called ends
// in how.
func (b *bench) countWrites(ctx context.Context, s *stage, definition, how string, start, stop figures.Figure) error {
	start.Name, stop.Name = "Raft writes per task start"+how, "Raft writes per task stop"+how
	before, err := s.settledWrites(ctx)
	if err != nil {
		return err
	}
	for i := range b.Samples {
		task, err := s.passing(ctx, definition)
		if err != nil {
			return err
		}
		running, err := s.settledWrites(ctx)
		if err != nil {
			return err
		}
		if err := s.ended(ctx, aws.ToString(task.TaskArn)); err != nil {
			return err
		}
		gone, err := s.settledWrites(ctx)
		if err != nil {
			return err
		}
		started, stopped := running.Since(before), gone.Since(running)
		b.add(start, float64(started.Changes()))
		b.add(stop, float64(stopped.Changes()))
		b.say("%d of %d counted%s: start %v, stop %v", i+1, b.Samples, how, started.ByKind, stopped.ByKind)
		before = gone
	}
	return nil
}

// controllerWrites starts the controller and counts what it writes, where nothing else writes.
func (s *stage) controllerWrites(ctx context.Context) (float64, error) {
	before, err := s.settledWrites(ctx)
	if err != nil {
		return 0, err
	}
	if err := s.startController(ctx); err != nil {
		return 0, err
	}
	after, err := s.settledWrites(ctx)
	return float64(after.Since(before).Changes()), err
}

// settledWrites counts the writes so far once none has come for a while.
func (s *stage) settledWrites(ctx context.Context) (testenv.Writes, error) {
	last, err := s.world.Consul.Writes(ctx)
	if err != nil {
		return last, err
	}
	since := time.Now()
	for deadline := since.Add(limit); time.Since(since) < quiet; {
		if time.Now().After(deadline) {
			return last, fmt.Errorf("writes of Consul: not at rest within %s", limit)
		}
		if !sleep.For(ctx, quiet/10) {
			return last, context.Cause(ctx)
		}
		now, err := s.world.Consul.Writes(ctx)
		if err != nil {
			return last, err
		}
		if now.Changes() != last.Changes() {
			last, since = now, time.Now()
		}
	}
	return last, nil
}
