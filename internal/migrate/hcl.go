package migrate

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"
	ctyjson "github.com/zclconf/go-cty/cty/json"
)

// hclOf is the configuration of all tasks.
func hclOf(d *draft) (string, error) {
	file := hclwrite.NewEmptyFile()
	for i, t := range d.tasks {
		if i > 0 {
			file.Body().AppendNewline()
		}
		if err := t.write(d, file.Body().AppendNewBlock("resource", []string{"consulecs_mesh_task", label(t.service)}).Body()); err != nil {
			return "", err
		}
	}
	return string(hclwrite.Format(file.Bytes())), nil
}

// label is a name that HCL takes.
func label(service string) string {
	if service != "" && service[0] >= '0' && service[0] <= '9' {
		return "_" + service
	}
	return service
}

// block is a body that leaves out what says nothing.
type block struct{ body *hclwrite.Body }

func (b block) text(name, value string) {
	if value != "" {
		b.body.SetAttributeValue(name, cty.StringVal(value))
	}
}

func (b block) number(name string, value int64, ok bool) {
	if ok {
		b.body.SetAttributeValue(name, cty.NumberIntVal(value))
	}
}

func (b block) flag(name string, value bool) {
	if value {
		b.body.SetAttributeValue(name, cty.True)
	}
}

func (b block) texts(name string, values []string) {
	if len(values) == 0 {
		return
	}
	var all []cty.Value
	for _, v := range values {
		all = append(all, cty.StringVal(v))
	}
	b.body.SetAttributeValue(name, cty.ListVal(all))
}

func (b block) block(name string) block { return block{b.body.AppendNewBlock(name, nil).Body()} }

// json is an attribute that takes a text of JSON.
func (b block) json(name string, document any) error {
	text, err := json.Marshal(document)
	if err != nil {
		return err
	}
	typ, err := ctyjson.ImpliedType(text)
	if err != nil {
		return err
	}
	v, err := ctyjson.Unmarshal(text, typ)
	if err != nil {
		return err
	}
	b.body.SetAttributeRaw(name, hclwrite.TokensForFunctionCall("jsonencode", hclwrite.TokensForValue(v)))
	return nil
}

func (t *task) write(d *draft, body *hclwrite.Body) error {
	b := block{body}
	b.text("family", t.family(d))
	if t.port == 0 {
		b.flag("outbound_only", true)
	}
	service := b.block("service")
	service.text("name", t.service)
	service.number("port", t.port, t.port != 0)
	if t.outlier {
		service.block("outlier_detection")
	}
	for _, f := range t.further {
		other := b.block("service")
		other.text("name", f.service)
		other.number("port", f.port, true)
		if f.listener != 0 {
			other.block("proxy").number("public_listener_port", f.listener, true)
		}
	}
	if t.listener != 0 {
		b.block("proxy").number("public_listener_port", t.listener, true)
	}
	for _, u := range t.upstreams {
		up := b.block("upstream")
		up.text("destination_name", u.service)
		up.number("local_bind_port", u.port, true)
	}
	if t.sidecars != nil {
		writeLogs(d, b.block("sidecars").block("log_configuration"), t.sidecars)
	}
	if err := t.writeDefinition(d, b); err != nil {
		return err
	}
	if t.ecsService != nil {
		writeService(d, b.block("ecs_service"), t.ecsService)
	}
	return nil
}

func writeLogs(d *draft, b block, v *value) {
	b.text("log_driver", v.text(d, "logDriver"))
	if options := v.in(d, "options"); len(options.object) > 0 {
		all := map[string]cty.Value{}
		for key, option := range options.object {
			all[key] = cty.StringVal(fmt.Sprint(option.raw()))
		}
		b.body.SetAttributeValue("options", cty.ObjectVal(all))
	}
	secrets := map[string]cty.Value{}
	for _, s := range v.each(d, "secretOptions") {
		secrets[s.text(d, "name")] = cty.StringVal(s.text(d, "valueFrom"))
	}
	if len(secrets) > 0 {
		b.body.SetAttributeValue("secret_options", cty.ObjectVal(secrets))
	}
}

// missingImage stands where no document tells of the containers.
const missingImage = "registry.example.com/change-me"

func (t *task) writeDefinition(d *draft, b block) error {
	if t.definition == nil {
		c := b.block("container")
		c.text("name", t.service)
		c.text("image", missingImage)
		return nil
	}
	v := t.definition
	t.readDefinition(d)
	size := b.block("task")
	for _, key := range []string{"cpu", "memory"} {
		n, ok := v.number(d, key)
		size.number(key, n, ok)
	}
	var types []string
	for _, child := range v.each(d, "requiresCompatibilities") {
		switch is, _ := child.raw().(string); is {
		case "EC2", "FARGATE", "MANAGED_INSTANCES":
			types = append(types, is)
		default:
			d.note(child, "is %s, which the mesh does not run on: its tasks are of EC2, FARGATE or MANAGED_INSTANCES", is)
		}
	}
	size.texts("launch_types", types)
	size.text("pid_mode", v.text(d, "pidMode"))
	size.text("ipc_mode", v.text(d, "ipcMode"))
	if gib, ok := v.in(d, "ephemeralStorage").number(d, "sizeInGiB"); ok {
		size.number("ephemeral_storage_gib", gib, true)
	}
	if platform := v.in(d, "runtimePlatform"); platform.object != nil {
		p := size.block("runtime_platform")
		p.text("cpu_architecture", platform.text(d, "cpuArchitecture"))
		p.text("operating_system_family", platform.text(d, "operatingSystemFamily"))
	}
	for _, c := range v.each(d, "placementConstraints") {
		p := size.block("placement_constraint")
		p.text("type", c.text(d, "type"))
		p.text("expression", c.text(d, "expression"))
	}
	for _, volume := range v.each(d, "volumes") {
		writeVolume(d, size.block("volume"), volume)
	}
	return b.json("container_definitions_json", t.containers(d))
}

