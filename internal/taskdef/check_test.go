package taskdef_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/google/go-cmp/cmp"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskdef"
)

// valid is the smallest Spec that passes.
func valid() taskdef.Spec {
	return taskdef.Spec{
		Family:     "web",
		Service:    agentconfig.Service{Port: 9090},
		Servers:    taskdef.Servers{ConsulServers: agentconfig.ConsulServers{Hosts: "consul.example"}},
		Containers: []taskdef.Container{container("app")},
		Sidecars:   taskdef.Sidecars{Image: "agent:1"},
	}
}

func container(name string) taskdef.Container {
	return taskdef.Container{Definition: ecstypes.ContainerDefinition{Name: aws.String(name), Image: aws.String("app:1")}}
}

func containers(n int) []taskdef.Container {
	list := make([]taskdef.Container, n)
	for i := range list {
		list[i] = container(fmt.Sprint("app-", i))
	}
	return list
}

// app is the definition of the first container.
func app(s *taskdef.Spec) *ecstypes.ContainerDefinition { return &s.Containers[0].Definition }

func dependsOn(name string, condition ecstypes.ContainerCondition) []ecstypes.ContainerDependency {
	return []ecstypes.ContainerDependency{{ContainerName: aws.String(name), Condition: condition}}
}

func TestWhatTheIncumbentAcceptsIsAccepted(t *testing.T) {
	t.Parallel()
	cases := map[string]func(*taskdef.Spec){
		"outbound only":         func(s *taskdef.Spec) { s.Service.Port, s.OutboundOnly = 0, true },
		"mixed-case family":     func(s *taskdef.Spec) { s.Family = "My-App" },
		"outbound only, a port": func(s *taskdef.Spec) { s.OutboundOnly = true },
		"TLS without CA":        func(s *taskdef.Spec) { s.Servers.Defaults = &agentconfig.ServerDefaults{TLS: aws.Bool(true)} },
		"partition, namespace":  func(s *taskdef.Spec) { s.Service.Partition, s.Service.Namespace = "p", "n" },
		"health check alone":    func(s *taskdef.Spec) { app(s).HealthCheck = &ecstypes.HealthCheck{Command: []string{"CMD", "true"}} },
		"one upstream, two ways": func(s *taskdef.Spec) {
			s.Proxy.Upstreams = []agentconfig.Upstream{{DestinationName: "a", LocalBindPort: 1}, {DestinationName: "a", LocalBindPort: 2, Datacenter: "dc2"}}
		},
		"upstreams of every scope": func(s *taskdef.Spec) {
			s.Service.Partition, s.Service.Namespace = "p", "n"
			s.Proxy.Upstreams = []agentconfig.Upstream{
				{DestinationName: "a", LocalBindPort: 1, DestinationPartition: "q", DestinationNamespace: "m"},
				{DestinationName: "a", LocalBindPort: 2, DestinationPeer: "east", DestinationPartition: "p", DestinationNamespace: "m"},
				{DestinationName: "a", LocalBindPort: 3, DestinationPeer: "west"},
			}
		},
		"own port mapped": func(s *taskdef.Spec) {
			app(s).PortMappings = []ecstypes.PortMapping{{ContainerPort: aws.Int32(9090), HostPort: aws.Int32(9090)}, {ContainerPort: aws.Int32(9090), Protocol: "udp"}}
		},
	}
	for _, name := range []string{"a", "1a", "a--b", "a_b", strings.Repeat("a", 200)} {
		cases["service "+name[:1]+name[len(name)-1:]+fmt.Sprint(len(name))] = func(s *taskdef.Spec) { s.Service.Name = name }
	}
	for _, port := range []int{8503, 8443, 20001, 21000} {
		cases[fmt.Sprint("listener ", port)] = func(s *taskdef.Spec) { s.Proxy.PublicListenerPort = port }
	}
	for _, port := range []int{8501, 10000, 23000} {
		cases[fmt.Sprint("readiness ", port)] = func(s *taskdef.Spec) { s.Proxy.HealthCheckPort = port }
	}
	for name, change := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spec := valid()
			change(&spec)
			if _, err := taskdef.Build(spec); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestPortsOfConsulAreNoListeners(t *testing.T) {
	t.Parallel()
	for _, port := range []int{-1, 65536, 8300, 8301, 8302, 8500, 8501, 8502, 8600, 10000, 19000, 22000} {
		spec := valid()
		spec.Proxy.PublicListenerPort = port
		if found := taskdef.Check(spec); len(found) != 1 {
			t.Errorf("listener %d: %d problems, want 1: %v", port, len(found), found.Err())
		}
	}
}

type refusal struct {
	change func(*taskdef.Spec)
	want   string
}

func TestSpecsThatCannotWorkAreRefused(t *testing.T) {
	t.Parallel()
	testRefusals(t, map[string]refusal{
		"no family":              {func(s *taskdef.Spec) { s.Family, s.Service.Name = "", "web" }, `family: is "", want 1 to 255 letters, digits, '-' and '_'`},
		"family no service name": {func(s *taskdef.Spec) { s.Family = "web_" }, `family: gives the service its name: service name "web_": want lower-case letters, digits, '-' and '_', beginning and ending with a letter or digit`},
		"service name":           {func(s *taskdef.Spec) { s.Service.Name = "a.b" }, `service.name: service name "a.b": want lower-case letters, digits, '-' and '_', beginning and ending with a letter or digit`},
		"no port":                {func(s *taskdef.Spec) { s.Service.Port = 0 }, "service.port: is missing: set the port that the application listens on, or outboundOnly for a task that only calls others"},
		"port 70000":             {func(s *taskdef.Spec) { s.Service.Port = 70000 }, "service.port: is 70000, want 0 to 65535"},
		"port of the listener":   {func(s *taskdef.Spec) { s.Service.Port = 20000 }, "service.port: is 20000, the port of the public listener"},
		"partition alone":        {func(s *taskdef.Spec) { s.Service.Partition = "p" }, "service.namespace: is missing, which service.partition needs"},
		"namespace alone":        {func(s *taskdef.Spec) { s.Service.Namespace = "n" }, "service.partition: is missing, which service.namespace needs"},
		"peer and datacenter": {func(s *taskdef.Spec) {
			s.Proxy.Upstreams = []agentconfig.Upstream{{DestinationName: "a", LocalBindPort: 1, DestinationPeer: "east", Datacenter: "dc2"}}
		}, `proxy.upstreams[0].datacenter: is "dc2", but proxy.upstreams[0].destinationPeer is set, and the peering leads there by itself: leave one of them out`},
		"peer of another partition": {func(s *taskdef.Spec) {
			s.Service.Partition, s.Service.Namespace = "p", "n"
			s.Proxy.Upstreams = []agentconfig.Upstream{{DestinationName: "a", LocalBindPort: 1, DestinationPeer: "east", DestinationPartition: "q"}}
		}, `proxy.upstreams[0].destinationPartition: is "q", but Consul takes only peerings of the service's own partition "p": leave it out`},
		"datacenter from a partition": {func(s *taskdef.Spec) {
			s.Service.Partition, s.Service.Namespace = "p", "n"
			s.Proxy.Upstreams = []agentconfig.Upstream{{DestinationName: "a", LocalBindPort: 1, Datacenter: "dc2"}}
		}, `proxy.upstreams[0].datacenter: is "dc2", but Consul leads to another datacenter only from the partition "default" to the same: use a cluster peering and proxy.upstreams[0].destinationPeer`},
		"meta of the mesh":         {func(s *taskdef.Spec) { s.Service.Meta = map[string]string{"task-id": "x"} }, `service.meta["task-id"]: is set by the mesh: choose another key`},
		"login meta of the mesh":   {func(s *taskdef.Spec) { s.Login.Meta = map[string]string{"consul.hashicorp.com/task-id": "x"} }, `login.meta["consul.hashicorp.com/task-id"]: is set by the mesh: choose another key`},
		"meta that Consul refuses": {func(s *taskdef.Spec) { s.Service.Meta = map[string]string{"a.b": ""} }, `service.meta["a.b"]: has a key that Consul refuses, want letters, digits, '-' and '_'`},
		"auth method":              {func(s *taskdef.Spec) { s.Login = agentconfig.ConsulLogin{Enabled: true, Method: "a.b"} }, `login.method: is "a.b", want 1 to 128 letters, digits, '-' and '_', as Consul's auth methods are named`},
		"no hosts":                 {func(s *taskdef.Spec) { s.Servers.Hosts = "" }, "servers.hosts: is empty"},
		"hosts with port":          {func(s *taskdef.Spec) { s.Servers.Hosts = "h:8500" }, `servers.hosts: "h:8500" has a port: give the host alone, and ports in servers.http.port and servers.grpc.port`},
		"CA without TLS": {func(s *taskdef.Spec) {
			s.Servers.Defaults = &agentconfig.ServerDefaults{TLS: aws.Bool(false)}
			s.Servers.CASecretARN = "arn:aws:secretsmanager:r:123456789012:secret:ca"
		}, "servers.caSecretArn: is set, but TLS is off: nothing would read it"},
		"role that is no ARN":   {func(s *taskdef.Spec) { s.TaskRoleARN = "web-task" }, `taskRoleArn: is "web-task", want the ARN of an IAM role: arn:<partition>:iam::<account>:role/<name>`},
		"mesh gateway's mode":   {func(s *taskdef.Spec) { s.Proxy.MeshGateway = &agentconfig.MeshGateway{Mode: "far"} }, `proxy.meshGateway: is "far", want one of none, local, remote`},
		"upstream without name": {func(s *taskdef.Spec) { s.Proxy.Upstreams = []agentconfig.Upstream{{LocalBindPort: 1}} }, "proxy.upstreams[0].destinationName: is empty"},
		"upstream's port taken": {func(s *taskdef.Spec) {
			s.Proxy.Upstreams = []agentconfig.Upstream{{DestinationName: "a", LocalBindPort: 9090}}
		}, "proxy.upstreams[0].localBindPort: is 9090, the port of the service"},
		"stop later than killed":   {func(s *taskdef.Spec) { s.Proxy.Dataplane = &agentconfig.Dataplane{StopWithinSeconds: 45} }, "proxy.dataplane.stopWithinSeconds: is 45, want less than the dataplane's stop timeout of 45"},
		"opaque without JSON form": {func(s *taskdef.Spec) { s.Proxy.Config = map[string]any{"f": func() {}} }, "proxy.config: write agent configuration: json: unsupported type: func()"},
		"log level":                {func(s *taskdef.Spec) { s.LogLevel = "debug" }, `logLevel: is "debug", want one of TRACE, DEBUG, INFO, WARN, ERROR`},
		"mesh tag":                 {func(s *taskdef.Spec) { s.Tags = map[string]string{"consul.hashicorp.com/mesh": "false"} }, `tags["consul.hashicorp.com/mesh"]: is a key of the mesh: choose another`},
		"tag of AWS":               {func(s *taskdef.Spec) { s.Tags = map[string]string{"AWS:x": ""} }, `tags["AWS:x"]: begins with aws:, which AWS keeps for itself`},
		"tag with odd characters":  {func(s *taskdef.Spec) { s.Tags = map[string]string{"a": "x!"} }, `tags["a"]: has a character that AWS refuses: letters, digits, spaces and _ . : / = + - @ are allowed`},
		"long tag":                 {func(s *taskdef.Spec) { s.Tags = map[string]string{"a": strings.Repeat("x", 257)} }, `tags["a"]: has a value of 257 characters, want at most 256`},
	})
}

func TestTasksThatECSWouldRefuse(t *testing.T) {
	t.Parallel()
	fargate := []ecstypes.Compatibility{ecstypes.CompatibilityFargate}
	ec2 := []ecstypes.Compatibility{ecstypes.CompatibilityEc2}
	testRefusals(t, map[string]refusal{
		"launch type": {func(s *taskdef.Spec) { s.Task.LaunchTypes = []ecstypes.Compatibility{"LAMBDA"} }, `task.launchTypes[0]: is "LAMBDA", want one of EC2, FARGATE, MANAGED_INSTANCES`},
		"external":    {func(s *taskdef.Spec) { s.Task.LaunchTypes = []ecstypes.Compatibility{"EXTERNAL"} }, "task.launchTypes[0]: is EXTERNAL, which has no awsvpc network: the mesh needs one"},
		"redirection on Fargate": {
			func(s *taskdef.Spec) { s.TransparentProxy.Enabled = aws.Bool(true) },
			"transparentProxy.enabled: is true, but FARGATE does not grant the capability NET_ADMIN that redirecting traffic takes: set task.launchTypes to EC2, MANAGED_INSTANCES or both, or use names, which takes none",
		},
		"read-only root and DNS": {func(s *taskdef.Spec) {
			s.Task.LaunchTypes, s.Sidecars.MeshInit.ReadonlyRoot = ec2, aws.Bool(true)
			s.TransparentProxy = agentconfig.TransparentProxy{Enabled: aws.Bool(true), ConsulDNS: &agentconfig.ConsulDNS{Enabled: aws.Bool(true)}}
		}, "sidecars.meshInit.readonlyRoot: is true, but with Consul DNS mesh-init writes /etc/resolv.conf"},
		"exclusions of nothing": {func(s *taskdef.Spec) {
			s.TransparentProxy = agentconfig.TransparentProxy{ExcludeInboundPorts: []int{1}, ExcludeOutboundPorts: []int{1}, ExcludeOutboundCIDRs: []string{"10.0.0.1"}, ExcludeUIDs: []string{"1"}}
		}, `transparentProxy.excludeInboundPorts: is set, but transparentProxy.enabled is not true: no traffic is redirected
transparentProxy.excludeOutboundPorts: is set, but transparentProxy.enabled is not true: no traffic is redirected
transparentProxy.excludeOutboundCIDRs: is set, but transparentProxy.enabled is not true: no traffic is redirected
transparentProxy.excludeUIDs: is set, but transparentProxy.enabled is not true: no traffic is redirected`},
		"block twice": {func(s *taskdef.Spec) {
			s.Task.LaunchTypes = ec2
			s.TransparentProxy = agentconfig.TransparentProxy{Enabled: aws.Bool(true), ExcludeOutboundCIDRs: []string{"10.0.0.0/8", "10.0.0.1", "10.1.2.3/8", "10.0.0.1/32", "fd00::/8"}}
		}, `transparentProxy.excludeOutboundCIDRs[2]: "10.1.2.3/8" is in the list already, as "10.0.0.0/8"
transparentProxy.excludeOutboundCIDRs[3]: "10.0.0.1/32" is in the list already, as "10.0.0.1"`},
		"users of the mesh": {func(s *taskdef.Spec) {
			s.Task.LaunchTypes, s.TransparentProxy.Enabled = ec2, aws.Bool(true)
			s.Containers = containers(4)
			for i, user := range []string{"5995", "5996:100", "1000:5997", "0:5997"} {
				s.Containers[i].Definition.User = &user
			}
			s.Containers[3].Definition.Image = &s.Sidecars.Image // the doctor, say
		}, `containers[0].user: is 5995, which belongs to the mesh's own containers, whose traffic is not redirected: choose another
containers[1].user: is 5996:100, which belongs to the mesh's own containers, whose traffic is not redirected: choose another
containers[2].user: is 1000:5997, which belongs to the mesh's own containers, whose traffic is not redirected: choose another`},
		"launch type twice":       {func(s *taskdef.Spec) { s.Task.LaunchTypes = []ecstypes.Compatibility{"EC2", "EC2"} }, "task.launchTypes[1]: EC2 is in the list twice"},
		"fargate CPU":             {func(s *taskdef.Spec) { s.Task.CPU = 300 }, "task.cpu: is 300, which FARGATE does not offer: want 256, 512, 1024, 2048, 4096, 8192 or 16384"},
		"fargate memory for 256":  {func(s *taskdef.Spec) { s.Task.Memory = 1536 }, "task.memory: is 1536 MiB, which FARGATE does not offer with 256 CPU units: want 512, 1024 or 2048"},
		"fargate memory for 8192": {func(s *taskdef.Spec) { s.Task.CPU, s.Task.Memory = 8192, 17408 }, "task.memory: is 17408 MiB, which FARGATE does not offer with 8192 CPU units: want 16384 to 61440 in steps of 4096"},
		"EC2 CPU":                 {func(s *taskdef.Spec) { s.Task.LaunchTypes, s.Task.CPU = ec2, 100 }, "task.cpu: is 100, want 128 to 196608"},
		"ephemeral storage":       {func(s *taskdef.Spec) { s.Task.EphemeralStorageGiB = 20 }, "task.ephemeralStorageGib: is 20, want 21 to 200"},
		"ephemeral storage, EC2":  {func(s *taskdef.Spec) { s.Task.LaunchTypes, s.Task.EphemeralStorageGiB = ec2, 30 }, "task.ephemeralStorageGib: is allowed on FARGATE alone"},
		"PID mode":                {func(s *taskdef.Spec) { s.Task.LaunchTypes, s.Task.PIDMode = fargate, "host" }, "task.pidMode: is host, which is not allowed on FARGATE"},
		"placement": {func(s *taskdef.Spec) {
			s.Task.PlacementConstraints = make([]ecstypes.TaskDefinitionPlacementConstraint, 1)
		}, "task.placementConstraints: is not allowed on FARGATE"},
		"volume of the mesh": {func(s *taskdef.Spec) { s.Task.Volumes = []ecstypes.Volume{{Name: aws.String("consul_data")}} }, `task.volumes[0].name: is "consul_data", which the mesh adds itself`},
		"volume twice": {func(s *taskdef.Spec) {
			s.Task.Volumes = []ecstypes.Volume{{Name: aws.String("v")}, {Name: aws.String("v")}}
		}, `task.volumes[1].name: "v" is in the list twice`},
		"host volume on fargate": {func(s *taskdef.Spec) {
			s.Task.Volumes = []ecstypes.Volume{{Name: aws.String("v"), Host: &ecstypes.HostVolumeProperties{SourcePath: aws.String("/x")}}}
		}, "task.volumes[0].host.sourcePath: is not allowed on FARGATE, which has no host of yours"},
		"memory together":         {func(s *taskdef.Spec) { app(s).Memory = aws.Int32(512) }, "task.memory: is 512 MiB, but the containers ask for 632 together, 120 of them for the mesh's own"},
		"CPU together":            {func(s *taskdef.Spec) { app(s).Cpu, s.Sidecars.Dataplane.CPU = 200, 100 }, "task.cpu: is 256, but the containers ask for 300 together"},
		"too large":               {func(s *taskdef.Spec) { app(s).Command = []string{strings.Repeat("x", 64<<10)} }, "containers: makes a task definition of 68449 bytes, want at most 65536: the largest parts are command of container app (65540 bytes), the agents' configuration, which grows with upstreams and their config (762 bytes), dependsOn of container app (122 bytes)"},
		"sidecar image":           {func(s *taskdef.Spec) { s.Sidecars.Image = "" }, "sidecars.image: is missing, and only a release of the provider has an image of its own: set it here or in the provider's agent_image"},
		"ready gate":              {func(s *taskdef.Spec) { s.Sidecars.ReadyGate = "yes" }, `sidecars.readyGate: is "yes", want auto, on or off`},
		"ready gate has no place": {func(s *taskdef.Spec) { s.Containers, s.Sidecars.ReadyGate = containers(7), "on" }, "sidecars.readyGate: is on, but the task would have 11 containers, want at most 10: set auto or off"},
		"config of a sidecar": {func(s *taskdef.Spec) {
			s.Sidecars.HealthSync.Environment = map[string]string{"CONSUL_ECS_CONFIG_JSON": "{}"}
		}, `sidecars.healthSync.environment["CONSUL_ECS_CONFIG_JSON"]: is set by the mesh`},
		"sidecar memory": {func(s *taskdef.Spec) { s.Sidecars.Dataplane.Memory, s.Sidecars.Dataplane.MemoryReservation = 64, 128 }, "sidecars.dataplane.memoryReservation: is 128 MiB, above the limit of 64"},
		"no log driver": {func(s *taskdef.Spec) {
			s.Sidecars.LogConfiguration = &ecstypes.LogConfiguration{Options: map[string]string{"a": "b"}}
		}, `sidecars.logConfiguration.logDriver: is "", want one of json-file, syslog, journald, gelf, fluentd, awslogs, splunk, awsfirelens`},
		"log without group": {func(s *taskdef.Spec) {
			s.Sidecars.Dataplane.LogConfiguration = &ecstypes.LogConfiguration{LogDriver: "awslogs"}
		}, `sidecars.dataplane.logConfiguration.options["awslogs-group"]: is missing, which the driver awslogs needs
sidecars.dataplane.logConfiguration.options["awslogs-region"]: is missing, which the driver awslogs needs on FARGATE
sidecars.dataplane.logConfiguration.options["awslogs-stream-prefix"]: is missing, which the driver awslogs needs on FARGATE`},
		"windows": {func(s *taskdef.Spec) {
			s.Task.RuntimePlatform = &ecstypes.RuntimePlatform{OperatingSystemFamily: "WINDOWS_SERVER_2022_CORE"}
		}, `task.runtimePlatform.operatingSystemFamily: is "WINDOWS_SERVER_2022_CORE", but the mesh's containers run on LINUX alone`},
		"restart unsaid": {func(s *taskdef.Spec) { s.Sidecars.Dataplane.RestartPolicy = &ecstypes.ContainerRestartPolicy{} }, "sidecars.dataplane.restartPolicy.enabled: is missing"},
		"restart of what ends": {func(s *taskdef.Spec) {
			s.Sidecars.MeshInit.RestartPolicy = &ecstypes.ContainerRestartPolicy{Enabled: aws.Bool(true)}
		}, "sidecars.meshInit.restartPolicy: is for containers that stay: this one ends when its work is done"},
		"restart period": {func(s *taskdef.Spec) {
			s.Sidecars.Dataplane.RestartPolicy = &ecstypes.ContainerRestartPolicy{Enabled: aws.Bool(true), RestartAttemptPeriod: aws.Int32(59)}
		}, "sidecars.dataplane.restartPolicy.restartAttemptPeriod: is 59, want 60 to 1800"},
		"health-sync stops first": {func(s *taskdef.Spec) { s.Sidecars.HealthSync.StopTimeout = 44 }, "sidecars.healthSync.stopTimeout: is 44 seconds, but the dataplane may take 45 to stop, and health-sync deregisters it then"},
		"mesh stops first":        {func(s *taskdef.Spec) { app(s).StopTimeout, s.Sidecars.Dataplane.StopTimeout = aws.Int32(90), 60 }, "sidecars.dataplane.stopTimeout: is 60 seconds, but a container of the task may take 90 to stop: the mesh has to outlast it"},
	})
}

func TestContainersThatECSWouldRefuse(t *testing.T) {
	t.Parallel()
	testRefusals(t, map[string]refusal{
		"none":               {func(s *taskdef.Spec) { s.Containers = nil }, "containers: is missing: want at least one"},
		"eight":              {func(s *taskdef.Spec) { s.Containers = containers(8) }, "containers: has 8 containers, and 11 with the mesh's own: ECS takes at most 10"},
		"two of one name":    {func(s *taskdef.Spec) { s.Containers = append(s.Containers, container("app")) }, `containers[1].name: "app" is already the name of containers[0]`},
		"name of the mesh":   {func(s *taskdef.Spec) { app(s).Name = aws.String("consul-dataplane") }, `containers[0].name: is "consul-dataplane", which the mesh adds itself`},
		"name":               {func(s *taskdef.Spec) { app(s).Name = aws.String("a b") }, `containers[0].name: is "a b", want 1 to 255 letters, digits, '-' and '_'`},
		"image":              {func(s *taskdef.Spec) { app(s).Image = nil }, "containers[0].image: is missing"},
		"none essential":     {func(s *taskdef.Spec) { app(s).Essential = aws.Bool(false) }, "containers: has no essential one: the task would go on when the application has ended"},
		"memory":             {func(s *taskdef.Spec) { app(s).Memory = aws.Int32(5) }, "containers[0].memory: is 5 MiB, want at least 6"},
		"stop timeout":       {func(s *taskdef.Spec) { app(s).StopTimeout = aws.Int32(121) }, "containers[0].stopTimeout: is 121 seconds, but FARGATE takes at most 120"},
		"start timeout":      {func(s *taskdef.Spec) { app(s).StartTimeout = aws.Int32(1) }, "containers[0].startTimeout: is 1 seconds, but FARGATE takes 2 to 120"},
		"sync without check": {func(s *taskdef.Spec) { s.Containers[0].HealthSync = aws.Bool(true) }, "containers[0].healthSync: is true, but the container has no health check to copy"},
		"no sync with a probe": {func(s *taskdef.Spec) {
			s.ReadinessProbes = []agentconfig.ReadinessProbe{{Container: "app", Type: "tcp", Port: 9090}}
			s.Containers[0].HealthSync = aws.Bool(false)
		}, "containers[0].healthSync: is false, but the container has a readiness probe, whose answers are for Consul: leave one of them out"},
		"probes": {func(s *taskdef.Spec) {
			s.ReadinessProbes = []agentconfig.ReadinessProbe{{Container: "app", Type: "tcp", Path: "/"}, {Container: "app", Type: "tcp", Port: 1}, {Container: "db", Type: "tcp", Port: 1}}
		}, `readinessProbes[0].port: is 0, want 1 to 65535
readinessProbes[0].path: is for the type http alone
readinessProbes[1].container: "app" has a probe already
readinessProbes[2].container: is "db", which is no container of the task`},
		"health check bounds": {func(s *taskdef.Spec) {
			app(s).HealthCheck = &ecstypes.HealthCheck{Command: []string{"true"}, Interval: aws.Int32(4), Timeout: aws.Int32(61), Retries: aws.Int32(11), StartPeriod: aws.Int32(301)}
		}, "containers[0].healthCheck.command: wants CMD or CMD-SHELL first, then the command: ECS knows by that word how to run it\ncontainers[0].healthCheck.interval: is 4, want 5 to 300\ncontainers[0].healthCheck.timeout: is 61, want 2 to 60\ncontainers[0].healthCheck.retries: is 11, want 1 to 10\ncontainers[0].healthCheck.startPeriod: is 301, want 0 to 300"},
		"secret shadows variable": {func(s *taskdef.Spec) {
			app(s).Environment = []ecstypes.KeyValuePair{{Name: aws.String("A")}}
			app(s).Secrets = []ecstypes.Secret{{Name: aws.String("A"), ValueFrom: aws.String("p")}}
		}, `containers[0].secrets["A"]: is set already at containers[0].environment["A"]`},
		"secret from nowhere": {func(s *taskdef.Spec) { app(s).Secrets = []ecstypes.Secret{{Name: aws.String("A")}} }, `containers[0].secrets["A"]: is empty, want the ARN of a Secrets Manager secret or of an SSM parameter, or the name of a parameter`},
		"not for awsvpc":      {func(s *taskdef.Spec) { app(s).Links = []string{"x"} }, "containers[0].links: is [x], which is not allowed in the awsvpc network mode, and the mesh needs that: the containers of a task reach each other at 127.0.0.1, so leave it out"},
		"capability": {func(s *taskdef.Spec) {
			app(s).LinuxParameters = &ecstypes.LinuxParameters{Capabilities: &ecstypes.KernelCapabilities{Add: []string{"NET_ADMIN"}}}
		}, "containers[0].linuxParameters.capabilities.add[0]: is NET_ADMIN, but FARGATE grants SYS_PTRACE alone"},
		"privileged": {func(s *taskdef.Spec) { app(s).Privileged = aws.Bool(true) }, "containers[0].privileged: is not allowed on FARGATE"},
		"mount without volume": {func(s *taskdef.Spec) {
			app(s).MountPoints = []ecstypes.MountPoint{{SourceVolume: aws.String("v"), ContainerPath: aws.String("/v")}}
		}, `containers[0].mountPoints[0].sourceVolume: is "v", which is no volume of the task`},
		"mapped listener": {func(s *taskdef.Spec) { app(s).PortMappings = []ecstypes.PortMapping{{ContainerPort: aws.Int32(20000)}} }, "containers[0].portMappings[0].containerPort: is 20000, which proxy.publicListenerPort has taken"},
		"mapped twice": {func(s *taskdef.Spec) {
			app(s).PortMappings = []ecstypes.PortMapping{{ContainerPort: aws.Int32(80)}, {ContainerPort: aws.Int32(80), Protocol: "tcp"}}
		}, "containers[0].portMappings[1].containerPort: is 80, which containers[0].portMappings[0].containerPort has taken"},
		"mapped to another": {func(s *taskdef.Spec) {
			app(s).PortMappings = []ecstypes.PortMapping{{ContainerPort: aws.Int32(80), HostPort: aws.Int32(8080)}}
		}, "containers[0].portMappings[0].hostPort: is 8080, want the container's port 80 or none: the task has an address of its own"},
		"depends on nobody":        {func(s *taskdef.Spec) { app(s).DependsOn = dependsOn("db", "START") }, `containers[0].dependsOn[0].containerName: is "db", which is no container of the task`},
		"no condition":             {func(s *taskdef.Spec) { app(s).DependsOn = dependsOn("consul-dataplane", "UP") }, `containers[0].dependsOn[0].condition: is "UP", want START, COMPLETE, SUCCESS or HEALTHY`},
		"success of the essential": {func(s *taskdef.Spec) { s.Containers = containers(2); app(s).DependsOn = dependsOn("app-1", "SUCCESS") }, "containers[0].dependsOn[0].condition: is SUCCESS, but app-1 is essential: its end would be the task's"},
		"health-sync's verdict":    {func(s *taskdef.Spec) { app(s).DependsOn = dependsOn("consul-ecs-health-sync", "HEALTHY") }, "containers[0].dependsOn[0].condition: is HEALTHY, but consul-ecs-health-sync is so only when every container of the application runs: they would wait for each other"},
		"healthy without check":    {func(s *taskdef.Spec) { s.Containers = containers(2); app(s).DependsOn = dependsOn("app-1", "HEALTHY") }, "containers[0].dependsOn[0].condition: is HEALTHY, but app-1 has no health check"},
		"gate that is off": {func(s *taskdef.Spec) {
			s.Sidecars.ReadyGate = "off"
			app(s).DependsOn = dependsOn("consul-ecs-mesh-ready", "SUCCESS")
		}, `containers[0].dependsOn[0].containerName: is "consul-ecs-mesh-ready", but the ready gate is off`},
		"end of the dataplane":    {func(s *taskdef.Spec) { app(s).DependsOn = dependsOn("consul-dataplane", "COMPLETE") }, "containers[0].dependsOn[0].condition: is COMPLETE, but consul-dataplane is essential: its end would be the task's"},
		"driver of EC2":           {func(s *taskdef.Spec) { app(s).LogConfiguration = &ecstypes.LogConfiguration{LogDriver: "json-file"} }, "containers[0].logConfiguration.logDriver: is json-file, but FARGATE has only awslogs, splunk, awsfirelens"},
		"memory above the task's": {func(s *taskdef.Spec) { app(s).Memory, app(s).MemoryReservation = aws.Int32(1024), aws.Int32(64) }, "containers[0].memory: is 1024 MiB, above the task's 512"},
		"mount twice": {func(s *taskdef.Spec) {
			m := ecstypes.MountPoint{SourceVolume: aws.String("consul_data"), ContainerPath: aws.String("/x")}
			app(s).MountPoints = []ecstypes.MountPoint{m, m}
		}, `containers[0].mountPoints[1].containerPath: "/x" is taken by containers[0].mountPoints[0].containerPath`},
		"depends twice": {func(s *taskdef.Spec) {
			app(s).DependsOn = append(dependsOn("consul-dataplane", "START"), dependsOn("consul-dataplane", "HEALTHY")...)
		}, `containers[0].dependsOn[1].containerName: "consul-dataplane" is in containers[0].dependsOn[0].containerName already`},
		"cycle": {func(s *taskdef.Spec) {
			s.Containers = containers(2)
			s.Containers[0].Definition.DependsOn, s.Containers[1].Definition.DependsOn = dependsOn("app-1", "START"), dependsOn("app-0", "START")
		}, "containers: has a circle of containers that wait for each other: app-0 → app-1 → app-0"},
	})
}

func TestDelaysThatDoNotFit(t *testing.T) {
	t.Parallel()
	delayed := func(delay string, change func(*taskdef.Spec)) func(*taskdef.Spec) {
		return func(s *taskdef.Spec) {
			app(s).EntryPoint, app(s).Command = []string{"/entrypoint.sh"}, []string{"/app"}
			s.Containers[0].ShutdownDelay = delay
			change(s)
		}
	}
	plain := func(*taskdef.Spec) {}
	testRefusals(t, map[string]refusal{
		"no duration":      {delayed("soon", plain), `containers[0].shutdownDelay: is "soon", want whole seconds such as 10s or 1m30s`},
		"negative":         {delayed("-1s", plain), `containers[0].shutdownDelay: is "-1s", want whole seconds such as 10s or 1m30s`},
		"a fraction":       {delayed("1.5s", plain), `containers[0].shutdownDelay: is "1.5s", want whole seconds such as 10s or 1m30s`},
		"as long as ECS's": {delayed("30s", plain), "containers[0].shutdownDelay: is 30s, but ECS kills the container 30 s after SIGTERM: want less, or a longer containers[0].stopTimeout"},
		"as long as its own": {delayed("1m", func(s *taskdef.Spec) { app(s).StopTimeout = aws.Int32(60) }),
			"containers[0].shutdownDelay: is 1m0s, but ECS kills the container 60 s after SIGTERM: want less, or a longer containers[0].stopTimeout"},
		"longer than the proxy's": {delayed("116s", func(s *taskdef.Spec) { app(s).StopTimeout = aws.Int32(120) }),
			"containers[0].shutdownDelay: is 1m56s, but the proxy ends 115 s after SIGTERM at the latest: the application would serve on without it"},
		"longer than the proxy is told": {delayed("20s", func(s *taskdef.Spec) { s.Proxy.Dataplane = &agentconfig.Dataplane{StopWithinSeconds: 20} }),
			"containers[0].shutdownDelay: is 20s, but the proxy ends 20 s after SIGTERM at the latest: the application would serve on without it"},
		"of nobody knows what": {delayed("5s", func(s *taskdef.Spec) { app(s).EntryPoint, app(s).Command = nil, nil }),
			"containers[0].shutdownDelay: is 5s, but what the image runs by itself is not known here: set containers[0].entryPoint and containers[0].command to what its ENTRYPOINT and CMD say"},
		"of a container that does not wait": {delayed("5s", func(s *taskdef.Spec) { s.Containers[0].WaitForProxy = aws.Bool(false) }),
			"containers[0].shutdownDelay: is 5s, but containers[0].waitForProxy is false: the container starts before mesh-init has brought the program that delays its end"},
		"behind a mount": {delayed("5s", func(s *taskdef.Spec) {
			s.Task.Volumes = []ecstypes.Volume{{Name: aws.String("own")}}
			app(s).MountPoints = []ecstypes.MountPoint{{SourceVolume: aws.String("own"), ContainerPath: aws.String("/consul")}}
		}), "containers[0].mountPoints[0].containerPath: is /consul, where the mesh mounts the program that delays the container's end: mount the volume elsewhere, or leave containers[0].shutdownDelay out"},
	})
}

func testRefusals(t *testing.T, cases map[string]refusal) {
	t.Helper()
	if err := taskdef.Check(valid()).Err(); err != nil {
		t.Fatalf("the Spec that the cases change: %v", err)
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spec := valid()
			c.change(&spec)
			_, err := taskdef.Build(spec)
			if err == nil {
				t.Fatal("accepted")
			}
			got := strings.TrimPrefix(err.Error(), "build task definition "+spec.Family+": ")
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhatFollowsFromUnknownValuesIsNotReported(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change  func(*taskdef.Spec)
		unknown problem.Path
	}{
		"port":                   {func(s *taskdef.Spec) { s.Service.Port = 0 }, problem.At("service", "port")},
		"the listener has moved": {func(s *taskdef.Spec) { s.Service.Port = 20000 }, problem.At("proxy", "publicListenerPort")},
		"memory":                 {func(s *taskdef.Spec) { s.Task.CPU = 1024 }, problem.At("task", "memory")},
		"name of a container":    {func(s *taskdef.Spec) { app(s).DependsOn = dependsOn("b", "START") }, problem.At("containers", 0, "name")},
		"image":                  {func(s *taskdef.Spec) { app(s).Image = nil }, problem.At("containers", 0, "image")},
		"all containers":         {func(s *taskdef.Spec) { s.Containers = nil }, problem.At("containers")},
		"hosts":                  {func(s *taskdef.Spec) { s.Servers.Hosts = "" }, problem.At("servers", "hosts")},
		"datacenter of an upstream": {func(s *taskdef.Spec) {
			s.Proxy.Upstreams = []agentconfig.Upstream{{DestinationName: "a", LocalBindPort: 1}, {DestinationName: "a", LocalBindPort: 2}}
		}, problem.At("proxy", "upstreams", 1, "datacenter")},
		"launch types": {func(s *taskdef.Spec) { s.Task.CPU = 300 }, problem.At("task", "launchTypes")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spec := valid()
			c.change(&spec)
			if len(taskdef.Check(spec)) == 0 {
				t.Fatal("the case has no problem to leave out")
			}
			if err := taskdef.Check(spec).Without(c.unknown).Err(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestControllersThatCannotWorkAreRefused(t *testing.T) {
	t.Parallel()
	_, err := taskdef.BuildController(taskdef.ControllerSpec{
		Controller: agentconfig.Controller{IAMRolePath: "/x", Partition: "p"},
		Container:  taskdef.Sidecar{Environment: map[string]string{"CONSUL_HTTP_TOKEN": "secret"}, Memory: 1},
		Task:       taskdef.Task{CPU: 1},
		Tags:       map[string]string{"consul.hashicorp.com/mesh": "true"},
	})
	want := `build task definition consul-ecs-controller: servers.hosts: is empty
controller.iamRolePath: is "/x", want an IAM path that begins and ends with '/'
controller.partition: is "p", but controller.partitionsEnabled is not true
task.cpu: is 1, which FARGATE does not offer: want 256, 512, 1024, 2048, 4096, 8192 or 16384
image: is missing, and only a release of the provider has an image of its own: set it here or in the provider's agent_image
tokenSecretArn: is missing: set it to the secret with the ACL token that the controller works with; or logsIn to true, beside controller.firstTokenSecretArn or controller.manageACL = false; or, where Consul's ACL system is off, acls to false
container.environment["CONSUL_HTTP_TOKEN"]: is set by the mesh
container.memory: is 1 MiB, want at least 6
tags["consul.hashicorp.com/mesh"]: is a key of the mesh: choose another`
	if err == nil {
		t.Fatal("accepted")
	}
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Errorf("error (-want +got):\n%s", diff)
	}
}
