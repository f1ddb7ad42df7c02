package fleet_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/iamrole"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskdef"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/fleet"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/pki"
)

// A user sees in ECS which container ended by an error, and finds the fix in its log.
func TestATaskThatIsSetUpWronglySaysHowToFixIt(t *testing.T) {
	t.Parallel()
	for name, wrong := range map[string]struct {
		spec func(*taskdef.Spec)
		role func(*iamrole.Role)
		said []string
	}{
		"role-without-tag": {
			role: func(r *iamrole.Role) { delete(r.Tags, mesh.RoleTagServiceName) },
			said: []string{"hint=", "give the task role the tag " + mesh.RoleTagServiceName},
		},
		"role-of-another-service": {
			role: func(r *iamrole.Role) { r.Tags[mesh.RoleTagServiceName] = "other" },
			said: []string{"hint=", "the token is for another service"},
		},
		"role-elsewhere": {
			role: func(r *iamrole.Role) { r.Path = "/elsewhere/" },
			said: []string{"hint=", "the task role must lie under its path"},
		},
		"wrong-ca": {
			spec: func(s *taskdef.Spec) { s.Servers.CASecretARN = anotherCA(t) },
			said: []string{"certificate signed by unknown authority", "hint=", mesh.VariableGRPCCACert},
		},
		"secret-is-no-ca": {
			spec: func(s *taskdef.Spec) { s.Servers.CASecretARN = quiet.TokenSecretARN },
			said: []string{"_CACERT_PEM holds no certificate"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spec := quiet.spec(app{name: name, port: 9090, change: wrong.spec})
			definition, err := quiet.RegisterAs(t.Context(), spec, fleet.Difference{TaskRole: wrong.role})
			if err != nil {
				t.Fatal(err)
			}
			quiet.refused(t, name, quiet.stopped(t, quiet.run(t, definition)), wrong.said)
		})
	}
}

// refused checks that a task ended by its mesh-init, that the log of it says what is wrong, and no secret, and that
// nothing is left.
func (s *stage) refused(t *testing.T, service string, task ecstypes.Task, said []string) {
	t.Helper()
	log, err := s.Logs(t.Context(), aws.ToString(task.TaskArn), mesh.ContainerMeshInit)
	if err != nil {
		t.Fatal(err)
	}
	for _, words := range said {
		if !strings.Contains(log, words) {
			t.Errorf("the log does not say %q", words)
		}
	}
	if strings.Contains(log, s.world.Consul.BootstrapToken) {
		t.Error("the log tells the bootstrap token")
	}
	exited(t, task, mesh.ContainerMeshInit, 1)
	s.gone(t, service, task)
}

// exited checks the exit code of a container.
func exited(t *testing.T, task ecstypes.Task, container string, code int32) {
	t.Helper()
	for _, c := range task.Containers {
		if aws.ToString(c.Name) == container && text(c.ExitCode) != text(&code) {
			t.Errorf("container %s: exit code %s, want %d", container, text(c.ExitCode), code)
		}
	}
}

// anotherCA is the ARN of a secret with a CA that has signed nothing.
func anotherCA(t *testing.T) string {
	t.Helper()
	ca, err := pki.New("another CA")
	if err != nil {
		t.Fatal(err)
	}
	return quiet.secret(t, "another-ca", ca.PEM)
}

// secret is the ARN of a secret with the text.
func (s *stage) secret(t *testing.T, name, text string) string {
	t.Helper()
	made, err := secretsmanager.NewFromConfig(s.AWSConfig()).CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: &name, SecretString: &text})
	if err != nil {
		t.Fatal(err)
	}
	return aws.ToString(made.ARN)
}

func TestATaskThatIsKilledWhileItLooksForConsulIsGone(t *testing.T) {
	t.Parallel()
	task := quiet.start(t, app{name: "astray", port: 9090, change: func(s *taskdef.Spec) {
		s.Servers.GRPC = &agentconfig.ServerGRPC{Port: 1}
	}})
	waitFor(t, "mesh-init says that it does not reach Consul", func() (string, error) {
		log, err := quiet.Logs(t.Context(), aws.ToString(task.TaskArn), mesh.ContainerMeshInit)
		if err != nil || !strings.Contains(log, "connection refused") || !strings.Contains(log, "see consulServers.hosts") {
			return fmt.Sprintf("%q (%v)", log, err), nil // there is no log before the container
		}
		return "", nil
	})
	quiet.kill(t, task, mesh.ContainerMeshInit)
	task = quiet.stopped(t, task)
	runs, err := quiet.Timeline(t.Context(), aws.ToString(task.TaskArn))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range runs {
		if r.Name != mesh.ContainerMeshInit && r.Started != nil {
			t.Errorf("container %s was started", r.Name)
		}
	}
	quiet.gone(t, "astray", task)
}

func TestABusyPortEndsTheTask(t *testing.T) {
	t.Parallel()
	for name, port := range map[string]int{"public": mesh.PortPublicListener, "ready": mesh.PortReadiness} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			service := "busy-" + name
			task := quiet.start(t, app{name: service, port: port, change: func(s *taskdef.Spec) {
				s.Service.Port = 9090 // so the application says; but it listens elsewhere, and before the proxy does
				s.Containers[0].WaitForProxy = aws.Bool(false)
			}})
			task = quiet.stopped(t, task)
			exited(t, task, mesh.ContainerDataplane, 1)
			log, err := quiet.Logs(t.Context(), aws.ToString(task.TaskArn), mesh.ContainerDataplane)
			if err != nil || !strings.Contains(log, "Address already in use") {
				t.Errorf("the log does not say that the address is in use (%v)", err)
			}
			quiet.gone(t, service, task)
		})
	}
}
