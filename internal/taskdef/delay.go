package taskdef

import (
	"path"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
)

// sharedBinary is the agents' program in containers that are not of the agents' image.
var sharedBinary = path.Join(mesh.BootstrapDir, mesh.SharedAgent)

// Words of the command that delays an application's end, after the agent's name: its flag, and what ends its own arguments.
const (
	delayFlag = "-shutdown-delay"
	delayEnd  = "--"
)

// delays reports whether SIGTERM reaches the container's command later than the container.
func (c Container) delays() bool { return c.shutdownDelay() > 0 }

// shutdownDelay is 0 where there is none or what is there is no duration.
func (c Container) shutdownDelay() time.Duration {
	delay, err := time.ParseDuration(c.ShutdownDelay)
	if err != nil {
		return 0
	}
	return delay
}

// delayed has the container's command run by the agents' program, which mesh-init leaves in the shared volume. The delay is
// spelled as the user did, so that an import finds it so.
func delayed(d ecstypes.ContainerDefinition, delay string) ecstypes.ContainerDefinition {
	d.EntryPoint = append([]string{sharedBinary, mesh.CommandApp, delayFlag, delay, delayEnd}, d.EntryPoint...)
	if !slices.ContainsFunc(d.MountPoints, isMeshMount) {
		d.MountPoints = append(slices.Clone(d.MountPoints), meshVolume(true)...)
	}
	return d
}

// WithoutDelay is the way back: the container as its user wrote it, and the delay of its end, "" if it has none. It knows
// the incumbent's wrapper too.
func WithoutDelay(d ecstypes.ContainerDefinition) (own ecstypes.ContainerDefinition, delay string) {
	const words = 4 // program, agent, flag, delay
	line := d.EntryPoint
	if len(line) < words || line[0] != sharedBinary || line[1] != mesh.CommandApp && line[1] != mesh.CommandAppAlias || line[2] != delayFlag {
		return d, ""
	}
	delay, line = line[3], line[words:]
	if len(line) > 0 && line[0] == delayEnd {
		line = line[1:]
	}
	d.EntryPoint = line
	d.MountPoints = slices.DeleteFunc(slices.Clone(d.MountPoints), isMeshMount)
	return d, delay
}

// isMeshMount reports whether a mount is the shared volume at its usual place.
func isMeshMount(m ecstypes.MountPoint) bool {
	return aws.ToString(m.SourceVolume) == mesh.VolumeName && isBootstrapDir(m)
}

func isBootstrapDir(m ecstypes.MountPoint) bool {
	return path.Clean(aws.ToString(m.ContainerPath)) == mesh.BootstrapDir
}

// sharesAgent is nil unless a container needs the agents' program in the shared volume.
func (s Spec) sharesAgent() *bool {
	if slices.ContainsFunc(s.Containers, Container.delays) {
		return aws.Bool(true)
	}
	return nil
}

// checkShutdownDelay checks the delay of a container's end against all that it has to fit into.
func (s Spec) checkShutdownDelay(c Container, at problem.Path, found *problem.List) {
	if c.ShutdownDelay == "" {
		return
	}
	here, d := at.Child("shutdownDelay"), c.Definition
	delay, err := time.ParseDuration(c.ShutdownDelay)
	if err != nil || delay < 0 || delay%time.Second != 0 {
		found.Add(here, "is %q, want whole seconds such as 10s or 1m30s", c.ShutdownDelay)
		return
	}
	if delay == 0 {
		return
	}
	s.checkDelayed(c, delay, at, found)
	s.checkDelayFits(delay, d, at, found)
	for i, mount := range d.MountPoints {
		if isBootstrapDir(mount) && !isMeshMount(mount) {
			found.AddWith([]problem.Path{here, at.Child("mountPoints", i, "sourceVolume")}, at.Child("mountPoints", i, "containerPath"), "is %s, where the mesh mounts the program that delays the container's end: mount the volume elsewhere, or leave %s out",
				aws.ToString(mount.ContainerPath), here)
		}
	}
}

// checkDelayed wants it to be known what the container runs: ECS drops the image's ENTRYPOINT where another entry point is
// given, as the delay's is. An entry point that is given and empty says that the image has none.
func (s Spec) checkDelayed(c Container, delay time.Duration, at problem.Path, found *problem.List) {
	here, entryPoint, command := at.Child("shutdownDelay"), at.Child("entryPoint"), at.Child("command")
	switch d := c.Definition; {
	case len(d.EntryPoint) == 0 && len(d.Command) == 0:
		found.AddWith([]problem.Path{entryPoint, command}, here,
			"is %s, but what the image runs by itself is not known here: set %s and %s to what its ENTRYPOINT and CMD say", delay, entryPoint, command)
	case d.EntryPoint == nil:
		found.AddWith([]problem.Path{entryPoint, command}, here,
			"is %s, but %s is missing, and the image's own ENTRYPOINT would not be run: set it to what that says, or to [] if the image has none", delay, entryPoint)
	}
	if !c.waitsForProxy() {
		found.AddWith([]problem.Path{at.Child("waitForProxy"), at.Child("firelensConfiguration")}, here,
			"is %s, but %s is false: the container starts before mesh-init has brought the program that delays its end", delay, at.Child("waitForProxy"))
	}
}

// checkDelayFits wants the application to have time left after the delay, and the proxy to serve through all of it.
func (s Spec) checkDelayFits(delay time.Duration, d ecstypes.ContainerDefinition, at problem.Path, found *problem.List) {
	here := at.Child("shutdownDelay")
	if kill := stopTimeout(d); delay >= time.Duration(kill)*time.Second {
		found.AddWith([]problem.Path{at.Child("stopTimeout")}, here, "is %s, but ECS kills the container %d s after SIGTERM: want less, or a longer %s", delay, kill, at.Child("stopTimeout"))
		return
	}
	if within := s.dataplane().StopWithinSeconds; delay >= time.Duration(within)*time.Second {
		with := append(s.stopTimeoutPaths(), problem.At("sidecars", "dataplane", "stopTimeout"), problem.At("proxy", "dataplane", "stopWithinSeconds"), problem.At("task", "launchTypes"))
		found.AddWith(with, here, "is %s, but the proxy ends %d s after SIGTERM at the latest: the application would serve on without it", delay, within)
	}
}
