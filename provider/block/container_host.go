package block

import (
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"

	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

// What a container gets of its host, or would get.

type portMapping struct {
	ContainerPort      *int32  `tfsdk:"container_port"`
	ContainerPortRange *string `tfsdk:"container_port_range"`
	HostPort           *int32  `tfsdk:"host_port"`
	Protocol           *string `tfsdk:"protocol"`
	Name               *string `tfsdk:"name"`
	AppProtocol        *string `tfsdk:"app_protocol"`
}

type mountPoint struct {
	SourceVolume  *string `tfsdk:"source_volume"`
	ContainerPath *string `tfsdk:"container_path"`
	ReadOnly      *bool   `tfsdk:"read_only"`
}

type volumeFrom struct {
	SourceContainer *string `tfsdk:"source_container"`
	ReadOnly        *bool   `tfsdk:"read_only"`
}

type ulimit struct {
	Name      *string `tfsdk:"name"`
	SoftLimit *int32  `tfsdk:"soft_limit"`
	HardLimit *int32  `tfsdk:"hard_limit"`
}

type systemControl struct {
	Namespace *string `tfsdk:"namespace"`
	Value     *string `tfsdk:"value"`
}

type requirement struct {
	Type            *string          `tfsdk:"type"`
	Value           *string          `tfsdk:"value"`
	SharingStrategy *sharingStrategy `tfsdk:"sharing_strategy" spec:"-"` // an interface to the SDK
}

type sharingStrategy struct {
	NvidiaMps *nvidiaMps `tfsdk:"nvidia_mps"`
}

type nvidiaMps struct {
	Memory            *int32 `tfsdk:"memory"`
	MaxComputePercent *int32 `tfsdk:"max_compute_percent"`
}

type extraHost struct {
	Hostname  *string `tfsdk:"hostname"`
	IpAddress *string `tfsdk:"ip_address"`
}

type registryCredential struct {
	CredentialsParameter *string `tfsdk:"credentials_parameter"`
}

type firelens struct {
	Type    *string           `tfsdk:"type"`
	Options map[string]string `tfsdk:"options"`
}

type linuxParameters struct {
	Capabilities       *capabilities `tfsdk:"capabilities"`
	InitProcessEnabled *bool         `tfsdk:"init_process_enabled"`
	SharedMemorySize   *int32        `tfsdk:"shared_memory_size"`
	MaxSwap            *int32        `tfsdk:"max_swap"`
	Swappiness         *int32        `tfsdk:"swappiness"`
	Devices            []device      `tfsdk:"device"`
	Tmpfs              []tmpfs       `tfsdk:"tmpfs"`
}

type capabilities struct {
	Add  []string `tfsdk:"add"`
	Drop []string `tfsdk:"drop"`
}

type device struct {
	HostPath      *string  `tfsdk:"host_path"`
	ContainerPath *string  `tfsdk:"container_path"`
	Permissions   []string `tfsdk:"permissions"`
}

type tmpfs struct {
	ContainerPath *string  `tfsdk:"container_path"`
	Size          *int32   `tfsdk:"size"`
	MountOptions  []string `tfsdk:"mount_options"`
}

// spec is nil where the container has its GPUs to itself.
func (m *sharingStrategy) spec() ecstypes.SharingStrategy {
	if m == nil || m.NvidiaMps == nil {
		return nil
	}
	var mps ecstypes.SharingStrategyMemberNvidiaMps
	row.ToSpec(&mps.Value, m.NvidiaMps)
	return &mps
}

func readSharing(strategy ecstypes.SharingStrategy) *sharingStrategy {
	mps, ok := strategy.(*ecstypes.SharingStrategyMemberNvidiaMps)
	if !ok {
		return nil
	}
	m := &sharingStrategy{NvidiaMps: &nvidiaMps{}}
	row.FromSpec(m.NvidiaMps, mps.Value)
	return m
}

// containerHostFields is what a container gets of the machine: ports, mounts, limits, kernel.
func containerHostFields() row.Fields {
	return row.Fields{
		"port_mapping": row.Objects("Ports that the task opens besides the mesh's. A service in the mesh needs none.", row.Fields{
			"container_port":       row.Number("Port in the task, 1 to 65535."),
			"container_port_range": row.Text("A range of ports instead, such as `8000-8010`."),
			"host_port":            hostPort(),
			"protocol":             row.TextOr(string(ecstypes.TransportProtocolTcp), "`tcp` (default) or `udp`.", row.OneOf(ecstypes.TransportProtocol("").Values()...)),
			"name":                 row.Text("Name of the port, for Service Connect."),
			"app_protocol":         row.Text("`http`, `http2` or `grpc`, for Service Connect.", row.OneOf(ecstypes.ApplicationProtocol("").Values()...)),
		}),
		"mount_point": row.Objects("Volumes of the task that the container mounts.", row.Fields{
			"source_volume":  row.RequiredText("Name of the volume in `task.volume`."),
			"container_path": row.RequiredText("Path in the container."),
			"read_only":      row.FlagOr(false, "Default `false`."),
		}),
		"volumes_from": row.Objects("Containers whose mounts this one shares.", row.Fields{
			"source_container": row.RequiredText("Name of the container."),
			"read_only":        row.FlagOr(false, "Default `false`."),
		}),
		"ulimit": row.Objects("Resource limits.", row.Fields{
			"name":       row.RequiredText("Name, such as `nofile`.", row.OneOf(ecstypes.UlimitName("").Values()...)),
			"soft_limit": row.RequiredNumber("Soft limit."),
			"hard_limit": row.RequiredNumber("Hard limit."),
		}),
		"system_control": row.Objects("Kernel parameters of the container's namespaces.", row.Fields{
			"namespace": row.RequiredText("Name, such as `net.core.somaxconn`."),
			"value":     row.RequiredText("Value."),
		}),
		"resource_requirement": row.Objects("GPUs and other devices. Not on Fargate.", row.Fields{
			"type":  row.RequiredText("`GPU`, or `NeuronDevice` on managed instances. `InferenceAccelerator` is refused, as AWS no longer offers it.", row.OneOf(ecstypes.ResourceType("").Values()...)),
			"value": row.Text("How many GPUs, or `ALL`; `ALL` for Neuron devices. Required, unless a GPU is shared."),
			"sharing_strategy": row.Object("Shares a GPU with other containers, in place of `value`. Either all containers of the task that ask for a GPU do, or none. On EC2 and managed instances.", row.Fields{
				"nvidia_mps": row.Object("By NVIDIA's Multi-Process Service (MPS). Required.", row.Fields{
					"memory":              row.RequiredNumber("MiB of the GPU's memory that the container gets."),
					"max_compute_percent": row.Number("How much of the GPU's compute capacity it may use, 1 to 100. Default: what the service on the instance says, as a rule 100."),
				}),
			}),
		}),
		"repository_credentials": row.Object("Credentials of a private registry outside AWS.", row.Fields{
			"credentials_parameter": row.RequiredText("ARN of the Secrets Manager secret."),
		}),
		"firelens_configuration": row.Object("Makes the container the task's log router.", row.Fields{
			"type":    row.RequiredText("`fluentbit` or `fluentd`.", row.OneOf(ecstypes.FirelensConfigurationType("").Values()...)),
			"options": row.TextMap("Options of the log router."),
		}),
		"linux_parameters": linuxParametersRow(),
	}
}

func hostPort() schema.Int32Attribute {
	a := row.Number("Same as `container_port` in awsvpc tasks.")
	a.Computed, a.PlanModifiers = true, []planmodifier.Int32{row.Like{At: path.MatchRelative().AtParent().AtName("container_port")}}
	return a
}

func linuxParametersRow() schema.SingleNestedBlock {
	return row.Object("Settings of the Linux kernel.", row.Fields{
		"capabilities": row.Object("Capabilities beyond or below Docker's.", row.Fields{
			"add":  row.Texts("Capabilities to add. Fargate admits only `SYS_PTRACE`."),
			"drop": row.Texts("Capabilities to drop."),
		}),
		"init_process_enabled": row.Flag("Run an init process that forwards signals and reaps children. Default `false`."),
		"shared_memory_size":   row.Number("Size of /dev/shm in MiB. Not on Fargate."),
		"max_swap":             row.Number("Swap in MiB. Not on Fargate."),
		"swappiness":           row.Number("0 to 100. Not on Fargate."),
		"device": row.Objects("Devices of the host. Not on Fargate.", row.Fields{
			"host_path":      row.RequiredText("Path on the host."),
			"container_path": row.Text("Path in the container. Default: the same."),
			"permissions":    row.Texts("`read`, `write`, `mknod`."),
		}),
		"tmpfs": row.Objects("Memory file systems. Not on Fargate.", row.Fields{
			"container_path": row.RequiredText("Path in the container."),
			"size":           row.RequiredNumber("Size in MiB."),
			"mount_options":  row.Texts("Options, such as `noexec`."),
		}),
	})
}

// bridgeFields are those of a container with a network of its own, which no task of the mesh has. They are here so that whoever brings
// a definition along is told at plan what to do instead.
func bridgeFields() row.Fields {
	return row.Fields{
		"hostname":           row.Text("Host name. Refused: ECS does not allow it in the `awsvpc` network mode, which the mesh needs."),
		"links":              row.Texts("Names for other containers of the task. Refused: ECS does not allow them in the `awsvpc` network mode. Containers reach each other at 127.0.0.1."),
		"dns_servers":        row.Texts("Name servers. Refused: ECS does not allow them in the `awsvpc` network mode. Set them in the DHCP options of the VPC."),
		"dns_search_domains": row.Texts("Search domains. Refused: ECS does not allow them in the `awsvpc` network mode. Set them in the DHCP options of the VPC."),
		"disable_networking": row.FlagOr(false, "No network. `true` is refused: ECS does not allow it in the `awsvpc` network mode. Default `false`."),
		"extra_host": row.Objects("Entries of /etc/hosts. Refused: ECS does not allow them in the `awsvpc` network mode. Have DNS resolve the names.", row.Fields{
			"hostname":   row.RequiredText("Host name."),
			"ip_address": row.RequiredText("IP address."),
		}),
	}
}
