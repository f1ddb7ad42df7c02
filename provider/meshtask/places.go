package meshtask

import (
	"slices"

	"github.com/consulecs/terraform-provider-consulecs/provider/block"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

// places and controllerPlaces are the places whose names differ by more than their spelling; the first that fits
// counts. All else is found by writing camel case as snake case.
var places = slices.Concat([]row.Place{
	{From: "proxy.upstreams.*.meshGateway", To: "upstream.*.mesh_gateway_mode"},
	{From: "proxy.upstreams", To: "upstream"},
	{From: "proxy.healthCheckPort", To: "proxy.readiness_port"},
	{From: "proxy.meshGateway", To: "proxy.mesh_gateway_mode"},
	{From: "proxy.dataplane.drainTimeSeconds", To: "proxy.drain_time"},
	{From: "proxy.dataplane.stopWithinSeconds", To: "proxy.stop_within"},
	{From: "proxy.dataplane", To: "proxy"},
	{From: "proxy.expose.paths", To: "proxy.expose.path"},
	{From: "transparentProxy.consulDNS", To: "transparent_proxy.dns"},
	{From: "transparentProxy.excludeOutboundCIDRs", To: "transparent_proxy.exclude_outbound_cidrs"},
	{From: "transparentProxy.excludeUIDs", To: "transparent_proxy.exclude_uids"},
	{From: "service.networkResilienceConfig.outlierDetection", To: "service.outlier_detection"},
	{From: "service.networkResilienceConfig", To: "service.outlier_detection"},
	{From: "task.volumes", To: "task.volume"},
	{From: "sidecars.meshInit.readonlyRoot", To: "sidecars.mesh_init.readonly_root_filesystem"},
	{From: "containers.*.healthSync", To: "container.*.mesh.health_sync"},
	{From: "containers.*.waitForProxy", To: "container.*.mesh.wait_for_proxy"},
	{From: "containers.*.shutdownDelay", To: "container.*.mesh.shutdown_delay"},
	{From: "containers.*.readinessProbe", To: "container.*.mesh.readiness_probe"},
	{From: "containers", To: "container"},
	{From: "logLevel", To: "sidecars.log_level"},
	{From: "logJSON", To: "sidecars.log_json"},
	{From: "taskRoleArn", To: "iam.task_role.arn"},
	{From: "executionRoleArn", To: "iam.execution_role.arn"},
}, block.ConsulPlaces)