func writeVolume(d *draft, b block, v *value) {
	b.text("name", v.text(d, "name"))
	b.flag("configured_at_launch", v.flag(d, "configuredAtLaunch"))
	if host := v.object["host"]; host != nil && host.object != nil {
		b.block("host").text("source_path", v.in(d, "host").text(d, "sourcePath"))
	}
	if efs := v.in(d, "efsVolumeConfiguration"); efs.object != nil {
		to := b.block("efs_volume_configuration")
		to.text("file_system_id", efs.text(d, "fileSystemId"))
		to.text("root_directory", efs.text(d, "rootDirectory"))
		to.text("transit_encryption", efs.text(d, "transitEncryption"))
		port, ok := efs.number(d, "transitEncryptionPort")
		to.number("transit_encryption_port", port, ok)
		if access := efs.in(d, "authorizationConfig"); access.object != nil {
			a := to.block("authorization_config")
			a.text("access_point_id", access.text(d, "accessPointId"))
			a.text("iam", access.text(d, "iam"))
		}
	}
	for _, key := range []string{"dockerVolumeConfiguration", "fsxWindowsFileServerVolumeConfiguration", "s3filesVolumeConfiguration"} {
		d.noteIf(v, key, "is left to you: task.volume has a block for it, of the same name in snake case")
	}
}

func writeService(d *draft, b block, v *value) {
	v.drop("serviceArn", "status", "runningCount", "pendingCount", "taskDefinition", "events", "createdAt", "createdBy", "roleArn", "platformFamily", "propagateTags",
		"currentServiceDeployment", "currentServiceRevisions", "resourceManagementType", "taskSets", "deployments", "tags", "enableECSManagedTags", "serviceConnectConfiguration")
	b.text("cluster", v.text(d, "clusterArn"))
	b.text("name", v.text(d, "serviceName")+suffix)
	if strategy := v.text(d, "schedulingStrategy"); strategy == "DAEMON" {
		v.drop("desiredCount")
		b.text("scheduling_strategy", strategy)
	} else if count, ok := v.number(d, "desiredCount"); ok {
		b.number("desired_count", count, true)
	}
	b.text("launch_type", v.text(d, "launchType"))
	if platform := v.text(d, "platformVersion"); platform != "LATEST" {
		b.text("platform_version", platform)
	}
	b.text("availability_zone_rebalancing", v.text(d, "availabilityZoneRebalancing"))
	b.flag("enable_execute_command", v.flag(d, "enableExecuteCommand"))
	network := v.in(d, "networkConfiguration").in(d, "awsvpcConfiguration")
	b.texts("subnets", sortedTexts(network.each(d, "subnets")))
	b.texts("security_groups", sortedTexts(network.each(d, "securityGroups")))
	b.flag("assign_public_ip", network.text(d, "assignPublicIp") == "ENABLED")
	for _, one := range v.each(d, "capacityProviderStrategy") {
		c := b.block("capacity_provider_strategy")
		c.text("capacity_provider", one.text(d, "capacityProvider"))
		weight, ok := one.number(d, "weight")
		c.number("weight", weight, ok)
		base, ok := one.number(d, "base")
		c.number("base", base, ok && base != 0)
	}
	if rollout := v.in(d, "deploymentConfiguration"); rollout.object != nil {
		writeRollout(d, b, rollout)
	}
	if kind := v.in(d, "deploymentController").text(d, "type"); kind != "" && kind != "ECS" {
		d.note(v.object["deploymentController"], "is %s: the new service is replaced by ECS. With CODE_DEPLOY, make a deployment group for it and set ecs_service.deployment_controller", kind)
	}
	d.noteIf(v, "loadBalancers", "stay with the old service. To have the new one take traffic from the load balancer, too, write ecs_service.load_balancer with the same target group: it then gives requests to tasks of both")
	d.noteIf(v, "serviceRegistries", "stay with the old service. Who finds the tasks by Cloud Map goes around the mesh: write ecs_service.service_registry where that is still wanted")
	if grace, ok := v.number(d, "healthCheckGracePeriodSeconds"); ok && grace > 0 {
		d.note(v.object["healthCheckGracePeriodSeconds"], "goes with the load balancers: set ecs_service.health_check_grace_period_seconds = %d beside them", grace)
	}
}

func writeRollout(d *draft, b block, v *value) {
	to := b.block("deployment")
	least, ok := v.number(d, "minimumHealthyPercent")
	to.number("minimum_healthy_percent", least, ok)
	most, ok := v.number(d, "maximumPercent")
	to.number("maximum_percent", most, ok)
	if breaker := v.in(d, "deploymentCircuitBreaker"); breaker.flag(d, "enable") {
		c := to.block("circuit_breaker")
		c.flag("enable", true)
		c.flag("rollback", breaker.flag(d, "rollback"))
	} else {
		breaker.drop("rollback")
	}
	if strategy := v.text(d, "strategy"); strategy != "" && strategy != "ROLLING" {
		d.note(v.object["strategy"], "is %s: the new service is replaced a few tasks at a time. ecs_service.deployment has the other strategies, too", strategy)
	}
	v.drop("bakeTimeInMinutes")
}

func sortedTexts(all []*value) (texts []string) {
	for _, v := range all {
		if text, ok := v.raw().(string); ok {
			texts = append(texts, text)
		}
	}
	slices.SortFunc(texts, strings.Compare)
	return texts
}
