package provider

import (
	"context"
	"regexp"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// validFamily is ECS's rule for the names of families and services; familyRule says it.
var validFamily = regexp.MustCompile(`^[A-Za-z0-9_-]{1,255}$`)

const familyRule = "must be 1 to 255 letters, digits, '-' and '_'"

func family() schema.StringAttribute {
	return fixedText("Family of the task definition: up to 255 letters, digits, `-` and `_`. In lower case it is also the name of the "+
		"Consul service, unless `service.name` says otherwise. Changing it makes a new resource.",
		stringvalidator.RegexMatches(validFamily, familyRule))
}

// Schema implements resource.Resource.
func (r *meshTaskResource) Schema(ctx context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "An ECS task in the Consul service mesh: its task definition with the injected containers, its IAM roles and, if asked for, the ECS service that runs it.",
		Attributes: attributes{
			"family":            family(),
			"service":           serviceAttribute(),
			"outbound_only":     flag("The application receives no traffic from the mesh; `service.port` stays unset. Default `false`."),
			"upstream":          objects("Services that the application calls through its proxy, each at a local port.", upstreamAttributes()),
			"proxy":             proxyAttribute(),
			"transparent_proxy": transparentProxyAttribute(),
			"consul_servers":    object("How to reach Consul's servers. What is left out is taken from the provider's `consul_servers`.", consulServersAttributes()),
			"login":             object("How the agents log in to Consul with the task role. What is left out is taken from the provider's `login`.", loginAttributes()),
			"task":              taskAttribute(),
			"container":         requiredObjects("The application's containers. Nothing of them is changed but `depends_on`, which gets the wait for the proxy, and what `mesh.shutdown_delay` says.", containerAttributes()),
			"sidecars":          sidecarsAttribute(),
			"iam":               iamAttribute(),
			"ecs_service":       ecsServiceAttribute(),
			"revision_policy": object("What becomes of earlier revisions.", attributes{
				"keep": number("How many earlier revisions stay ACTIVE after an update, for a quick way back. Default 0: all are deregistered.", atLeast(0)),
			}),
			"tags":     textMap("Tags of the task definition (hence of its tasks), the roles and the ECS service, over the provider's `default_tags`. Keys that begin with `consul.hashicorp.com` are the mesh's own."),
			"timeouts": timeouts.Attributes(ctx, timeouts.Opts{Create: true, Update: true, Delete: true}),

			"id":                                  computedText("The family."),
			"arn":                                 computedText("ARN of the newest revision."),
			"arn_without_revision":                computedText("ARN of the family: what a service that follows CI's revisions may name."),
			"revision":                            schema.Int64Attribute{Computed: true, MarkdownDescription: "The newest revision."},
			"service_name":                        computedText("Name of the Consul service."),
			"task_role_arn":                       computedText("ARN of the task role."),
			"task_role_name":                      computedText("Name of the task role."),
			"execution_role_arn":                  computedText("ARN of the execution role."),
			"execution_role_name":                 computedText("Name of the execution role."),
			"ecs_service_arn":                     computedText("ARN of the ECS service; null without `ecs_service`."),
			"ecs_service_name":                    computedText("Name of the ECS service; null without `ecs_service`."),
			"ecs_service_running_arn":             computedText("ARN of the revision that the ECS service runs; null without `ecs_service`. Differs from `arn` only when something else changed the service."),
			"agent_config_json":                   computedText("What the injected containers read from `CONSUL_ECS_CONFIG_JSON`."),
			"rendered_roles_json":                 computedText("The IAM roles that the resource keeps, as they are in IAM: a change made there shows here."),
			"content_hash":                        computedText("SHA-256 of the canonical task definition without its tags. A new revision is registered when it changes."),
			"tags_all":                            schema.MapAttribute{ElementType: types.StringType, Computed: true, MarkdownDescription: "All tags of the task definition: the mesh's, the provider's defaults and `tags`."},
			"rendered_definition_json":            computedText("The task definition without its containers, in canonical form, as ECS has it: a change made there shows here."),
			"rendered_container_definitions_json": computedText("The container definitions in canonical form, injected ones included, as ECS has them: a change made there shows here."),
		},
	}
}

func serviceAttribute() schema.SingleNestedAttribute {
	return object("The Consul service that the task provides.", attributes{
		"name":                text("Name in Consul. Default: the family in lower case. Changing it changes the identity of the task: intentions are written for names."),
		"port":                number("Port at which the application listens, inside the task. Required unless `outbound_only`."),
		"tags":                textSet("Tags of the service in Consul's catalog."),
		"meta":                textMap("Metadata of the service in Consul's catalog."),
		"enable_tag_override": flag("Lets others change the service's tags in the catalog. Default `false`."),
		"namespace": text("Consul Enterprise: namespace of the service. Required with `partition`. It is also a tag of the tasks and of the task role, which the binding " +
			"rule reads. Changing it changes the identity of the task: intentions are written for names in namespaces."),
		"partition": text("Consul Enterprise: admin partition of the service. Required with `namespace`. It is also a tag of the tasks. " +
			"`consulecs_controller` looks after the partition `default` alone: elsewhere another controller has to."),
		"weights": object("Weights of the service in DNS answers.", attributes{
			"passing": requiredNumber("Weight while all checks pass.", atLeast(0)),
			"warning": requiredNumber("Weight while a check warns.", atLeast(0)),
		}),
		"outlier_detection": object("Passive health checks of the services that the task calls: its proxy leaves out an instance that fails. Written to the service-defaults of the task's service, for all its upstreams, unless they have some. Empty: the defaults.", attributes{
			"interval":                              text("Time between two looks, as a duration such as `10s`. Default `10s`.", duration{}),
			"max_failures":                          number("Consecutive failures that eject an instance. Default 5."),
			"enforcing_consecutive_5xx":             number("Chance in percent that an instance is ejected for consecutive 5xx answers. Default 100."),
			"consecutive_5xx":                       number("Consecutive 5xx answers that eject an instance."),
			"enforcing_consecutive_gateway_failure": number("Chance in percent that an instance is ejected for consecutive gateway failures."),
			"consecutive_gateway_failure":           number("Consecutive gateway failures (502, 503, 504) that eject an instance."),
			"max_ejection_percent":                  number("Share of the instances in percent that may be ejected at once. Default 50."),
		}),
	})
}

