package testenv_test

import (
	"testing"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
)

func TestWorldComesUpAndLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	for _, emulator := range []testenv.Emulator{testenv.Moto, testenv.LocalStack} {
		t.Run(string(emulator), func(t *testing.T) {
			t.Parallel()
			name := "consulecs-world-" + string(emulator)
			world, err := testenv.StartWorld(t.Context(), testenv.WorldConfig{Name: name, Dir: t.TempDir(), Emulator: emulator})
			if err != nil {
				t.Fatal(err)
			}
			if world.Cluster == "" || world.CASecretARN == "" || world.TokenSecretARN == "" {
				t.Errorf("address %+v, want the ARNs of the cluster and of both secrets", world.Address)
			}
			if err := world.Close(); err != nil {
				t.Error(err)
			}
			left, err := testenv.WorldLeftovers(t.Context(), name)
			if err != nil || len(left) > 0 {
				t.Errorf("left: %v, %v", left, err)
			}
		})
	}
}
