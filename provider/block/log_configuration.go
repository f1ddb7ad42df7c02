package block

import (
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"

	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

type LogConfiguration struct {
	LogDriver     *string           `tfsdk:"log_driver"`
	Options       map[string]string `tfsdk:"options"`
	SecretOptions []Secret          `tfsdk:"secret_options"`
}

type Secret struct {
	Name      *string `tfsdk:"name"`
	ValueFrom *string `tfsdk:"value_from"`
}

func (m *LogConfiguration) Spec() *ecstypes.LogConfiguration {
	if m == nil {
		return nil
	}
	var log ecstypes.LogConfiguration
	row.ToSpec(&log, m)
	return &log
}

func LogConfigurationRow(description string) schema.SingleNestedAttribute {
	return row.Object(description, row.Attributes{
		"log_driver": row.RequiredText("Driver, such as `awslogs` or `awsfirelens`.", row.OneOf(ecstypes.LogDriver("").Values()...)),
		"options":    row.TextMap("Options of the driver, such as `awslogs-group`."),
		"secret_options": row.Objects("Options that ECS fills from a secret.", row.Attributes{
			"name":       row.RequiredText("Name of the option."),
			"value_from": row.RequiredText("ARN of the secret or parameter."),
		}),
	})
}

// ReadLog says the same as log without what is empty.
func ReadLog(log *ecstypes.LogConfiguration) *LogConfiguration {
	var m *LogConfiguration
	row.FromSpec(&m, log)
	return m
}
