package toolcache

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/eventually"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/required"
)

// daemonSocket returns a running daemon's socket. Without one the test is skipped; make test forbids that.
func daemonSocket(t *testing.T) string {
	t.Helper()
	paths, err := Find()
	if paths.DockerHost == "" {
		required.Missing(t, "no Docker daemon runs: ", err)
	}
	return strings.TrimPrefix(paths.DockerHost, "unix://")
}

func TestImageIsMadeAnewOnlyWhenItsInputsChange(t *testing.T) {
	t.Parallel()
	m := images{engine: newEngine(daemonSocket(t))}
	name := fmt.Sprintf("consulecs-toolcache-test:%d", os.Getpid())
	content := filepath.Join(t.TempDir(), "file")
	made := 0
	ensure := func(inputs string) image {
		t.Helper()
		writeFile(t, content, inputs)
		_, err := m.ensure(t.Context(), name, inputs, func(labels map[string]string) error {
			made++
			return m.engine.importImage(t.Context(), name, labelLines(labels), stream(func(w tarball) error { return w.file("file", 0o644, content) }))
		})
		if err != nil {
			t.Fatal(err)
		}
		img, err := m.engine.inspect(t.Context(), name)
		if err != nil || img.ID == "" {
			t.Fatalf("image %+v, %v; want one", img, err)
		}
		return img
	}
	t.Cleanup(func() {
		if err := m.engine.remove(context.Background(), name); err != nil {
			t.Error(err)
		}
	})
	first := ensure("one")
	if again := ensure("one"); again.ID != first.ID || made != 1 {
		t.Errorf("the same inputs made %d images", made)
	}
	second := ensure("two")
	if second.ID == first.ID {
		t.Error("other inputs left the image as it was")
	}
	if old, err := m.engine.inspect(t.Context(), first.ID); err != nil || old.ID != "" {
		t.Errorf("the replaced image is still there: %+v, %v", old, err)
	}
}

func TestBuildTellsTheDaemonsError(t *testing.T) {
	t.Parallel()
	e := newEngine(daemonSocket(t))
	dockerfile := filepath.Join(t.TempDir(), "Dockerfile")
	writeFile(t, dockerfile, "FROM scratch\nCOPY missing /\n")
	err := e.build(t.Context(), "consulecs-toolcache-test:broken", nil, nil, stream(func(w tarball) error { return w.file("Dockerfile", 0o644, dockerfile) }))
	if err == nil || !strings.Contains(err.Error(), "missing") {
		t.Errorf("got %v, want an error about the missing file", err)
	}
}

func TestStalePidFileIsRemoved(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"a process that ended":        "999999999\n",
		"a process that is no Docker": strconv.Itoa(os.Getpid()),
		"an empty file":               "",
	}
	for name, content := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "docker.pid")
			writeFile(t, file, content)
			if err := dropStalePid(file, "dockerd"); err != nil || exists(file) {
				t.Errorf("error %v, still there: %v", err, exists(file))
			}
		})
	}
	if err := dropStalePid(filepath.Join(t.TempDir(), "none"), "dockerd"); err != nil {
		t.Errorf("no file: %v", err)
	}
}

