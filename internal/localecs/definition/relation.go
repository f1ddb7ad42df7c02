package definition

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

var (
	portNamePattern  = regexp.MustCompile(`^[a-z0-9_][a-z0-9_-]{0,63}$`)
	portRangePattern = regexp.MustCompile(`^\d{1,5}-\d{1,5}$`)
)

// checkPorts holds the port mappings of all containers against each other: in awsvpc they share one address.
func checkPorts(def *ecstypes.TaskDefinition) error {
	used, names := map[string]string{}, map[string]bool{}
	for _, c := range def.ContainerDefinitions {
		for _, p := range c.PortMappings {
			if fault := portFault(def.NetworkMode, p); fault != "" {
				return invalid("Invalid setting for container '%s'. %s", *c.Name, fault)
			}
			if n := aws.ToString(p.Name); n != "" && names[n] {
				return invalid("Port mapping names must be unique within a task definition: '%s' is used more than once.", n)
			}
			names[aws.ToString(p.Name)] = true
			if def.NetworkMode == ecstypes.NetworkModeAwsvpc && p.HostPort != nil && *p.HostPort != aws.ToInt32(p.ContainerPort) {
				return invalid("When networkMode=awsvpc, the host ports and container ports in port mappings must match.")
			}
			key := bindingKey(def.NetworkMode, *c.Name, p)
			if _, taken := used[key]; taken && key != "" {
				return invalid("Port %d is mapped more than once: in containers '%s' and '%s'.", aws.ToInt32(p.ContainerPort), used[key], *c.Name)
			}
			used[key] = *c.Name
		}
	}
	return nil
}

func portFault(mode ecstypes.NetworkMode, p ecstypes.PortMapping) string {
	port := aws.ToInt32(p.ContainerPort)
	switch {
	case p.ContainerPort == nil && p.ContainerPortRange == nil:
		return "A port mapping requires a containerPort or a containerPortRange."
	case p.ContainerPort != nil && p.ContainerPortRange != nil:
		return "A port mapping cannot have both a containerPort and a containerPortRange."
	case p.ContainerPortRange != nil && !portRangePattern.MatchString(*p.ContainerPortRange):
		return "The containerPortRange '" + *p.ContainerPortRange + "' is not of the form 'first-last'."
	case p.ContainerPortRange != nil && mode != ecstypes.NetworkModeBridge && mode != ecstypes.NetworkModeAwsvpc && mode != "":
		return "A containerPortRange requires networkMode bridge or awsvpc."
	case p.ContainerPort != nil && (port < 1 || port > 65535):
		return "The containerPort " + strconv.Itoa(int(port)) + " must be between 1 and 65535."
	case outside(p.HostPort, 0, 65535):
		return "The hostPort " + strconv.Itoa(int(*p.HostPort)) + " must be between 0 and 65535."
	case !known(p.Protocol):
		return "The protocol '" + string(p.Protocol) + "' must be tcp or udp."
	case !known(p.AppProtocol):
		return "The appProtocol '" + string(p.AppProtocol) + "' is not one of " + words(p.AppProtocol) + "."
	case p.Name != nil && !portNamePattern.MatchString(*p.Name):
		return "The port mapping name '" + *p.Name + "' is not valid: lower-case letters, numbers, underscores and hyphens, at most 64."
	}
	return ""
}

// bindingKey names what a port mapping occupies, or "" for nothing that could clash.
func bindingKey(mode ecstypes.NetworkMode, container string, p ecstypes.PortMapping) string {
	protocol := string(p.Protocol)
	if protocol == "" {
		protocol = "tcp"
	}
	switch {
	case p.ContainerPort == nil:
		return ""
	case mode == ecstypes.NetworkModeAwsvpc, mode == ecstypes.NetworkModeHost:
		return fmt.Sprint(protocol, "/", *p.ContainerPort)
	case aws.ToInt32(p.HostPort) != 0:
		return fmt.Sprint(protocol, "/host/", *p.HostPort)
	}
	return fmt.Sprint(protocol, "/", container, "/", *p.ContainerPort)
}

