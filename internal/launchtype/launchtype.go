// Package launchtype says what ECS refuses of a task definition because of the network mode that tasks in the mesh have, awsvpc, or of
// the launch types that it is to be checked against. Places are those of a taskdef.Spec. The package is pure.
package launchtype

import (
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
)

// Types are the launch types of a task, each once.
type Types []ecstypes.Compatibility

// Has reports whether the task may run on a launch type.
func (t Types) Has(launchType ecstypes.Compatibility) bool { return slices.Contains(t, launchType) }

// MaxFargateTimeout is how many seconds Fargate gives a container at most to start, and to stop.
const MaxFargateTimeout = 120

// place is where a Spec has the launch types.
var place = problem.At("task", "launchTypes")

// CheckContainer reports what neither the network mode nor the launch types allow a container.
func (t Types) CheckContainer(d ecstypes.ContainerDefinition, path problem.Path, found *problem.List) {
	checkAwsvpc(d, path, found)
	if t.Has(ecstypes.CompatibilityFargate) {
		checkFargateContainer(d, path, found)
	}
}

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
	with := []problem.Path{place}
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
	if timeout != nil && (*timeout < 2 || *timeout > MaxFargateTimeout) {
		found.AddWith(with, path.Child("startTimeout"), "is %d seconds, but FARGATE takes 2 to %d", *timeout, MaxFargateTimeout)
	}
}

// ofIPC reports whether a kernel parameter belongs to the namespace of interprocess communication.
func ofIPC(parameter string) bool {
	return strings.HasPrefix(parameter, "kernel.msg") || strings.HasPrefix(parameter, "kernel.sem") || strings.HasPrefix(parameter, "kernel.shm") ||
		strings.HasPrefix(parameter, "fs.mqueue.")
}

// CheckSystemControls wants the kernel parameters of a container to be those of a namespace that it does not share with its host.
func CheckSystemControls(controls []ecstypes.SystemControl, ipc ecstypes.IpcMode, path problem.Path, found *problem.List) {
	mode := problem.At("task", "ipcMode")
	for i, control := range controls {
		name := aws.ToString(control.Namespace)
		if ipc == ecstypes.IpcModeHost && ofIPC(name) {
			found.AddWith([]problem.Path{mode}, path.Child(i, "namespace"), "is %q, but with %s host that belongs to the host: leave it out, or set %[2]s to task", name, mode)
		}
	}
}

// CheckModes checks how the containers share namespaces.
func (t Types) CheckModes(pid ecstypes.PidMode, ipc ecstypes.IpcMode, found *problem.List) {
	fargate := t.Has(ecstypes.CompatibilityFargate)
	path, launchTypes := problem.At("task"), place
	if pid != "" && !slices.Contains(pid.Values(), pid) {
		found.Add(path.Child("pidMode"), "is %q, want host or task", pid)
	}
	if pid == ecstypes.PidModeHost && fargate {
		found.AddWith([]problem.Path{launchTypes}, path.Child("pidMode"), "is host, which is not allowed on FARGATE")
	}
	switch {
	case ipc == "":
	case !slices.Contains(ipc.Values(), ipc):
		found.Add(path.Child("ipcMode"), "is %q, want host, task or none", ipc)
	case fargate:
		found.AddWith([]problem.Path{launchTypes}, path.Child("ipcMode"), "is %s, but FARGATE has no IPC modes: leave it out, or FARGATE out of %s", ipc, launchTypes)
	}
}

// CheckVolume refuses a volume that a launch type has no place for.
func (t Types) CheckVolume(v ecstypes.Volume, path problem.Path, found *problem.List) {
	with := []problem.Path{place}
	if t.Has(ecstypes.CompatibilityFargate) {
		checkFargateVolume(v, path, found)
	}
	if v.DockerVolumeConfiguration != nil && t.Has(ecstypes.CompatibilityManagedInstances) {
		found.AddWith(with, path.Child("dockerVolumeConfiguration"), "is not allowed on MANAGED_INSTANCES")
	}
}

func checkFargateVolume(v ecstypes.Volume, path problem.Path, found *problem.List) {
	with := []problem.Path{place}
	if v.Host != nil && aws.ToString(v.Host.SourcePath) != "" {
		found.AddWith(with, path.Child("host", "sourcePath"), "is not allowed on FARGATE, which has no host of yours")
	}
	if v.DockerVolumeConfiguration != nil {
		found.AddWith(with, path.Child("dockerVolumeConfiguration"), "is not allowed on FARGATE")
	}
	if v.FsxWindowsFileServerVolumeConfiguration != nil {
		found.AddWith(with, path.Child("fsxWindowsFileServerVolumeConfiguration"), "is not allowed on FARGATE")
	}
}
