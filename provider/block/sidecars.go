package block

import (
	"reflect"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"

	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskdef"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

// ReadSidecar is nil where the container is as it would be.
func ReadSidecar(is, wouldBe ecstypes.ContainerDefinition) *Sidecar {
	if is.Name == nil || wouldBe.Name == nil {
		return nil
	}
	var m Sidecar
	if aws.ToString(is.Image) != aws.ToString(wouldBe.Image) {
		m.Image = is.Image
	}
	if is.Cpu != wouldBe.Cpu {
		m.CPU = &is.Cpu
	}
	m.Memory = differing(is.Memory, wouldBe.Memory)
	m.MemoryReservation = differing(is.MemoryReservation, wouldBe.MemoryReservation)
	m.StopTimeout = differing(is.StopTimeout, wouldBe.StopTimeout)
	if aws.ToBool(is.ReadonlyRootFilesystem) != aws.ToBool(wouldBe.ReadonlyRootFilesystem) {
		m.ReadonlyRoot = aws.Bool(aws.ToBool(is.ReadonlyRootFilesystem))
	}
	m.LogConfiguration = ReadOwnLog(is.LogConfiguration, wouldBe.LogConfiguration)
	row.FromSpec(&m.Environment, is.Environment)
	delete(m.Environment, mesh.ConfigVariable)
	if len(m.Environment) == 0 {
		m.Environment = nil
	}
	if reflect.DeepEqual(m, Sidecar{}) {
		return nil
	}
	return &m
}

func ReadStaying(is, wouldBe ecstypes.ContainerDefinition) *StayingSidecar {
	var m StayingSidecar
	if settings := ReadSidecar(is, wouldBe); settings != nil {
		m.Sidecar = *settings
	}
	if wouldBe.Name != nil && !sameRestarts(is.RestartPolicy, wouldBe.RestartPolicy) {
		row.FromSpec(&m.RestartPolicy, is.RestartPolicy)
	}
	if reflect.DeepEqual(m, StayingSidecar{}) {
		return nil
	}
	return &m
}

func sameRestarts(a, b *ecstypes.ContainerRestartPolicy) bool {
	if a == nil || b == nil {
		return a == b
	}
	return aws.ToBool(a.Enabled) == aws.ToBool(b.Enabled) && aws.ToInt32(a.RestartAttemptPeriod) == aws.ToInt32(b.RestartAttemptPeriod) &&
		slices.Equal(a.IgnoredExitCodes, b.IgnoredExitCodes)
}

func differing(is, wouldBe *int32) *int32 {
	if aws.ToInt32(is) == aws.ToInt32(wouldBe) {
		return nil
	}
	return is
}

type Sidecars struct {
	Image                    *string           `tfsdk:"image"`
	LogLevel                 *string           `tfsdk:"log_level" spec:"-" at:"/logLevel"`
	LogJSON                  *bool             `tfsdk:"log_json" spec:"-" at:"/logJSON"`
	LogConfiguration         *LogConfiguration `tfsdk:"log_configuration"`
	PullCredentialsSecretARN *string           `tfsdk:"pull_credentials_secret_arn"`
	ReadyGate                *string           `tfsdk:"ready_gate"`
	MeshInit                 *Sidecar          `tfsdk:"mesh_init"`
	Dataplane                *StayingSidecar   `tfsdk:"dataplane"`
	MeshReady                *Sidecar          `tfsdk:"mesh_ready"`
	HealthSync               *StayingSidecar   `tfsdk:"health_sync"`
}

type Sidecar struct {
	Image             *string           `tfsdk:"image"`
	CPU               *int32            `tfsdk:"cpu"`
	Memory            *int32            `tfsdk:"memory"`
	MemoryReservation *int32            `tfsdk:"memory_reservation"`
	Environment       map[string]string `tfsdk:"environment"`
	LogConfiguration  *LogConfiguration `tfsdk:"log_configuration"`
	ReadonlyRoot      *bool             `tfsdk:"readonly_root_filesystem"`
	StopTimeout       *int32            `tfsdk:"stop_timeout"`
}

type StayingSidecar struct {
	Sidecar
	RestartPolicy *restartPolicy `tfsdk:"restart_policy"`
}

func (m *Sidecars) Spec(d Defaults) taskdef.Sidecars {
	s := taskdef.Sidecars{Image: d.Image, LogConfiguration: d.LogConfiguration.Spec()}
	if m != nil {
		row.ToSpec(&s, m)
	}
	return s
}

func SidecarsRow() schema.SingleNestedBlock {
	return row.Object("The injected containers.", row.Fields{
		"image":                       row.Text("Image with consulecs-agent. Default: the provider's `agent_image`."),
		"log_level":                   row.Text("Log level of the agents: `TRACE`, `DEBUG`, `INFO` (default), `WARN` or `ERROR`."),
		"log_json":                    row.Flag("Log lines as JSON objects. Default `false`."),
		"log_configuration":           OwnLogConfigurationRow("Where the output of the injected containers goes. Default: the provider's `log_configuration`."),
		"pull_credentials_secret_arn": row.Text("ARN of the Secrets Manager secret with the registry's credentials.", row.SecretARN()),
		"ready_gate": row.Text("Whether the container `consul-ecs-mesh-ready` lets the application start the moment the proxy serves: `on`, `off` (wait for the dataplane's " +
			"ECS health check instead, at least 5 s), or `auto` (default): on, unless the application needs the place, as ECS allows 10 containers in a task."),
		"mesh_init":   row.Object("Registers the task and writes the proxy's configuration, then exits.", sidecarFields()),
		"dataplane":   row.Object("Runs Envoy.", stayingSidecarFields()),
		"mesh_ready":  row.Object("The ready gate.", sidecarFields()),
		"health_sync": row.Object("Copies ECS health to Consul and deregisters the task at its end.", stayingSidecarFields()),
	})
}

func sidecarFields() row.Fields {
	return row.Fields{
		"image":                    row.Text("Image. Default: `sidecars.image`."),
		"cpu":                      row.Number("CPU units reserved.", row.AtLeast(0)),
		"memory":                   row.Number("Memory in MiB at which the container is killed.", row.AtLeast(6)),
		"memory_reservation":       row.Number("Memory in MiB reserved.", row.AtLeast(6)),
		"environment":              row.TextMap("Further environment variables."),
		"log_configuration":        OwnLogConfigurationRow("Where the output goes. Default: `sidecars.log_configuration`."),
		"readonly_root_filesystem": row.Flag("Read-only root file system. Default `true`."),
		"stop_timeout":             row.Nonzero("Seconds from SIGTERM to SIGKILL. Default: longer than every container of the application."),
	}
}

// stayingSidecarFields is for containers that run as long as the task.
func stayingSidecarFields() row.Fields {
	all := sidecarFields()
	all["restart_policy"] = restartPolicyRow()
	return all
}
