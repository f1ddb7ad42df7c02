package engine

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/google/go-cmp/cmp"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
)

// A container sees what its definition says: who it is, where it is, what it may.
func TestContainerIsAsDefined(t *testing.T) {
	app := actor("app")
	cases := map[string]struct {
		acts []string
		set  func(*ecstypes.ContainerDefinition)
		want string // the output; a trailing … matches any rest
	}{
		"user":              {[]string{"ids"}, func(d *ecstypes.ContainerDefinition) { d.User = aws.String("5995:5000") }, "5995 5000"},
		"working directory": {[]string{"cwd"}, func(d *ecstypes.ContainerDefinition) { d.WorkingDirectory = aws.String("/shared") }, "/shared"},
		"environment": {[]string{"env=A"}, func(d *ecstypes.ContainerDefinition) {
			d.Environment = []ecstypes.KeyValuePair{{Name: aws.String("A"), Value: aws.String("b=c d")}}
		}, "b=c d"},
		"own endpoint wins": {[]string{"env=AWS_ENDPOINT_URL"}, func(d *ecstypes.ContainerDefinition) {
			d.Environment = []ecstypes.KeyValuePair{{Name: aws.String("AWS_ENDPOINT_URL"), Value: aws.String("http://mine")}}
		}, "http://mine"},
		"given endpoint":       {[]string{"env=AWS_ENDPOINT_URL", "env=AWS_REGION"}, nil, "http://api.example:1\nus-east-1"},
		"entry point":          {[]string{"ids"}, func(d *ecstypes.ContainerDefinition) { d.EntryPoint = []string{"/actor", "cwd"} }, "/\n0 0"},
		"read-only root":       {[]string{"try=/x"}, func(d *ecstypes.ContainerDefinition) { d.ReadonlyRootFilesystem = aws.Bool(true) }, "open /x: read-only file system"},
		"open files, as asked": {[]string{"nofile"}, func(d *ecstypes.ContainerDefinition) { d.Ulimits = nofile(512, 1024) }, "* 1024"}, // Go moves the soft limit
		"capabilities": {[]string{"cat=/proc/self/status"}, func(d *ecstypes.ContainerDefinition) {
			d.LinuxParameters = &ecstypes.LinuxParameters{Capabilities: &ecstypes.KernelCapabilities{Drop: []string{"ALL"}, Add: []string{"NET_ADMIN"}}}
		}, "*CapEff:\t0000000000001000\n"},
		"tmpfs": {[]string{"cat=/proc/mounts"}, func(d *ecstypes.ContainerDefinition) {
			d.LinuxParameters = &ecstypes.LinuxParameters{Tmpfs: []ecstypes.Tmpfs{{ContainerPath: aws.String("/t"), Size: 3, MountOptions: []string{"noexec"}}}}
		}, "*/t tmpfs rw,nosuid,nodev,noexec,relatime,size=3072k"},
		"shared memory": {[]string{"cat=/proc/mounts"}, func(d *ecstypes.ContainerDefinition) {
			d.LinuxParameters = &ecstypes.LinuxParameters{SharedMemorySize: aws.Int32(5)}
		}, "*/dev/shm tmpfs rw,nosuid,nodev,noexec,relatime,size=5120k"},
		"terminal": {[]string{"ids"}, func(d *ecstypes.ContainerDefinition) { d.PseudoTerminal = aws.Bool(true) }, "0 0"},
		"system controls": {[]string{"cat=/proc/sys/net/ipv4/ip_unprivileged_port_start"}, func(d *ecstypes.ContainerDefinition) {
			d.SystemControls = []ecstypes.SystemControl{{Namespace: aws.String("net.ipv4.ip_unprivileged_port_start"), Value: aws.String("77")}}
		}, "77"},
		"no system controls": {[]string{"cat=/proc/sys/net/ipv4/ip_unprivileged_port_start"}, nil, "1024"},
		"init process": {[]string{"cat=/proc/1/comm"}, func(d *ecstypes.ContainerDefinition) {
			d.LinuxParameters = &ecstypes.LinuxParameters{InitProcessEnabled: aws.Bool(true)}
		}, "docker-init"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s := onStage(t)
			d := app
			d.Command = c.acts
			if c.set != nil {
				c.set(&d)
			}
			arn := s.play(t, s.task(d))
			s.heard.awaitWord(t, arn, StatusStopped)
			got := s.logs(t, arn, "app")
			if part, ok := strings.CutPrefix(c.want, "*"); ok && strings.Contains(got, part) || got == c.want {
				return
			}
			t.Errorf("got %q, want %q", got, c.want)
		})
	}
}

func nofile(soft, hard int32) []ecstypes.Ulimit {
	return []ecstypes.Ulimit{{Name: ecstypes.UlimitNameNofile, SoftLimit: soft, HardLimit: hard}}
}

