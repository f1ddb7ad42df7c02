package world_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"

	"github.com/consulecs/terraform-provider-consulecs/internal/awsapi"
	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/eventbus"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/world"
)

func TestWorldComesUpAndLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	for _, emulator := range []world.Emulator{world.Moto, world.LocalStack} {
		t.Run(string(emulator), func(t *testing.T) {
			t.Parallel()
			name := "consulecs-world-" + string(emulator)
			w, err := world.Start(t.Context(), world.Config{Name: name, Dir: t.TempDir(), Emulator: emulator})
			if err != nil {
				t.Fatal(err)
			}
			if w.Cluster == "" || w.CASecretARN == "" || w.TokenSecretARN == "" {
				t.Errorf("address %+v, want the ARNs of the cluster and of both secrets", w.Address)
			}
			if err := w.SetEvents(t.Context(), eventbus.Disorder{Duplicates: 2}); err == nil || !strings.Contains(err.Error(), "want a share from 0 to 1") {
				t.Errorf("each event twice and once more: %v", err)
			}
			if err := errors.Join(w.SetEvents(t.Context(), eventbus.Disorder{Duplicates: 1}), w.SetQuotas(t.Context(), true)); err != nil {
				t.Error(err)
			}
			if n := throttled(t, w); n < 100 {
				t.Errorf("%d of 400 calls of ListTasks were throttled", n)
			}
			if stats, err := w.EventStats(t.Context()); err != nil || stats != (eventbus.Stats{}) {
				t.Errorf("without tasks: events %+v, %v", stats, err)
			}
			if err := w.Close(); err != nil {
				t.Error(err)
			}
			left, err := world.Leftovers(t.Context(), name)
			if err != nil || len(left) > 0 {
				t.Errorf("left: %v, %v", left, err)
			}
		})
	}
}

// throttled counts the calls out of 400 that ECS turns away, where its quotas are on: it grants 100, and 20 a second.
func throttled(t *testing.T, world *world.World) (n int) {
	t.Helper()
	client := ecs.NewFromConfig(world.AWSConfig(), func(o *ecs.Options) { o.Retryer = aws.NopRetryer{} })
	for range 400 {
		switch _, err := client.ListTasks(t.Context(), &ecs.ListTasksInput{Cluster: &world.Cluster}); {
		case awsapi.IsThrottled(err):
			n++
		case err != nil:
			t.Fatal(err)
		}
	}
	return n
}
