package meshcontroller

import (
	"maps"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"

	"github.com/consulecs/terraform-provider-consulecs/provider/block"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

// Fields are the rows of the settings, where at names the attribute of a name.
func Fields(at func(name string) path.Expression) row.Fields {
	fields := row.Fields{
		"token_secret_arn": row.Text("ARN of the Secrets Manager secret with the ACL token that the controller works with. One of four ways to its rights in Consul: this; `login.enabled` with `first_token_secret_arn`; `login.enabled` with `manage_acl = false`; or none, with `acls = false`.", row.SecretARN()),
		"consul_servers":   row.Object("How to reach Consul's servers. What is left out is taken from the provider's `consul_servers`; an empty text means none.", block.ConsulServersFields()),
		"login": row.Object("What the auth method must know of the tasks' logins, and whether the controller logs in itself. What is left out, but for `enabled`, is taken from the provider's `login`; an empty text means none.", row.Fields{
			"enabled":           row.FlagOr(false, "The controller itself logs in to Consul, with its task role: no token that may do everything lies in its environment. It needs `first_token_secret_arn` or `manage_acl = false` beside it. Default `false`."),
			"token_ttl_seconds": row.Number("How long a token of a task lives, in seconds, 60 to 86400. Agents of this provider log in again; the incumbent's do not. Default: as long as its task.", row.Between(60, 86400)),
			"max_retries":       row.Number("How often Consul's servers repeat a request to STS or IAM that fails, 0 to 100. Default: Consul's own.", row.Between(0, 100)),
			"auth_method":       row.Text("Name of the auth method to keep. Default `iam-ecs-service-token`."),
			"sts_endpoint":      row.Text("URL of STS at which Consul's servers verify logins. Default: AWS's.", row.OrNone(row.EndpointURL{})),
			"iam_endpoint":      row.Text("URL of IAM at which Consul's servers read role tags. Default: AWS's.", row.OrNone(row.EndpointURL{})),
			"server_id_header":  row.Text("Value of the header `X-Consul-IAM-ServerID` that logins must carry."),
		}),
		"iam_role_path":               row.Text("Roles below this IAM path may log in. Default: the provider's `iam_role_path`, else `/consul-ecs/`, which an empty text means, too.", row.OrNone(row.RolePath())),
		"image":                       row.Text("Image with consulecs-agent. Default: the provider's `agent_image`."),
		"log_level":                   row.Text("Log level: `TRACE`, `DEBUG`, `INFO` (default), `WARN` or `ERROR`."),
		"log_json":                    row.FlagOr(false, "Log lines as JSON objects. Default `false`."),
		"log_configuration":           block.OwnLogConfigurationRow("Where the output goes. Default: the provider's `log_configuration`."),
		"pull_credentials_secret_arn": row.Text("ARN of the Secrets Manager secret with the registry's credentials.", row.SecretARN()),
		"task": row.Object("Size of the task.", row.Fields{
			"cpu":              block.CPU(),
			"memory":           block.Memory(),
			"launch_types":     block.LaunchTypes(),
			"runtime_platform": block.RuntimePlatform(),
		}),
		"iam":                    block.ControllerIAMRow(at("iam")),
		"enable_execute_command": row.FlagOr(false, "ECS Exec: whoever may call `ecs:ExecuteCommand` may run commands in the container, if its root file system is writable. The task role that is created is allowed the four `ssmmessages` actions that this takes; a given one has to be. Default `false`."),
		"desired_count":          count(),
		"tags":                   row.TextMap("Tags of the task definition, the roles and the ECS service, over the provider's `default_tags`."),
	}
	maps.Copy(fields, ownFields())
	maps.Copy(fields, block.NetworkFields(at("capacity_provider_strategy")))
	return fields
}

// Defaults, which an import spells out, as the agents have them, too.
const (
	defaultMaxWrites    = 800
	defaultBrakeTasks   = 50
	defaultBrakePercent = 25
	defaultHTTPAddress  = "127.0.0.1:9102"
)

func ownFields() row.Fields {
	return row.Fields{
		"trust_all_roles":         row.FlagOr(false, "Says yes to the `iam_role_path` `/`, below which every role of the account may log in, as any service that its tags name. Default `false`."),
		"acls":                    row.FlagOr(true, "Whether Consul's ACL system is on. `false` says that the controller needs no rights, so that a forgotten token is an error of the plan, not of the first start. Default `true`."),
		"manage_acl":              row.FlagOr(true, "The controller keeps the auth method, policies, roles and binding rules, and deletes the tokens of dead tasks. `false` where `consulecs-agent bootstrap` has prepared Consul: it then needs no `acl = \"write\"`, and tokens end by themselves. Default `true`."),
		"first_token_secret_arn":  row.Text("ARN of the Secrets Manager secret with an ACL token for the first start: the controller reads it only where its login is refused, prepares Consul and its own role there, and logs in. The task role alone may read it.", row.WholeSecretARN()),
		"first_token_kms_key_arn": row.Text("ARN of the KMS key that encrypts that secret, where it is not AWS's own.", row.KMSKeyARN()),
		"anonymous_reads":         row.FlagOr(true, "Anonymous requests may read nodes and services, as Consul DNS needs. `false` leaves the anonymous token alone. Default `true`."),
		"ecs_clusters":            row.TextSet("ARNs of further ECS clusters, of the same account and Region, that the controller looks after. Default: `cluster` alone."),
		"sync_seconds":            row.Number("Seconds between two comparisons of all that Consul and ECS have, 5 to 3600. Default: 300 with events, else as often as two calls of ECS a second allow.", row.Between(5, 3600)),
		"max_writes_per_second":   row.NumberOr(defaultMaxWrites, "The most writes a second that Consul's servers get, 1 to 10000. Default 800.", row.Between(1, 10000)),
		"brake": row.Object("How many tasks, of which ECS does not say that they stopped, may be removed within an hour: whichever is more. What is beyond it waits for an operator.", row.Fields{
			"tasks":   row.NumberOr(defaultBrakeTasks, "So many. Default 50.", row.AtLeast(0)),
			"percent": row.NumberOr(defaultBrakePercent, "So many percent of the tasks that Consul knows. Default 25.", row.Between(0, 100)),
		}),
		"dry_run":      row.FlagOr(false, "The log says what the controller would remove, and it removes nothing. Default `false`."),
		"http_address": row.TextOr(defaultHTTPAddress, "IP address and port of `/healthz`, `/readyz` and `/metrics`. Default `127.0.0.1:9102`."),
		"partition":    row.Text("Enterprise: admin partition that the controller looks after, with the namespaces in it; `default` is one, too. Default: none, as in Consul's community edition."),
		"events": row.Object("What brings ECS's events to the controller: an SQS queue, another one for what could not be worked off, and an EventBridge rule, which the resource makes.", row.Fields{
			"enabled": row.FlagOr(true, "Make them. Without, the controller asks ECS more often and removes dead tasks later. Default `true`."),
		}),
	}
}

func count() schema.Int32Attribute {
	return row.Number("Number of controllers, 0 to 10: one leads, the others take over. What something else makes of it shows, and goes back. Default 1.", row.Between(0, 10))
}
