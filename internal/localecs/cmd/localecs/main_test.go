package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/names"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/toolcache"
)

func TestCallsAreExplained(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args           []string
		code           int
		stdout, stderr string
	}{
		"nothing":          {nil, 2, "", "Usage: localecs <command>"},
		"help":             {[]string{"--help"}, 0, "Usage: localecs <command>", ""},
		"help of serve":    {[]string{"serve", "--help"}, 0, "", "-emulator"},
		"help of down":     {[]string{"down", "--help"}, 0, "", "-state-dir"},
		"help of tasks":    {[]string{"tasks", "--help"}, 0, "", "-endpoint"},
		"help of kill":     {[]string{"kill", "--help"}, 0, "", "-signal"},
		"unknown command":  {[]string{"start"}, 2, "", `no command "start"`},
		"unknown flag":     {[]string{"serve", "--emulater", "x"}, 2, "", "not defined: -emulater"},
		"extra argument":   {[]string{"down", "demo"}, 2, "", `unexpected argument "demo"`},
		"no emulator":      {[]string{"serve"}, 2, "", "--emulator is required"},
		"stop order":       {[]string{"serve", "--emulator", "http://127.0.0.1:1", "--stop-order", "random"}, 2, "", `--stop-order "random" is neither`},
		"port":             {[]string{"serve", "--emulator", "http://127.0.0.1:1", "--port", "70000"}, 2, "", "--port 70000 is not between 0 and 65535"},
		"log level":        {[]string{"serve", "--emulator", "http://127.0.0.1:1", "--log-level", "loud"}, 2, "", `--log-level "loud" is unknown`},
		"kill nobody":      {[]string{"kill", "--endpoint", "http://127.0.0.1:1"}, 2, "", "--task is required"},
		"tasks of nowhere": {[]string{"tasks", "--endpoint", "http://127.0.0.1:1"}, 1, "", "connection refused"},
		"no endpoint":      {[]string{"tasks", "--endpoint", ""}, 1, "", "hint: set --endpoint or AWS_ENDPOINT_URL"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var stdout, stderr bytes.Buffer
			cmd := exec.Command(program, c.args...)
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			err := cmd.Run()
			if code := cmd.ProcessState.ExitCode(); code != c.code {
				t.Errorf("exit code %d (%v), want %d", code, err, c.code)
			}
			if !strings.Contains(stdout.String(), c.stdout) || !strings.Contains(stderr.String(), c.stderr) {
				t.Errorf("stdout %q, want %q; stderr %q, want %q", stdout.String(), c.stdout, stderr.String(), c.stderr)
			}
		})
	}
}

// program is this command, built once for all tests by TestMain.
var program string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "localecs-cmd")
	if err != nil {
		panic(err)
	}
	program = filepath.Join(dir, "localecs")
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		panic(string(out))
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// TestServeTellsItsEndpointAndEndsOnSIGTERM serves a world, ends it, serves it again from its state, and takes it down.
func TestServeTellsItsEndpointAndEndsOnSIGTERM(t *testing.T) {
	t.Parallel()
	tools, _ := toolcache.Find()
	if tools.DockerHost == "" {
		t.Fatal("the test needs Docker\nhint: run make setup")
	}
	world := []string{"--name", "localecs-" + names.TaskID()[:8], "--docker-host", tools.DockerHost, "--state-dir", t.TempDir()}
	down := func() {
		if out, err := exec.Command(program, append([]string{"down"}, world...)...).CombinedOutput(); err != nil {
			t.Errorf("down: %v: %s", err, out)
		}
	}
	t.Cleanup(down)
	var endpoint string
	for range 2 {
		cmd := exec.Command(program, append([]string{"serve", "--emulator", "http://127.0.0.1:1"}, world...)...)
		var log bytes.Buffer
		cmd.Stderr = &log
		stdout, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		line, err := bufio.NewReader(stdout).ReadBytes('\n')
		var ready struct{ Endpoint, Gateway, Subnet string }
		if err != nil || json.Unmarshal(line, &ready) != nil || !strings.HasPrefix(ready.Endpoint, "http://"+ready.Gateway+":") {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			t.Fatalf("told %q (%v); log:\n%s", line, err, log.String())
		}
		if endpoint != "" && ready.Endpoint != endpoint {
			t.Errorf("endpoint %s after %s", ready.Endpoint, endpoint)
		}
		endpoint = ready.Endpoint
		resp, err := http.Get(endpoint + "/_localecs/health")
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if !strings.Contains(string(body), "ok") {
			t.Errorf("health: %s", body)
		}
		if out, err := exec.Command(program, "kill", "--endpoint", endpoint, "--task", "1f").CombinedOutput(); err == nil || !strings.Contains(string(out), "404 Not Found: task 1f: no such task") {
			t.Errorf("kill: %v: %s", err, out)
		}
		if out, err := exec.Command(program, "tasks", "--endpoint", endpoint).CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("tasks: %v: %s", err, out)
		}
		began := time.Now()
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("ended with %v; log:\n%s", err, log.String())
		}
		if took := time.Since(began); took > 30*time.Second {
			t.Errorf("SIGTERM to end: %s", took)
		}
	}
}
