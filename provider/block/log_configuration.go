package block

import (
	"reflect"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"

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
	return logConfigurationRow(description, row.RequiredText("Driver, such as `awslogs` or `awsfirelens`.", logDriver()))
}

// OwnLogConfigurationRow stands where something else supplies a configuration if there is none.
func OwnLogConfigurationRow(description string) schema.SingleNestedBlock {
	return logConfigurationRow(description, row.RequiredText("Driver, such as `awslogs` or `awsfirelens`. An empty text: none, the output is dropped or left to the host.", row.OrNone(logDriver())))
}

func logDriver() validator.String { return row.OneOf(ecstypes.LogDriver("").Values()...) }

func logConfigurationRow(description string, driver schema.StringAttribute) schema.SingleNestedBlock {
	return row.Object(description, row.Fields{
		"log_driver":     driver,
		"options":        row.TextMap("Options of the driver, such as `awslogs-group`."),
		"secret_options": row.TextMap("Options that ECS fills: from a name to the ARN of a secret or parameter."),
	})
}

// ReadOwnLog is what a container has, where it would have something else otherwise: nil if it is the same.
func ReadOwnLog(is, otherwise *ecstypes.LogConfiguration) *LogConfiguration {
	m, wouldBe := ReadLog(is), ReadLog(otherwise)
	switch {
	case reflect.DeepEqual(m, wouldBe):
		return nil
	case m == nil:
		return &LogConfiguration{LogDriver: aws.String("")}
	default:
		return m
	}
}

// ReadLog says the same as log without what is empty.
func ReadLog(log *ecstypes.LogConfiguration) *LogConfiguration {
	var m *LogConfiguration
	row.FromSpec(&m, log)
	return m
}
