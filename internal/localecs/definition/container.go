package definition

import (
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

const (
	maxContainers = 10
	// minMemory is what Docker needs for any container, in MiB.
	minMemory = 6
)

var (
	imagePattern  = regexp.MustCompile(`^[A-Za-z0-9_\-:./#]{1,255}(@sha256:[A-Fa-f0-9]{64})?$`)
	userPattern   = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]*(:[A-Za-z0-9_][A-Za-z0-9_.-]*)?$`)
	secretPattern = regexp.MustCompile(`^[A-Za-z0-9_.-]+$`)
	capabilities  = strings.Fields(`ALL AUDIT_CONTROL AUDIT_WRITE BLOCK_SUSPEND CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER
		FSETID IPC_LOCK IPC_OWNER KILL LEASE LINUX_IMMUTABLE MAC_ADMIN MAC_OVERRIDE MKNOD NET_ADMIN NET_BIND_SERVICE
		NET_BROADCAST NET_RAW SETFCAP SETGID SETPCAP SETUID SYS_ADMIN SYS_BOOT SYS_CHROOT SYS_MODULE SYS_NICE SYS_PACCT
		SYS_PTRACE SYS_RAWIO SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG SYSLOG WAKE_ALARM`)
)

func checkContainers(def *ecstypes.TaskDefinition) error {
	list := def.ContainerDefinitions
	if len(list) == 0 {
		return invalid("Container list cannot be empty.")
	}
	if len(list) > maxContainers {
		return invalid("Too many containers: %d. A task definition can have at most %d.", len(list), maxContainers)
	}
	seen := map[string]bool{}
	essential := false
	for i := range list {
		c := &list[i]
		name := aws.ToString(c.Name)
		switch {
		case name == "":
			return invalid("Container.name should not be null or empty.")
		case !namePattern.MatchString(name):
			return invalid("Invalid container name '%s': up to 255 letters, numbers, hyphens and underscores are allowed.", name)
		case seen[name]:
			return invalid("Container names must be unique within a task definition: '%s' is used more than once.", name)
		case aws.ToString(c.Image) == "":
			return invalid("Container.image should not be null or empty.")
		}
		seen[name] = true
		essential = essential || isEssential(c)
		if err := checkContainer(def, c); err != nil {
			return err
		}
	}
	if !essential {
		return invalid("Invalid setting for task definition: at least one container must be essential.")
	}
	return nil
}

func checkContainer(def *ecstypes.TaskDefinition, c *ecstypes.ContainerDefinition) error {
	for _, check := range []func(*ecstypes.ContainerDefinition) string{
		plainFault, healthCheckFault, restartFault, timeoutFault, environmentFault, limitFault, linuxFault, credentialSpecFault, networkFault(def),
	} {
		if fault := check(c); fault != "" {
			return invalid("Invalid setting for container '%s'. %s", aws.ToString(c.Name), fault)
		}
	}
	if err := checkMounts(def, c); err != nil {
		return err
	}
	return checkExecutionRole(def, c)
}

func plainFault(c *ecstypes.ContainerDefinition) string {
	switch {
	case !imagePattern.MatchString(*c.Image):
		return "The image '" + *c.Image + "' is not valid."
	case c.User != nil && *c.User != "" && !userPattern.MatchString(*c.User):
		return "The user '" + *c.User + "' is not of the form user, user:group, uid or uid:gid."
	case c.Cpu < 0:
		return "'cpu' must not be negative."
	case c.Memory != nil && *c.Memory < minMemory:
		return "'memory' must be at least 6 MiB."
	case c.MemoryReservation != nil && *c.MemoryReservation < minMemory:
		return "'memoryReservation' must be at least 6 MiB."
	case c.Memory != nil && c.MemoryReservation != nil && *c.MemoryReservation > *c.Memory:
		return "'memoryReservation' must not be greater than 'memory'."
	case c.WorkingDirectory != nil && *c.WorkingDirectory != "" && !path.IsAbs(*c.WorkingDirectory):
		return "'workingDirectory' must be an absolute path."
	case !known(c.VersionConsistency):
		return "'versionConsistency' must be enabled or disabled."
	case c.LogConfiguration != nil && (c.LogConfiguration.LogDriver == "" || !known(c.LogConfiguration.LogDriver)):
		return "The log driver '" + string(c.LogConfiguration.LogDriver) + "' is not one of " + words(c.LogConfiguration.LogDriver) + "."
	case c.LogConfiguration != nil && c.LogConfiguration.LogDriver == ecstypes.LogDriverAwslogs && c.LogConfiguration.Options["awslogs-group"] == "":
		return "The log driver awslogs requires the option awslogs-group."
	}
	return ""
}

func healthCheckFault(c *ecstypes.ContainerDefinition) string {
	h := c.HealthCheck
	if h == nil {
		return ""
	}
	switch {
	case len(h.Command) < 2 || h.Command[0] != "CMD" && h.Command[0] != "CMD-SHELL":
		return "The health check command must start with CMD or CMD-SHELL, followed by what to run."
	case outside(h.Interval, 5, 300):
		return "The health check interval must be between 5 and 300 seconds."
	case outside(h.Timeout, 2, 60):
		return "The health check timeout must be between 2 and 60 seconds."
	case outside(h.Retries, 1, 10):
		return "The health check retries must be between 1 and 10."
	case outside(h.StartPeriod, 0, 300):
		return "The health check startPeriod must be between 0 and 300 seconds."
	}
	return ""
}

func restartFault(c *ecstypes.ContainerDefinition) string {
	r := c.RestartPolicy
	switch {
	case r == nil:
		return ""
	case r.Enabled == nil:
		return "The restart policy requires 'enabled'."
	case outside(r.RestartAttemptPeriod, 60, 1800):
		return "The restartAttemptPeriod must be between 60 and 1800 seconds."
	case len(r.IgnoredExitCodes) > 50:
		return "The restart policy can have at most 50 ignoredExitCodes."
	}
	return ""
}

func timeoutFault(c *ecstypes.ContainerDefinition) string {
	switch {
	case c.StartTimeout != nil && *c.StartTimeout < 0:
		return "'startTimeout' must not be negative."
	case c.StopTimeout != nil && *c.StopTimeout < 0:
		return "'stopTimeout' must not be negative."
	}
	return ""
}

func environmentFault(c *ecstypes.ContainerDefinition) string {
	set := map[string]bool{}
	for _, e := range c.Environment {
		if e.Name == nil || *e.Name == "" || strings.ContainsAny(*e.Name, "=\x00") {
			return "An environment variable has no valid name."
		}
		set[*e.Name] = true
	}
	for _, s := range c.Secrets {
		name := aws.ToString(s.Name)
		switch {
		case !secretPattern.MatchString(name):
			return "The secret name '" + name + "' is not valid."
		case set[name]:
			return "The secret name must be unique and not shared with any new or existing environment variables set on the container, such as '" + name + "'."
		case aws.ToString(s.ValueFrom) == "":
			return "The secret '" + name + "' has no valueFrom."
		}
		set[name] = true
	}
	return ""
}

func limitFault(c *ecstypes.ContainerDefinition) string {
	seen := map[ecstypes.UlimitName]bool{}
	for _, u := range c.Ulimits {
		switch {
		case u.Name == "" || !known(u.Name):
			return "The ulimit '" + string(u.Name) + "' is not one of " + words(u.Name) + "."
		case seen[u.Name]:
			return "The ulimit '" + string(u.Name) + "' is set more than once."
		case u.SoftLimit > u.HardLimit && u.HardLimit != -1:
			return "The soft limit of ulimit '" + string(u.Name) + "' must not be greater than its hard limit."
		}
		seen[u.Name] = true
	}
	return ""
}

func linuxFault(c *ecstypes.ContainerDefinition) string {
	l := c.LinuxParameters
	if l == nil {
		return ""
	}
	if outside(l.Swappiness, 0, 100) {
		return "'swappiness' must be between 0 and 100."
	}
	if l.Capabilities == nil {
		return ""
	}
	for _, name := range slices.Concat(l.Capabilities.Add, l.Capabilities.Drop) {
		if !slices.Contains(capabilities, name) {
			return "The Linux capability '" + name + "' is not valid."
		}
	}
	return ""
}

// networkFault holds a container against the network mode of its task.
func networkFault(def *ecstypes.TaskDefinition) func(*ecstypes.ContainerDefinition) string {
	return func(c *ecstypes.ContainerDefinition) string {
		switch mode := def.NetworkMode; {
		case mode == ecstypes.NetworkModeNone && len(c.PortMappings) > 0:
			return "Port mappings are not supported when networkMode=none."
		case mode != ecstypes.NetworkModeAwsvpc:
			return ""
		case len(c.Links) > 0:
			return "Links are not supported when networkMode=awsvpc."
		case aws.ToString(c.Hostname) != "":
			return "A hostname is not supported when networkMode=awsvpc."
		case len(c.ExtraHosts) > 0:
			return "Extra hosts are not supported when networkMode=awsvpc."
		case len(c.DnsServers) > 0, len(c.DnsSearchDomains) > 0:
			return "DNS servers and search domains are not supported when networkMode=awsvpc."
		case aws.ToBool(c.DisableNetworking):
			return "Networking cannot be disabled when networkMode=awsvpc."
		}
		return ""
	}
}

func checkMounts(def *ecstypes.TaskDefinition, c *ecstypes.ContainerDefinition) error {
	volumes := map[string]bool{}
	for _, v := range def.Volumes {
		volumes[*v.Name] = true
	}
	paths := map[string]bool{}
	for _, m := range c.MountPoints {
		source, at := aws.ToString(m.SourceVolume), aws.ToString(m.ContainerPath)
		switch {
		case !volumes[source]:
			return invalid("Unknown volume '%s'.", source)
		case !path.IsAbs(at):
			return invalid("Invalid setting for container '%s'. The containerPath '%s' must be an absolute path.", *c.Name, at)
		case paths[path.Clean(at)]:
			return invalid("Invalid setting for container '%s'. The containerPath '%s' is used more than once.", *c.Name, at)
		}
		paths[path.Clean(at)] = true
	}
	for _, v := range c.VolumesFrom {
		source := aws.ToString(v.SourceContainer)
		if source == *c.Name || find(def, source) == nil {
			return invalid("Invalid setting for container '%s'. volumesFrom names container '%s', which is not another container of the task.", *c.Name, source)
		}
	}
	return nil
}

func checkExecutionRole(def *ecstypes.TaskDefinition, c *ecstypes.ContainerDefinition) error {
	if aws.ToString(def.ExecutionRoleArn) != "" {
		return nil
	}
	if len(c.Secrets) > 0 || c.LogConfiguration != nil && len(c.LogConfiguration.SecretOptions) > 0 {
		return invalid("When you are specifying container secrets, you must also specify a value for 'executionRoleArn'.")
	}
	if c.RepositoryCredentials != nil {
		return invalid("When you are specifying repositoryCredentials, you must also specify a value for 'executionRoleArn'.")
	}
	return nil
}

// find returns the container of that name, or nil.
func find(def *ecstypes.TaskDefinition, name string) *ecstypes.ContainerDefinition {
	for i := range def.ContainerDefinitions {
		if aws.ToString(def.ContainerDefinitions[i].Name) == name {
			return &def.ContainerDefinitions[i]
		}
	}
	return nil
}

func isEssential(c *ecstypes.ContainerDefinition) bool { return c.Essential == nil || *c.Essential }

func outside(v *int32, low, high int32) bool { return v != nil && (*v < low || *v > high) }
