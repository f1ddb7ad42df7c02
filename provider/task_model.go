package provider

import (
	"github.com/consulecs/terraform-provider-consulecs/internal/taskdef"
)

type taskModel struct {
	CPU                  *int32                  `tfsdk:"cpu"`
	Memory               *int32                  `tfsdk:"memory"`
	LaunchTypes          []string                `tfsdk:"launch_types"`
	RuntimePlatform      *platformModel          `tfsdk:"runtime_platform"`
	EphemeralStorageGiB  *int32                  `tfsdk:"ephemeral_storage_gib"`
	PIDMode              *string                 `tfsdk:"pid_mode"`
	Volumes              []volumeModel           `tfsdk:"volume"`
	PlacementConstraints []placementExpressModel `tfsdk:"placement_constraints"`
}

type platformModel struct {
	OperatingSystemFamily *string `tfsdk:"operating_system_family"`
	CpuArchitecture       *string `tfsdk:"cpu_architecture"`
}

type placementExpressModel struct {
	Type       *string `tfsdk:"type"`
	Expression *string `tfsdk:"expression"`
}

type volumeModel struct {
	Name                                    *string            `tfsdk:"name"`
	ConfiguredAtLaunch                      *bool              `tfsdk:"configured_at_launch"`
	Host                                    *hostVolumeModel   `tfsdk:"host"`
	DockerVolumeConfiguration               *dockerVolumeModel `tfsdk:"docker_volume_configuration"`
	EfsVolumeConfiguration                  *efsVolumeModel    `tfsdk:"efs_volume_configuration"`
	FsxWindowsFileServerVolumeConfiguration *fsxVolumeModel    `tfsdk:"fsx_windows_file_server_volume_configuration"`
}

type hostVolumeModel struct {
	SourcePath *string `tfsdk:"source_path"`
}

type dockerVolumeModel struct {
	Autoprovision *bool             `tfsdk:"autoprovision"`
	Driver        *string           `tfsdk:"driver"`
	DriverOpts    map[string]string `tfsdk:"driver_opts"`
	Labels        map[string]string `tfsdk:"labels"`
	Scope         *string           `tfsdk:"scope"`
}

type efsVolumeModel struct {
	FileSystemId          *string        `tfsdk:"file_system_id"`
	RootDirectory         *string        `tfsdk:"root_directory"`
	TransitEncryption     *string        `tfsdk:"transit_encryption"`
	TransitEncryptionPort *int32         `tfsdk:"transit_encryption_port"`
	AuthorizationConfig   *efsAuthzModel `tfsdk:"authorization_config"`
}

type efsAuthzModel struct {
	AccessPointId *string `tfsdk:"access_point_id"`
	Iam           *string `tfsdk:"iam"`
}

type fsxVolumeModel struct {
	FileSystemId        *string        `tfsdk:"file_system_id"`
	RootDirectory       *string        `tfsdk:"root_directory"`
	AuthorizationConfig *fsxAuthzModel `tfsdk:"authorization_config"`
}

type fsxAuthzModel struct {
	CredentialsParameter *string `tfsdk:"credentials_parameter"`
	Domain               *string `tfsdk:"domain"`
}

// controllerTaskModel is the part of a task's frame that a controller may choose.
type controllerTaskModel struct {
	CPU             *int32         `tfsdk:"cpu"`
	Memory          *int32         `tfsdk:"memory"`
	LaunchTypes     []string       `tfsdk:"launch_types"`
	RuntimePlatform *platformModel `tfsdk:"runtime_platform"`
}

type sidecarsModel struct {
	Image                    *string                `tfsdk:"image"`
	LogLevel                 *string                `tfsdk:"log_level" spec:"-"`
	LogJSON                  *bool                  `tfsdk:"log_json" spec:"-"`
	LogConfiguration         *logConfigurationModel `tfsdk:"log_configuration"`
	PullCredentialsSecretARN *string                `tfsdk:"pull_credentials_secret_arn"`
	ReadyGate                *string                `tfsdk:"ready_gate"`
	MeshInit                 *sidecarModel          `tfsdk:"mesh_init"`
	Dataplane                *stayingSidecarModel   `tfsdk:"dataplane"`
	MeshReady                *sidecarModel          `tfsdk:"mesh_ready"`
	HealthSync               *stayingSidecarModel   `tfsdk:"health_sync"`
}

type sidecarModel struct {
	Image             *string                `tfsdk:"image"`
	CPU               *int32                 `tfsdk:"cpu"`
	Memory            *int32                 `tfsdk:"memory"`
	MemoryReservation *int32                 `tfsdk:"memory_reservation"`
	Environment       map[string]string      `tfsdk:"environment"`
	LogConfiguration  *logConfigurationModel `tfsdk:"log_configuration"`
	ReadonlyRoot      *bool                  `tfsdk:"readonly_root_filesystem"`
	StopTimeout       *int32                 `tfsdk:"stop_timeout"`
}

type stayingSidecarModel struct {
	sidecarModel
	RestartPolicy *restartPolicyModel `tfsdk:"restart_policy"`
}

func (m *taskModel) spec() taskdef.Task {
	var t taskdef.Task
	if m == nil {
		return t
	}
	toSpec(&t, m)
	return t
}

func (m *sidecarsModel) spec(d defaults) taskdef.Sidecars {
	s := taskdef.Sidecars{Image: d.image, LogConfiguration: d.logConfiguration.spec()}
	if m != nil {
		toSpec(&s, m)
	}
	return s
}
