package fleet_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskdef"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/fleet"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/toolcache"
)

// The doctor is one more container of the task, as its users run it.
func TestADoctorInTheTaskFindsItWell(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change  func(*taskdef.Spec)
		user    string
		skipped []string // checks of what the task does not ask for, or what the container may not see
		warned  []string
	}{
		"plain": {func(*taskdef.Spec) {}, fmt.Sprint(mesh.UIDHealthSync),
			[]string{"zones", "port-outbound", "port-dns", "port-names", "port-exposed", "doctor-user", "net-admin", "iptables", "redirect-rules", "port-start", "bind-device", "resolv-conf"}, nil},
		"transparent": {transparent(""), fmt.Sprintf("0:%d", mesh.UIDMeshInit), []string{"zones", "port-names", "port-exposed", "port-start", "bind-device"}, nil},
		"by name": {byName(""), fmt.Sprint(mesh.UIDHealthSync),
			[]string{"zones", "port-outbound", "port-exposed", "doctor-user", "net-admin", "iptables", "redirect-rules"}, nil},
		// As ECS Exec enters a container of the mesh: its own calls go through the proxy.
		"through the proxy": {transparent(""), "0:0", []string{"zones", "port-names", "port-exposed", "redirect-rules", "port-start", "bind-device"}, []string{"doctor-user"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			service := "doctor-" + strings.ReplaceAll(name, " ", "-")
			task := quiet.start(t, app{name: service, port: 9090, change: func(s *taskdef.Spec) {
				s.Containers[0].Definition = fleet.App(service, "127.0.0.1:9090", "", false)
				s.Proxy.Upstreams = []agentconfig.Upstream{fleet.Upstream("nobody", 1234)}
				tc.change(s)
				s.Containers = append(s.Containers, taskdef.Container{Definition: doctor(t, *s, tc.user)})
			}})
			waitFor(t, "the doctor has ended", func() (string, error) {
				task = quiet.again(t, task)
				i := slices.IndexFunc(task.Containers, func(c ecstypes.Container) bool { return aws.ToString(c.Name) == "doctor" })
				if i < 0 || task.Containers[i].ExitCode == nil {
					return "it has not", nil
				}
				return "", nil
			})
			exited(t, task, "doctor", 0)
			findings := findingsOf(t, task, "doctor")
			var skipped, warned []string
			for _, f := range findings {
				// A task that has just started may not have got so far.
				young := f.Check == "registration" && f.Status == "warn" && strings.Contains(f.Found, " is registered, but ")
				switch {
				case f.Status == "skip":
					skipped = append(skipped, f.Check)
				case f.Status == "warn" && !young:
					warned = append(warned, f.Check)
				case f.Status == "fail":
					t.Errorf("%+v", f)
				}
			}
			if !slices.Equal(skipped, tc.skipped) || !slices.Equal(warned, tc.warned) || len(findings) < 30 {
				t.Errorf("skipped %v, want %v; warned of %v, want %v\n%+v", skipped, tc.skipped, warned, tc.warned, findings)
			}
		})
	}
}

// doctor is a container with mesh-init's environment. mesh-init's user gets mesh-init's capability too.
func doctor(t *testing.T, s taskdef.Spec, user string) ecstypes.ContainerDefinition {
	t.Helper()
	config, err := agentconfig.Marshal(taskdef.AgentConfig(s))
	if err != nil {
		t.Fatal(err)
	}
	c := ecstypes.ContainerDefinition{
		Name: aws.String("doctor"), Image: aws.String(toolcache.AgentImage), Essential: aws.Bool(false), User: &user,
		Command: []string{"doctor", "-json"}, ReadonlyRootFilesystem: aws.Bool(true),
		Environment: []ecstypes.KeyValuePair{{Name: aws.String(mesh.ConfigVariable), Value: aws.String(string(config))}},
		Secrets: []ecstypes.Secret{
			{Name: aws.String(mesh.VariableGRPCCACert), ValueFrom: &s.Servers.CASecretARN},
			{Name: aws.String(mesh.VariableHTTPSCACert), ValueFrom: &s.Servers.CASecretARN},
		},
		MountPoints: []ecstypes.MountPoint{{SourceVolume: aws.String(mesh.VolumeName), ContainerPath: aws.String(mesh.BootstrapDir), ReadOnly: aws.Bool(true)}},
		DependsOn: []ecstypes.ContainerDependency{
			{ContainerName: aws.String("app"), Condition: ecstypes.ContainerConditionStart},
			{ContainerName: aws.String(mesh.ContainerDataplane), Condition: ecstypes.ContainerConditionHealthy}, // by then the checks pass
		},
	}
	if user == fmt.Sprintf("0:%d", mesh.UIDMeshInit) {
		c.LinuxParameters = &ecstypes.LinuxParameters{Capabilities: &ecstypes.KernelCapabilities{Add: []string{"NET_ADMIN"}}}
	}
	return c
}