func TestOpenFilesAreClampedToTheMachine(t *testing.T) {
	s := onStage(t)
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	app := actor("app", "nofile")
	app.Ulimits = nofile(1<<30, 1<<30)
	arn := s.play(t, s.task(app))
	s.heard.awaitWord(t, arn, StatusStopped)
	_, hard, _ := strings.Cut(s.logs(t, arn, "app"), " ")
	if want := min(limit.Max, 1<<30); hard != strconv.FormatUint(want, 10) {
		t.Errorf("hard limit %s, this machine grants %d", hard, want)
	}
}

func TestContainerThatEatsTooMuchIsKilled(t *testing.T) {
	s := onStage(t)
	app := actor("app", "eat=256")
	app.Memory = aws.Int32(32)
	app.LinuxParameters = noSwap()
	arn := s.play(t, s.task(app))
	last := s.heard.awaitWord(t, arn, StatusStopped).container("app")
	if exitCode(last) != "137" || aws.ToString(last.Reason) != "OutOfMemoryError: Container killed due to memory usage" {
		t.Errorf("exit code %s, reason %q", exitCode(last), aws.ToString(last.Reason))
	}
}

func noSwap() *ecstypes.LinuxParameters {
	return &ecstypes.LinuxParameters{MaxSwap: aws.Int32(0)}
}

