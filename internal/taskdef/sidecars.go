package taskdef

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
)

// binary is where the agents' image has them; the image's entry point runs it, a health check has to name it.
const binary = "/bin/consulecs-agent"

// capNetAdmin is the capability that traffic redirection takes.
const capNetAdmin = "NET_ADMIN"

// maxContainers is ECS's limit for one task.
const maxContainers = 10

// restartAfter is how long, in seconds, a container must have run for ECS to restart it in place: ECS's minimum.
const restartAfter = 60

// Memory reservations in MiB. Envoy lives in the dataplane's, which grows with the number of services: each has an Envoy.
const (
	reserveMeshInit   = 16
	reserveDataplane  = 64
	reserveMeshReady  = 16
	reserveHealthSync = 24
	reserveController = 64
)

// hasReadyGate reports whether the task gets the mesh-ready container.
func (s Spec) hasReadyGate() bool {
	switch s.Sidecars.ReadyGate {
	case ReadyGateOn:
		return true
	case ReadyGateOff:
		return false
	default:
		return len(s.Containers)+len(mesh.InjectedContainers()) <= maxContainers
	}
}

// injected are the mesh's containers, in start order. config is the agents' configuration.
func (s Spec) injected(config string) []ecstypes.ContainerDefinition {
	containers := []ecstypes.ContainerDefinition{s.meshInit(config), s.dataplaneContainer()}
	if s.hasReadyGate() {
		containers = append(containers, s.meshReady())
	}
	containers = append(containers, s.healthSync(config))
	for i, c := range containers {
		containers[i] = s.afterRouter(c)
	}
	return containers
}

func (s Spec) meshInit(config string) ecstypes.ContainerDefinition {
	settings, cfg := s.Sidecars.MeshInit, AgentConfig(s)
	if needsResolver(cfg) {
		settings.ReadonlyRoot = aws.Bool(false) // it writes /etc/resolv.conf, which is read-only where the root is
	}
	c := s.sidecar(mesh.ContainerMeshInit, settings, reserveMeshInit)
	c.Command = []string{mesh.CommandMeshInit}
	c.User = uid(mesh.UIDMeshInit)
	if cfg.RedirectsTraffic() {
		c.User = aws.String(fmt.Sprintf("0:%d", mesh.UIDMeshInit)) // rules are loaded by root; by the group they know its traffic
		c.LinuxParameters = &ecstypes.LinuxParameters{Capabilities: &ecstypes.KernelCapabilities{Add: []string{capNetAdmin}}}
	}
	if cfg.CallsByName() {
		c.User = uid(0) // /etc/resolv.conf is root's; nothing else of it takes root
		c.SystemControls = []ecstypes.SystemControl{unprivileged}
	}
	c.Environment = withConfig(config, c.Environment)
	c.Secrets = s.Servers.secrets()
	c.MountPoints = meshVolume(false)
	return c
}

func (s Spec) dataplaneContainer() ecstypes.ContainerDefinition {
	settings := s.Sidecars.Dataplane
	c := s.sidecar(mesh.ContainerDataplane, settings, reserveDataplane*int32(1+len(s.Services)))
	c.Command = []string{mesh.CommandDataplane}
	c.User = uid(mesh.UIDDataplane)
	c.MountPoints = meshVolume(true)
	c.DependsOn = []ecstypes.ContainerDependency{after(mesh.ContainerMeshInit, ecstypes.ContainerConditionSuccess)}
	if s.awaitsHealthyProxy() {
		c.HealthCheck = &ecstypes.HealthCheck{
			Command:  []string{"CMD", binary, mesh.CommandReady},
			Interval: aws.Int32(5), // ECS's shortest
			Timeout:  aws.Int32(5),
			Retries:  aws.Int32(10),
		}
	}
	c.Ulimits = []ecstypes.Ulimit{{Name: ecstypes.UlimitNameNofile, SoftLimit: 1048576, HardLimit: 1048576}} // Envoy: two per connection
	if AgentConfig(s).CallsByName() {
		c.SystemControls = []ecstypes.SystemControl{unprivileged}
	}
	if s.MapsListener {
		c.PortMappings = []ecstypes.PortMapping{{ContainerPort: aws.Int32(int32(AgentConfig(s).Proxy.PublicListenerPort)), Protocol: ecstypes.TransportProtocolTcp}}
	}
	stays(&c, settings, s.dataplaneStop())
	return c
}

// awaitsHealthyProxy reports whether a container of the task starts when ECS has the dataplane as HEALTHY. Where none does, the
// dataplane has no health check: a check starts a program every five seconds, which is most of what a task at rest costs. A rare one
// would be no better, since ECS first asks after one interval, and has no healthy task before. That an Envoy hangs, the agent finds
// out by itself; and health-sync's check, by which ECS knows the task, waits for the proxy, too.
func (s Spec) awaitsHealthyProxy() bool {
	return slices.ContainsFunc(s.Containers, func(c Container) bool {
		return slices.ContainsFunc(s.userContainer(c).DependsOn, func(d ecstypes.ContainerDependency) bool {
			return aws.ToString(d.ContainerName) == mesh.ContainerDataplane && d.Condition == ecstypes.ContainerConditionHealthy
		})
	})
}

func (s Spec) meshReady() ecstypes.ContainerDefinition {
	c := s.sidecar(mesh.ContainerMeshReady, s.Sidecars.MeshReady, reserveMeshReady)
	c.Command = []string{mesh.CommandMeshReady}
	c.User = uid(mesh.UIDHealthSync)
	c.MountPoints = meshVolume(true)
	c.DependsOn = []ecstypes.ContainerDependency{after(mesh.ContainerDataplane, ecstypes.ContainerConditionStart)}
	return c
}

