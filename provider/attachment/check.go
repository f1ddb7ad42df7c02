package attachment

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskdef"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

// The forms of what a service is attached to, in every AWS partition.
var (
	validTargetGroup   = regexp.MustCompile(`^arn:aws[a-z-]*:elasticloadbalancing:[a-z0-9-]+:\d{12}:targetgroup/[^/]+/[^/]+$`)
	validListener      = regexp.MustCompile(`^arn:aws[a-z-]*:elasticloadbalancing:[a-z0-9-]+:\d{12}:listener(-rule)?/[^/]+/\S+$`)
	validRegistry      = regexp.MustCompile(`^arn:aws[a-z-]*:servicediscovery:[a-z0-9-]+:\d{12}:service/\S+$`)
	validLatticeGroup  = regexp.MustCompile(`^arn:aws[a-z-]*:vpc-lattice:[a-z0-9-]+:\d{12}:targetgroup/\S+$`)
	validLatticeListen = regexp.MustCompile(`^arn:aws[a-z-]*:vpc-lattice:[a-z0-9-]+:\d{12}:service/[^/]+/listener/\S+$`)
)

const (
	wantTargetGroup   = "the ARN of a target group: arn:<partition>:elasticloadbalancing:<region>:<account>:targetgroup/<name>/<id>"
	wantListener      = "the ARN of a listener rule or a listener: arn:<partition>:elasticloadbalancing:<region>:<account>:listener-rule/..."
	wantRegistry      = "the ARN of a Cloud Map service: arn:<partition>:servicediscovery:<region>:<account>:service/<id>"
	wantLatticeGroup  = "the ARN of a target group of VPC Lattice: arn:<partition>:vpc-lattice:<region>:<account>:targetgroup/<id>"
	wantLatticeListen = "the ARN of a listener of VPC Lattice or of its rule: arn:<partition>:vpc-lattice:<region>:<account>:service/<id>/listener/..."
)

// ECS's limits for one service.
const (
	mostTargetGroups = 5
	mostRegistries   = 1
	mostGateways     = 1
)

func checkARN(is *string, form *regexp.Regexp, want string, at problem.Path, found *problem.List) {
	if is != nil && !form.MatchString(*is) {
		found.Add(at, "is %q, want %s", *is, want)
	}
}

// CheckLoadBalancers wants target groups that can be some, and targets that the task has. shifts says that a deployment shifts traffic,
// as strategy, the place of the setting, has it.
func CheckLoadBalancers(all []LoadBalancer, of taskdef.Spec, shifts bool, strategy, at problem.Path, found *problem.List) {
	if len(all) > mostTargetGroups {
		found.Add(at.Child("load_balancer"), "has %d blocks, want %d at most: ECS registers tasks with no more target groups", len(all), mostTargetGroups)
	}
	for i, b := range all {
		place := at.Child("load_balancer", i)
		group := row.Value(b.TargetGroupArn)
		checkARN(&group, validTargetGroup, wantTargetGroup, place.Child("target_group_arn"), found)
		checkTarget(b.ContainerName, b.ContainerPort, of, place, found)
		advanced := place.Child("advanced_configuration")
		switch a := b.AdvancedConfiguration; {
		case a == nil && shifts:
			found.AddWith([]problem.Path{strategy}, advanced, "is missing: %s shifts traffic, for which ECS needs a second target group and the listener rule", strategy)
		case a != nil:
			checkARN(a.AlternateTargetGroupArn, validTargetGroup, wantTargetGroup, advanced.Child("alternate_target_group_arn"), found)
			checkARN(a.ProductionListenerRule, validListener, wantListener, advanced.Child("production_listener_rule"), found)
			checkARN(a.TestListenerRule, validListener, wantListener, advanced.Child("test_listener_rule"), found)
		}
	}
}

// IsListener reports whether a target is the proxy's public listener.
func IsListener(containerName *string) bool {
	return row.Value(containerName) == mesh.ContainerDataplane
}

// checkTarget wants a container of the task and a port that it maps, or the proxy's public listener.
func checkTarget(containerName *string, containerPort *int32, of taskdef.Spec, at problem.Path, found *problem.List) {
	name, port := row.Value(containerName), row.Value(containerPort)
	place := at.Child("container_port")
	if IsListener(containerName) {
		listener := problem.At("proxy", "publicListenerPort")
		if is := int32(taskdef.AgentConfig(of).Proxy.PublicListenerPort); port != is {
			found.AddWith([]problem.Path{listener, at.Child("container_name")}, place, "is %d, want %d, which %s says: %q is reached at the public listener alone", port, is, listener, name)
		}
		return
	}
	var names []problem.Path // the container may be one whose name is not known yet
	for i := range of.Containers {
		names = append(names, problem.At("containers", i, "name"))
	}
	i := slices.IndexFunc(of.Containers, func(c taskdef.Container) bool { return aws.ToString(c.Definition.Name) == name })
	if i < 0 {
		found.AddWith(append(names, problem.At("containers")), at.Child("container_name"), "is %q, which is no container of the task", name)
		return
	}
	mappings := of.Containers[i].Definition.PortMappings
	if slices.ContainsFunc(mappings, func(mapping ecstypes.PortMapping) bool { return reaches(mapping, port) }) {
		return
	}
	path := problem.At("containers", i, "portMappings")
	with := []problem.Path{path, at.Child("container_name")}
	for j := range mappings {
		with = append(with, path.Child(j, "containerPort"), path.Child(j, "containerPortRange"), path.Child(j, "protocol"))
	}
	found.AddWith(with, place, "is %d, which is missing in %s of the container %q: only ports that are mapped are reached", port, path, name)
}