// With pidMode task, the pause container is process 1 of the task, and reaps.
func TestSharedNamespaces(t *testing.T) {
	s := onStage(t)
	task := s.task(actor("app", "cat=/proc/1/comm", "orphan", "zombies"))
	task.Definition.PidMode, task.Definition.IpcMode = ecstypes.PidModeTask, ecstypes.IpcModeTask
	arn := s.play(t, task)
	s.heard.awaitWord(t, arn, StatusStopped)
	if got, want := s.logs(t, arn, "app"), "pause\nzombies 0 of true"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestOverrides(t *testing.T) {
	s := onStage(t)
	app := actor("app", "exit=3")
	app.Environment = []ecstypes.KeyValuePair{{Name: aws.String("A"), Value: aws.String("old")}, {Name: aws.String("B"), Value: aws.String("kept")}}
	task := s.task(app)
	task.Overrides = &ecstypes.TaskOverride{ContainerOverrides: []ecstypes.ContainerOverride{{
		Name: aws.String("app"), Command: []string{"env=A", "env=B"}, Memory: aws.Int32(64),
		Environment: []ecstypes.KeyValuePair{{Name: aws.String("A"), Value: aws.String("new")}},
	}}}
	arn := s.play(t, task)
	last := s.heard.awaitWord(t, arn, StatusStopped)
	if got := s.logs(t, arn, "app"); got != "new\nkept" {
		t.Errorf("environment %q", got)
	}
	if got := aws.ToString(last.container("app").Memory); got != "64" {
		t.Errorf("memory %s", got)
	}
}

// One volume, written and read by the three users of the injected containers, as the image's directory allows.
func TestVolumeIsSharedByUsers(t *testing.T) {
	s := onStage(t)
	mount := ecstypes.MountPoint{SourceVolume: aws.String("v"), ContainerPath: aws.String("/shared")}
	readOnly := mount
	readOnly.ReadOnly = aws.Bool(true)
	writer := extra("writer", "write=/shared/file:hello", "cat=/proc/mounts")
	writer.User, writer.MountPoints = aws.String("5997"), []ecstypes.MountPoint{mount}
	second := after(extra("second", "cat=/shared/file", "write=/shared/more:x"), "writer:SUCCESS")
	second.User, second.MountPoints = aws.String("5995"), []ecstypes.MountPoint{mount}
	app := after(actor("app", "cat=/shared/file", "try=/shared/y"), "second:SUCCESS")
	app.User, app.MountPoints = aws.String("5996"), []ecstypes.MountPoint{readOnly}
	heir := after(actor("heir", "cat=/shared/more", "sleep=300ms"), "second:SUCCESS")
	heir.VolumesFrom = []ecstypes.VolumeFrom{{SourceContainer: aws.String("writer")}}
	task := s.task(app, heir, second, writer)
	task.Definition.Volumes = []ecstypes.Volume{{Name: aws.String("v")}}
	arn := s.play(t, task)
	s.heard.awaitWord(t, arn, StatusStopped)
	want := map[string]string{"second": "hellowritten", "app": "helloopen /shared/y: read-only file system", "heir": "x"}
	for name, text := range want {
		if got := s.logs(t, arn, name); got != text {
			t.Errorf("%s: %q, want %q", name, got, text)
		}
	}
}

func TestHostVolume(t *testing.T) {
	s := onStage(t)
	dir := t.TempDir()
	app := actor("app", "write=/host/file:from the task")
	app.MountPoints = []ecstypes.MountPoint{{SourceVolume: aws.String("v"), ContainerPath: aws.String("/host")}}
	task := s.task(app)
	task.Definition.Volumes = []ecstypes.Volume{{Name: aws.String("v"), Host: &ecstypes.HostVolumeProperties{SourcePath: &dir}}}
	arn := s.play(t, task)
	s.heard.awaitWord(t, arn, StatusStopped)
	if got, err := os.ReadFile(filepath.Join(dir, "file")); err != nil || string(got) != "from the task" {
		t.Errorf("file on the host: %q, %v", got, err)
	}
}

func TestOnlyAWSHasIt(t *testing.T) {
	s := onStage(t)
	task := s.task(actor("app", "hold"))
	task.Definition.Volumes = []ecstypes.Volume{{Name: aws.String("v"), EfsVolumeConfiguration: &ecstypes.EFSVolumeConfiguration{}}}
	arn := s.play(t, task)
	last := s.heard.awaitWord(t, arn, StatusStopped)
	if want := "ResourceInitializationError: volume v lives in an AWS service, which the local ECS does not have"; last.StoppedReason != want {
		t.Errorf("reason %q", last.StoppedReason)
	}
}

func TestHealthCheckTiming(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		check *ecstypes.HealthCheck
		want  container.HealthConfig
	}{
		"none, not even the image's": {nil, container.HealthConfig{Test: []string{"NONE"}}},
		"defaults": {
			&ecstypes.HealthCheck{Command: []string{"CMD", "x"}},
			container.HealthConfig{Test: []string{"CMD", "x"}, Interval: 30 * time.Second, Timeout: 5 * time.Second, Retries: 3},
		},
		"as said": {
			&ecstypes.HealthCheck{Command: []string{"CMD-SHELL", "x"}, Interval: aws.Int32(5), Timeout: aws.Int32(2), Retries: aws.Int32(10), StartPeriod: aws.Int32(7)},
			container.HealthConfig{Test: []string{"CMD-SHELL", "x"}, Interval: 5 * time.Second, Timeout: 2 * time.Second, Retries: 10, StartPeriod: 7 * time.Second},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(c.want, *healthCheck(c.check)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestLinuxParameters(t *testing.T) {
	t.Parallel()
	p := &ecstypes.LinuxParameters{
		Capabilities:       &ecstypes.KernelCapabilities{Add: []string{"NET_ADMIN"}, Drop: []string{"ALL"}},
		Devices:            []ecstypes.Device{{HostPath: aws.String("/dev/fuse"), Permissions: []ecstypes.DeviceCgroupPermission{"read", "write"}}},
		InitProcessEnabled: aws.Bool(true),
		MaxSwap:            aws.Int32(10),
		SharedMemorySize:   aws.Int32(64),
		Swappiness:         aws.Int32(60),
		Tmpfs:              []ecstypes.Tmpfs{{ContainerPath: aws.String("/a"), Size: 1}, {ContainerPath: aws.String("/b"), Size: 2, MountOptions: []string{"ro", "noexec"}}},
	}
	got := &container.HostConfig{Resources: container.Resources{Memory: 100 * mebibyte}}
	applyLinux(got, p)
	want := &container.HostConfig{
		CapAdd: []string{"NET_ADMIN"}, CapDrop: []string{"ALL"}, Init: aws.Bool(true), ShmSize: 64 * mebibyte,
		Tmpfs: map[string]string{"/a": "size=1m", "/b": "size=2m,ro,noexec"},
		Resources: container.Resources{
			Memory: 100 * mebibyte, MemorySwap: 110 * mebibyte, MemorySwappiness: aws.Int64(60),
			Devices: []container.DeviceMapping{{PathOnHost: "/dev/fuse", PathInContainer: "/dev/fuse", CgroupPermissions: "rw"}},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestResourcesAndLogs(t *testing.T) {
	t.Parallel()
	d := actor("a")
	d.MemoryReservation = aws.Int32(50)
	d.LogConfiguration = &ecstypes.LogConfiguration{LogDriver: ecstypes.LogDriverAwslogs}
	s := stateOf(d)
	got := s.options(s.members[0], surroundings{taskMemory: 512, pauseID: "p"})
	want := client.ContainerCreateOptions{HostConfig: &container.HostConfig{}}
	want.HostConfig.Memory, want.HostConfig.MemoryReservation, want.HostConfig.CPUShares = 512*mebibyte, 50*mebibyte, 2
	want.HostConfig.LogConfig = container.LogConfig{Type: "json-file", Config: map[string]string{"max-size": "10m"}}
	want.HostConfig.NetworkMode = "container:p"
	if diff := cmp.Diff(want.HostConfig, got.HostConfig); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
