package world_test

import (
	"testing"

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