// TestKilledDaemonStartsAgain runs a daemon of its own, in namespaces of its own, so that its firewall rules meet no other
// daemon's and its mounts end with it.
func TestKilledDaemonStartsAgain(t *testing.T) {
	t.Parallel()
	dockerd := onPath("dockerd")
	if os.Geteuid() != 0 || dockerd == "" {
		t.Skip("only root can start a dockerd of its own; where this runs as a user a daemon was there already")
	}
	c := newCache(t)
	var err error
	if c.Root, err = os.MkdirTemp("", "tc-"); err != nil { // short: it holds sockets
		t.Fatal(err)
	}
	program := filepath.Join(c.Root, "dockerd.sh")
	writeFile(t, program, "#!/bin/sh\nexec unshare --net --mount "+dockerd+" \"$@\"\n")
	if err := os.Chmod(program, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := c.StopDaemon(ctx); err != nil {
			t.Error(err)
		}
		if err := os.RemoveAll(c.Root); err != nil {
			t.Error(err)
		}
	})
	// A run that is interrupted leaves a daemon that will answer in a moment.
	interrupted, interrupt := context.WithCancel(t.Context())
	interrupt()
	if err := c.startDaemon(interrupted, program); !errors.Is(err, context.Canceled) {
		t.Fatalf("interrupted: %v", err)
	}
	pidFile := filepath.Join(c.Root, "docker", "docker.pid")
	var raw []byte
	eventually.True(t, "there is a pid file", time.Minute, func() bool {
		raw, err = os.ReadFile(pidFile)
		return len(raw) > 0
	})
	if err := c.startDaemon(t.Context(), program); err != nil {
		t.Fatalf("start after an interruption: %v", err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(raw)))
	if err != nil || !runs(pid, "dockerd") {
		t.Fatalf("pid file says %q, %v; want a dockerd", raw, err)
	}
	if err := dropStalePid(pidFile, "dockerd"); !errors.Is(err, errRuns) || !exists(pidFile) {
		t.Errorf("pid file of a daemon that runs: %v, want it kept", err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually.True(t, "dockerd is gone", time.Minute, func() bool { return !runs(pid, "dockerd") })
	if err := c.startDaemon(t.Context(), program); err != nil {
		t.Fatalf("start after a kill: %v", err)
	}
	if err := ping(c.privateSocket()); err != nil {
		t.Errorf("the second daemon does not answer: %v", err)
	}
}

func TestDaemonThatCannotStartTellsItsLog(t *testing.T) {
	t.Parallel()
	c := newCache(t)
	program := filepath.Join(c.Root, "dockerd.sh")
	writeFile(t, program, "#!/bin/sh\necho no space left\nexit 1\n")
	if err := os.Chmod(program, 0o755); err != nil {
		t.Fatal(err)
	}
	err := c.startDaemon(t.Context(), program)
	if err == nil || !strings.Contains(err.Error(), "no space left") || !strings.Contains(err.Error(), "exit status 1") {
		t.Errorf("got %v, want the exit and the log", err)
	}
}

func TestTheAgentImageAnswersToTheNamesOfOthers(t *testing.T) {
	t.Parallel()
	e := newEngine(daemonSocket(t))
	for name, tc := range map[string]struct {
		args []string
		want string
	}{
		"consul-ecs":       {[]string{"version"}, "consulecs-agent "},
		"consul-dataplane": {[]string{"--help"}, "Usage: consulecs-agent dataplane"},
		"discover":         {[]string{"-q", "hosts", "127.0.0.9"}, "127.0.0.9\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := e.output(t, append([]string{name}, tc.args...)); !strings.Contains(got, tc.want) {
				t.Errorf("it says %q, want %q", got, tc.want)
			}
		})
	}
}

// output is what a command prints in a container of the agent's image.
func (e engine) output(t *testing.T, command []string) string {
	t.Helper()
	call := func(method, path string, q url.Values, body any) []byte {
		t.Helper()
		raw, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		req, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), method, "http://docker/v1.41"+path+"?"+q.Encode(), bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		resp, err := e.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		answer, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode >= 300 {
			t.Fatalf("%s %s: %s: %s (%v)", method, path, resp.Status, answer, err)
		}
		return answer
	}
	var created struct{ ID string }
	spec := map[string]any{"Image": AgentImage, "Entrypoint": command[:1], "Cmd": command[1:], "Tty": true}
	if err := json.Unmarshal(call("POST", "/containers/create", nil, spec), &created); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { call("DELETE", "/containers/"+created.ID, url.Values{"force": {"1"}}, nil) })
	call("POST", "/containers/"+created.ID+"/start", nil, nil)
	call("POST", "/containers/"+created.ID+"/wait", nil, nil)
	return strings.ReplaceAll(string(call("GET", "/containers/"+created.ID+"/logs", url.Values{"stdout": {"1"}}, nil)), "\r", "")
}
