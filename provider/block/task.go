package block

import (
	"reflect"
	"slices"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/hashicorp/terraform-plugin-framework-validators/setvalidator"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"

	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskdef"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

// What a task has that says nothing else.
const (
	defaultCPU    = 256
	defaultMemory = 512
)

var defaultLaunchTypes = []string{string(ecstypes.CompatibilityEc2), string(ecstypes.CompatibilityFargate)}

// CPU and Memory are those of a task, also of a controller's.
func CPU() schema.Int32Attribute {
	return row.NonzeroOr(defaultCPU, "CPU units, 1024 to a core. Default 256. On Fargate, CPU and memory must be a pair that ECS offers.")
}

func Memory() schema.Int32Attribute {
	return row.NonzeroOr(defaultMemory, "Memory in MiB. Default 512.")
}

// volumeLeftover is a volume of the incumbent's definitions that nothing writes to.
const volumeLeftover = "consul_binary"

func ReadTask(d *ecstypes.TaskDefinition) *Task {
	var m Task
	row.FromSpec(&m.RuntimePlatform, d.RuntimePlatform)
	row.FromSpec(&m.PIDMode, d.PidMode)
	row.FromSpec(&m.IPCMode, d.IpcMode)
	m.EnableFaultInjection = aws.Bool(aws.ToBool(d.EnableFaultInjection))
	row.FromSpec(&m.PlacementConstraints, d.PlacementConstraints)
	if d.EphemeralStorage != nil {
		m.EphemeralStorageGiB = &d.EphemeralStorage.SizeInGiB
	}
	for _, v := range d.Volumes {
		if name := aws.ToString(v.Name); name == mesh.VolumeName || name == volumeLeftover {
			continue
		}
		var volume Volume
		row.FromSpec(&volume, v)
		m.Volumes = append(m.Volumes, volume)
	}
	m.CPU, m.Memory, m.LaunchTypes = ReadSize(d)
	if reflect.DeepEqual(m, Task{CPU: aws.Int32(defaultCPU), Memory: aws.Int32(defaultMemory), LaunchTypes: defaultLaunchTypes, EnableFaultInjection: aws.Bool(false)}) {
		return nil
	}
	return &m
}

func ReadSize(d *ecstypes.TaskDefinition) (cpu, memory *int32, launchTypes []string) {
	number := func(text *string) *int32 {
		n, err := strconv.ParseInt(aws.ToString(text), 10, 32)
		if err != nil {
			return nil
		}
		return aws.Int32(int32(n))
	}
	row.FromSpec(&launchTypes, d.RequiresCompatibilities)
	slices.Sort(launchTypes)
	return number(d.Cpu), number(d.Memory), launchTypes
}

type Task struct {
	CPU                  *int32                `tfsdk:"cpu"`
	Memory               *int32                `tfsdk:"memory"`
	LaunchTypes          []string              `tfsdk:"launch_types"`
	RuntimePlatform      *Platform             `tfsdk:"runtime_platform"`
	EphemeralStorageGiB  *int32                `tfsdk:"ephemeral_storage_gib"`
	PIDMode              *string               `tfsdk:"pid_mode"`
	IPCMode              *string               `tfsdk:"ipc_mode"`
	EnableFaultInjection *bool                 `tfsdk:"enable_fault_injection"`
	Volumes              []Volume              `tfsdk:"volume"`
	PlacementConstraints []PlacementExpression `tfsdk:"placement_constraint"`
}

type Platform struct {
	OperatingSystemFamily *string `tfsdk:"operating_system_family"`
	CpuArchitecture       *string `tfsdk:"cpu_architecture"`
}

type PlacementExpression struct {
	Type       *string `tfsdk:"type"`
	Expression *string `tfsdk:"expression"`
}

type Volume struct {
	Name                                    *string        `tfsdk:"name"`
	ConfiguredAtLaunch                      *bool          `tfsdk:"configured_at_launch"`
	Host                                    *hostVolume    `tfsdk:"host"`
	DockerVolumeConfiguration               *dockerVolume  `tfsdk:"docker_volume_configuration"`
	EfsVolumeConfiguration                  *efsVolume     `tfsdk:"efs_volume_configuration"`
	FsxWindowsFileServerVolumeConfiguration *fsxVolume     `tfsdk:"fsx_windows_file_server_volume_configuration"`
	S3filesVolumeConfiguration              *s3FilesVolume `tfsdk:"s3files_volume_configuration"`
}

type hostVolume struct {
	SourcePath *string `tfsdk:"source_path"`
}

type dockerVolume struct {
	Autoprovision *bool             `tfsdk:"autoprovision"`
	Driver        *string           `tfsdk:"driver"`
	DriverOpts    map[string]string `tfsdk:"driver_opts"`
	Labels        map[string]string `tfsdk:"labels"`
	Scope         *string           `tfsdk:"scope"`
}

type efsVolume struct {
	FileSystemId          *string           `tfsdk:"file_system_id"`
	RootDirectory         *string           `tfsdk:"root_directory"`
	TransitEncryption     *string           `tfsdk:"transit_encryption"`
	TransitEncryptionPort *int32            `tfsdk:"transit_encryption_port"`
	AuthorizationConfig   *efsAuthorization `tfsdk:"authorization_config"`
}

type efsAuthorization struct {
	AccessPointId *string `tfsdk:"access_point_id"`
	Iam           *string `tfsdk:"iam"`
}

type fsxVolume struct {
	FileSystemId        *string           `tfsdk:"file_system_id"`
	RootDirectory       *string           `tfsdk:"root_directory"`
	AuthorizationConfig *fsxAuthorization `tfsdk:"authorization_config"`
}

type fsxAuthorization struct {
	CredentialsParameter *string `tfsdk:"credentials_parameter"`
	Domain               *string `tfsdk:"domain"`
}

type s3FilesVolume struct {
	FileSystemArn         *string `tfsdk:"file_system_arn"`
	AccessPointArn        *string `tfsdk:"access_point_arn"`
	RootDirectory         *string `tfsdk:"root_directory"`
	TransitEncryptionPort *int32  `tfsdk:"transit_encryption_port"`
}

func (m *Task) Spec() taskdef.Task {
	var t taskdef.Task
	if m == nil {
		return t
	}
	row.ToSpec(&t, m)
	return t
}

func TaskRow() schema.SingleNestedBlock {
	return row.Object("Size and frame of the task.", row.Fields{
		"cpu":                    CPU(),
		"memory":                 Memory(),
		"launch_types":           LaunchTypes(),
		"runtime_platform":       RuntimePlatform(),
		"ephemeral_storage_gib":  row.Nonzero("Ephemeral storage in GiB, 21 to 200, on Fargate. Default: ECS's own 20."),
		"pid_mode":               row.Text("`task` shares one process namespace among the containers; `host` that of the host (not on Fargate).", row.OneOf(ecstypes.PidMode("").Values()...)),
		"ipc_mode":               row.Text("`task` shares one IPC namespace among the containers, the mesh's own included; `host` that of the host; `none` gives each its own. Not on Fargate. Default: what Docker on the instance does.", row.OneOf(ecstypes.IpcMode("").Values()...)),
		"enable_fault_injection": row.FlagOr(false, "Let AWS's Fault Injection Service disturb the network of the task. Faults of the network hit the proxy, too. Default `false`."),
		"volume":                 row.Objects("Volumes that containers mount. The mesh adds its own, `consul_data`.", volumeFields()),
		"placement_constraint": row.Objects("Rules for the placement on container instances. Not on Fargate.", row.Fields{
			"type":       row.RequiredText("`memberOf`.", row.OneOf(ecstypes.TaskDefinitionPlacementConstraintType("").Values()...)),
			"expression": row.RequiredText("Expression of ECS's cluster query language."),
		}),
	})
}

func LaunchTypes() schema.SetAttribute {
	return row.TextSetOr(defaultLaunchTypes, "Launch types that ECS checks the definition against: `EC2`, `FARGATE`, `MANAGED_INSTANCES`. Default `EC2` and `FARGATE`.",
		setvalidator.SizeAtLeast(1))
}

func RuntimePlatform() schema.SingleNestedBlock {
	return row.Object("Operating system and processor. Default: Linux on X86_64.", row.Fields{
		"operating_system_family": row.Text("Such as `LINUX`.", row.OneOf(ecstypes.OSFamily("").Values()...)),
		"cpu_architecture":        row.Text("`X86_64` or `ARM64`; the agent's image is made for both.", row.OneOf(ecstypes.CPUArchitecture("").Values()...)),
	})
}

func volumeFields() row.Fields {
	return row.Fields{
		"name":                 row.RequiredText("Name that `mount_point` refer to."),
		"configured_at_launch": row.Flag("The volume is attached by the ECS service (EBS). Default `false`."),
		"host": row.Object("Directory of the host; an empty object is a directory that lives as long as the task.", row.Fields{
			"source_path": row.Text("Path on the host. Not on Fargate."),
		}),
		"docker_volume_configuration": row.Object("Volume of Docker. Not on Fargate.", row.Fields{
			"autoprovision": row.Flag("Create it if it is missing."),
			"driver":        row.Text("Driver. Default `local`."),
			"driver_opts":   row.TextMap("Options of the driver."),
			"labels":        row.TextMap("Labels."),
			"scope":         row.Text("`task` or `shared`.", row.OneOf(ecstypes.Scope("").Values()...)),
		}),
		"efs_volume_configuration": row.Object("Amazon EFS.", row.Fields{
			"file_system_id":          row.RequiredText("ID of the file system."),
			"root_directory":          row.Text("Directory to mount."),
			"transit_encryption":      row.Text("`ENABLED` or `DISABLED`.", row.OneOf(ecstypes.EFSTransitEncryption("").Values()...)),
			"transit_encryption_port": row.Number("Port of the encrypted connection.", row.Between(0, 65535)),
			"authorization_config": row.Object("Access control.", row.Fields{
				"access_point_id": row.Text("ID of the access point."),
				"iam":             row.Text("`ENABLED` or `DISABLED`.", row.OneOf(ecstypes.EFSAuthorizationConfigIAM("").Values()...)),
			}),
		}),
		"s3files_volume_configuration": row.Object("Amazon S3 Files. The task role has to be allowed to mount it: with `iam.task_role.inline_policies` or `policy_arns`.", row.Fields{
			"file_system_arn":         row.RequiredText("ARN of the file system."),
			"access_point_arn":        row.Text("ARN of the access point."),
			"root_directory":          row.Text("Directory to mount. Default: the root. With an access point, which has its own, leave it out."),
			"transit_encryption_port": row.Number("Port of the encrypted connection, 0 to 65535. Default: what the mount helper chooses."),
		}),
		"fsx_windows_file_server_volume_configuration": row.Object("FSx for Windows File Server.", row.Fields{
			"file_system_id": row.RequiredText("ID of the file system."),
			"root_directory": row.RequiredText("Directory to mount."),
			"authorization_config": row.Object("Access control.", row.Fields{
				"credentials_parameter": row.RequiredText("ARN of the secret with the credentials."),
				"domain":                row.RequiredText("Active Directory domain."),
			}),
		}),
	}
}
