package dataplane_test

import (
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/consulecs/terraform-provider-consulecs/internal/dataplanefile"
	"github.com/consulecs/terraform-provider-consulecs/internal/envoy"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/eventually"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/freeport"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/procs"
)

// script is a program in the place of Envoy that misbehaves.
func script(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "envoy")
	if err := os.WriteFile(name, []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestAnEnvoyThatDoesNotStart(t *testing.T) {
	t.Parallel()
	c := sharedConsul(t)
	for name, s := range map[string]struct {
		program string
		code    int
		said    string
	}{
		"missing":        {"/nowhere/envoy", 1, "ended: start envoy: fork/exec /nowhere/envoy: no such file or directory\nhint: "},
		"dies at start":  {script(t, "echo out of luck >&2; exit 7"), 7, "ended: envoy ended by itself: envoy: exit code 7, last lines:\n\tout of luck\n"},
		"leaves at once": {script(t, "exit 0"), 1, "ended: envoy ended by itself: exit code 0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newTask(t, c)
			k.env = append(k.env, envoy.EnvPath+"="+s.program) // beats the file
			k.register(t, c, freeport.Loopback(t))
			k.run(t)
			if code, _ := k.awaitExit(t, 20*time.Second); code != s.code || !strings.Contains(k.output.String(), s.said) {
				t.Errorf("exit code %d, want %d and %q in the log", code, s.code, s.said)
			}
		})
	}
}

func TestAnEnvoyThatIgnoresSIGTERMIsKilledInTime(t *testing.T) {
	t.Parallel()
	c := sharedConsul(t)
	k := newTask(t, c)
	k.file.Envoy.ExecutablePath = script(t, "trap '' TERM; echo deaf >&2; while :; do sleep 0.1; done")
	k.file.Envoy.StopWithinSeconds = 4
	k.register(t, c, freeport.Loopback(t))
	k.run(t)
	eventually.True(t, "the program runs", eventually.Soon, func() bool { return strings.Contains(k.output.String(), "deaf") })
	pid := k.envoyPID()
	k.metadata.stopApp()
	k.signal(t, syscall.SIGTERM)
	if code, _ := k.awaitExit(t, 20*time.Second); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if !procs.Ended(pid) || !strings.Contains(k.output.String(), "envoy did not end by itself") {
		t.Errorf("the program is gone: %v", procs.Ended(pid))
	}
}

// silent accepts connections and says nothing.
func silent(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr().(*net.TCPAddr).Port
}

func TestSIGTERMBeforeEnvoyRunsIsACleanEnd(t *testing.T) {
	t.Parallel()
	for name, port := range map[string]int{"nobody listens": int(freeport.Loopback(t).Port()), "a server that is silent": silent(t)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newTask(t, nil)
			k.file.Consul.GRPCPort = port
			k.run(t)
			select {
			case <-k.done:
				t.Fatalf("the agent gave up:\n%s", k.output)
			case <-time.After(time.Second):
			}
			k.signal(t, syscall.SIGTERM)
			if code, _ := k.awaitExit(t, 10*time.Second); code != 0 {
				t.Errorf("exit code %d", code)
			}
		})
	}
}

func TestAProxyThatIsNeverRegisteredIsNoReasonToHang(t *testing.T) {
	t.Parallel()
	k := newTask(t, sharedConsul(t))
	k.run(t)
	eventually.True(t, "the agent has asked", eventually.Soon, func() bool { return strings.Contains(k.output.String(), "NotFound") })
	k.signal(t, syscall.SIGTERM)
	if code, _ := k.awaitExit(t, 10*time.Second); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

func TestRefusalsEndTheAgentWithAHint(t *testing.T) {
	t.Parallel()
	c := sharedConsul(t)
	other := httptest.NewUnstartedServer(nil)
	other.EnableHTTP2 = true
	other.StartTLS()
	t.Cleanup(other.Close)
	for name, s := range map[string]struct {
		change func(*task)
		said   []string
	}{
		"certificates of another CA": {func(k *task) {
			k.file.Consul.GRPCPort = other.Listener.Addr().(*net.TCPAddr).Port
			k.file.Consul.TLS = dataplanefile.TLS{ServerName: "example.com"}
		}, []string{"certificate signed by unknown authority", "hint: "}},
		"no such CA file": {func(k *task) {
			k.file.Consul.TLS, k.env = dataplanefile.TLS{CACertsPath: "/nowhere/ca.pem"}, nil
		}, []string{"/nowhere/ca.pem"}},
		"a token that is unknown": {func(k *task) { k.token = "d0a1f2b3-0000-0000-0000-000000000000" }, []string{"ACL not found"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newTask(t, c)
			s.change(k)
			k.register(t, c, freeport.Loopback(t))
			k.run(t)
			code, _ := k.awaitExit(t, 30*time.Second)
			for _, said := range s.said {
				if code != 1 || !strings.Contains(k.output.String(), said) {
					t.Errorf("exit code %d, want 1 and %q in the log", code, said)
				}
			}
		})
	}
}

func TestAConfigurationThatConsulWithholdsIsTold(t *testing.T) {
	t.Parallel()
	c := sharedConsul(t)
	k := newTask(t, c)
	k.token = newToken(t, c, "another")
	k.register(t, c, freeport.Loopback(t))
	k.run(t)
	eventually.True(t, "the log tells", eventually.Soon, func() bool { return strings.Contains(k.output.String(), "no configuration from Consul yet") })
	if k.ready() {
		t.Error("ready without configuration")
	}
	k.metadata.stopApp()
	k.signal(t, syscall.SIGTERM)
	if code, _ := k.awaitExit(t, 10*time.Second); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

func TestBadArgumentsAndFiles(t *testing.T) {
	t.Parallel()
	missing := filepath.Join(t.TempDir(), "missing.json")
	for name, s := range map[string]struct {
		args []string
		code int
		said string
	}{
		"no file":      {[]string{"-config-file", missing}, 1, "ended: read dataplane file: open " + missing + ": no such file or directory"},
		"unknown flag": {[]string{"-nonsense"}, 2, "flag provided but not defined: -nonsense"},
		"for Envoy":    {[]string{"-config-file", missing, "--", "--concurrency", "4"}, 2, `ended: unexpected argument "--concurrency"`},
		"help":         {[]string{"-h"}, 0, "-config-file"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newTask(t, nil)
			k.runWith(t, s.args...)
			if code, _ := k.awaitExit(t, 10*time.Second); code != s.code || !strings.Contains(k.output.String(), s.said) {
				t.Errorf("exit code %d, want %d and %q in:\n%s", code, s.code, s.said, k.output)
			}
		})
	}
}
