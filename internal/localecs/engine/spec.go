package engine

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
)

const mebibyte = 1 << 20

// newMembers turns a definition into containers that wait, each after all that it needs.
func newMembers(t Task, world string) []*member {
	var members []*member
	for _, def := range t.Definition.ContainerDefinitions {
		def = withOverrides(def, t.Overrides)
		members = append(members, &member{
			def:        def,
			dockerName: dockerName(world, t.ARN, aws.ToString(def.Name)),
			health:     ecstypes.HealthStatusUnknown,
		})
	}
	return inOrder(members)
}

func dockerName(world, taskARN, name string) string {
	return world + "-" + taskID(taskARN) + "-" + name
}

// inOrder sorts by dependsOn and volumesFrom. Those of a cycle, which the API refuses, come last and never start.
func inOrder(members []*member) []*member {
	var sorted []*member
	placed := map[string]bool{}
	for len(sorted) < len(members) {
		before := len(sorted)
		for _, m := range members {
			if !placed[m.name()] && !slices.ContainsFunc(needs(m), func(n string) bool { return !placed[n] }) {
				placed[m.name()] = true
				sorted = append(sorted, m)
			}
		}
		if len(sorted) == before {
			return append(sorted, slices.DeleteFunc(slices.Clone(members), func(m *member) bool { return placed[m.name()] })...)
		}
	}
	return sorted
}

// needs names the containers that m comes after.
func needs(m *member) []string {
	var names []string
	for _, d := range m.def.DependsOn {
		names = append(names, aws.ToString(d.ContainerName))
	}
	for _, v := range m.def.VolumesFrom {
		names = append(names, aws.ToString(v.SourceContainer))
	}
	return names
}

// withOverrides applies what RunTask may override of a container.
func withOverrides(def ecstypes.ContainerDefinition, o *ecstypes.TaskOverride) ecstypes.ContainerDefinition {
	if o == nil {
		return def
	}
	for _, c := range o.ContainerOverrides {
		if aws.ToString(c.Name) != aws.ToString(def.Name) {
			continue
		}
		if c.Command != nil {
			def.Command = c.Command
		}
		if c.Cpu != nil {
			def.Cpu = *c.Cpu
		}
		def.Memory = cmp.Or(c.Memory, def.Memory)
		def.MemoryReservation = cmp.Or(c.MemoryReservation, def.MemoryReservation)
		def.Environment = append(slices.Clone(def.Environment), c.Environment...) // the later one of a name wins
	}
	return def
}

// surroundings is what a container's Docker options depend on besides its definition.
type surroundings struct {
	world      string
	pauseID    string
	injected   map[string]string // environment that the container may set itself
	secrets    []string          // NAME=value
	noFile     int64             // the most open files this machine grants
	idOf       func(container string) string
	taskMemory int64 // MiB; 0 = no limit
}

// options maps a container definition to Docker.
func (s *state) options(m *member, w surroundings) client.ContainerCreateOptions {
	d := m.def
	host := &container.HostConfig{
		NetworkMode:    container.NetworkMode("container:" + w.pauseID),
		LogConfig:      container.LogConfig{Type: "json-file", Config: map[string]string{"max-size": "10m"}},
		Privileged:     aws.ToBool(d.Privileged),
		ReadonlyRootfs: aws.ToBool(d.ReadonlyRootFilesystem),
		SecurityOpt:    d.DockerSecurityOptions,
		Binds:          s.binds(m, w.world),
		Resources: container.Resources{
			CPUShares:         int64(max(d.Cpu, 2)), // what ECS gives a container that asks for none
			Memory:            memoryLimit(d, w.taskMemory),
			MemoryReservation: int64(aws.ToInt32(d.MemoryReservation)) * mebibyte,
		},
	}
	for _, v := range d.VolumesFrom {
		host.VolumesFrom = append(host.VolumesFrom, w.idOf(aws.ToString(v.SourceContainer))+mode(v.ReadOnly))
	}
	for _, u := range d.Ulimits {
		host.Ulimits = append(host.Ulimits, ulimit(u, w.noFile))
	}
	if s.task.Definition.PidMode == ecstypes.PidModeTask {
		host.PidMode = container.PidMode("container:" + w.pauseID)
	}
	if s.task.Definition.IpcMode == ecstypes.IpcModeTask {
		host.IpcMode = container.IpcMode("container:" + w.pauseID)
	}
	applyLinux(host, d.LinuxParameters)
	return client.ContainerCreateOptions{
		Name:       m.dockerName,
		HostConfig: host,
		Config: &container.Config{
			Image:       aws.ToString(d.Image),
			User:        aws.ToString(d.User),
			Env:         environment(d, w),
			Cmd:         d.Command,
			Entrypoint:  d.EntryPoint,
			WorkingDir:  aws.ToString(d.WorkingDirectory),
			Tty:         aws.ToBool(d.PseudoTerminal),
			OpenStdin:   aws.ToBool(d.Interactive),
			Healthcheck: healthCheck(d.HealthCheck),
			Labels:      s.labels(m, w.world),
		},
	}
}