// reaches reports whether the port is reached through the mapping: by itself or, as it may, within a range.
func reaches(m ecstypes.PortMapping, port int32) bool {
	if m.ContainerPortRange == nil {
		return aws.ToInt32(m.ContainerPort) == port
	}
	from, to, _ := strings.Cut(*m.ContainerPortRange, "-")
	first, errFirst := strconv.Atoi(from)
	last, errLast := strconv.Atoi(to)
	return errFirst != nil || errLast != nil || int(port) >= first && int(port) <= last // what is no range is reported as such
}

// CheckRegistries wants one registry at most, and either a port or a container's for SRV records.
func CheckRegistries(all []Registry, of taskdef.Spec, at problem.Path, found *problem.List) {
	if len(all) > mostRegistries {
		found.Add(at.Child("service_registry"), "has %d blocks, want one at most: ECS registers tasks with one service of Cloud Map", len(all))
	}
	for i, r := range all {
		place := at.Child("service_registry", i)
		checkARN(r.RegistryArn, validRegistry, wantRegistry, place.Child("registry_arn"), found)
		name, port, own := place.Child("container_name"), place.Child("container_port"), place.Child("port")
		switch {
		case r.Port != nil && (r.ContainerName != nil || r.ContainerPort != nil):
			found.AddWith([]problem.Path{name, port}, own, "is not allowed together with %s and %s: want the one or the others", name, port)
		case (r.ContainerName == nil) != (r.ContainerPort == nil):
			found.AddWith([]problem.Path{port}, name, "goes with %s: set both or none", port)
		case r.ContainerName != nil:
			checkTarget(r.ContainerName, r.ContainerPort, of, place, found)
		}
	}
}

// CheckPorts wants what VPC Lattice and gateways name to be named ports of the task.
func CheckPorts(lattice []Lattice, gateways []Gateway, of taskdef.Spec, at problem.Path, found *problem.List) {
	for i, l := range lattice {
		place := at.Child("vpc_lattice_configuration", i)
		checkPortName(l.PortName, of, place.Child("port_name"), found)
		checkARN(l.TargetGroupArn, validLatticeGroup, wantLatticeGroup, place.Child("target_group_arn"), found)
		if a, below := l.AdvancedConfiguration, place.Child("advanced_configuration"); a != nil {
			checkARN(a.AlternateTargetGroupArn, validLatticeGroup, wantLatticeGroup, below.Child("alternate_target_group_arn"), found)
			checkARN(a.ProductionListenerRule, validLatticeListen, wantLatticeListen, below.Child("production_listener_rule"), found)
			checkARN(a.TestListenerRule, validLatticeListen, wantLatticeListen, below.Child("test_listener_rule"), found)
		}
	}
	if len(gateways) > mostGateways {
		found.Add(at.Child("gateway_connector"), "has %d blocks, want one at most: ECS attaches a service to one gateway", len(gateways))
	}
	for i, g := range gateways {
		checkPortName(g.PortName, of, at.Child("gateway_connector", i, "port_name"), found)
	}
}

func checkPortName(is *string, of taskdef.Spec, at problem.Path, found *problem.List) {
	with := []problem.Path{problem.At("containers")}
	for i, c := range of.Containers {
		mappings := problem.At("containers", i, "portMappings")
		with = append(with, mappings)
		for j, m := range c.Definition.PortMappings {
			if aws.ToString(m.Name) == row.Value(is) && m.Name != nil {
				return
			}
			with = append(with, mappings.Child(j, "name"))
		}
	}
	found.AddWith(with, at, "is %q, want the name of a port_mapping of a container", row.Value(is))
}

// Check wants each metric once.
func (m *Monitoring) Check(at problem.Path, found *problem.List) {
	seen := map[string]problem.Path{}
	for i, c := range row.Value(m).MetricConfigurations {
		place := at.Child("metric_configuration", i, "metric_names")
		for _, name := range c.MetricNames {
			if other, twice := seen[name]; twice {
				found.AddWith([]problem.Path{other}, place, "has %s, as %s has: want each metric once", name, other)
			}
			seen[name] = place
		}
	}
}

// Check refuses Service Connect: it would be a second mesh around the first.
func (c *Connect) Check(at problem.Path, found *problem.List) {
	if c != nil && row.Value(c.Enabled) {
		found.Add(at.Child("enabled"), "is true, which is not possible beside the mesh: Service Connect puts a proxy of its own into each task, and what goes through it has neither a certificate of the mesh nor Consul's intentions. Use upstream for what the task calls, or leave the block out")
	}
}
