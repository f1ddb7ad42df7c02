package problem_test

import (
	"testing"

	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
)

func TestAnUnknownKeyIsToldWithTheOneThatWasMeant(t *testing.T) {
	t.Parallel()
	known := []string{"containerPort", "hostPort", "image", "log_configuration", "name"}
	for key, want := range map[string]string{
		"imge":             "unknown key, want image",
		"container_port":   "unknown key, want containerPort",
		"LogConfiguration": "unknown key, want log_configuration",
		"nmae":             "unknown key, want one of containerPort, hostPort, image, log_configuration, name", // half of it differs
		"names":            "unknown key, want name",
		"entirely":         "unknown key, want one of containerPort, hostPort, image, log_configuration, name",
		"":                 "unknown key, want one of containerPort, hostPort, image, log_configuration, name",
	} {
		if got := problem.UnknownKey(key, known); got != want {
			t.Errorf("%q: %s, want %s", key, got, want)
		}
	}
}