func (s Spec) healthSync(config string) ecstypes.ContainerDefinition {
	settings := s.Sidecars.HealthSync
	c := s.sidecar(mesh.ContainerHealthSync, settings, reserveHealthSync)
	c.Command = []string{mesh.CommandHealthSync}
	c.User = uid(mesh.UIDHealthSync)
	c.Environment = withConfig(config, c.Environment)
	c.Secrets = s.Servers.secrets()
	c.MountPoints = meshVolume(true)
	c.DependsOn = []ecstypes.ContainerDependency{after(mesh.ContainerMeshInit, ecstypes.ContainerConditionSuccess)}
	// The check waits inside until Consul has the task, so that ECS hears of it without a pause; hence the long timeout.
	c.HealthCheck = &ecstypes.HealthCheck{
		Command:     []string{"CMD", binary, mesh.CommandPassing},
		Interval:    aws.Int32(5),
		Timeout:     aws.Int32(60),
		Retries:     aws.Int32(10),
		StartPeriod: aws.Int32(300),
	}
	stays(&c, settings, s.healthSyncStop())
	return c
}

// sidecar is what all injected containers have in common.
func (s Spec) sidecar(name string, settings Sidecar, reservation int32) ecstypes.ContainerDefinition {
	settings.Image = cmp.Or(settings.Image, s.Sidecars.Image)
	settings.LogConfiguration = cmp.Or(settings.LogConfiguration, s.Sidecars.LogConfiguration)
	return agentContainer(name, settings, reservation, s.Sidecars.PullCredentialsSecretARN)
}

// agentContainer is what every container of ours has in common, the controller included.
func agentContainer(name string, settings Sidecar, reservation int32, pullCredentials string) ecstypes.ContainerDefinition {
	c := ecstypes.ContainerDefinition{
		Name:                   &name,
		Image:                  &settings.Image,
		Essential:              aws.Bool(false),
		Cpu:                    settings.CPU,
		Environment:            environment(settings.Environment),
		LogConfiguration:       log(settings.LogConfiguration),
		ReadonlyRootFilesystem: first(settings.ReadonlyRoot, aws.Bool(true)),
	}
	if settings.Memory > 0 {
		c.Memory = &settings.Memory
		reservation = min(reservation, settings.Memory)
	}
	c.MemoryReservation = aws.Int32(cmp.Or(settings.MemoryReservation, reservation))
	if settings.StopTimeout > 0 {
		c.StopTimeout = &settings.StopTimeout
	}
	if pullCredentials != "" {
		c.RepositoryCredentials = &ecstypes.RepositoryCredentials{CredentialsParameter: &pullCredentials}
	}
	return c
}

// log is nil for settings that say nothing, too: there is to be none, whatever the others have.
func log(settings *ecstypes.LogConfiguration) *ecstypes.LogConfiguration {
	if settings == nil || settings.LogDriver == "" && len(settings.Options)+len(settings.SecretOptions) == 0 {
		return nil
	}
	return settings
}

// stays makes c a container that runs as long as the task: a crash is answered by a restart in place, and if that does not
// help, by a new task.
func stays(c *ecstypes.ContainerDefinition, settings Sidecar, stopTimeout int32) {
	c.Essential = aws.Bool(true)
	c.StopTimeout = &stopTimeout
	c.RestartPolicy = cmp.Or(settings.RestartPolicy,
		&ecstypes.ContainerRestartPolicy{Enabled: aws.Bool(true), RestartAttemptPeriod: aws.Int32(restartAfter)})
}

// secrets are the certificate authorities, as PEM text in the environment.
func (s Servers) secrets() []ecstypes.Secret {
	var secrets []ecstypes.Secret
	if arn := s.grpcCA(); arn != "" {
		secrets = append(secrets, secret(mesh.VariableGRPCCACert, arn))
	}
	if arn := s.httpsCA(); arn != "" {
		secrets = append(secrets, secret(mesh.VariableHTTPSCACert, arn))
	}
	return secrets
}

func secret(variable, arn string) ecstypes.Secret {
	return ecstypes.Secret{Name: &variable, ValueFrom: &arn}
}

func meshVolume(readOnly bool) []ecstypes.MountPoint {
	return []ecstypes.MountPoint{{
		SourceVolume: aws.String(mesh.VolumeName), ContainerPath: aws.String(mesh.BootstrapDir), ReadOnly: &readOnly,
	}}
}

func after(container string, condition ecstypes.ContainerCondition) ecstypes.ContainerDependency {
	return ecstypes.ContainerDependency{ContainerName: &container, Condition: condition}
}

func uid(n int) *string { return aws.String(fmt.Sprint(n)) }

func environment(values map[string]string) []ecstypes.KeyValuePair {
	var pairs []ecstypes.KeyValuePair
	for _, name := range slices.Sorted(maps.Keys(values)) {
		pairs = append(pairs, ecstypes.KeyValuePair{Name: aws.String(name), Value: aws.String(values[name])})
	}
	return pairs
}

// withConfig puts the agents' configuration among a container's variables, in the order of names.
func withConfig(config string, pairs []ecstypes.KeyValuePair) []ecstypes.KeyValuePair {
	pairs = append(pairs, ecstypes.KeyValuePair{Name: aws.String(mesh.ConfigVariable), Value: &config})
	slices.SortFunc(pairs, func(a, b ecstypes.KeyValuePair) int { return strings.Compare(*a.Name, *b.Name) })
	return pairs
}