// memoryLimit is the container's own, else the task's, in bytes.
func memoryLimit(d ecstypes.ContainerDefinition, taskMemory int64) int64 {
	if d.Memory != nil {
		return int64(*d.Memory) * mebibyte
	}
	return taskMemory * mebibyte
}

// environment is the definition's, the secrets', and what ECS adds where neither says otherwise.
func environment(d ecstypes.ContainerDefinition, w surroundings) []string {
	values := maps.Clone(w.injected)
	for _, kv := range d.Environment {
		values[aws.ToString(kv.Name)] = aws.ToString(kv.Value)
	}
	for _, s := range w.secrets {
		name, value, _ := strings.Cut(s, "=")
		values[name] = value
	}
	env := make([]string, 0, len(values))
	for _, name := range slices.Sorted(maps.Keys(values)) {
		env = append(env, name+"="+values[name])
	}
	return env
}

// healthCheck has ECS's defaults. A check that the image brings along is not ECS's and is turned off, as on ECS.
func healthCheck(h *ecstypes.HealthCheck) *container.HealthConfig {
	if h == nil {
		return &container.HealthConfig{Test: []string{"NONE"}}
	}
	seconds := func(v *int32, otherwise int32) time.Duration {
		if v != nil {
			otherwise = *v
		}
		return time.Duration(otherwise) * time.Second
	}
	retries := 3
	if h.Retries != nil {
		retries = int(*h.Retries)
	}
	return &container.HealthConfig{
		Test:        h.Command,
		Interval:    seconds(h.Interval, 30),
		Timeout:     seconds(h.Timeout, 5),
		StartPeriod: seconds(h.StartPeriod, 0),
		Retries:     retries,
	}
}

func (s *state) labels(m *member, world string) map[string]string {
	labels := maps.Clone(m.def.DockerLabels)
	if labels == nil {
		labels = map[string]string{}
	}
	maps.Copy(labels, map[string]string{
		"com.amazonaws.ecs.cluster":                 s.task.ClusterARN,
		"com.amazonaws.ecs.container-name":          m.name(),
		"com.amazonaws.ecs.task-arn":                s.task.ARN,
		"com.amazonaws.ecs.task-definition-family":  aws.ToString(s.task.Definition.Family),
		"com.amazonaws.ecs.task-definition-version": strconv.Itoa(int(s.task.Definition.Revision)),
		labelWorld:     world,
		labelTask:      s.task.ARN,
		labelContainer: m.name(),
	})
	return labels
}

func ulimit(u ecstypes.Ulimit, noFile int64) *container.Ulimit {
	l := &container.Ulimit{Name: string(u.Name), Soft: int64(u.SoftLimit), Hard: int64(u.HardLimit)}
	if u.Name == ecstypes.UlimitNameNofile {
		l.Soft, l.Hard = min(l.Soft, noFile), min(l.Hard, noFile)
	}
	return l
}

