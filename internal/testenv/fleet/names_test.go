package fleet_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskdef"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/contained"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/fleet"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/toolcache"
)

// byName has a task call services by name, on every launch type. Its application has no right at all: no user but nobody, no capability and no
// file system to write to. upstream is the URL that it calls, "" for none.
func byName(upstream string) func(*taskdef.Spec) {
	return func(s *taskdef.Spec) {
		s.Names.Enabled = aws.Bool(true)
		withoutRights(&s.Containers[0].Definition)
		setenv(&s.Containers[0].Definition, "UPSTREAM", upstream)
	}
}

func withoutRights(c *ecstypes.ContainerDefinition) {
	c.User, c.ReadonlyRootFilesystem = aws.String("65534"), aws.Bool(true)
	c.LinuxParameters = &ecstypes.LinuxParameters{Capabilities: &ecstypes.KernelCapabilities{Drop: []string{"ALL"}}}
}

// ofMusl is one more container, which calls the host by a program with musl's resolver, and ends.
func ofMusl(name, host string) taskdef.Container {
	c := ecstypes.ContainerDefinition{Name: &name, Image: aws.String(toolcache.MuslImage), Essential: aws.Bool(false), Command: []string{host, "80"}}
	withoutRights(&c)
	return taskdef.Container{Definition: c}
}

// busyBox is one more container, which calls the URL by BusyBox's wget, and ends.
func busyBox(name, url string) taskdef.Container {
	c := ecstypes.ContainerDefinition{Name: &name, Image: aws.String(toolcache.BusyBoxImage), Essential: aws.Bool(false), Command: []string{"wget", "-q", "-O", "-", url}}
	withoutRights(&c)
	return taskdef.Container{Definition: c}
}

func TestATaskOnFargateCallsByNameWithNothingRedirected(t *testing.T) {
	t.Parallel()
	s := quiet
	const name = "api-named.virtual.consul"
	s.allow(t, "web-named", "api-named", "ledger-named")
	s.service(t, app{name: "api-named", port: 9090})
	s.service(t, app{name: "ledger-named", port: 9090})
	web := s.start(t, app{name: "web-named", port: 8080, launchType: ecstypes.LaunchTypeFargate, change: func(spec *taskdef.Spec) {
		byName("http://" + name)(spec)
		spec.Names.Ports = []int{80, 8000}
		spec.Proxy.Upstreams = []agentconfig.Upstream{fleet.Upstream("ledger-named", 1234)}
		spec.Containers = append(spec.Containers, busyBox("first", "http://"+name+"/"), busyBox("second", "http://"+name+":8000/"), busyBox("listed", "http://127.0.0.1:1234/"), ofMusl("musl", name))
	}})
	s.passes(t, "web-named", web)
	web = s.again(t, web)
	answers(t, web)

	t.Run("every container calls by name, and a listed upstream by its port", func(t *testing.T) {
		for container, service := range map[string]string{"first": "api-named", "second": "api-named", "musl": "api-named", "listed": "ledger-named"} {
			hasEnded(t, web, container)
			said, err := s.Logs(t.Context(), aws.ToString(web.TaskArn), container)
			if want := fmt.Sprintf(`"service":%q`, service); err != nil || !strings.Contains(said, want) {
				t.Errorf("container %s: %v, want %s in %q", container, err, want, said)
			}
		}
	})
	t.Run("resolvers of Go and of glibc find the name", func(t *testing.T) {
		network := contained.NetworkOf(t, netip.MustParseAddr(fleet.IPAddress(web)))
		for _, resolver := range []string{"go", "cgo"} {
			out, err := contained.Run(t, contained.Command{Network: network, Env: []string{lookUpVariable + "=" + name, "GODEBUG=netdns=" + resolver}})
			if err != nil || !strings.Contains(out, "[127.64.0.") {
				t.Errorf("resolver %s: %v\n%s", resolver, err, out)
			}
		}
	})
	t.Run("nothing is redirected", func(t *testing.T) {
		if err := fleet.Ask(t.Context(), client, url(web)); err != nil { // its own port, from outside the mesh
			t.Error(err)
		}
		network := contained.NetworkOf(t, netip.MustParseAddr(fleet.IPAddress(web)))
		out, err := contained.Run(t, contained.Command{Network: network, Env: []string{rulesVariable + "=1"}})
		if err != nil || !strings.Contains(out, "-P OUTPUT ACCEPT") || slices.ContainsFunc(strings.Split(out, "\n"), isRule) {
			t.Errorf("%v, rules of the task:\n%s", err, out)
		}
	})
	t.Run("nobody else is served", func(t *testing.T) {
		for _, port := range []int{mesh.PortNames, 8000, mesh.PortResolver} {
			at := net.JoinHostPort(fleet.IPAddress(web), fmt.Sprint(port))
			conn, err := net.DialTimeout("tcp", at, 5*time.Second)
			if err == nil {
				conn.Close()
			}
			if !errors.Is(err, syscall.ECONNREFUSED) {
				t.Errorf("%s: %v, want a refused connection", at, err)
			}
		}
	})
	t.Run("a task that only calls others does, too", func(t *testing.T) {
		s.allow(t, "job-named", "api-named")
		job := s.start(t, app{name: "job-named", launchType: ecstypes.LaunchTypeFargate, change: func(spec *taskdef.Spec) {
			spec.OutboundOnly, spec.Names.Enabled, spec.Containers = true, aws.Bool(true), []taskdef.Container{busyBox("job", "http://"+name+"/")}
			spec.Containers[0].Definition.Essential = aws.Bool(true) // its end is the task's
		}})
		hasEnded(t, job, "job")
	})
	t.Run("an intention still decides", func(t *testing.T) {
		stranger := s.service(t, app{name: "stranger-named", port: 8080, change: byName("http://" + name)})
		if err := fleet.Ask(t.Context(), client, url(stranger)); err == nil {
			t.Error("a service without an intention got an answer")
		}
	})
}

