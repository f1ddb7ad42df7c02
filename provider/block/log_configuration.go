package block

import (
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"

	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

type LogConfiguration struct {
	LogDriver     *string           `tfsdk:"log_driver"`
	Options       map[string]string `tfsdk:"options"`
	SecretOptions map[string]string `tfsdk:"secret_options"`
}

func (m *LogConfiguration) Spec() *ecstypes.LogConfiguration {
	if m == nil {
		return nil
	}
	var log ecstypes.LogConfiguration
	row.ToSpec(&log, m)
	return &log
}

func LogConfigurationRow(description string) schema.SingleNestedBlock {
	return row.Object(description, row.Fields{
		"log_driver":     row.RequiredText("Driver, such as `awslogs` or `awsfirelens`.", row.OneOf(ecstypes.LogDriver("").Values()...)),
		"options":        row.TextMap("Options of the driver, such as `awslogs-group`."),
		"secret_options": row.TextMap("Options that ECS fills: from a name to the ARN of a secret or parameter."),
	})
}

// ReadLog says the same as log without what is empty.
func ReadLog(log *ecstypes.LogConfiguration) *LogConfiguration {
	var m *LogConfiguration
	row.FromSpec(&m, log)
	return m
}
