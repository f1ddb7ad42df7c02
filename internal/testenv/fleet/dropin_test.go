package fleet_test

import (
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/fleet"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/incumbent"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/toolcache"
)

// runs registers the incumbent's definition of a mesh task and runs a task of it. The roles are those of our own task of that service.
func runs(t *testing.T, s *stage, d incumbent.Task) ecstypes.Task {
	t.Helper()
	client := ecs.NewFromConfig(s.AWSConfig())
	ours, err := client.DescribeTaskDefinition(t.Context(), &ecs.DescribeTaskDefinitionInput{
		TaskDefinition: aws.String(s.register(t, app{name: d.Family, port: d.Port})),
	})
	if err != nil {
		t.Fatal(err)
	}
	url := ""
	if d.Upstream != "" {
		url = "http://127.0.0.1:1234"
	}
	d.App = fleet.App(d.Family, fmt.Sprintf("0.0.0.0:%d", d.Port), url, true)
	if d.Delay != "" {
		d.App.Command = []string{"/demo-app"}
	}
	d.Servers = incumbent.Servers{Hosts: s.ConsulHost, ServerName: s.ConsulServerName, CASecretARN: s.CASecretARN}
	d.Image, d.LaunchType = toolcache.AgentImage, ecstypes.CompatibilityEc2
	d.Env = []ecstypes.KeyValuePair{{Name: aws.String("AWS_ENDPOINT_URL"), Value: &s.AWS}} // on AWS nobody says where AWS is
	d.TaskRole, d.ExecutionRole = aws.ToString(ours.TaskDefinition.TaskRoleArn), aws.ToString(ours.TaskDefinition.ExecutionRoleArn)
	registered, err := client.RegisterTaskDefinition(t.Context(), d.Definition())
	if err != nil {
		t.Fatal(err)
	}
	task := s.run(t, aws.ToString(registered.TaskDefinition.TaskDefinitionArn))
	s.passes(t, d.Family, task)
	return s.again(t, task)
}

func TestTheIncumbentsDefinitionsRunWithOurImage(t *testing.T) {
	t.Parallel()
	if err := quiet.catalog.Allow(t.Context(), "web-dropin", "api-dropin"); err != nil {
		t.Fatal(err)
	}
	api := runs(t, quiet, incumbent.Task{Family: "api-dropin", Port: 9090, Delay: "2s"})
	web := runs(t, quiet, incumbent.Task{Family: "web-dropin", Port: 8080, Upstream: "api-dropin"})
	answers(t, web)
	for service, task := range map[string]ecstypes.Task{"web-dropin": web, "api-dropin": api} {
		quiet.ended(t, quiet.stop(t, task))
		quiet.gone(t, service, task)
	}
}