// A definition of somebody's own may lack what the provider's has: then the task does not start, and says why.
func TestATaskThatMayNotServeNamesSaysWhy(t *testing.T) {
	t.Parallel()
	task := quiet.start(t, app{name: "web-low-ports", port: 8080, launchType: ecstypes.LaunchTypeFargate, change: byName(""), differ: fleet.Difference{Definition: func(d *taskdef.Definition) {
		for i := range d.ContainerDefinitions {
			d.ContainerDefinitions[i].SystemControls = nil
		}
	}}})
	waitFor(t, "the dataplane says why", func() (string, error) {
		log, err := quiet.Logs(t.Context(), aws.ToString(task.TaskArn), mesh.ContainerDataplane)
		if !strings.Contains(log, "systemControls with "+mesh.UnprivilegedPortStart+" = 0") {
			return "its log is " + log, nil
		}
		return "", err
	})
	task = quiet.stopped(t, task)
	exited(t, task, mesh.ContainerDataplane, 1)
}

// isRule reports whether a line of iptables -S is a rule, other than those by which Docker serves its own names.
func isRule(line string) bool {
	return strings.HasPrefix(line, "-A ") && !strings.Contains(line, "DOCKER_")
}

// hasEnded waits until a container has ended, with 0.
func hasEnded(t *testing.T, task ecstypes.Task, container string) {
	t.Helper()
	waitFor(t, "the container "+container+" has ended", func() (string, error) {
		task = quiet.again(t, task)
		for _, c := range task.Containers {
			if aws.ToString(c.Name) == container && c.ExitCode != nil {
				return "", nil
			}
		}
		return "it has not", nil
	})
	exited(t, task, container, 0)
}

// lookUpVariable makes this program print the addresses of the name in it, as the resolver that GODEBUG names finds them; rulesVariable has
// it print iptables's rules of the task's network.
const lookUpVariable, rulesVariable = "FLEET_TEST_LOOK_UP", "FLEET_TEST_RULES"

func printRules() error {
	out, err := exec.Command("iptables", "-t", "nat", "-S").CombinedOutput()
	fmt.Print(string(out))
	return err
}
