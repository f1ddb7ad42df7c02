package fleet_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	agent "github.com/consulecs/terraform-provider-consulecs/agents/doctor"
	"github.com/consulecs/terraform-provider-consulecs/internal/awsjson"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/toolcache"
)

// The task that asks what names need of Fargate is the one whose definition the doctor prints. Here it runs as Fargate's tasks do on a local
// ECS: what it finds wrong is what somebody has made wrong.
func TestTheCheckOfFargateAnswers(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(*ecs.RegisterTaskDefinitionInput)
		other  string // the statuses of the application's checks that are not ok
	}{
		"as it is printed": {func(*ecs.RegisterTaskDefinitionInput) {}, ""},
		"nobody has written": {func(d *ecs.RegisterTaskDefinitionInput) {
			d.ContainerDefinitions = d.ContainerDefinitions[1:]
			d.ContainerDefinitions[0].DependsOn = nil
		}, "resolv-conf=fail names=skip"},
		"no parameter": {func(d *ecs.RegisterTaskDefinitionInput) { d.ContainerDefinitions[1].SystemControls = nil }, "port-start=fail names=skip"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			definition := checkOfFargate(t, strings.ReplaceAll(name, " ", "-"))
			tc.change(definition)
			task := runOnFargate(t, definition)
			var others []string
			for _, container := range []string{"dataplane", "application"} {
				others = nil
				for _, f := range findingsOf(t, task, container) {
					if f.Status != "ok" {
						others = append(others, f.Check+"="+f.Status)
					}
				}
				if got := strings.Join(others, " "); got != tc.other {
					t.Errorf("%s found %q, want %q", container, got, tc.other)
				}
				exited(t, task, container, map[bool]int32{true: 0, false: 1}[tc.other == ""])
			}
		})
	}
}

type finding struct{ Check, Status, Found, Fix string }

// findingsOf reads what a doctor with -json has printed.
func findingsOf(t *testing.T, task ecstypes.Task, container string) (findings []finding) {
	t.Helper()
	log, err := quiet.Logs(t.Context(), aws.ToString(task.TaskArn), container)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(log), &findings); err != nil {
		t.Fatalf("%s: %v\n%s", container, err, log)
	}
	return findings
}

// checkOfFargate is the definition that the doctor prints, but for a family of the test's own and findings in JSON.
func checkOfFargate(t *testing.T, family string) *ecs.RegisterTaskDefinitionInput {
	t.Helper()
	var printed bytes.Buffer
	args := []string{"-fargate", "-definition", "-image", toolcache.AgentImage, "-execution-role", executionRole(t, family), "-log-group", "/check", "-region", quiet.Region}
	if err := agent.Run(context.Background(), os.Getenv, args, &printed, io.Discard); err != nil {
		t.Fatal(err)
	}
	var definition ecs.RegisterTaskDefinitionInput
	if err := awsjson.UnmarshalStrict(printed.Bytes(), &definition); err != nil {
		t.Fatalf("%v\n%s", err, &printed)
	}
	definition.Family = aws.String("check-" + family)
	for i, c := range definition.ContainerDefinitions {
		if !slices.Contains(c.Command, "-write") {
			definition.ContainerDefinitions[i].Command = append(c.Command, "-json")
		}
	}
	return &definition
}

// executionRole makes a role that ECS may take on.
func executionRole(t *testing.T, name string) (arn string) {
	t.Helper()
	const trust = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ecs-tasks.amazonaws.com"},"Action":"sts:AssumeRole"}]}`
	role, err := iam.NewFromConfig(quiet.AWSConfig()).CreateRole(t.Context(), &iam.CreateRoleInput{RoleName: aws.String("check-" + name), AssumeRolePolicyDocument: aws.String(trust)})
	if err != nil {
		t.Fatal(err)
	}
	return aws.ToString(role.Role.Arn)
}

// runOnFargate runs a task of a definition to its end.
func runOnFargate(t *testing.T, definition *ecs.RegisterTaskDefinitionInput) ecstypes.Task {
	t.Helper()
	registered, err := ecs.NewFromConfig(quiet.AWSConfig()).RegisterTaskDefinition(t.Context(), definition)
	if err != nil {
		t.Fatal(err)
	}
	task := quiet.runOn(t, aws.ToString(registered.TaskDefinition.TaskDefinitionArn), ecstypes.LaunchTypeFargate)
	return quiet.stopped(t, task)
}