// checkDependencies refuses a dependsOn that can never come true.
func checkDependencies(def *ecstypes.TaskDefinition) error {
	for i := range def.ContainerDefinitions {
		c := &def.ContainerDefinitions[i]
		seen := map[string]bool{}
		for _, d := range c.DependsOn {
			on := aws.ToString(d.ContainerName)
			if fault := dependencyFault(c, find(def, on), d); fault != "" {
				return invalid("Invalid setting for container '%s'. %s", *c.Name, fault)
			}
			if seen[on] {
				return invalid("Invalid setting for container '%s'. It depends on container '%s' more than once.", *c.Name, on)
			}
			seen[on] = true
		}
	}
	return checkCycle(def)
}

func dependencyFault(c, on *ecstypes.ContainerDefinition, d ecstypes.ContainerDependency) string {
	name := aws.ToString(d.ContainerName)
	switch {
	case on == nil:
		return "It depends on container '" + name + "', which is not in the task definition."
	case on == c:
		return "It depends on itself."
	case d.Condition == "" || !known(d.Condition):
		return "The condition '" + string(d.Condition) + "' is not one of " + words(d.Condition) + "."
	case (d.Condition == ecstypes.ContainerConditionSuccess || d.Condition == ecstypes.ContainerConditionComplete) && isEssential(on):
		return "The condition " + string(d.Condition) + " can't be set on the essential container '" + name + "'."
	case d.Condition == ecstypes.ContainerConditionHealthy && on.HealthCheck == nil:
		return "The condition HEALTHY requires a health check on container '" + name + "'."
	}
	return ""
}

func checkCycle(def *ecstypes.TaskDefinition) error {
	const visiting, done = 1, 2
	state := map[string]int{}
	var visit func(name string, trail []string) error
	visit = func(name string, trail []string) error {
		trail = append(trail, name)
		if state[name] == visiting {
			return invalid("Containers cannot depend on each other in a circle: %s.", strings.Join(trail, " -> "))
		}
		if state[name] == done {
			return nil
		}
		state[name] = visiting
		for _, d := range find(def, name).DependsOn {
			if err := visit(*d.ContainerName, trail); err != nil {
				return err
			}
		}
		state[name] = done
		return nil
	}
	for _, c := range def.ContainerDefinitions {
		if err := visit(*c.Name, nil); err != nil {
			return err
		}
	}
	return nil
}

// checkLogRouter sees to it that containers which log through FireLens have a log router, and that a log router has users.
func checkLogRouter(def *ecstypes.TaskDefinition) error {
	routers, users := 0, 0
	for _, c := range def.ContainerDefinitions {
		if f := c.FirelensConfiguration; f != nil {
			routers++
			if f.Type == "" || !known(f.Type) {
				return invalid("Invalid setting for container '%s'. The firelensConfiguration type '%s' is not one of %s.", *c.Name, f.Type, words(f.Type))
			}
		}
		if c.LogConfiguration != nil && c.LogConfiguration.LogDriver == ecstypes.LogDriverAwsfirelens {
			users++
		}
	}
	switch {
	case users > 0 && routers == 0:
		return invalid("When awsfirelens log driver is specified in log configuration, a firelens configuration object must be configured in one of the containers.")
	case routers > 0 && users == 0:
		return invalid("When a firelensConfiguration object is specified, at least one container has to be configured with the awsfirelens log driver.")
	}
	return nil
}

// checkMemory holds the containers' cpu and memory against the task's, where it has them.
func checkMemory(def *ecstypes.TaskDefinition) error {
	cpu, memory := number(def.Cpu), number(def.Memory)
	sumCPU, sumMemory := 0, 0
	for _, c := range def.ContainerDefinitions {
		if memory > 0 && int(aws.ToInt32(c.Memory)) > memory {
			return invalid("Invalid setting for container '%s'. Its 'memory' (%d) is greater than the task's (%d).", *c.Name, *c.Memory, memory)
		}
		sumCPU += int(c.Cpu)
		if c.MemoryReservation != nil {
			sumMemory += int(*c.MemoryReservation)
		} else {
			sumMemory += int(aws.ToInt32(c.Memory))
		}
	}
	if cpu > 0 && sumCPU > cpu {
		return invalid("The total 'cpu' of the containers (%d) is greater than the task's (%d).", sumCPU, cpu)
	}
	if memory > 0 && sumMemory > memory {
		return invalid("The total memory reserved by the containers (%d) is greater than the task's 'memory' (%d).", sumMemory, memory)
	}
	return nil
}

// number reads a size that units has normalised; unset is 0.
func number(size *string) int {
	n, err := strconv.Atoi(aws.ToString(size))
	if err != nil {
		return 0
	}
	return n
}
