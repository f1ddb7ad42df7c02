package block

import (
	"maps"

	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskdef"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

type Container struct {
	Name                   *string             `tfsdk:"name"`
	Image                  *string             `tfsdk:"image"`
	Essential              *bool               `tfsdk:"essential"`
	Command                []string            `tfsdk:"command"`
	EntryPoint             []string            `tfsdk:"entry_point"`
	WorkingDirectory       *string             `tfsdk:"working_directory"`
	User                   *string             `tfsdk:"user"`
	Cpu                    *int32              `tfsdk:"cpu"`
	Memory                 *int32              `tfsdk:"memory"`
	MemoryReservation      *int32              `tfsdk:"memory_reservation"`
	Environment            map[string]string   `tfsdk:"environment"`
	Secrets                map[string]string   `tfsdk:"secrets"`
	EnvironmentFiles       []environmentFile   `tfsdk:"environment_file"`
	StartTimeout           *int32              `tfsdk:"start_timeout"`
	StopTimeout            *int32              `tfsdk:"stop_timeout"`
	Privileged             *bool               `tfsdk:"privileged"`
	ReadonlyRootFilesystem *bool               `tfsdk:"readonly_root_filesystem"`
	Interactive            *bool               `tfsdk:"interactive"`
	PseudoTerminal         *bool               `tfsdk:"pseudo_terminal"`
	DockerLabels           map[string]string   `tfsdk:"docker_labels"`
	DockerSecurityOptions  []string            `tfsdk:"docker_security_options"`
	CredentialSpecs        []string            `tfsdk:"credential_specs"`
	VersionConsistency     *string             `tfsdk:"version_consistency"`
	Hostname               *string             `tfsdk:"hostname"`
	Links                  []string            `tfsdk:"links"`
	DnsServers             []string            `tfsdk:"dns_servers"`
	DnsSearchDomains       []string            `tfsdk:"dns_search_domains"`
	DisableNetworking      *bool               `tfsdk:"disable_networking"`
	LogConfiguration       *LogConfiguration   `tfsdk:"log_configuration"`
	Mesh                   *ContainerMesh      `tfsdk:"mesh" spec:"-" at:"."`
	DependsOn              []dependency        `tfsdk:"depends_on"`
	HealthCheck            *healthCheck        `tfsdk:"health_check"`
	RestartPolicy          *restartPolicy      `tfsdk:"restart_policy"`
	PortMappings           []portMapping       `tfsdk:"port_mapping"`
	MountPoints            []mountPoint        `tfsdk:"mount_point"`
	VolumesFrom            []volumeFrom        `tfsdk:"volumes_from"`
	Ulimits                []ulimit            `tfsdk:"ulimit"`
	SystemControls         []systemControl     `tfsdk:"system_control"`
	ResourceRequirements   []requirement       `tfsdk:"resource_requirement"`
	RepositoryCredentials  *registryCredential `tfsdk:"repository_credentials"`
	FirelensConfiguration  *firelens           `tfsdk:"firelens_configuration"`
	LinuxParameters        *linuxParameters    `tfsdk:"linux_parameters"`
	ExtraHosts             []extraHost         `tfsdk:"extra_host"`
}

type ContainerMesh struct {
	HealthSync     *bool   `tfsdk:"health_sync"`
	WaitForProxy   *bool   `tfsdk:"wait_for_proxy"`
	ShutdownDelay  *string `tfsdk:"shutdown_delay"`
	ReadinessProbe *Probe  `tfsdk:"readiness_probe" spec:"-"`
}

type Probe struct {
	Type    *string `tfsdk:"type"`
	Port    *int32  `tfsdk:"port"`
	Path    *string `tfsdk:"path"`
	Service *string `tfsdk:"service"`
}

type environmentFile struct {
	Type  *string `tfsdk:"type"`
	Value *string `tfsdk:"value"`
}

type dependency struct {
	ContainerName *string `tfsdk:"container_name"`
	Condition     *string `tfsdk:"condition"`
}

type healthCheck struct {
	Command     []string `tfsdk:"command"`
	Interval    *int32   `tfsdk:"interval"`
	Timeout     *int32   `tfsdk:"timeout"`
	Retries     *int32   `tfsdk:"retries"`
	StartPeriod *int32   `tfsdk:"start_period"`
}

type restartPolicy struct {
	Enabled              *bool   `tfsdk:"enabled"`
	IgnoredExitCodes     []int32 `tfsdk:"ignored_exit_codes"`
	RestartAttemptPeriod *int32  `tfsdk:"restart_attempt_period"`
}

func (m Container) Spec() taskdef.Container {
	var c taskdef.Container
	row.ToSpec(&c.Definition, m)
	for i, r := range m.ResourceRequirements {
		c.Definition.ResourceRequirements[i].SharingStrategy = r.SharingStrategy.spec()
	}
	if m.Mesh != nil {
		row.ToSpec(&c, m.Mesh)
	}
	return c
}

// Probe is nil where the container has no readiness probe.
func (m Container) Probe() *agentconfig.ReadinessProbe {
	if m.Mesh == nil || m.Mesh.ReadinessProbe == nil {
		return nil
	}
	p := agentconfig.ReadinessProbe{Container: row.Value(m.Name)}
	row.ToSpec(&p, m.Mesh.ReadinessProbe)
	return &p
}

// ContainerFields is a container definition in ECS's own words, in snake case.
func ContainerFields() row.Fields {
	all := row.Fields{
		"name":               row.RequiredText("Name in the task: up to 255 letters, digits, `-` and `_`."),
		"image":              row.RequiredText("Image reference."),
		"essential":          row.FlagOr(true, "The task stops when this container does. Default `true`."),
		"command":            row.Texts("Command, as in the image's CMD."),
		"entry_point":        row.Texts("Entry point, as in the image's ENTRYPOINT. `[]` says that the image has none."),
		"working_directory":  row.Text("Directory that the command runs in."),
		"user":               row.Text("User, as `uid`, `name`, `uid:gid`."),
		"cpu":                row.Number("CPU units reserved, 1024 to a core.", row.AtLeast(0)),
		"memory":             row.Number("Memory in MiB at which the container is killed."),
		"memory_reservation": row.Number("Memory in MiB reserved."),
		"environment":        row.TextMap("Environment variables. They are readable for everyone who may describe the task definition: use `secrets` for what must not be."),
		"secrets":            row.TextMap("Environment variables that ECS fills: from a name to the ARN of a Secrets Manager secret (`…:key::` picks a JSON key) or SSM parameter. The execution role is allowed to read them."),
		"environment_file": row.Objects("Files with environment variables.", row.Fields{
			"type":  row.RequiredText("`s3`.", row.OneOf(ecstypes.EnvironmentFileTypeS3)),
			"value": row.RequiredText("ARN of the S3 object."),
		}),
		"start_timeout":            row.Number("Seconds that containers which depend on this one wait for it."),
		"stop_timeout":             row.Number("Seconds from SIGTERM to SIGKILL. ECS's default is 30."),
		"privileged":               row.FlagOr(false, "Root rights on the host. Not on Fargate. Default `false`."),
		"readonly_root_filesystem": row.FlagOr(false, "Read-only root file system. Default `false`."),
		"interactive":              row.FlagOr(false, "Keep stdin open. Default `false`."),
		"pseudo_terminal":          row.FlagOr(false, "Allocate a TTY. Default `false`."),
		"docker_labels":            row.TextMap("Labels of the container."),
		"docker_security_options":  row.Texts("Security options of Docker, such as `no-new-privileges`. Not on Fargate."),
		"credential_specs":         row.Texts("Where the container finds the credentials of a group managed service account (gMSA) in an Active Directory: one element, `credentialspec:` or `credentialspecdomainless:` and the ARN of an S3 object or an SSM parameter, which the execution role is allowed to read. The secret that a domainless file names has to be allowed with `iam.execution_role.inline_policies`. On Fargate only domainless ones."),
		"version_consistency":      row.Text("Whether ECS resolves the image's tag to a digest: `enabled` or `disabled`.", row.OneOf(ecstypes.VersionConsistency("").Values()...)),
		"log_configuration":        LogConfigurationRow("Where the output goes."),
		"mesh": row.Object("How the container takes part in the mesh.", row.Fields{
			"health_sync":    row.Flag("Copy the container's ECS health to a check in Consul. Default: it is essential and has a `health_check`, or it has a `readiness_probe`."),
			"wait_for_proxy": row.Flag("Start when the proxy serves. Default `true`, but for a log router, which starts before all that logs through it."),
			"shutdown_delay": row.Text("How long the application serves on after SIGTERM, in whole seconds such as `10s` or `1m30s`, until its callers have heard that the task leaves: the command is run by " +
				"`consulecs-agent app`, from the shared volume, which the container mounts read-only at `/consul`. What the image's ENTRYPOINT and CMD would run is not known at plan and not run: say it in " +
				"`entry_point` and `command`. Shorter than `stop_timeout`, which has to hold what the application itself needs besides. Default: none, SIGTERM reaches the command at once. Changing it registers a new revision."),
			"readiness_probe": readinessProbeRow(),
		}),
	}
	maps.Copy(all, containerLifeFields())
	maps.Copy(all, containerHostFields())
	maps.Copy(all, bridgeFields())
	return all
}

func readinessProbeRow() schema.SingleNestedBlock {
	return row.Object("Asks the application itself as long as ECS has no verdict on the container, for which its shortest health check takes 5 s: ten times a second until it is ready, then "+
		"every 6 s. Once ECS has a verdict, that one counts; without a `health_check` it never has. Changing it registers a new revision.", row.Fields{
		"type":    row.RequiredText("`http` (an answer below 400 will do), `tcp` (a connection will) or `grpc` (the answer `SERVING` of the standard health service)."),
		"port":    row.RequiredNumber("Port at which the application listens, 1 to 65535, on loopback or at `proxy.local_service_address`."),
		"path":    row.Text("Path of `http`, with a query if need be. Default `/`."),
		"service": row.Text("Name of the service that `grpc` asks for. Default: the server as a whole."),
	})
}

// containerLifeFields is what decides when a container starts, is healthy and starts again.
func containerLifeFields() row.Fields {
	return row.Fields{
		"depends_on": row.Objects("Containers that this one waits for, besides the proxy.", row.Fields{
			"container_name": row.RequiredText("Name of the container."),
			"condition":      row.RequiredText("`START`, `COMPLETE`, `SUCCESS` or `HEALTHY`.", row.OneOf(ecstypes.ContainerCondition("").Values()...)),
		}),
		"health_check": row.Object("Health check of ECS.", row.Fields{
			"command":      row.RequiredTexts("Command: `CMD` and arguments, or `CMD-SHELL` and a line for the shell."),
			"interval":     row.NumberOr(30, "Seconds between two checks, 5 to 300. Default 30."),
			"timeout":      row.NumberOr(5, "Seconds that a check may take, 2 to 60. Default 5."),
			"retries":      row.NumberOr(3, "Failures in a row that make the container unhealthy, 1 to 10. Default 3."),
			"start_period": row.NumberOr(0, "Seconds after the start in which failures do not count, 0 to 300. Default 0."),
		}),
		"restart_policy": restartPolicyRow(),
	}
}

func restartPolicyRow() schema.SingleNestedBlock {
	return row.Object("Restart of the container in place when it exits.", row.Fields{
		"enabled":                row.RequiredFlag("Restart it."),
		"ignored_exit_codes":     row.Numbers("Exit codes after which it is not restarted, up to 50."),
		"restart_attempt_period": row.Number("Seconds that it must have run to be restarted, 60 to 1800. Default 300."),
	})
}
