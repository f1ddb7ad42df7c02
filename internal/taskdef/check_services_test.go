package taskdef_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskdef"
)

func TestServicesThatOneTaskCannotBeAreRefused(t *testing.T) {
	t.Parallel()
	with := func(service agentconfig.Service, changes ...func(*taskdef.Spec)) func(*taskdef.Spec) {
		return func(s *taskdef.Spec) {
			s.Services = []agentconfig.FurtherService{{Service: &service}}
			for _, change := range changes {
				change(s)
			}
		}
	}
	admin := agentconfig.Service{Name: "web-admin", Port: 8081}
	testRefusals(t, map[string]refusal{
		"the family's name": {with(agentconfig.Service{Name: "web", Port: 8081}), `services[0].service.name: is "web", which family gives the first service as its name: give each a name of its own`},
		"the first one's name": {
			with(agentconfig.Service{Name: "shop", Port: 8081}, func(s *taskdef.Spec) { s.Service.Name = "shop" }),
			`services[0].service.name: is "shop", the name of another service of the task: give each a name of its own`,
		},
		"the first one's port": {with(agentconfig.Service{Name: "web-admin", Port: 9090}), "services[0].service.port: is 9090, the port of the service"},
		"meta of the mesh":     {with(agentconfig.Service{Name: "web-admin", Port: 8081, Meta: map[string]string{"task-id": "x"}}), `services[0].service.meta["task-id"]: is set by the mesh: choose another key`},
		"outbound only": {
			with(admin, func(s *taskdef.Spec) { s.OutboundOnly = true }),
			"outboundOnly: is true, but the task is several services, and each of them is there to be called: leave it out",
		},
		"transparent proxy": {
			with(admin, func(s *taskdef.Spec) {
				s.Task.LaunchTypes = []ecstypes.Compatibility{ecstypes.CompatibilityEc2}
				s.TransparentProxy.Enabled = aws.Bool(true)
			}),
			"transparentProxy.enabled: is true, but the task is several services: callers with a transparent proxy tell services by their addresses, which here are one. Leave it out, or make a task of each service",
		},
		"a container at the second listener": {
			with(admin, func(s *taskdef.Spec) {
				s.Containers[0].Definition.PortMappings = []ecstypes.PortMapping{{ContainerPort: aws.Int32(20001)}}
			}),
			"containers[0].portMappings[0].containerPort: is 20001, which services[0].proxy.publicListenerPort has taken",
		},
		"a container at the second Envoy": {
			with(admin, func(s *taskdef.Spec) {
				s.Containers[0].Definition.PortMappings = []ecstypes.PortMapping{{ContainerPort: aws.Int32(19001)}}
			}),
			"containers[0].portMappings[0].containerPort: is 19001, which services[0].proxy has taken",
		},
	})
}