func applyLinux(host *container.HostConfig, p *ecstypes.LinuxParameters) {
	if p == nil {
		return
	}
	if p.Capabilities != nil {
		host.CapAdd, host.CapDrop = p.Capabilities.Add, p.Capabilities.Drop
	}
	host.Init = p.InitProcessEnabled
	host.ShmSize = int64(aws.ToInt32(p.SharedMemorySize)) * mebibyte
	for _, t := range p.Tmpfs {
		if host.Tmpfs == nil {
			host.Tmpfs = map[string]string{}
		}
		host.Tmpfs[aws.ToString(t.ContainerPath)] = strings.Join(append([]string{fmt.Sprintf("size=%dm", t.Size)}, t.MountOptions...), ",")
	}
	for _, d := range p.Devices {
		host.Devices = append(host.Devices, device(d))
	}
	if p.Swappiness != nil {
		host.MemorySwappiness = aws.Int64(int64(*p.Swappiness))
	}
	if p.MaxSwap != nil {
		host.MemorySwap = host.Memory + int64(*p.MaxSwap)*mebibyte
	}
}

func device(d ecstypes.Device) container.DeviceMapping {
	permissions := ""
	for _, p := range d.Permissions {
		permissions += string(p[0]) // read, write, mknod
	}
	return container.DeviceMapping{
		PathOnHost:        aws.ToString(d.HostPath),
		PathInContainer:   cmp.Or(aws.ToString(d.ContainerPath), aws.ToString(d.HostPath)),
		CgroupPermissions: cmp.Or(permissions, "rwm"),
	}
}

// volume is one of the task definition's, as Docker knows it.
type volume struct {
	source      string // a Docker volume's name, or a path of the host
	onHost      bool
	shared      bool // outlives the task
	driver      string
	driverOpts  map[string]string
	extraLabels map[string]string
}

// volumes maps the task definition's volumes by their names.
func (s *state) volumes(world string) map[string]volume {
	all := map[string]volume{}
	for _, v := range s.task.Definition.Volumes {
		name := aws.ToString(v.Name)
		d := v.DockerVolumeConfiguration
		switch {
		case v.Host != nil && aws.ToString(v.Host.SourcePath) != "":
			all[name] = volume{source: *v.Host.SourcePath, onHost: true}
		case d != nil && d.Scope == ecstypes.ScopeShared:
			all[name] = volume{source: world + "-" + name, shared: true, driver: aws.ToString(d.Driver), driverOpts: d.DriverOpts, extraLabels: d.Labels}
		case d != nil:
			all[name] = volume{source: dockerName(world, s.task.ARN, name), driver: aws.ToString(d.Driver), driverOpts: d.DriverOpts, extraLabels: d.Labels}
		default:
			all[name] = volume{source: dockerName(world, s.task.ARN, name)}
		}
	}
	return all
}

func (s *state) binds(m *member, world string) []string {
	volumes := s.volumes(world)
	var binds []string
	for _, mount := range m.def.MountPoints {
		source := volumes[aws.ToString(mount.SourceVolume)].source
		binds = append(binds, source+":"+aws.ToString(mount.ContainerPath)+mode(mount.ReadOnly))
	}
	return binds
}

func mode(readOnly *bool) string {
	if aws.ToBool(readOnly) {
		return ":ro"
	}
	return ""
}

// unavailable names what the task asks for that only AWS has; "" = nothing.
func (s *state) unavailable() string {
	for _, v := range s.task.Definition.Volumes {
		if v.EfsVolumeConfiguration != nil || v.FsxWindowsFileServerVolumeConfiguration != nil || v.S3filesVolumeConfiguration != nil || aws.ToBool(v.ConfiguredAtLaunch) {
			return "volume " + aws.ToString(v.Name) + " lives in an AWS service"
		}
	}
	for _, m := range s.members {
		if len(m.def.EnvironmentFiles) > 0 {
			return "environmentFiles of container " + m.name() + " live in S3"
		}
	}
	return ""
}
