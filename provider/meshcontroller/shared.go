package meshcontroller

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"

	"github.com/hashicorp/terraform-plugin-framework-validators/setvalidator"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"

	"github.com/consulecs/terraform-provider-consulecs/provider/block"
	"github.com/consulecs/terraform-provider-consulecs/provider/deploy"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

// BlockRow is the block of the name in which another resource says what a controller is to be, and inherits what the block leaves out.
func BlockRow(name, description string) schema.SingleNestedBlock {
	fields := Fields(func(attribute string) path.Expression { return path.MatchRoot(name).AtName(attribute) })
	text := func(attribute, description string) {
		a, _ := fields[attribute].(schema.StringAttribute)
		a.MarkdownDescription = description
		fields[attribute] = a
	}
	nested := func(attribute, description string) {
		b, _ := fields[attribute].(schema.SingleNestedBlock)
		b.MarkdownDescription = description
		fields[attribute] = b
	}
	nested("consul_servers", "How the controller reaches Consul's servers. What is left out is taken from the task's `consul_servers`, then from the provider's; an empty text means none.")
	nested("login", "What the auth method must know of the tasks' logins, and whether the controller logs in itself. What is left out, but for `enabled`, is taken from the task's `login`, then from the provider's; an empty text means none.")
	nested("log_configuration", "Where the output goes. Default: `sidecars.log_configuration`, then the provider's `log_configuration`.")
	nested("iam", "IAM roles. By default both are created. Their names begin with the Region, unless `name_prefix` says otherwise.")
	text("image", "Image with consulecs-agent. Default: `sidecars.image`, then the provider's `agent_image`.")
	text("pull_credentials_secret_arn", "ARN of the Secrets Manager secret with the registry's credentials. Default: that of `sidecars`.")
	text("partition", "Enterprise: admin partition that the controller looks after, with the namespaces in it; `default` is one, too. Default: `service.partition`.")
	maps.Copy(fields, row.Fields{
		"desired_count":   row.Number("Number of controllers, 0 to 10: one leads, the others take over. Default 1.", row.Between(0, 10)),
		"ecs_clusters":    row.TextSet("ARNs of further ECS clusters, of the same account and Region, that the controller looks after. Default: that of `ecs_service` alone."),
		"subnets":         row.TextSet("IDs of the subnets. Default: those of `ecs_service`.", setvalidator.SizeAtLeast(1)),
		"security_groups": row.TextSet("IDs of the security groups. Default: those of `ecs_service`."),

		"assign_public_ip": row.Flag("A public address for every task, on Fargate. Default: as `ecs_service` says."),
		"platform_version": row.Text("Fargate's platform version. Default: that of `ecs_service`, where the controller runs as its tasks do, else `LATEST`."),
	})
	text("launch_type", "`FARGATE`, `EC2` or `MANAGED_INSTANCES`, one of `controller.task.launch_types`. Default: where `ecs_service` runs its tasks. Changing it deletes the controller's service, then makes a new one.")
	return row.Object(description, fields)
}

// Within are the settings of a controller in the network of another service, as far as they do not name their own.
func (s Settings) Within(n block.Network) *Settings {
	if s.Subnets == nil {
		s.Subnets = n.Subnets
	}
	if s.SecurityGroups == nil {
		s.SecurityGroups = n.SecurityGroups
	}
	if s.AssignPublicIP == nil {
		s.AssignPublicIP = n.AssignPublicIP
	}
	if s.LaunchType == nil && len(s.CapacityProviderStrategy) == 0 {
		s.LaunchType, s.CapacityProviderStrategy = n.LaunchType, n.CapacityProviderStrategy
		if s.PlatformVersion == nil {
			s.PlatformVersion = n.PlatformVersion
		}
	}
	return &s
}

// Hash tells two designs of one controller apart, wherever their tasks run.
func Hash(d deploy.Design) (string, error) {
	decided, err := d.Decided()
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(struct {
		Content, Roles *string
		Tags           map[string]string
		Count          *int32
		Exec           bool
	}{decided.ContentHash, decided.Roles, decided.TagsAll, d.Service.DesiredCount, row.Value(d.Service.EnableExecuteCommand)})
	if err != nil {
		return "", fmt.Errorf("write the settings of controller %s: %w", d.Family, err)
	}
	sum := sha256.Sum256(text)
	return fmt.Sprintf("%x", sum[:16]), nil
}
