package provider

import (
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/hashicorp/terraform-plugin-framework-validators/setvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
)

func taskAttribute() schema.SingleNestedAttribute {
	return object("Size and frame of the task.", attributes{
		"cpu":                   nonzero("CPU units, 1024 to a core. Default 256. On Fargate, CPU and memory must be a pair that ECS offers."),
		"memory":                nonzero("Memory in MiB. Default 512."),
		"launch_types":          launchTypes(),
		"runtime_platform":      runtimePlatform(),
		"ephemeral_storage_gib": nonzero("Ephemeral storage in GiB, 21 to 200, on Fargate. Default: ECS's own 20."),
		"pid_mode":              text("`task` shares one process namespace among the containers; `host` that of the host (not on Fargate).", oneOf(ecstypes.PidMode("").Values()...)),
		"volume":                objects("Volumes that containers mount. The mesh adds its own, `consul_data`.", volumeAttributes()),
		"placement_constraints": objects("Rules for the placement on container instances. Not on Fargate.", attributes{
			"type":       requiredText("`memberOf`.", oneOf(ecstypes.TaskDefinitionPlacementConstraintType("").Values()...)),
			"expression": requiredText("Expression of ECS's cluster query language."),
		}),
	})
}

func launchTypes() schema.SetAttribute {
	return textSet("Launch types that ECS checks the definition against: `EC2`, `FARGATE`, `MANAGED_INSTANCES`. Default `EC2` and `FARGATE`.",
		setvalidator.SizeAtLeast(1))
}

func runtimePlatform() schema.SingleNestedAttribute {
	return object("Operating system and processor. Default: Linux on X86_64.", attributes{
		"operating_system_family": text("Such as `LINUX`.", oneOf(ecstypes.OSFamily("").Values()...)),
		"cpu_architecture":        text("`X86_64` or `ARM64`; the agent's image is made for both.", oneOf(ecstypes.CPUArchitecture("").Values()...)),
	})
}

func volumeAttributes() attributes {
	return attributes{
		"name":                 requiredText("Name that `mount_points` refer to."),
		"configured_at_launch": flag("The volume is attached by the ECS service (EBS). Default `false`."),
		"host": object("Directory of the host; an empty object is a directory that lives as long as the task.", attributes{
			"source_path": text("Path on the host. Not on Fargate."),
		}),
		"docker_volume_configuration": object("Volume of Docker. Not on Fargate.", attributes{
			"autoprovision": flag("Create it if it is missing."),
			"driver":        text("Driver. Default `local`."),
			"driver_opts":   textMap("Options of the driver."),
			"labels":        textMap("Labels."),
			"scope":         text("`task` or `shared`.", oneOf(ecstypes.Scope("").Values()...)),
		}),
		"efs_volume_configuration": object("Amazon EFS.", attributes{
			"file_system_id":          requiredText("ID of the file system."),
			"root_directory":          text("Directory to mount."),
			"transit_encryption":      text("`ENABLED` or `DISABLED`.", oneOf(ecstypes.EFSTransitEncryption("").Values()...)),
			"transit_encryption_port": number("Port of the encrypted connection.", between(0, 65535)),
			"authorization_config": object("Access control.", attributes{
				"access_point_id": text("ID of the access point."),
				"iam":             text("`ENABLED` or `DISABLED`.", oneOf(ecstypes.EFSAuthorizationConfigIAM("").Values()...)),
			}),
		}),
		"fsx_windows_file_server_volume_configuration": object("FSx for Windows File Server.", attributes{
			"file_system_id": requiredText("ID of the file system."),
			"root_directory": requiredText("Directory to mount."),
			"authorization_config": object("Access control.", attributes{
				"credentials_parameter": requiredText("ARN of the secret with the credentials."),
				"domain":                requiredText("Active Directory domain."),
			}),
		}),
	}
}