func upstreamAttributes() attributes {
	return attributes{
		"destination_name":      requiredText("Name of the Consul service (or prepared query) to reach."),
		"local_bind_port":       requiredNumber("Port at which the proxy listens for the application."),
		"local_bind_address":    text("Address at which the proxy listens. Default `127.0.0.1`."),
		"destination_type":      text("`service` (default) or `prepared_query`."),
		"destination_namespace": text("Consul Enterprise: namespace of the service. Default: Consul's, `default`."),
		"destination_partition": text("Consul Enterprise: admin partition of the service. Default: Consul's, `default`. With `destination_peer` it can only be the task's own."),
		"destination_peer":      text("Name of the cluster peering that the service is imported through. Not with `datacenter`."),
		"datacenter":            text("Datacenter of the service. Default: the task's. Only from and to the admin partition `default`."),
		"mesh_gateway_mode":     text("How traffic leaves the datacenter: `none`, `local` or `remote`."),
		"config":                text("Opaque configuration of the upstream, a JSON object such as `jsonencode({connect_timeout_ms = 500})`.", jsonObject{}),
	}
}

func transparentProxyAttribute() schema.SingleNestedAttribute {
	return object("Redirects all TCP traffic of the task through its proxy, so that the application calls services of the mesh by their names in Consul, without `upstream`, and "+
		"nobody reaches it past the proxy. It takes the capability `NET_ADMIN` for `consul-ecs-mesh-init`, which ECS grants on EC2 and managed instances and Fargate never does: "+
		"`task.launch_types` has to be `EC2`, `MANAGED_INSTANCES` or both. Any change here registers a new revision, which replaces the tasks.", attributes{
		"enabled": flag("Redirect the traffic. Default `false`."),
		"dns": flag("Let the task resolve Consul's names: its DNS queries go to Consul's servers first, through `consul-dataplane`, and what those do not know goes to the name servers as before. " +
			"With it the application calls `http://<service>.virtual.consul`. Only with `enabled`. Default `false`."),
		"exclude_inbound_ports":  numberSet("Ports at which the application is reached past the proxy, 1 to 65535: for load balancers or checks from outside the mesh. They are not protected by the mesh. Default: none."),
		"exclude_outbound_ports": numberSet("Ports, 1 to 65535, to which the task connects past the proxy, such as that of a database outside the mesh. Default: none."),
		"exclude_outbound_cidrs": textSet("CIDR blocks or IP addresses to which the task connects past the proxy. Default: none; ECS's metadata and credentials are always left alone."),
		"exclude_uids":           numberSet("Numbers of the users, 0 to 4294967295, whose connections go past the proxy. Default: none; those of the mesh's own containers always do."),
	})
}

func proxyAttribute() schema.SingleNestedAttribute {
	return object("The task's sidecar proxy.", attributes{
		"public_listener_port":  nonzero("Port at which the proxy receives traffic from the mesh. Default 20000."),
		"readiness_port":        nonzero("Port of the proxy's ready listener, on loopback. Default 22000."),
		"local_service_address": text("Address at which the proxy reaches the application. Default `127.0.0.1`."),
		"mesh_gateway_mode":     text("How the traffic of all upstreams leaves the datacenter: `none`, `local` or `remote`."),
		"config":                text("Opaque configuration of the proxy, a JSON object such as `jsonencode({protocol = \"http\"})`.", jsonObject{}),
		"concurrency":           nonzero("Worker threads of Envoy, at most 256. Default: as many as the container has CPUs, at most 2."),
		"drain_time":            number("Seconds in which the proxy's listeners drain when the task stops, at most 600. Default 0: at once."),
		"stop_within":           nonzero("Seconds from SIGTERM to the end of the proxy at the most; below its container's stop timeout. Default: 5 less than that."),
		"expose": object("Paths of the application that are opened past the proxy, for instance for checks from outside the mesh.", attributes{
			"checks": flag("Opens the paths of the service's HTTP and gRPC checks. Default `false`."),
			"path": objects("One opened path each.", attributes{
				"listener_port":   number("Port at which the path is opened."),
				"path":            text("The path, such as `/health`."),
				"local_path_port": number("Port of the application that serves the path."),
				"protocol":        text("`http` (default) or `http2`."),
			}),
		}),
	})
}
