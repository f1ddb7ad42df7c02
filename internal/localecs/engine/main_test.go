package engine

import (
	"archive/tar"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/hashicorp/go-hclog"
	"github.com/moby/moby/client"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/toolcache"
)

// stage is what all tests of this package play on: one world, one moto, one image.
type stage struct {
	*Engine
	image   string
	motoURL string
	heard   *heard
}

var shared stage

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	defer cancel()
	tools, _ := toolcache.Find() // what is missing is said below
	if tools.DockerHost == "" || tools.MotoServer == "" {
		log.Print("the engine's tests need Docker and moto\nhint: run make setup")
		return 1
	}
	docker, err := connect(ctx, tools.DockerHost)
	if err != nil {
		log.Print(err)
		return 1
	}
	defer docker.Close()
	image := fmt.Sprintf("localecs-engine-test:%d", os.Getpid())
	if err := buildImages(ctx, docker, image); err != nil {
		log.Print(err)
		return 1
	}
	defer docker.ImageRemove(ctx, image, client.ImageRemoveOptions{Force: true, PruneChildren: true})
	moto, err := testenv.StartMoto(ctx)
	if err != nil {
		log.Print(err)
		return 1
	}
	defer moto.Stop()

	shared = stage{image: image, motoURL: moto.URL, heard: newHeard()}
	cfg := shared.config(fmt.Sprintf("enginetest-%d", os.Getpid()), shared.heard)
	if shared.Engine, err = New(ctx, cfg); err == nil {
		err = shared.Adopt(ctx, nil)
	}
	if err != nil {
		log.Print(err)
		return 1
	}
	code := m.Run()
	if err := cmp.Or(shared.Close(ctx), Down(ctx, cfg)); err != nil {
		log.Print(err)
		return 1
	}
	return code
}

func (s stage) config(world string, h *heard) Config {
	tools, _ := toolcache.Find()
	return Config{
		World: world, DockerHost: tools.DockerHost, Region: "us-east-1", EmulatorURL: s.motoURL, Changed: h.add,
		APIURL: func() string { return "http://api.example:1" },
		Logger: hclog.New(&hclog.LoggerOptions{Level: hclog.LevelFromString(cmp.Or(os.Getenv("ENGINE_LOG"), "off"))}),
	}
}

// buildImages makes the actors' image, and the pause container's where make setup has not.
func buildImages(ctx context.Context, docker *client.Client, image string) error {
	dir, err := os.MkdirTemp("", "enginetest")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	build := func(name, pkg string) ([]byte, error) {
		out := filepath.Join(dir, name)
		cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", out, pkg)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if msg, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("build %s: %w: %s", pkg, err, msg)
		}
		return os.ReadFile(out)
	}
	actor, err := build("actor", "./testdata/actor")
	if err != nil {
		return err
	}
	if err := buildImage(ctx, docker, image, "actor", actor); err != nil {
		return err
	}
	if _, err := docker.ImageInspect(ctx, pauseImage); err == nil {
		return nil
	}
	pause, err := build("pause", "../cmd/pause")
	if err != nil {
		return err
	}
	return buildImage(ctx, docker, pauseImage, "pause", pause)
}

// buildImage makes an image of one program, a /tmp and a /shared for everybody.
func buildImage(ctx context.Context, docker *client.Client, tag, program string, binary []byte) error {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	dockerfile := "FROM scratch\nCOPY root/ /\nENTRYPOINT [\"/" + program + "\"]\n"
	for _, f := range []struct {
		tar.Header
		body []byte
	}{
		{tar.Header{Name: "Dockerfile", Mode: 0o644}, []byte(dockerfile)},
		{tar.Header{Name: "root/tmp/", Typeflag: tar.TypeDir, Mode: 0o1777}, nil},
		{tar.Header{Name: "root/shared/", Typeflag: tar.TypeDir, Mode: 0o1777}, nil},
		{tar.Header{Name: "root/" + program, Mode: 0o755}, binary},
	} {
		f.Size = int64(len(f.body))
		if err := w.WriteHeader(&f.Header); err != nil {
			return err
		}
		if _, err := w.Write(f.body); err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	built, err := docker.ImageBuild(ctx, &b, client.ImageBuildOptions{Tags: []string{tag}, Remove: true})
	if err != nil {
		return fmt.Errorf("build image %s: %w", tag, err)
	}
	defer built.Body.Close()
	out, err := io.ReadAll(built.Body)
	if err == nil && !strings.Contains(string(out), "Successfully") {
		err = fmt.Errorf("%s", out)
	}
	return err
}

// heard keeps every status of every task, and wakes those who wait for one.
type heard struct {
	mu     sync.Mutex
	change chan struct{}
	all    map[string][]Status
}

func newHeard() *heard { return &heard{change: make(chan struct{}), all: map[string][]Status{}} }

func (h *heard) add(s Status) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all[s.TaskARN] = append(h.all[s.TaskARN], s)
	close(h.change)
	h.change = make(chan struct{})
}

func (h *heard) of(arn string) []Status {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.all[arn]
}

