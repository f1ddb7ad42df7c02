package taskdef_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/awsjson"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskdef"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const golden = "task-definition.golden.json"

func TestGoldens(t *testing.T) {
	t.Parallel()
	for _, dir := range cases(t) {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			t.Parallel()
			definition := build(t, dir)
			got, err := awsjson.MarshalIndent(definition)
			if err != nil {
				t.Fatal(err)
			}
			name := filepath.Join(dir, golden)
			if *update {
				if err := os.WriteFile(name, got, 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(name)
			if err != nil {
				t.Fatalf("read the golden file, which -update writes: %v", err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
		})
	}
}

func cases(t *testing.T) []string {
	t.Helper()
	dirs, err := filepath.Glob("testdata/*")
	if err != nil || len(dirs) == 0 {
		t.Fatalf("no cases in testdata: %v", err)
	}
	return dirs
}

// build makes the definition of a case, from its spec.json or its controller.json.
func build(t *testing.T, dir string) *taskdef.Definition {
	t.Helper()
	var definition *taskdef.Definition
	var spec taskdef.Spec
	err := read(filepath.Join(dir, "spec.json"), &spec)
	if err == nil {
		definition, err = taskdef.Build(spec)
	} else if errors.Is(err, fs.ErrNotExist) {
		var controller taskdef.ControllerSpec
		if err = read(filepath.Join(dir, "controller.json"), &controller); err == nil {
			definition, err = taskdef.BuildController(controller)
		}
	}
	if err != nil {
		t.Fatalf("%s: %v", dir, err)
	}
	return definition
}

func read(name string, into any) error {
	data, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	return dec.Decode(into)
}

func TestAgentsAcceptTheirConfiguration(t *testing.T) {
	t.Parallel()
	for _, dir := range cases(t) {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			t.Parallel()
			read := 0
			for _, c := range build(t, dir).ContainerDefinitions {
				for _, variable := range c.Environment {
					if *variable.Name != mesh.ConfigVariable {
						continue
					}
					read++
					if _, err := agentconfig.Parse([]byte(*variable.Value)); err != nil {
						t.Errorf("%s: %v", *c.Name, err)
					}
				}
			}
			if read == 0 {
				t.Error("no container has a configuration")
			}
		})
	}
}

func TestUserContainersKeepAllButTheirOrder(t *testing.T) {
	t.Parallel()
	spec := valid()
	spec.Containers = containers(2)
	spec.Containers[0].Definition.DependsOn = make([]ecstypes.ContainerDependency, 0, 8) // room to write into by mistake
	spec.Containers[0].Definition.User = aws.String("1000:1000")
	spec.Containers[1].WaitForProxy = aws.Bool(false)
	definition, err := taskdef.Build(spec)
	if err != nil {
		t.Fatal(err)
	}
	gate := append(dependsOn("consul-ecs-mesh-ready", "SUCCESS"), dependsOn("consul-dataplane", "START")...)
	want := []ecstypes.ContainerDefinition{spec.Containers[0].Definition, spec.Containers[1].Definition}
	want[0].DependsOn = gate
	ignore := cmpopts.IgnoreUnexported(ecstypes.ContainerDefinition{}, ecstypes.ContainerDependency{})
	if diff := cmp.Diff(want, definition.ContainerDefinitions[:2], ignore); diff != "" {
		t.Errorf("containers (-want +got):\n%s", diff)
	}
	if room := spec.Containers[0].Definition.DependsOn[:1]; room[0].ContainerName != nil {
		t.Error("Build wrote into the Spec")
	}
}

func TestTheDataplaneHasAHealthCheckWhereSomebodyWaitsForIt(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*taskdef.Spec)
		want   bool
	}{
		"ready gate":      {func(*taskdef.Spec) {}, false},
		"no gate":         {func(s *taskdef.Spec) { s.Sidecars.ReadyGate = taskdef.ReadyGateOff }, true},
		"no place for it": {func(s *taskdef.Spec) { s.Containers = containers(7) }, true},
		"no gate, no waiter": {func(s *taskdef.Spec) {
			s.Sidecars.ReadyGate, s.Containers[0].WaitForProxy = taskdef.ReadyGateOff, aws.Bool(false)
		}, false},
		"waits by itself":     {func(s *taskdef.Spec) { app(s).DependsOn = dependsOn("consul-dataplane", "HEALTHY") }, true},
		"waits for its start": {func(s *taskdef.Spec) { app(s).DependsOn = dependsOn("consul-dataplane", "START") }, false},
	} {
		spec := valid()
		c.change(&spec)
		definition, err := taskdef.Build(spec)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range definition.ContainerDefinitions {
			switch *d.Name {
			case "consul-dataplane":
				if got := d.HealthCheck != nil; got != c.want {
					t.Errorf("%s: the dataplane has a health check: %v", name, got)
				}
			case "consul-ecs-health-sync":
				if d.HealthCheck == nil {
					t.Errorf("%s: ECS has nothing to know the task by", name)
				}
			}
		}
	}
}

func TestTheMeshOutlastsTheApplication(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		launchType ecstypes.Compatibility
		app        *int32
		own        int32
		timeout    int32
		within     int
	}{
		"default":            {"FARGATE", nil, 0, 45, 40},
		"quick":              {"FARGATE", aws.Int32(2), 0, 17, 12},
		"at Fargate's limit": {"FARGATE", aws.Int32(120), 0, 120, 115},
		"slow on EC2":        {"EC2", aws.Int32(100), 0, 115, 110},
		"own":                {"FARGATE", nil, 60, 60, 55},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spec := valid()
			spec.Task.LaunchTypes = []ecstypes.Compatibility{c.launchType}
			app(&spec).StopTimeout, spec.Sidecars.Dataplane.StopTimeout = c.app, c.own
			definition, err := taskdef.Build(spec)
			if err != nil {
				t.Fatal(err)
			}
			if got := *definition.ContainerDefinitions[2].StopTimeout; got != c.timeout {
				t.Errorf("dataplane's stop timeout = %d, want %d", got, c.timeout)
			}
			if got := taskdef.AgentConfig(spec).Proxy.Dataplane.StopWithinSeconds; got != c.within {
				t.Errorf("stopWithinSeconds = %d, want %d", got, c.within)
			}
		})
	}
}

// TestAControllerThatLogsInNamesNoAuthMethod: it would be that of tasks, in which Consul refuses controllers.
func TestAControllerThatLogsInNamesNoAuthMethod(t *testing.T) {
	t.Parallel()
	for name, method := range map[string]*agentconfig.AuthMethod{"none said": nil, "another name": {Name: "iam", STSEndpoint: "https://sts.example.com"}} {
		cfg := taskdef.ControllerAgentConfig(taskdef.ControllerSpec{LogsIn: true, Controller: agentconfig.Controller{AuthMethod: method}})
		if cfg.ConsulLogin == nil || !cfg.ConsulLogin.Enabled || cfg.ConsulLogin.Method != "" {
			t.Errorf("%s: the controller logs in by %+v, want its own auth method", name, cfg.ConsulLogin)
		}
		if method != nil && cfg.ConsulLogin.STSEndpoint != method.STSEndpoint {
			t.Errorf("%s: by %q, want the tasks' endpoint %q", name, cfg.ConsulLogin.STSEndpoint, method.STSEndpoint)
		}
	}
}
