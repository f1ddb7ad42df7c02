package fleet_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskdef"
)

func TestAProbedTaskServesBeforeECSHasAVerdict(t *testing.T) {
	t.Parallel()
	began := time.Now()
	task := quiet.start(t, app{name: "probed", port: 9090, healthCheck: true, change: func(s *taskdef.Spec) {
		s.ReadinessProbes = []agentconfig.ReadinessProbe{{Container: "app", Type: "http", Port: 9090}}
	}})
	quiet.passes(t, "probed", task)
	t.Logf("passes %s after RunTask", time.Since(began).Round(time.Millisecond))
	for _, c := range quiet.again(t, task).Containers {
		if aws.ToString(c.Name) == "app" && c.HealthStatus != ecstypes.HealthStatusUnknown {
			t.Errorf("ECS takes the application for %s already: the probe has not been quicker", c.HealthStatus)
		}
	}
	quiet.healthy(t, task)
	quiet.passes(t, "probed", task) // ECS's verdict changes nothing
}