func sidecarsAttribute() schema.SingleNestedAttribute {
	return object("The injected containers.", attributes{
		"image":                       text("Image with consulecs-agent. Default: the provider's `agent_image`."),
		"log_level":                   text("Log level of the agents: `TRACE`, `DEBUG`, `INFO` (default), `WARN` or `ERROR`."),
		"log_json":                    flag("Log lines as JSON objects. Default `false`."),
		"log_configuration":           logConfiguration("Where the output of the injected containers goes. Default: the provider's `log_configuration`."),
		"pull_credentials_secret_arn": text("ARN of the Secrets Manager secret with the registry's credentials.", secretARN()),
		"ready_gate": text("Whether the container `consul-ecs-mesh-ready` lets the application start the moment the proxy serves: `on`, `off` (wait for the dataplane's " +
			"ECS health check instead, at least 5 s), or `auto` (default): on, unless the application needs the place, as ECS allows 10 containers in a task."),
		"mesh_init":   object("Registers the task and writes the proxy's configuration, then exits.", sidecarAttributes()),
		"dataplane":   object("Runs Envoy.", stayingSidecarAttributes()),
		"mesh_ready":  object("The ready gate.", sidecarAttributes()),
		"health_sync": object("Copies ECS health to Consul and deregisters the task at its end.", stayingSidecarAttributes()),
	})
}

func sidecarAttributes() attributes {
	return attributes{
		"image":                    text("Image. Default: `sidecars.image`."),
		"cpu":                      number("CPU units reserved.", atLeast(0)),
		"memory":                   number("Memory in MiB at which the container is killed.", atLeast(6)),
		"memory_reservation":       number("Memory in MiB reserved.", atLeast(6)),
		"environment":              textMap("Further environment variables."),
		"log_configuration":        logConfiguration("Where the output goes. Default: `sidecars.log_configuration`."),
		"readonly_root_filesystem": flag("Read-only root file system. Default `true`."),
		"stop_timeout":             nonzero("Seconds from SIGTERM to SIGKILL. Default: longer than every container of the application."),
	}
}

// stayingSidecarAttributes is for containers that run as long as the task.
func stayingSidecarAttributes() attributes {
	all := sidecarAttributes()
	all["restart_policy"] = restartPolicy()
	return all
}

func iamAttribute() schema.SingleNestedAttribute {
	return object("IAM roles. By default both are created for the family.", attributes{
		"path":                 text("IAM path of the roles that are created. The controller's auth method admits roles below its own path. Default: the provider's `iam_role_path`, else `/consul-ecs/`.", rolePath()),
		"permissions_boundary": text("ARN of the policy that bounds the roles that are created.", policyARN()),
		"any_source":           flag("Leave the conditions on account and region out of the trust policies. Default `false`."),
		"task_role": object("What the containers may do.", attributes{
			"arn": text("ARN of an existing role: it is checked, never changed. It must carry the tag `consul.hashicorp.com.service-name`, lie below the role path and be allowed `iam:GetRole` on itself.",
				givenRoleRules("task_role", "name", "policy_arns")...),
			"name":        text("Name of the role that is created. Default: the family and `-task`.", roleName()),
			"policy_arns": textSet("ARNs of managed policies to attach: the application's rights."),
		}),
		"execution_role": object("What ECS may do to start the containers: pull images, read secrets, write logs.", attributes{
			"arn": text("ARN of an existing role: it is checked, never changed.",
				givenRoleRules("execution_role", "name", "policy_arns", "kms_key_arns")...),
			"name":         text("Name of the role that is created. Default: the family and `-execution`.", roleName()),
			"policy_arns":  textSet("ARNs of managed policies to attach."),
			"kms_key_arns": textSet("ARNs of the KMS keys that encrypt the containers' secrets, where they are not AWS's own."),
		}),
	})
}

// givenRoleRules admit the ARN of a role, but beside no setting of a role that is made. "" is no ARN and does not ask for a role to
// be made either.
func givenRoleRules(role string, fields ...string) []validator.String {
	validators := []validator.String{stringvalidator.LengthAtLeast(1)}
	for _, f := range fields {
		validators = append(validators, stringvalidator.ConflictsWith(path.MatchRoot("iam").AtName(role).AtName(f)))
	}
	return validators
}
