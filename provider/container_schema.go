package provider

import (
	"maps"

	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// containerAttributes is a container definition in ECS's own words, in snake case. What awsvpc tasks cannot use
// (links, hostname, extra hosts, DNS servers) is left out.
func containerAttributes() attributes {
	all := attributes{
		"name":               requiredText("Name in the task: up to 255 letters, digits, `-` and `_`."),
		"image":              requiredText("Image reference."),
		"essential":          flag("The task stops when this container does. Default `true`."),
		"command":            texts("Command, as in the image's CMD."),
		"entry_point":        texts("Entry point, as in the image's ENTRYPOINT."),
		"working_directory":  text("Directory that the command runs in."),
		"user":               text("User, as `uid`, `name`, `uid:gid`."),
		"cpu":                number("CPU units reserved, 1024 to a core.", atLeast(0)),
		"memory":             number("Memory in MiB at which the container is killed."),
		"memory_reservation": number("Memory in MiB reserved."),
		"environment":        textMap("Environment variables. They are readable for everyone who may describe the task definition: use `secrets` for what must not be."),
		"secrets":            textMap("Environment variables that ECS fills: from a name to the ARN of a Secrets Manager secret (`…:key::` picks a JSON key) or SSM parameter. The execution role is allowed to read them."),
		"environment_files": objects("Files with environment variables.", attributes{
			"type":  requiredText("`s3`.", oneOf(ecstypes.EnvironmentFileTypeS3)),
			"value": requiredText("ARN of the S3 object."),
		}),
		"start_timeout":            number("Seconds that containers which depend on this one wait for it."),
		"stop_timeout":             number("Seconds from SIGTERM to SIGKILL. ECS's default is 30."),
		"privileged":               flag("Root rights on the host. Not on Fargate. Default `false`."),
		"readonly_root_filesystem": flag("Read-only root file system. Default `false`."),
		"interactive":              flag("Keep stdin open. Default `false`."),
		"pseudo_terminal":          flag("Allocate a TTY. Default `false`."),
		"docker_labels":            textMap("Labels of the container."),
		"docker_security_options":  texts("Security options of Docker, such as `no-new-privileges`. Not on Fargate."),
		"version_consistency":      text("Whether ECS resolves the image's tag to a digest: `enabled` or `disabled`.", oneOf(ecstypes.VersionConsistency("").Values()...)),
		"log_configuration":        logConfiguration("Where the output goes."),
		"mesh": object("How the container takes part in the mesh.", attributes{
			"health_sync":    flag("Copy the container's ECS health to a check in Consul. Default: it is essential and has a `health_check`, or it has a `readiness_probe`."),
			"wait_for_proxy": flag("Start when the proxy serves. Default `true`."),
			"shutdown_delay": text("How long the application serves on after SIGTERM, in whole seconds such as `10s` or `1m30s`, until its callers have heard that the task leaves: the command is run by " +
				"`consulecs-agent app`, from the shared volume, which the container mounts read-only at `/consul`. What the image's ENTRYPOINT and CMD would run is not known at plan and not run: say it in " +
				"`entry_point` and `command`. Shorter than `stop_timeout`, which has to hold what the application itself needs besides. Default: none, SIGTERM reaches the command at once. Changing it registers a new revision."),
			"readiness_probe": readinessProbe(),
		}),
	}
	maps.Copy(all, containerLifeAttributes())
	maps.Copy(all, containerHostAttributes())
	return all
}

func readinessProbe() schema.SingleNestedAttribute {
	return object("Asks the application itself as long as ECS has no verdict on the container, for which its shortest health check takes 5 s: ten times a second until it is ready, then "+
		"every 6 s. Once ECS has a verdict, that one counts; without a `health_check` it never has. Changing it registers a new revision.", attributes{
		"type":    requiredText("`http` (an answer below 400 will do), `tcp` (a connection will) or `grpc` (the answer `SERVING` of the standard health service)."),
		"port":    requiredNumber("Port at which the application listens, 1 to 65535, on loopback or at `proxy.local_service_address`."),
		"path":    text("Path of `http`, with a query if need be. Default `/`."),
		"service": text("Name of the service that `grpc` asks for. Default: the server as a whole."),
	})
}

// containerLifeAttributes is what decides when a container starts, is healthy and starts again.
func containerLifeAttributes() attributes {
	return attributes{
		"depends_on": objects("Containers that this one waits for, besides the proxy.", attributes{
			"container_name": requiredText("Name of the container."),
			"condition":      requiredText("`START`, `COMPLETE`, `SUCCESS` or `HEALTHY`.", oneOf(ecstypes.ContainerCondition("").Values()...)),
		}),
		"health_check": object("Health check of ECS.", attributes{
			"command":      requiredTexts("Command: `CMD` and arguments, or `CMD-SHELL` and a line for the shell."),
			"interval":     number("Seconds between two checks, 5 to 300. Default 30."),
			"timeout":      number("Seconds that a check may take, 2 to 60. Default 5."),
			"retries":      number("Failures in a row that make the container unhealthy, 1 to 10. Default 3."),
			"start_period": number("Seconds after the start in which failures do not count, 0 to 300. Default 0."),
		}),
		"restart_policy": restartPolicy(),
	}
}

// containerHostAttributes is what a container gets of the machine: ports, mounts, limits, kernel.
func containerHostAttributes() attributes {
	return attributes{
		"port_mappings": objects("Ports that the task opens besides the mesh's. A service in the mesh needs none.", attributes{
			"container_port":       number("Port in the task, 1 to 65535."),
			"container_port_range": text("A range of ports instead, such as `8000-8010`."),
			"host_port":            number("Same as `container_port` in awsvpc tasks."),
			"protocol":             text("`tcp` (default) or `udp`.", oneOf(ecstypes.TransportProtocol("").Values()...)),
			"name":                 text("Name of the port, for Service Connect."),
			"app_protocol":         text("`http`, `http2` or `grpc`, for Service Connect.", oneOf(ecstypes.ApplicationProtocol("").Values()...)),
		}),
		"mount_points": objects("Volumes of the task that the container mounts.", attributes{
			"source_volume":  requiredText("Name of the volume in `task.volumes`."),
			"container_path": requiredText("Path in the container."),
			"read_only":      flag("Default `false`."),
		}),
		"volumes_from": objects("Containers whose mounts this one shares.", attributes{
			"source_container": requiredText("Name of the container."),
			"read_only":        flag("Default `false`."),
		}),
		"ulimits": objects("Resource limits.", attributes{
			"name":       requiredText("Name, such as `nofile`.", oneOf(ecstypes.UlimitName("").Values()...)),
			"soft_limit": requiredNumber("Soft limit."),
			"hard_limit": requiredNumber("Hard limit."),
		}),
		"system_controls": objects("Kernel parameters of the container's namespaces.", attributes{
			"namespace": requiredText("Name, such as `net.core.somaxconn`."),
			"value":     requiredText("Value."),
		}),
		"resource_requirements": objects("GPUs and other devices.", attributes{
			"type":  requiredText("`GPU`, `InferenceAccelerator` or another of ECS's types.", oneOf(ecstypes.ResourceType("").Values()...)),
			"value": requiredText("How many, or the name of the device."),
		}),
		"repository_credentials": object("Credentials of a private registry outside AWS.", attributes{
			"credentials_parameter": requiredText("ARN of the Secrets Manager secret.", secretARN()),
		}),
		"firelens_configuration": object("Makes the container the task's log router.", attributes{
			"type":    requiredText("`fluentbit` or `fluentd`.", oneOf(ecstypes.FirelensConfigurationType("").Values()...)),
			"options": textMap("Options of the log router."),
		}),
		"linux_parameters": linuxParameters(),
	}
}

func linuxParameters() schema.SingleNestedAttribute {
	return object("Settings of the Linux kernel.", attributes{
		"capabilities": object("Capabilities beyond or below Docker's.", attributes{
			"add":  texts("Capabilities to add. Fargate admits only `SYS_PTRACE`."),
			"drop": texts("Capabilities to drop."),
		}),
		"init_process_enabled": flag("Run an init process that forwards signals and reaps children. Default `false`."),
		"shared_memory_size":   number("Size of /dev/shm in MiB. Not on Fargate."),
		"max_swap":             number("Swap in MiB. Not on Fargate."),
		"swappiness":           number("0 to 100. Not on Fargate."),
		"devices": objects("Devices of the host. Not on Fargate.", attributes{
			"host_path":      requiredText("Path on the host."),
			"container_path": text("Path in the container. Default: the same."),
			"permissions":    texts("`read`, `write`, `mknod`."),
		}),
		"tmpfs": objects("Memory file systems. Not on Fargate.", attributes{
			"container_path": requiredText("Path in the container."),
			"size":           requiredNumber("Size in MiB."),
			"mount_options":  texts("Options, such as `noexec`."),
		}),
	})
}

func logConfiguration(description string) schema.SingleNestedAttribute {
	return object(description, attributes{
		"log_driver": requiredText("Driver, such as `awslogs` or `awsfirelens`.", oneOf(ecstypes.LogDriver("").Values()...)),
		"options":    textMap("Options of the driver, such as `awslogs-group`."),
		"secret_options": objects("Options that ECS fills from a secret.", attributes{
			"name":       requiredText("Name of the option."),
			"value_from": requiredText("ARN of the secret or parameter."),
		}),
	})
}

func restartPolicy() schema.SingleNestedAttribute {
	return object("Restart of the container in place when it exits.", attributes{
		"enabled":                requiredFlag("Restart it."),
		"ignored_exit_codes":     schema.ListAttribute{ElementType: types.Int32Type, Optional: true, MarkdownDescription: "Exit codes after which it is not restarted, up to 50."},
		"restart_attempt_period": number("Seconds that it must have run to be restarted, 60 to 1800. Default 300."),
	})
}
