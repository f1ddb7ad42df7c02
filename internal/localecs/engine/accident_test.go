package engine

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/google/go-cmp/cmp"
	"github.com/moby/moby/client"
)

// newEngine is an engine of a world of its own, taken down at the end of the test.
func newEngine(t *testing.T, cfg Config) *Engine {
	t.Helper()
	e, err := New(t.Context(), cfg)
	if err == nil {
		err = e.Adopt(t.Context(), nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(context.Background()); err != nil {
			t.Error(err)
		}
		if err := Down(context.Background(), cfg); err != nil {
			t.Error(err)
		}
	})
	return e
}

// leftovers lists what a world has in Docker.
func leftovers(t *testing.T, cfg Config) []string {
	t.Helper()
	left, err := Leftovers(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return left
}

func TestKilledTaskIsGoneAtOnce(t *testing.T) {
	s := onStage(t)
	arn := s.play(t, s.task(actor("app", "deaf", "hold"), extra("side", "hold")))
	s.heard.awaitWord(t, arn, StatusRunning)
	if err := s.Kill(t.Context(), arn, "", ""); err != nil {
		t.Fatal(err)
	}
	last := s.heard.awaitWord(t, arn, StatusStopped)
	if got := exitCode(last.container("app")) + " " + exitCode(last.container("side")); got != "137 137" || last.StoppedReason != essentialExit {
		t.Errorf("exit codes %s, reason %q", got, last.StoppedReason)
	}
	if err := s.Kill(t.Context(), arn, "app", ""); err == nil {
		t.Error("a stopped task could be killed again")
	}
}

func TestKilledSideContainerLeavesTheTask(t *testing.T) {
	s := onStage(t)
	arn := s.play(t, s.task(actor("app", "hold"), extra("side", "hold")))
	s.heard.awaitWord(t, arn, StatusRunning)
	if err := s.Kill(t.Context(), arn, "side", "SIGKILL"); err != nil {
		t.Fatal(err)
	}
	now := s.heard.await(t, arn, "side has stopped", func(st Status) bool { return exitCode(st.container("side")) == "137" })
	if now.DesiredStatus != StatusRunning {
		t.Errorf("desired status %s", now.DesiredStatus)
	}
}

func TestKilledPauseContainerStopsTheTask(t *testing.T) {
	s := onStage(t)
	arn := s.play(t, s.task(actor("app", "hold")))
	s.heard.awaitWord(t, arn, StatusRunning)
	if _, err := s.docker.ContainerKill(t.Context(), dockerName(s.cfg.World, arn, "pause."), client.ContainerKillOptions{}); err != nil {
		t.Fatal(err)
	}
	if last := s.heard.awaitWord(t, arn, StatusStopped); last.StoppedReason != essentialExit {
		t.Errorf("reason %q", last.StoppedReason)
	}
}

func TestContainerRemovedFromOutsideStopsTheTask(t *testing.T) {
	s := onStage(t)
	arn := s.play(t, s.task(actor("app", "hold")))
	now := s.heard.awaitWord(t, arn, StatusRunning)
	id := aws.ToString(now.container("app").RuntimeId)
	if _, err := s.docker.ContainerRemove(t.Context(), id, client.ContainerRemoveOptions{Force: true}); err != nil {
		t.Fatal(err)
	}
	if last := s.heard.awaitWord(t, arn, StatusStopped); exitCode(last.container("app")) != "137" {
		t.Errorf("exit code %s", exitCode(last.container("app")))
	}
}

func TestStoppedTaskLeavesNothingInDocker(t *testing.T) {
	h := newHeard()
	cfg := shared.config(fmt.Sprintf("clean-%d", os.Getpid()), h)
	t.Parallel()
	s := stage{image: shared.image, heard: h, Engine: newEngine(t, cfg)}
	app := actor("app", "write=/shared/x:y", "exit=0")
	app.MountPoints = []ecstypes.MountPoint{{SourceVolume: aws.String("v"), ContainerPath: aws.String("/shared")}}
	task := s.task(app)
	task.Definition.Volumes = []ecstypes.Volume{{Name: aws.String("v")}}
	arn := s.play(t, task)
	last := h.awaitWord(t, arn, StatusStopped)
	if got := leftovers(t, cfg); len(got) != 1 {
		t.Errorf("left in Docker: %v, want only the world's network", got)
	}
	if got := *last.Attachments[0].Status; got != "DELETED" {
		t.Errorf("network interface is %s", got)
	}
	if got := s.logs(t, arn, "app"); got != "written" {
		t.Errorf("logs after the end: %q", got)
	}
}

func TestAdoptTakesOverWhatRuns(t *testing.T) {
	t.Parallel()
	h := newHeard()
	cfg := shared.config(fmt.Sprintf("adopt-%d", os.Getpid()), h)
	first := stage{image: shared.image, heard: h, Engine: newEngine(t, cfg)}
	living := first.task(checked(actor("app", "healthy", "hold")), extra("side", "sleep=1s", "exit=6"))
	living.TaskRoleARN = "arn:aws:iam::123456789012:role/living"
	dying, stray := first.task(actor("app", "hold")), first.task(actor("app", "hold"))
	for _, task := range []Task{living, dying, stray} {
		first.Run(task)
		h.awaitWord(t, task.ARN, StatusRunning)
	}
	h.awaitHealth(t, living.ARN, ecstypes.HealthStatusHealthy)
	url := first.run(living.ARN).credentialsID
	if err := first.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	docker := shared.docker
	if _, err := docker.ContainerKill(t.Context(), dockerName(cfg.World, dying.ARN, "app"), client.ContainerKillOptions{}); err != nil {
		t.Fatal(err)
	}

	h2 := newHeard()
	cfg.Changed = h2.add
	e, err := New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close(context.Background())
	never := first.task(actor("app", "hold"))
	if err := e.Adopt(t.Context(), []Task{living, dying, never}); err != nil {
		t.Fatal(err)
	}
	now := h2.awaitWord(t, living.ARN, StatusRunning)
	if len(now.Attachments) != 1 || now.HealthStatus != ecstypes.HealthStatusHealthy {
		t.Errorf("adopted task: attachments %v, health %s", now.Attachments, now.HealthStatus)
	}
	if e.wiring.port != first.wiring.port || e.run(living.ARN).credentialsID != url {
		t.Errorf("the adopted task's metadata and credentials have moved")
	}
	if diff := cmp.Diff([]string{StatusRunning}, h2.words(living.ARN)); diff != "" {
		t.Errorf("statuses told again (-want +got):\n%s", diff)
	}
	h2.await(t, living.ARN, "side has stopped", func(st Status) bool { return exitCode(st.container("side")) == "6" })
	if last := h2.awaitWord(t, dying.ARN, StatusStopped); exitCode(last.container("app")) != "137" {
		t.Errorf("killed meanwhile: exit code %s", exitCode(last.container("app")))
	}
	h2.awaitWord(t, never.ARN, StatusStopped)
	for _, name := range leftovers(t, cfg) {
		if name == "container "+dockerName(cfg.World, stray.ARN, "app") {
			t.Errorf("%s belongs to no task", name)
		}
	}
	e.Stop(living.ARN, ecstypes.TaskStopCodeUserInitiated, "")
	h2.awaitWord(t, living.ARN, StatusStopped)
}

func TestDownLeavesNothing(t *testing.T) {
	t.Parallel()
	h := newHeard()
	cfg := shared.config(fmt.Sprintf("down-%d", os.Getpid()), h)
	s := stage{image: shared.image, heard: h}
	var err error
	if s.Engine, err = New(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	task := s.task(actor("app", "hold"))
	task.Definition.Volumes = []ecstypes.Volume{
		{Name: aws.String("own")},
		{Name: aws.String("common"), DockerVolumeConfiguration: &ecstypes.DockerVolumeConfiguration{Scope: ecstypes.ScopeShared}},
	}
	s.Run(task)
	h.awaitWord(t, task.ARN, StatusRunning)
	if err := s.Close(t.Context()); err != nil { // as if localecs were dead
		t.Fatal(err)
	}
	if got := leftovers(t, cfg); len(got) != 5 {
		t.Errorf("before: %v, want 2 containers, 2 volumes, 1 network", got)
	}
	if err := Down(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	if got := leftovers(t, cfg); len(got) != 0 {
		t.Errorf("left: %v", got)
	}
}

// Who comes makes the link-local network where there is none, and who goes removes it where nobody else is left.
func TestWorldsComeAndGoOneAfterTheOther(t *testing.T) {
	t.Parallel()
	cfg := shared.config(fmt.Sprintf("waits-%d", os.Getpid()), newHeard())
	e, err := New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	unlock, err := lockNetworks(t.Context()) // somebody else comes or goes
	if err != nil {
		t.Fatal(err)
	}
	for what, do := range map[string]func(context.Context) error{
		"comes": func(ctx context.Context) error { _, err := New(ctx, cfg); return err },
		"goes":  func(ctx context.Context) error { return Down(ctx, cfg) },
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		if err := do(ctx); err == nil || !strings.Contains(err.Error(), "wait for other worlds") {
			t.Errorf("who %s does not wait: %v", what, err)
		}
		cancel()
	}
	unlock()
	if got, want := leftovers(t, cfg), []string{"network " + worldNetworkName(cfg.World)}; !cmp.Equal(got, want) {
		t.Errorf("left: %v, want %v", got, want)
	}
	if err := Down(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	if got := leftovers(t, cfg); len(got) != 0 {
		t.Errorf("left: %v", got)
	}
}

// gate is a way to the Docker daemon that can be shut, as if the daemon were restarting.
type gate struct {
	listener net.Listener
	daemon   string

	mu    sync.Mutex
	shut  bool
	conns []net.Conn
}

func newGate(t *testing.T, daemon string) *gate {
	t.Helper()
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "docker.sock"))
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{listener: l, daemon: strings.TrimPrefix(daemon, "unix://")}
	go g.serve()
	t.Cleanup(func() { l.Close() })
	return g
}

func (g *gate) serve() {
	for {
		c, err := g.listener.Accept()
		if err != nil {
			return
		}
		g.mu.Lock()
		shut := g.shut
		g.conns = append(g.conns, c)
		g.mu.Unlock()
		if shut {
			c.Close()
			continue
		}
		go func() {
			defer c.Close()
			d, err := net.Dial("unix", g.daemon)
			if err != nil {
				return
			}
			defer d.Close()
			go func() {
				_, _ = io.Copy(d, c)
				d.Close()
			}()
			_, _ = io.Copy(c, d)
		}()
	}
}

// set shuts or opens the gate. Shutting it breaks every connection.
func (g *gate) set(shut bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut = shut
	for _, c := range g.conns {
		c.Close()
	}
	g.conns = nil
}

// While Docker is away a container dies unseen, a task is begun and another stopped: all of it is made up for.
func TestDockerAwayIsSurvived(t *testing.T) {
	t.Parallel()
	h := newHeard()
	cfg := shared.config(fmt.Sprintf("away-%d", os.Getpid()), h)
	g := newGate(t, cfg.DockerHost)
	cfg.DockerHost = "unix://" + g.listener.Addr().String()
	s := stage{image: shared.image, heard: h, Engine: newEngine(t, cfg)}
	dies, stops, begins := s.task(actor("app", "hold")), s.task(checked(actor("app", "healthy", "hold"))), s.task(actor("app", "hold"))
	s.play(t, dies)
	s.play(t, stops)
	h.awaitWord(t, dies.ARN, StatusRunning)
	h.awaitHealth(t, stops.ARN, ecstypes.HealthStatusHealthy)

	g.set(true)
	if _, err := shared.docker.ContainerKill(t.Context(), dockerName(cfg.World, dies.ARN, "app"), client.ContainerKillOptions{}); err != nil {
		t.Fatal(err)
	}
	s.Stop(stops.ARN, ecstypes.TaskStopCodeUserInitiated, "")
	s.play(t, begins)
	time.Sleep(500 * time.Millisecond) // long enough for every call to have failed once
	g.set(false)

	if last := h.awaitWord(t, dies.ARN, StatusStopped); exitCode(last.container("app")) != "137" {
		t.Errorf("died unseen: exit code %s", exitCode(last.container("app")))
	}
	if last := h.awaitWord(t, stops.ARN, StatusStopped); exitCode(last.container("app")) != "143" {
		t.Errorf("stopped meanwhile: exit code %s", exitCode(last.container("app")))
	}
	h.awaitWord(t, begins.ARN, StatusRunning)
}
