package controller

import (
	"slices"

	"github.com/consulecs/terraform-provider-consulecs/provider/block"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

var places = slices.Concat([]row.Place{
	{From: "family", To: "name"},
	{From: "controller.iamRolePath", To: "iam_role_path"},
	{From: "controller.authMethod.name", To: "login.auth_method"},
	{From: "controller.authMethod.serverIdHeaderValue", To: "login.server_id_header"},
	{From: "controller.authMethod", To: "login"},
	{From: "logJSON", To: "log_json"},
	{From: "taskRoleArn", To: "iam.task_role.arn"},
	{From: "executionRoleArn", To: "iam.execution_role.arn"},
}, block.ConsulPlaces)