// words lists the statuses that a task went through.
func (h *heard) words(arn string) []string {
	var words []string
	for _, s := range h.of(arn) {
		if len(words) == 0 || words[len(words)-1] != s.LastStatus {
			words = append(words, s.LastStatus)
		}
	}
	return words
}

// await returns the first status, also of the past, that ok accepts.
func (h *heard) await(t *testing.T, arn, what string, ok func(Status) bool) Status {
	t.Helper()
	deadline := time.After(40 * time.Second)
	for {
		h.mu.Lock()
		all, change := h.all[arn], h.change
		h.mu.Unlock()
		for _, s := range all {
			if ok(s) {
				return s
			}
		}
		select {
		case <-change:
		case <-deadline:
			last, _ := json.MarshalIndent(all[max(len(all)-1, 0):], "", "  ")
			t.Fatalf("task %s: waited in vain until %s; last heard: %s", arn, what, last)
		}
	}
}

func (h *heard) awaitWord(t *testing.T, arn, word string) Status {
	t.Helper()
	return h.await(t, arn, "it is "+word, func(s Status) bool { return s.LastStatus == word })
}

func (h *heard) awaitHealth(t *testing.T, arn string, health ecstypes.HealthStatus) Status {
	t.Helper()
	return h.await(t, arn, "it is "+string(health), func(s Status) bool { return s.HealthStatus == health })
}

// onStage returns the stage that the parallel tests share.
func onStage(t *testing.T) stage {
	t.Helper()
	t.Parallel()
	return shared
}

var taskNumber = struct {
	sync.Mutex
	n int
}{}

// task is a task of the given containers on this stage's image.
func (s stage) task(containers ...ecstypes.ContainerDefinition) Task {
	taskNumber.Lock()
	defer taskNumber.Unlock()
	taskNumber.n++
	for i := range containers {
		if containers[i].Image == nil {
			containers[i].Image = &s.image
		}
	}
	return Task{
		ARN:        "arn:aws:ecs:us-east-1:123456789012:task/blue/" + fmt.Sprintf("%032x", taskNumber.n),
		ClusterARN: "arn:aws:ecs:us-east-1:123456789012:cluster/blue",
		LaunchType: ecstypes.LaunchTypeFargate,
		SubnetID:   "subnet-1",
		Definition: ecstypes.TaskDefinition{
			Family: aws.String("family"), Revision: 7, ContainerDefinitions: containers,
			Cpu: aws.String("512"), Memory: aws.String("1024"),
		},
		CreatedAt: time.Now(),
	}
}

// play runs a task and ends it, without ceremony, at the end of the test.
func (s stage) play(t *testing.T, task Task) string {
	t.Helper()
	s.Run(task)
	t.Cleanup(func() {
		_ = s.Kill(context.Background(), task.ARN, "", "") // may have ended
		s.Stop(task.ARN, ecstypes.TaskStopCodeUserInitiated, "end of test")
		s.heard.awaitWord(t, task.ARN, StatusStopped)
	})
	return task.ARN
}

// actor is a container that plays the given acts.
func actor(name string, acts ...string) ecstypes.ContainerDefinition {
	return ecstypes.ContainerDefinition{Name: &name, Command: acts, StopTimeout: aws.Int32(5)}
}

// extra is an actor that the task can do without.
func extra(name string, acts ...string) ecstypes.ContainerDefinition {
	d := actor(name, acts...)
	d.Essential = aws.Bool(false)
	return d
}

// after makes d depend on others: "name:CONDITION".
func after(d ecstypes.ContainerDefinition, on ...string) ecstypes.ContainerDefinition {
	for _, o := range on {
		name, condition, _ := strings.Cut(o, ":")
		d.DependsOn = append(d.DependsOn, ecstypes.ContainerDependency{ContainerName: &name, Condition: ecstypes.ContainerCondition(condition)})
	}
	return d
}

// checked gives d a health check every second.
func checked(d ecstypes.ContainerDefinition) ecstypes.ContainerDefinition {
	d.HealthCheck = &ecstypes.HealthCheck{Command: []string{"CMD", "/actor", "check"}, Interval: aws.Int32(1), Timeout: aws.Int32(2), Retries: aws.Int32(1)}
	return d
}

// logs returns what a container has written.
func (s stage) logs(t *testing.T, arn, container string) string {
	t.Helper()
	out, err := s.Logs(t.Context(), arn, container)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// container returns one container of a status.
func (s Status) container(name string) ecstypes.Container {
	for _, c := range s.Containers {
		if aws.ToString(c.Name) == name {
			return c
		}
	}
	return ecstypes.Container{}
}

// timelineOf returns one container's history.
func (s stage) timelineOf(t *testing.T, arn, container string) ContainerRun {
	t.Helper()
	all, _ := s.Containers(arn)
	for _, c := range all {
		if c.Name == container {
			return c
		}
	}
	t.Fatalf("task %s has no container %s", arn, container)
	return ContainerRun{}
}

func exitCode(c ecstypes.Container) string {
	if c.ExitCode == nil {
		return "none"
	}
	return strconv.Itoa(int(*c.ExitCode))
}
