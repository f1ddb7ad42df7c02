package taskdef

import (
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
)

// What ECS refuses of a container, or of a volume, in the awsvpc network mode and on single launch types.

// checkAwsvpc reports what ECS refuses in the awsvpc network mode, which every mesh task has: its containers share one network.
func checkAwsvpc(d ecstypes.ContainerDefinition, path problem.Path, found *problem.List) {
	var hosts []string
	for _, h := range d.ExtraHosts {
		hosts = append(hosts, aws.ToString(h.Hostname))
	}
	for _, setting := range []struct {
		key string
		set bool
		is  any
		fix string
	}{
		{"links", len(d.Links) > 0, d.Links, "the containers of a task reach each other at 127.0.0.1, so leave it out"},
		{"hostname", aws.ToString(d.Hostname) != "", aws.ToString(d.Hostname), "leave it out, the task has the name that its VPC gives it"},
		{"dnsServers", len(d.DnsServers) > 0, d.DnsServers, "leave it out, and name the servers in the DHCP options of the VPC"},
		{"dnsSearchDomains", len(d.DnsSearchDomains) > 0, d.DnsSearchDomains, "leave it out, and name the domains in the DHCP options of the VPC"},
		{"extraHosts", len(hosts) > 0, hosts, "leave it out, and have DNS resolve these names"},
		{"disableNetworking", aws.ToBool(d.DisableNetworking), true, "leave it out, the network is that of all containers of the task"},
	} {
		if setting.set {
			found.Add(path.Child(setting.key), "is %v, which is not allowed in the awsvpc network mode, and the mesh needs that: %s", setting.is, setting.fix)
		}
	}
}

func checkFargateContainer(d ecstypes.ContainerDefinition, path problem.Path, found *problem.List) {
	with := []problem.Path{problem.At("task", "launchTypes")}
	checkStartTimeout(d.StartTimeout, path, with, found)
	if aws.ToBool(d.Privileged) {
		found.AddWith(with, path.Child("privileged"), "is not allowed on FARGATE")
	}
	if len(d.DockerSecurityOptions) > 0 {
		found.AddWith(with, path.Child("dockerSecurityOptions"), "is %v, which is not allowed on FARGATE: leave it out, or FARGATE out of %s", d.DockerSecurityOptions, with[0])
	}
	p := d.LinuxParameters
	if p == nil {
		return
	}
	at := path.Child("linuxParameters")
	if p.Capabilities != nil {
		for i, capability := range p.Capabilities.Add {
			if capability != "SYS_PTRACE" {
				found.AddWith(with, at.Child("capabilities", "add", i), "is %s, but FARGATE grants SYS_PTRACE alone", capability)
			}
		}
	}
	for _, setting := range []struct {
		key string
		set bool
	}{
		{"devices", len(p.Devices) > 0},
		{"maxSwap", p.MaxSwap != nil},
		{"sharedMemorySize", p.SharedMemorySize != nil},
		{"swappiness", p.Swappiness != nil},
		{"tmpfs", len(p.Tmpfs) > 0},
	} {
		if setting.set {
			found.AddWith(with, at.Child(setting.key), "is not allowed on FARGATE")
		}
	}
}

func checkStartTimeout(timeout *int32, path problem.Path, with []problem.Path, found *problem.List) {
	if timeout != nil && (*timeout < 2 || *timeout > maxFargateStop) {
		found.AddWith(with, path.Child("startTimeout"), "is %d seconds, but FARGATE takes 2 to %d", *timeout, maxFargateStop)
	}
}

// The two ways to name a credential spec: of a domain that the container instance is a member of, or of one that the file itself
// has the credentials for.
const (
	specOfInstance = "credentialspec:"
	specDomainless = "credentialspecdomainless:"
)

// checkCredentialSpecs wants one credential spec at most, by which a container is known to an Active Directory. On Fargate nobody
// joins an instance to a domain.
func checkCredentialSpecs(specs []string, task Task, path problem.Path, found *problem.List) {
	if len(specs) > 1 {
		found.Add(path, "has %d elements, want one at most", len(specs))
	}
	for i, spec := range specs {
		kind, arn, _ := strings.Cut(spec, ":")
		kind += ":"
		switch {
		case kind != specOfInstance && kind != specDomainless || !specARN.valid.MatchString(arn):
			found.Add(path.Child(i), "is %q, want %s or %s and %s", spec, specOfInstance, specDomainless, specARN.what)
		case kind == specOfInstance && task.runsOn(ecstypes.CompatibilityFargate):
			found.AddWith([]problem.Path{problem.At("task", "launchTypes")}, path.Child(i),
				"is %q, but on FARGATE there is no instance that is a member of the domain: use %s, and keep the credentials in a secret", spec, specDomainless)
		}
	}
}

// ofIPC reports whether a kernel parameter belongs to the namespace of interprocess communication.
func ofIPC(parameter string) bool {
	return strings.HasPrefix(parameter, "kernel.msg") || strings.HasPrefix(parameter, "kernel.sem") || strings.HasPrefix(parameter, "kernel.shm") ||
		strings.HasPrefix(parameter, "fs.mqueue.")
}

// checkSystemControls wants the kernel parameters to be those of a namespace that the container does not share with its host.
func (t Task) checkSystemControls(controls []ecstypes.SystemControl, path problem.Path, found *problem.List) {
	mode := problem.At("task", "ipcMode")
	for i, control := range controls {
		name := aws.ToString(control.Namespace)
		if t.IPCMode == ecstypes.IpcModeHost && ofIPC(name) {
			found.AddWith([]problem.Path{mode}, path.Child(i, "namespace"), "is %q, but with %s host that belongs to the host: leave it out, or set %[2]s to task", name, mode)
		}
	}
}

// checkModes checks how the containers share namespaces.
func (t Task) checkModes(path problem.Path, found *problem.List) {
	fargate := t.runsOn(ecstypes.CompatibilityFargate)
	launchTypes := path.Child("launchTypes")
	if t.PIDMode != "" && !slices.Contains(t.PIDMode.Values(), t.PIDMode) {
		found.Add(path.Child("pidMode"), "is %q, want host or task", t.PIDMode)
	}
	if t.PIDMode == ecstypes.PidModeHost && fargate {
		found.AddWith([]problem.Path{launchTypes}, path.Child("pidMode"), "is host, which is not allowed on FARGATE")
	}
	switch {
	case t.IPCMode == "":
	case !slices.Contains(t.IPCMode.Values(), t.IPCMode):
		found.Add(path.Child("ipcMode"), "is %q, want host, task or none", t.IPCMode)
	case fargate:
		found.AddWith([]problem.Path{launchTypes}, path.Child("ipcMode"), "is %s, but FARGATE has no IPC modes: leave it out, or FARGATE out of %s", t.IPCMode, launchTypes)
	}
}

// checkLaunchTypeOfVolume refuses volumes that a launch type has no place for.
func (t Task) checkLaunchTypeOfVolume(v ecstypes.Volume, path problem.Path, found *problem.List) {
	with := []problem.Path{problem.At("task", "launchTypes")}
	if t.runsOn(ecstypes.CompatibilityFargate) {
		checkFargateVolume(v, path, found)
	}
	if v.DockerVolumeConfiguration != nil && t.runsOn(ecstypes.CompatibilityManagedInstances) {
		found.AddWith(with, path.Child("dockerVolumeConfiguration"), "is not allowed on MANAGED_INSTANCES")
	}
}
