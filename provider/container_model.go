package provider

import (
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskdef"
)

type containerModel struct {
	Name                   *string                  `tfsdk:"name"`
	Image                  *string                  `tfsdk:"image"`
	Essential              *bool                    `tfsdk:"essential"`
	Command                []string                 `tfsdk:"command"`
	EntryPoint             []string                 `tfsdk:"entry_point"`
	WorkingDirectory       *string                  `tfsdk:"working_directory"`
	User                   *string                  `tfsdk:"user"`
	Cpu                    *int32                   `tfsdk:"cpu"`
	Memory                 *int32                   `tfsdk:"memory"`
	MemoryReservation      *int32                   `tfsdk:"memory_reservation"`
	Environment            map[string]string        `tfsdk:"environment" spec:"-"`
	Secrets                map[string]string        `tfsdk:"secrets" spec:"-"`
	EnvironmentFiles       []environmentFileModel   `tfsdk:"environment_files"`
	StartTimeout           *int32                   `tfsdk:"start_timeout"`
	StopTimeout            *int32                   `tfsdk:"stop_timeout"`
	Privileged             *bool                    `tfsdk:"privileged"`
	ReadonlyRootFilesystem *bool                    `tfsdk:"readonly_root_filesystem"`
	Interactive            *bool                    `tfsdk:"interactive"`
	PseudoTerminal         *bool                    `tfsdk:"pseudo_terminal"`
	DockerLabels           map[string]string        `tfsdk:"docker_labels"`
	DockerSecurityOptions  []string                 `tfsdk:"docker_security_options"`
	VersionConsistency     *string                  `tfsdk:"version_consistency"`
	LogConfiguration       *logConfigurationModel   `tfsdk:"log_configuration"`
	Mesh                   *containerMeshModel      `tfsdk:"mesh" spec:"-"`
	DependsOn              []dependencyModel        `tfsdk:"depends_on"`
	HealthCheck            *healthCheckModel        `tfsdk:"health_check"`
	RestartPolicy          *restartPolicyModel      `tfsdk:"restart_policy"`
	PortMappings           []portMappingModel       `tfsdk:"port_mappings"`
	MountPoints            []mountPointModel        `tfsdk:"mount_points"`
	VolumesFrom            []volumeFromModel        `tfsdk:"volumes_from"`
	Ulimits                []ulimitModel            `tfsdk:"ulimits"`
	SystemControls         []systemControlModel     `tfsdk:"system_controls"`
	ResourceRequirements   []requirementModel       `tfsdk:"resource_requirements"`
	RepositoryCredentials  *registryCredentialModel `tfsdk:"repository_credentials"`
	FirelensConfiguration  *firelensModel           `tfsdk:"firelens_configuration"`
	LinuxParameters        *linuxParametersModel    `tfsdk:"linux_parameters"`
}

type containerMeshModel struct {
	HealthSync     *bool       `tfsdk:"health_sync"`
	WaitForProxy   *bool       `tfsdk:"wait_for_proxy"`
	ShutdownDelay  *string     `tfsdk:"shutdown_delay"`
	ReadinessProbe *probeModel `tfsdk:"readiness_probe" spec:"-"`
}

type probeModel struct {
	Type    *string `tfsdk:"type"`
	Port    *int32  `tfsdk:"port"`
	Path    *string `tfsdk:"path"`
	Service *string `tfsdk:"service"`
}

type environmentFileModel struct {
	Type  *string `tfsdk:"type"`
	Value *string `tfsdk:"value"`
}

type dependencyModel struct {
	ContainerName *string `tfsdk:"container_name"`
	Condition     *string `tfsdk:"condition"`
}

type healthCheckModel struct {
	Command     []string `tfsdk:"command"`
	Interval    *int32   `tfsdk:"interval"`
	Timeout     *int32   `tfsdk:"timeout"`
	Retries     *int32   `tfsdk:"retries"`
	StartPeriod *int32   `tfsdk:"start_period"`
}

type restartPolicyModel struct {
	Enabled              *bool   `tfsdk:"enabled"`
	IgnoredExitCodes     []int32 `tfsdk:"ignored_exit_codes"`
	RestartAttemptPeriod *int32  `tfsdk:"restart_attempt_period"`
}

