package taskdef_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskdef"
)

// byName is the task with names, at ports of its own or at the default one, with changes.
func byName(change func(*taskdef.Spec), ports ...int) func(*taskdef.Spec) {
	return func(s *taskdef.Spec) {
		s.Names = agentconfig.Names{Enabled: aws.Bool(true), Ports: ports}
		change(s)
	}
}

// maps has the application's container map ports: single ones, or a range where there is a dash.
func maps(protocol ecstypes.TransportProtocol, port int32, ports string) func(*taskdef.Spec) {
	return func(s *taskdef.Spec) {
		m := ecstypes.PortMapping{Protocol: protocol}
		if m.ContainerPort = &port; ports != "" {
			m.ContainerPort, m.ContainerPortRange = nil, &ports
		}
		app(s).PortMappings = []ecstypes.PortMapping{m}
	}
}

func controls(value string) func(*taskdef.Spec) {
	return func(s *taskdef.Spec) {
		app(s).SystemControls = []ecstypes.SystemControl{{Namespace: aws.String("net.core.somaxconn"), Value: aws.String("1024")}, {Namespace: aws.String(mesh.UnprivilegedPortStart), Value: &value}}
	}
}

func exposes(port int) func(*taskdef.Spec) {
	return func(s *taskdef.Spec) {
		s.Proxy.Expose = &agentconfig.Expose{Paths: []agentconfig.ExposePath{{ListenerPort: 21500, Path: "/health", LocalPathPort: port}}}
	}
}

func furtherExposes(port int) func(*taskdef.Spec) {
	return further(&agentconfig.Proxy{Expose: &agentconfig.Expose{Paths: []agentconfig.ExposePath{{ListenerPort: 21501, Path: "/health", LocalPathPort: port}}}})
}

// further has the task be a second service.
func further(proxy *agentconfig.Proxy) func(*taskdef.Spec) {
	return func(s *taskdef.Spec) {
		s.Services = []agentconfig.FurtherService{{Service: &agentconfig.Service{Name: "second", Port: 9091}, Proxy: proxy}}
	}
}

func probes(port int) func(*taskdef.Spec) {
	return func(s *taskdef.Spec) {
		s.ReadinessProbes = []agentconfig.ReadinessProbe{{Container: "app", Type: "tcp", Port: port}}
	}
}

func TestWhatStandsInTheWayOfNamesIsRefused(t *testing.T) {
	t.Parallel()
	const other = ", where Envoy listens for names: choose other names.ports, or another port for the application"
	testNeighbours(t, map[string]neighbours{
		"ports without names": {func(s *taskdef.Spec) { s.Names.Ports = []int{80} }, func(s *taskdef.Spec) { s.Names.Enabled = aws.Bool(false) }, "names.ports: is set, but names.enabled is not true: nothing is called by name"},
		"a read-only mesh-init": {byName(func(s *taskdef.Spec) { s.Sidecars.MeshInit.ReadonlyRoot = aws.Bool(true) }), byName(func(s *taskdef.Spec) { s.Sidecars.MeshInit.ReadonlyRoot = aws.Bool(false) }),
			"sidecars.meshInit.readonlyRoot: is true, but with names.enabled mesh-init writes /etc/resolv.conf"},
		"another parameter": {byName(controls("1024")), byName(controls("0")),
			`containers[0].systemControls[1].value: is "1024", but with names.enabled the task needs 0 of net.ipv4.ip_unprivileged_port_start, which counts for all of its containers: leave it out`},
		"a container's port":        {byName(maps("tcp", 80, "")), byName(maps("udp", 80, "")), "containers[0].portMappings[0].containerPort: has port 80" + other},
		"a container's, by default": {byName(maps("", 8000, ""), 81, 8000), byName(maps("", 8001, ""), 81, 8000), "containers[0].portMappings[0].containerPort: has port 8000" + other},
		"a container's range":       {byName(maps("tcp", 0, "70-80")), byName(maps("tcp", 0, "81-90")), "containers[0].portMappings[0].containerPortRange: has port 80" + other},
		"DNS's port":                {byName(maps("udp", 53, "")), maps("udp", 53, ""), "containers[0].portMappings[0].containerPort: has port 53, where with names.enabled the task's name server listens"},
		"a range around it":         {byName(maps("tcp", 0, "50-60")), byName(maps("tcp", 0, "54-60")), "containers[0].portMappings[0].containerPortRange: has port 53, where with names.enabled the task's name server listens"},
		"a readiness probe":         {byName(probes(80)), byName(probes(8080)), "readinessProbes[0].port: is 80" + other},
		"a path of the application": {byName(exposes(80)), byName(exposes(9090)), "proxy.expose.paths[0].localPathPort: is 80" + other},
		"a path of a further one":   {byName(furtherExposes(80)), byName(furtherExposes(9090)), "services[0].proxy.expose.paths[0].localPathPort: is 80" + other},
		"a listener of a path":      {byName(exposes(9090), 21500), byName(exposes(9090)), "proxy.expose.paths[0].listenerPort: is 21500, the port of Envoy's listener for names"},
		"the service":               {byName(func(s *taskdef.Spec) { s.Service.Port = 80 }), byName(func(s *taskdef.Spec) { s.Service.Port = 81 }), "names.ports: is 80, the port of the service"},
		"the listener of the mesh":  {byName(func(*taskdef.Spec) {}, 20000), byName(func(*taskdef.Spec) {}, 20001), "names.ports[0]: is 20000, the port of the public listener"},
		"redirection": {byName(func(s *taskdef.Spec) {
			s.TransparentProxy.Enabled, s.Task.LaunchTypes = aws.Bool(true), []ecstypes.Compatibility{"EC2"}
		}), byName(func(s *taskdef.Spec) { s.TransparentProxy.Enabled = aws.Bool(false) }),
			"names.enabled: is true, but transparentProxy.enabled is true as well, and with that the application calls by name anyway: choose one of the two"},
	})
}

func TestEveryLaunchTypeTakesNames(t *testing.T) {
	t.Parallel()
	for _, types := range [][]ecstypes.Compatibility{nil, {"FARGATE"}, {"EC2"}, {"MANAGED_INSTANCES"}, {"EC2", "FARGATE", "MANAGED_INSTANCES"}} {
		spec := valid()
		byName(func(s *taskdef.Spec) { s.Task.LaunchTypes = types })(&spec)
		if _, err := taskdef.Build(spec); err != nil {
			t.Errorf("%v: %v", types, err)
		}
	}
}

func TestAListedUpstreamIsToldToHaveNoName(t *testing.T) {
	t.Parallel()
	spec := valid()
	spec.Proxy.Upstreams = []agentconfig.Upstream{
		{DestinationName: "ledger", LocalBindPort: 1234}, {DestinationName: "nearest", LocalBindPort: 1235, DestinationType: "prepared_query"},
	}
	if found := taskdef.Check(spec); len(found) != 0 {
		t.Fatalf("without names: %v", found)
	}
	byName(func(*taskdef.Spec) {})(&spec)
	found := taskdef.Check(spec)
	const want = `proxy.upstreams[0].destinationName: is "ledger", which is then reached at proxy.upstreams[0].localBindPort alone and not by name`
	if len(found) != 1 || found.Err() != nil || !strings.HasPrefix(found[0].Error(), want) {
		t.Errorf("got %v, want one warning %q", found, want)
	}
}