type portMappingModel struct {
	ContainerPort      *int32  `tfsdk:"container_port"`
	ContainerPortRange *string `tfsdk:"container_port_range"`
	HostPort           *int32  `tfsdk:"host_port"`
	Protocol           *string `tfsdk:"protocol"`
	Name               *string `tfsdk:"name"`
	AppProtocol        *string `tfsdk:"app_protocol"`
}

type mountPointModel struct {
	SourceVolume  *string `tfsdk:"source_volume"`
	ContainerPath *string `tfsdk:"container_path"`
	ReadOnly      *bool   `tfsdk:"read_only"`
}

type volumeFromModel struct {
	SourceContainer *string `tfsdk:"source_container"`
	ReadOnly        *bool   `tfsdk:"read_only"`
}

type ulimitModel struct {
	Name      *string `tfsdk:"name"`
	SoftLimit *int32  `tfsdk:"soft_limit"`
	HardLimit *int32  `tfsdk:"hard_limit"`
}

type systemControlModel struct {
	Namespace *string `tfsdk:"namespace"`
	Value     *string `tfsdk:"value"`
}

type requirementModel struct {
	Type  *string `tfsdk:"type"`
	Value *string `tfsdk:"value"`
}

type registryCredentialModel struct {
	CredentialsParameter *string `tfsdk:"credentials_parameter"`
}

type firelensModel struct {
	Type    *string           `tfsdk:"type"`
	Options map[string]string `tfsdk:"options"`
}

type logConfigurationModel struct {
	LogDriver     *string           `tfsdk:"log_driver"`
	Options       map[string]string `tfsdk:"options"`
	SecretOptions []secretModel     `tfsdk:"secret_options"`
}

type secretModel struct {
	Name      *string `tfsdk:"name"`
	ValueFrom *string `tfsdk:"value_from"`
}

type linuxParametersModel struct {
	Capabilities       *capabilitiesModel `tfsdk:"capabilities"`
	InitProcessEnabled *bool              `tfsdk:"init_process_enabled"`
	SharedMemorySize   *int32             `tfsdk:"shared_memory_size"`
	MaxSwap            *int32             `tfsdk:"max_swap"`
	Swappiness         *int32             `tfsdk:"swappiness"`
	Devices            []deviceModel      `tfsdk:"devices"`
	Tmpfs              []tmpfsModel       `tfsdk:"tmpfs"`
}

type capabilitiesModel struct {
	Add  []string `tfsdk:"add"`
	Drop []string `tfsdk:"drop"`
}

type deviceModel struct {
	HostPath      *string  `tfsdk:"host_path"`
	ContainerPath *string  `tfsdk:"container_path"`
	Permissions   []string `tfsdk:"permissions"`
}

type tmpfsModel struct {
	ContainerPath *string  `tfsdk:"container_path"`
	Size          *int32   `tfsdk:"size"`
	MountOptions  []string `tfsdk:"mount_options"`
}

func (m containerModel) spec() taskdef.Container {
	var c taskdef.Container
	toSpec(&c.Definition, m)
	for _, name := range slices.Sorted(maps.Keys(m.Environment)) {
		c.Definition.Environment = append(c.Definition.Environment, ecstypes.KeyValuePair{Name: aws.String(name), Value: aws.String(m.Environment[name])})
	}
	for _, name := range slices.Sorted(maps.Keys(m.Secrets)) {
		c.Definition.Secrets = append(c.Definition.Secrets, ecstypes.Secret{Name: aws.String(name), ValueFrom: aws.String(m.Secrets[name])})
	}
	if m.Mesh != nil {
		toSpec(&c, m.Mesh)
	}
	return c
}

// probe is nil where the container has no readiness probe.
func (m containerModel) probe() *agentconfig.ReadinessProbe {
	if m.Mesh == nil || m.Mesh.ReadinessProbe == nil {
		return nil
	}
	p := agentconfig.ReadinessProbe{Container: value(m.Name)}
	toSpec(&p, m.Mesh.ReadinessProbe)
	return &p
}

func (m *logConfigurationModel) spec() *ecstypes.LogConfiguration {
	if m == nil {
		return nil
	}
	var log ecstypes.LogConfiguration
	toSpec(&log, m)
	return &log
}
